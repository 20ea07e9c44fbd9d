"""coturn on a host of the rig: TURN over TCP only, its files in a folder of its own."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.truth.rig import ADDRESSES, END_S_MAX, Rig, Side

TURNSERVER: Final = Path("/usr/bin/turnserver")
PORT: Final = 3478
USER, PASSWORD = "truth", "truth"
ASK_EVERY_S: Final = 0.1
CONFIGURATION: Final = """\
listening-ip={address}
relay-ip={address}
listening-port={port}
min-port=49200
max-port=49300
no-udp
no-tls
no-dtls
no-cli
no-multicast-peers
lt-cred-mech
user={user}:{password}
realm=truth
fingerprint
userdb={folder}/turndb
pidfile={folder}/turnserver.pid
log-file=stdout
simple-log
"""


def client(side: Side) -> dict[str, Any]:
    """What a browser needs to use it, and nothing else."""
    url = f"turn:{ADDRESSES[side]}:{PORT}?transport=tcp"
    server = {"urls": url, "username": USER, "credential": PASSWORD}
    return {"iceTransportPolicy": "relay", "iceServers": [server]}


@contextlib.contextmanager
def turn_server(rig: Rig, side: Side) -> Iterator[None]:
    """A server that listens."""
    folder = rig.folder / "turn"
    folder.mkdir()
    configuration = folder / "turnserver.conf"
    configuration.write_text(
        CONFIGURATION.format(
            address=ADDRESSES[side], port=PORT, user=USER, password=PASSWORD, folder=folder
        )
    )
    command = [*rig.within(side), str(TURNSERVER), "-c", str(configuration)]
    with (folder / "turnserver.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until_listening(rig, side, process)
        yield
    finally:
        process.terminate()
        process.wait(END_S_MAX)


def wait_until_listening(rig: Rig, side: Side, process: subprocess.Popen[bytes]) -> None:
    limit_s = time.monotonic() + END_S_MAX
    while True:
        try:
            rig.socket_in(side, lambda: socket.create_connection((ADDRESSES[side], PORT))).close()
        except OSError:
            assert process.poll() is None, "coturn ended"
            assert time.monotonic() < limit_s, "coturn does not listen"
            time.sleep(ASK_EVERY_S)
        else:
            return
