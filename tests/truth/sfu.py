"""Debian's Janus on a host of the rig, as nobody; its events go to a server's API."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.truth.rig import ADDRESSES, END_S_MAX, Rig, Side

JANUS: Final = Path("/usr/bin/janus")
PORT: Final = 8188
ROOM: Final = 1234
START_S_MAX: Final = 20
ASK_EVERY_S: Final = 0.1
MODULES: Final = {
    "plugins": "libjanus_videoroom.so",
    "transports": "libjanus_websockets.so",
    "loggers": "",
    "events": "libjanus_sampleevh.so",
}
MAIN: Final = """\
general: {{
  configs_folder = "{folder}"
{folders}
  server_name = "{name}"
  debug_level = 3
}}
nat: {{ ice_enforce_list = "{address}" }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
loggers: {{ disable = "{loggers}" }}
events: {{ broadcast = true  stats_period = 1  disable = "{events}" }}
"""
WEBSOCKETS: Final = """\
general: {{ json = "compact"  ws = true  ws_port = {port}  ws_ip = "{address}"  wss = false }}
admin: {{ admin_ws = false  admin_wss = false }}
"""
HANDLER: Final = """\
general: {{
  enabled = true
  events = "sessions,handles,webrtc,media,plugins,core"
  grouping = true
  json = "compact"
  backend = "{backend}"
}}
"""
ROOMS: Final = """\
general: {{}}
room-{room}: {{ publishers = 6  bitrate = 1500000  audiocodec = "opus"  videocodec = "vp8" }}
"""


def library() -> Path:
    """Where Debian keeps Janus' modules."""
    return next(Path("/usr/lib").glob("*/janus"))


def unwanted(kind: str) -> str:
    """All modules of a kind but the one that is needed."""
    found = sorted(path.name for path in (library() / kind).glob("*.so"))
    return ",".join(name for name in found if name != MODULES[kind])


def configure(folder: Path, address: str, backend: str) -> None:
    folders = "\n".join(f'  {kind}_folder = "{library() / kind}"' for kind in MODULES)
    texts = {
        "janus.jcfg": MAIN.format(
            folder=folder,
            folders=folders,
            name="rig",
            address=address,
            **{kind: unwanted(kind) for kind in MODULES},
        ),
        "janus.transport.websockets.jcfg": WEBSOCKETS.format(port=PORT, address=address),
        "janus.eventhandler.sampleevh.jcfg": HANDLER.format(backend=backend),
        "janus.plugin.videoroom.jcfg": ROOMS.format(room=ROOM),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    folder.chmod(0o755)


@contextlib.contextmanager
def janus(rig: Rig, side: Side, backend: str) -> Iterator[str]:
    """A server that runs; the URL of its WebSocket. Its last events want an answer at the end."""
    folder = Path(tempfile.mkdtemp(prefix="rig-janus-"))  # one that nobody may enter
    configure(folder, ADDRESSES[side], backend)
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    command = [*rig.within(side), *as_nobody, str(JANUS), "-F", str(folder), "-o"]
    log = rig.folder / "janus.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd="/")
    try:
        wait_until_listening(rig, side, process, log)
        yield f"ws://{ADDRESSES[side]}:{PORT}"
    finally:
        process.terminate()
        process.wait(END_S_MAX)
        shutil.rmtree(folder)


def wait_until_listening(rig: Rig, side: Side, process: subprocess.Popen[bytes], log: Path) -> None:
    limit_s = time.monotonic() + START_S_MAX
    listening = [*rig.within(side), "ss", "-Htln", f"sport = :{PORT}"]
    while not subprocess.check_output(listening):
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        assert time.monotonic() < limit_s, "Janus does not listen"
        time.sleep(ASK_EVERY_S)
