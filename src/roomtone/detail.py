"""What is kept of a session beside its columns: where figures are from, and its client's clock."""

from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from roomtone.measure import Measured, Origins
from roomtone.measure.origins import overlay

Observer = Literal["client", "sfu"]
"""Who saw what was measured: the participant's own client, or the SFU that it talks to."""


class Detail(Struct, array_like=True):
    """As it is stored. `offset_ms` is None where no post told the client's time of sending."""

    offset_ms: float | None = None
    corrected_ms: int = 0
    origins: Origins = field(default_factory=dict)
    by_sfu: Origins = field(default_factory=dict)

    def add(self, measured: Measured, observer: Observer) -> None:
        """Take in where new figures are from."""
        if observer == "sfu":
            self.by_sfu = overlay(self.by_sfu, measured.origins)
        else:
            self.origins = overlay(self.origins, measured.origins)


unpack: Final = msgspec.msgpack.Decoder(Detail).decode
pack: Final = msgspec.msgpack.Encoder().encode
