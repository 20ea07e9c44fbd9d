"""Quantiles that merge: counts in buckets, exact in rank, with a known error in value.

`Histogram` has buckets of 0.01 MOS, `Sketch` logarithmic ones (DDSketch). Both number their buckets
with whole numbers, so a store can keep the number in a column and group by it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Final, Self

import msgspec

from roomtone.errors import Invalid

MOS_MIN: Final = 1.0
MOS_MAX: Final = 5.0
MOS_BUCKETS: Final = 400
RELATIVE_ACCURACY: Final = 0.01
GAMMA: Final = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY)
LOG_GAMMA: Final = math.log(GAMMA)
VALUE_MIN: Final = 1e-6
VALUE_MAX: Final = 2.0**53
ZERO_BUCKET: Final = -(2**15)
"""Values below VALUE_MIN: a millionth of a per cent or of a millisecond is none."""
SKETCH_BYTES_MAX: Final = 1024**2


class Buckets(ABC):
    """Counts by bucket. What holds of one sketch of all values holds of sketches that merged."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: dict[int, int] = dict(counts or {})

    @staticmethod
    @abstractmethod
    def bucket_of(value: float) -> int:
        """The number of a value's bucket; `Invalid` for what cannot be a value."""

    @staticmethod
    @abstractmethod
    def value_of(bucket: int) -> float:
        """The value that a bucket stands for."""

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """A sketch of values."""
        made = cls()
        for value in values:
            made.add(value)
        return made

    @property
    def total(self) -> int:
        """How many values there are."""
        return sum(self.counts.values())

    def add(self, value: float, *, count: int = 1) -> None:
        """Take in a value, `count` times."""
        self.add_bucket(self.bucket_of(value), count=count)

    def add_bucket(self, bucket: int, *, count: int) -> None:
        """Take in `count` values of a bucket, as a store has grouped them."""
        if count < 0:
            raise Invalid("a count must not be negative")
        if count:
            self.counts[bucket] = self.counts.get(bucket, 0) + count

    def merge(self, other: Self) -> None:
        """Take in all of another."""
        for bucket, count in other.counts.items():
            self.add_bucket(bucket, count=count)

    def quantile(self, share: float) -> float | None:
        """The value of rank floor(share * (total - 1)), counted from 0; None without values."""
        return self.quantiles((share,))[0]

    def quantiles(self, shares: Iterable[float]) -> list[float | None]:
        """Several at once, in the order of the shares."""
        wanted = list(shares)
        if not all(0 <= share <= 1 for share in wanted):
            raise Invalid("a quantile must be between 0 and 1")
        total = self.total
        if not total:
            return [None] * len(wanted)
        found: list[float | None] = [None] * len(wanted)
        ranks = sorted((math.floor(share * (total - 1)), at) for at, share in enumerate(wanted))
        seen, buckets = 0, iter(sorted(self.counts))
        bucket = 0
        for rank, at in ranks:
            while seen <= rank:
                bucket = next(buckets)
                seen += self.counts[bucket]
            found[at] = self.value_of(bucket)
        return found

    def to_bytes(self) -> bytes:
        """MessagePack of buckets, each as its step from the one before, and of their counts."""
        ordered = sorted(self.counts)
        steps = [bucket - before for before, bucket in zip([0, *ordered], ordered, strict=False)]
        return msgspec.msgpack.encode((steps, [self.counts[bucket] for bucket in ordered]))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The sketch again; `Invalid` when these bytes are none."""
        if len(data) > SKETCH_BYTES_MAX:
            raise Invalid("a sketch is too long")
        try:
            steps, counts = _DECODER.decode(data)
        except msgspec.DecodeError:
            raise Invalid("these bytes are no sketch") from None
        if len(steps) != len(counts) or any(count <= 0 for count in counts):
            raise Invalid("these bytes are no sketch")
        made, bucket = cls(), 0
        for step, count in zip(steps, counts, strict=True):
            bucket += step
            made.value_of(bucket)  # refuses what is no bucket
            made.add_bucket(bucket, count=count)
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self.counts == other.counts

    __hash__ = None  # type: ignore[assignment] # it changes


_DECODER: Final = msgspec.msgpack.Decoder(tuple[list[int], list[int]])


class Histogram(Buckets):
    """MOS in 401 buckets, 1.00, 1.01 .. 5.00: a quantile is at most 0.005 off."""

    @staticmethod
    def bucket_of(value: float) -> int:
        """0 for 1.00, 400 for 5.00; `Invalid` outside of 1..5."""
        if not MOS_MIN <= value <= MOS_MAX:
            raise Invalid(f"{value} is no MOS of 1 to 5")
        return round((value - MOS_MIN) * 100)

    @staticmethod
    def value_of(bucket: int) -> float:
        """1.00 for 0."""
        if not 0 <= bucket <= MOS_BUCKETS:
            raise Invalid(f"{bucket} is no bucket of a MOS")
        return (100 + bucket) / 100


class Sketch(Buckets):
    """DDSketch (Masson, Rim and Lee 2019): a quantile is at most 1 % of itself off.

    For loss, latency, jitter, join time: any unit from 0. From VALUE_MIN to VALUE_MAX there are
    2,528 buckets; a sketch holds those that have values, so that nothing has to be collapsed.
    """

    @staticmethod
    def bucket_of(value: float) -> int:
        """Bucket i holds values over gamma^(i-1) and up to gamma^i; `Invalid` below 0."""
        if not 0 <= value <= VALUE_MAX:
            raise Invalid(f"{value} is no value of 0 to 2^53")
        if value < VALUE_MIN:
            return ZERO_BUCKET
        return math.ceil(math.log(value) / LOG_GAMMA)

    @staticmethod
    def value_of(bucket: int) -> float:
        """The value that is as far, relatively, from both ends of its bucket."""
        if bucket == ZERO_BUCKET:
            return 0.0
        if not BUCKET_MIN <= bucket <= BUCKET_MAX:
            raise Invalid(f"{bucket} is no bucket of a sketch")
        return 2 * math.exp(bucket * LOG_GAMMA) / (GAMMA + 1)


BUCKET_MIN: Final = Sketch.bucket_of(VALUE_MIN)
BUCKET_MAX: Final = Sketch.bucket_of(VALUE_MAX)
