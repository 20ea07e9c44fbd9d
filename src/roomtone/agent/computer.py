"""What computer this is, as header fields of a media session; "" is what the system does not tell.

Linux tells all of it. On macOS and Windows only osType and osVersion are implemented.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

PACTL_S_MAX: Final = 3.0
TEXT_LENGTH_MAX: Final = 1_000
OS_TYPES: Final = {"linux": "linux", "darwin": "mac", "win32": "windows"}
NOT_FILLED_IN: Final = re.compile(
    r"to be filled|default string|system (product|manufacturer)|not specified|^none$|^n/?a$",
    re.IGNORECASE,
)
DEFAULT_ROUTE: Final = "00000000"
UP: Final = 1
ARPHRD_ETHER: Final = "1"
ARPHRD_RAWIP: Final = "519"

Pactl = Callable[..., str]


def describe(root: Path = Path("/"), *, pactl: Pactl | None = None) -> dict[str, str]:
    """osType, osVersion and what else is known; tests give their own `root` and `pactl`."""
    fields = {"osType": OS_TYPES.get(sys.platform, "other"), "osVersion": os_version()}
    if sys.platform == "linux":
        speaker, microphone = sound(root, pactl or run_pactl)
        fields |= {
            "hardwareType": hardware(root),
            "networkType": network(root),
            "speakerName": speaker,
            "microphone": microphone,
        }
    return {name: text[:TEXT_LENGTH_MAX] for name, text in fields.items() if text}


def os_version() -> str:
    """As the specification writes it: Version 10.14.6 (Build 18G3020)."""
    if sys.platform == "darwin":
        return _version(platform.mac_ver()[0])
    if sys.platform == "win32":
        return _version(platform.version())
    try:
        found = platform.freedesktop_os_release()
    except OSError:
        return _version(platform.release())
    name = found.get("VERSION_ID", "") or found.get("BUILD_ID", "")
    return _version(f"{name} ({found.get('NAME', 'Linux')}, {platform.release()})".strip())


def _version(text: str) -> str:
    return f"Version {text}" if text else ""


def hardware(root: Path) -> str:
    """Maker and model, from the firmware (DMI) or the device tree."""
    dmi = root / "sys/class/dmi/id"
    parts = [_read(dmi / name) for name in ("sys_vendor", "product_name")]
    found = [part for part in parts if part and not NOT_FILLED_IN.search(part)]
    if len(found) == 2 and found[1].startswith(found[0]):
        del found[0]
    return " ".join(found) or _read(root / "proc/device-tree/model").strip("\0")


def network(root: Path) -> str:
    """wifi, ethernet or cellular: what the default route goes through; "" for a tunnel."""
    name = _default_interface(root)
    if not name:
        return ""
    folder = root / "sys/class/net" / name
    if (folder / "wireless").exists() or (folder / "phy80211").exists():
        return "wifi"
    kind = _read(folder / "type")
    if "DEVTYPE=wwan" in _read(folder / "uevent") or kind == ARPHRD_RAWIP:
        return "cellular"
    # A tunnel or a bridge has no device: what carries it is not known here.
    return "ethernet" if kind == ARPHRD_ETHER and (folder / "device").exists() else ""


def _default_interface(root: Path) -> str:
    """Of the default routes that are up, the one with the lowest metric (proc_net_route(5))."""
    routes = []
    for line in _read(root / "proc/net/route").splitlines()[1:]:
        cells = line.split()
        if len(cells) < 8 or cells[1] != DEFAULT_ROUTE or cells[7] != DEFAULT_ROUTE:
            continue
        if int(cells[3], 16) & UP:
            routes.append((int(cells[6]), cells[0]))
    return min(routes)[1] if routes else ""


def sound(root: Path, pactl: Pactl) -> tuple[str, str]:
    """The default speaker and microphone of PulseAudio or PipeWire, else ALSA's first ones."""
    info = dict(re.findall(r"^Default (Sink|Source): (.+)$", pactl("info"), re.MULTILINE))
    speaker = _description(pactl("list", "sinks"), info.get("Sink", ""))
    source = info.get("Source", "")
    # Without a microphone the default source is what the speaker plays.
    hears_itself = source.endswith(".monitor")
    microphone = "" if hears_itself else _description(pactl("list", "sources"), source)
    if speaker or microphone:
        return speaker, microphone
    return _alsa(root, "playback"), _alsa(root, "capture")


def _description(listed: str, name: str) -> str:
    """Of the entry with this name (pactl list)."""
    if not name:
        return ""
    found = re.search(
        rf"^\s*Name: {re.escape(name)}$(?:\n.*){{0,3}}?\n\s*Description: (.+)$",
        listed,
        re.MULTILINE,
    )
    return found[1].strip() if found else ""


def _alsa(root: Path, direction: str) -> str:
    """`HDA Intel PCH, ALC257 Analog`: the card and the first device with such a direction."""
    cards = dict(
        re.findall(
            r"^ *(\d+) \[.*?\]: .*? - (.+)$", _read(root / "proc/asound/cards"), re.MULTILINE
        )
    )
    for line in _read(root / "proc/asound/pcm").splitlines():
        cells = [cell.strip() for cell in line.split(":")]
        if len(cells) > 2 and any(cell.startswith(direction) for cell in cells[3:]):
            card = cards.get(str(int(cells[0].split("-")[0])), "")
            return ", ".join(part for part in (card, cells[2]) if part)
    return ""


def run_pactl(*arguments: str) -> str:
    """What pactl prints, in English; "" where there is none or it does not answer."""
    program = shutil.which("pactl")
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 our own arguments
            [program, *arguments],
            capture_output=True,
            text=True,
            timeout=PACTL_S_MAX,
            env={**os.environ, "LC_ALL": "C"},
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
