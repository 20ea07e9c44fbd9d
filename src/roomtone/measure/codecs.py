"""Names of codecs and transports in the style of the Webex specification ("H.264 BP", "UDP")."""

import re
from functools import lru_cache
from typing import Final

LABELS: Final = {
    "opus": "Opus", "vp8": "VP8", "vp9": "VP9", "av1": "AV1", "h265": "H.265",
    "pcmu": "PCMU", "pcma": "PCMA", "g722": "G.722", "isac": "iSAC", "ilbc": "iLBC",
}  # fmt: skip
PROFILE_LEVEL_ID: Final = re.compile(r"profile-level-id=([0-9a-fA-F]{6})")
LABEL_LENGTH_MAX: Final = 32
BASELINE_DEFAULT: Final = "42000a"
"""RFC 6184, 8.1: without the parameter, Baseline without further constraints is inferred."""
CONSTRAINT_SET1: Final = 0x40


@lru_cache(maxsize=256)
def codec_label(mime_type: str, fmtp: str = "") -> str:
    """`video/H264` + `profile-level-id=42e01f` -> `H.264 CBP`; an unknown codec keeps its name."""
    name = mime_type.partition("/")[2] or mime_type
    if name.lower() == "h264":
        profile = h264_profile(fmtp)
        return f"H.264 {profile}" if profile else "H.264"
    return LABELS.get(name.lower(), name[:LABEL_LENGTH_MAX])


def h264_profile(fmtp: str) -> str:
    """BP, CBP (Baseline that a Main decoder reads, 42 x1xx), MP, EP, HP (RFC 6184, table 5)."""
    found = PROFILE_LEVEL_ID.search(fmtp)
    level_id = found[1] if found else BASELINE_DEFAULT
    profile_idc, constraints = int(level_id[:2], 16), int(level_id[2:4], 16)
    if profile_idc == 0x42:
        return "CBP" if constraints & CONSTRAINT_SET1 else "BP"
    return {0x4D: "MP", 0x58: "EP", 0x64: "HP"}.get(profile_idc, "")


def transport_label(protocol: str, relay_protocol: str = "", candidate_type: str = "") -> str:
    """UDP, TCP or TLS; behind a TURN server it is the leg to that server which counts."""
    used = relay_protocol if candidate_type == "relay" and relay_protocol else protocol
    return used.upper() if used.lower() in ("udp", "tcp", "tls") else ""
