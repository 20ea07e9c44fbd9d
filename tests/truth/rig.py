"""Two hosts and a bad road between them, and a way in for HTTP that ICE cannot see.

a0 10.77.0.1 | left - relay.py - right | b0 10.77.0.2: three namespaces named after the process, so
that runs beside each other do not meet. Pages and API come to 127.0.0.1 of both hosts.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

import psutil

Side = Literal["a", "b"]
SIDES: Final[tuple[Side, Side]] = ("a", "b")
ADDRESSES: Final[dict[Side, str]] = {"a": "10.77.0.1", "b": "10.77.0.2"}
CLONE_NEWNET: Final = 0x40000000
HERE: Final = Path(__file__).parent
END_S_MAX: Final = 10
TOOLS: Final = ("ip", "ethtool", "sysctl", "chrt")
RELAY_FIRST: Final = ("chrt", "-f", "10")
BROWSERS_NEXT: Final = ("chrt", "-a", "-r", "-p", "1")
"""Lateness of the relay and of the browsers is part of what is measured: other work waits.

Of the browsers it adds 10 to 40 ms to round trips where both cores are busy. Niceness is no help:
Chromium sets that of its processes itself. Browsers that are being started have to wait, too.
"""
T = TypeVar("T")
_serial = 0


def why_none() -> str:
    """Why there can be no rig here; "" if there can."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"needs {', '.join(missing)}" if missing else ""


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@dataclass(frozen=True, kw_only=True)
class Way:
    """What one direction does: of every 100 packets so many are lost; RTP takes delay +- jitter."""

    loss: float = 0
    delay_ms: float = 0
    jitter_ms: float = 0


@dataclass
class Road:
    """The relay's process, and when the road was changed to what."""

    process: subprocess.Popen[str]
    log: Path
    changes: list[tuple[float, Way, Way]] = field(default_factory=list)

    def become(self, a_to_b: Way, b_to_a: Way) -> float:
        """Change the road now; returns the time."""
        assert self.process.stdin is not None
        ways = [[way.loss, way.delay_ms, way.jitter_ms] for way in (a_to_b, b_to_a)]
        self.process.stdin.write(json.dumps(ways) + "\n")
        self.process.stdin.flush()
        self.changes.append((time.time(), a_to_b, b_to_a))
        return self.changes[-1][0]


@dataclass
class Rig:
    """The hosts' namespaces and the road between them."""

    namespaces: dict[str, str]
    folder: Path
    road: Road

    def within(self, side: Side) -> list[str]:
        """The words that start a command on a host."""
        return ["ip", "netns", "exec", self.namespaces[side]]

    def program(self, side: Side, path: Path) -> Path:
        """One executable file that runs a program on a host."""
        wrapper = self.folder / f"{path.name}-{side}.sh"
        wrapper.write_text(f'#!/bin/sh\nexec {" ".join(self.within(side))} {path} "$@"\n')
        wrapper.chmod(0o755)
        return wrapper

    def pids(self, side: Side) -> list[int]:
        """Every process on a host."""
        command = ["ip", "netns", "pids", self.namespaces[side]]
        return [int(pid) for pid in subprocess.check_output(command).split()]

    def let_go_first(self) -> None:
        """Let the processes of both hosts, and what they start, go before others.

        Firefox's sandbox gives some of its children namespaces of their own.
        """
        hosts = {pid for side in SIDES for pid in self.pids(side)}
        for pid in hosts.union(*map(children, hosts)):
            # One may have ended by now, and not every machine allows it.
            subprocess.run([*BROWSERS_NEXT, str(pid)], capture_output=True)

    def socket_in(self, side: Side, make: Callable[[], T]) -> T:
        """A socket that is made on a host and used here: it keeps the namespace of its making."""
        return made_in(self.namespaces[side], make)


@contextlib.contextmanager
def rig(folder: Path, *, seed: int = 1, tcp_too: bool = False) -> Iterator[Rig]:
    """The hosts with a road that does nothing yet."""
    global _serial  # noqa: PLW0603
    _serial += 1
    stem = f"rtt{os.getpid()}n{_serial}"
    names = {part: f"{stem}-{part}" for part in "abm"}
    with contextlib.ExitStack() as stack:
        for name in names.values():
            stack.callback(subprocess.run, ["ip", "netns", "del", name], capture_output=True)
            make_namespace(name)
        for side, end in (("a", "left"), ("b", "right")):
            connect(names[side], f"{side}0", names["m"], end)
        for side in SIDES:
            make_host(names[side], side)
        road = stack.enter_context(relay(names["m"], folder, seed=seed, tcp_too=tcp_too))
        yield Rig(names, folder, road)


def make_namespace(name: str) -> None:
    run("ip", "netns", "add", name)
    run("ip", "-n", name, "link", "set", "dev", "lo", "up")
    no_ipv6 = [f"net.ipv6.conf.{which}.disable_ipv6=1" for which in ("all", "default")]
    run("ip", "netns", "exec", name, "sysctl", "-qw", *no_ipv6)


def connect(namespace: str, device: str, middle: str, end: str) -> None:
    """A cable; nothing is left to be checked or cut by its hardware, which it has not."""
    link = ["ip", "link", "add", device, "netns", namespace]
    run(*link, "type", "veth", "peer", "name", end, "netns", middle)
    for name, interface in ((namespace, device), (middle, end)):
        off = [word for what in ("tx", "tso", "gso", "gro") for word in (what, "off")]
        run("ip", "netns", "exec", name, "ethtool", "-K", interface, *off)
        run("ip", "-n", name, "link", "set", "dev", interface, "up")


def make_host(namespace: str, side: Side) -> None:
    """An address, and the default route without which browsers gather no candidate."""
    other = ADDRESSES["b" if side == "a" else "a"]
    run("ip", "-n", namespace, "addr", "add", f"{ADDRESSES[side]}/24", "dev", f"{side}0")
    run("ip", "-n", namespace, "route", "add", "default", "via", other)


@contextlib.contextmanager
def relay(namespace: str, folder: Path, *, seed: int, tcp_too: bool) -> Iterator[Road]:
    log = folder / "relay.csv"
    words = ["left", "right", str(log), str(seed), *(["tcp"] if tcp_too else [])]
    command = [
        *first_if_allowed(),
        *["ip", "netns", "exec", namespace, sys.executable, str(HERE / "relay.py"), *words],
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Road(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=END_S_MAX)


def first_if_allowed() -> tuple[str, ...]:
    """The words that let the relay go before others; none where that is not allowed."""
    allowed = subprocess.run([*RELAY_FIRST, "true"], capture_output=True).returncode == 0
    return RELAY_FIRST if allowed else ()


def children(pid: int) -> list[int]:
    """A process' children, and theirs; none when it has ended."""
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def made_in(namespace: str, make: Callable[[], T]) -> T:
    """What `make` returns, called in a thread that is in a namespace."""
    made: list[T] = []
    errors: list[OSError] = []

    def work() -> None:
        with Path("/var/run/netns", namespace).open() as handle:
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.setns(handle.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            made.append(make())
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return made[0]


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@contextlib.asynccontextmanager
async def listening(rig: Rig, side: Side, port: int, handler: Handler) -> AsyncIterator[None]:
    """Serve 127.0.0.1:port of a host with a coroutine of (reader, writer)."""
    listener = rig.socket_in(side, lambda: socket.create_server(("127.0.0.1", port)))
    listener.setblocking(False)
    server = await asyncio.start_server(handler, sock=listener)
    try:
        yield
    finally:
        server.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
