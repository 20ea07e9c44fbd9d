"""What the agent says of a computer, read from files and programs as Linux has them."""

import sys
from pathlib import Path

import pytest

from roomtone.agent import describe
from roomtone.agent.computer import hardware, network, sound
from roomtone.ingest_agent import AGENT_FIELDS

ROUTES = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
CARDS = """ 0 [HDMI           ]: HDA-Intel - HDA Intel HDMI
                      HDA Intel HDMI at 0xf7f14000 irq 48
 1 [PCH            ]: HDA-Intel - HDA Intel PCH
                      HDA Intel PCH at 0xf7f10000 irq 47
"""
PCM = """01-00: ALC257 Analog : ALC257 Analog : playback 1 : capture 1
00-03: HDMI 0 : HDMI 0 : playback 1
"""
INFO = """Server Name: PulseAudio (on PipeWire 0.3.65)
Default Sink: alsa_output.pci.analog
Default Source: {source}
"""
SINKS = """Sink #1
\tState: IDLE
\tName: alsa_output.pci.hdmi
\tDescription: HDMI Audio
\tDriver: PipeWire
Sink #2
\tState: RUNNING
\tName: alsa_output.pci.analog
\tDescription: Built-in Audio Analog Stereo
"""
SOURCES = """Source #3
\tState: SUSPENDED
\tName: alsa_input.usb
\tDescription: Jabra Evolve 65 Mono
Source #4
\tState: RUNNING
\tName: alsa_output.pci.analog.monitor
\tDescription: Monitor of Built-in Audio Analog Stereo
"""


def put(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def route(name: str, metric: int = 100, flags: str = "0003") -> str:
    return f"{name}\t00000000\t010200C0\t{flags}\t0\t0\t{metric}\t00000000\t0\t0\t0\n"


def interface(root: Path, name: str, kind: str) -> None:
    folder = root / "sys/class/net" / name
    folder.mkdir(parents=True)
    types = {"cellular": "519", "wwan": "1", "tunnel": "65534"}
    (folder / "type").write_text(types.get(kind, "1") + "\n")
    if kind == "wwan":
        (folder / "uevent").write_text("DEVTYPE=wwan\n")
    if kind == "wifi":
        (folder / "wireless").mkdir()
    if kind not in ("tunnel", "bridge"):
        (folder / "device").mkdir()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("wifi", "wifi"),
        ("ethernet", "ethernet"),
        ("cellular", "cellular"),
        ("wwan", "cellular"),
        ("tunnel", ""),
        ("bridge", ""),
    ],
)
def test_the_network_is_what_the_default_route_goes_through(
    tmp_path: Path, kind: str, said: str
) -> None:
    put(tmp_path, proc__net__route=ROUTES + route("one0"))
    interface(tmp_path, "one0", kind)
    assert network(tmp_path) == said


def test_of_two_default_routes_the_lower_metric_counts(tmp_path: Path) -> None:
    down = route("gone0", 1, flags="0002")
    put(tmp_path, proc__net__route=ROUTES + route("wire0", 600) + route("air0", 100) + down)
    interface(tmp_path, "wire0", "ethernet")
    interface(tmp_path, "air0", "wifi")
    interface(tmp_path, "gone0", "ethernet")
    assert network(tmp_path) == "wifi"


@pytest.mark.parametrize("text", ["", ROUTES, "nonsense\nmore of it\n"])
def test_without_a_default_route_the_network_is_unknown(tmp_path: Path, text: str) -> None:
    put(tmp_path, proc__net__route=text)
    assert network(tmp_path) == ""


@pytest.mark.parametrize(
    ("vendor", "product", "said"),
    [
        ("LENOVO", "20XWCTO1WW", "LENOVO 20XWCTO1WW"),
        ("HP", "HP EliteBook 840 G8", "HP EliteBook 840 G8"),
        ("To Be Filled By O.E.M.", "System Product Name", ""),
        ("QEMU", "", "QEMU"),
    ],
)
def test_hardware_is_maker_and_model(tmp_path: Path, vendor: str, product: str, said: str) -> None:
    put(
        tmp_path,
        sys__class__dmi__id__sys_vendor=vendor + "\n",
        sys__class__dmi__id__product_name=product + "\n",
    )
    assert hardware(tmp_path) == said


def test_a_board_says_what_it_is_in_the_device_tree(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"Raspberry Pi 5 Model B\0")
    assert hardware(tmp_path) == "Raspberry Pi 5 Model B"


def pactl(source: str) -> dict[tuple[str, ...], str]:
    info = INFO.format(source=source)
    return {("info",): info, ("list", "sinks"): SINKS, ("list", "sources"): SOURCES}


@pytest.mark.parametrize(
    ("source", "microphone"),
    [("alsa_input.usb", "Jabra Evolve 65 Mono"), ("alsa_output.pci.analog.monitor", "")],
)
def test_sound_devices_are_the_default_ones_of_the_sound_server(
    tmp_path: Path, source: str, microphone: str
) -> None:
    answers = pactl(source)
    speaker, said = sound(tmp_path, lambda *arguments: answers[arguments])
    assert (speaker, said) == ("Built-in Audio Analog Stereo", microphone)


def test_without_a_sound_server_alsa_tells(tmp_path: Path) -> None:
    put(tmp_path, proc__asound__cards=CARDS, proc__asound__pcm=PCM)
    names = sound(tmp_path, lambda *_: "")
    assert names == ("HDA Intel PCH, ALC257 Analog", "HDA Intel PCH, ALC257 Analog")


def test_a_computer_without_any_of_it_says_nothing(tmp_path: Path) -> None:
    said = describe(tmp_path, pactl=lambda *_: "")
    assert set(said) <= {"osType", "osVersion"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux")
def test_this_computer_describes_itself() -> None:
    said = describe()
    assert said["osType"] == "linux"
    assert said["osVersion"].startswith("Version ")
    assert set(said) <= set(AGENT_FIELDS)
