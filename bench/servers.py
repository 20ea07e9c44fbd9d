"""The servers that are compared, each a context manager, on a free port, ended by its pid."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.load import BenchError

START_S_MAX: Final = 30.0
STOP_S_MAX: Final = 30.0
POLL_S: Final = 0.02
ORG: Final = "bench"
TOKEN: Final = "bench-baseline-token"
ROOT: Final = Path(__file__).parent.parent
CPU_CLOCK_OF_PROCESS: Final = 2  # CPUCLOCK_SCHED in the kernel's clock ids


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that answers at `url` to `token`."""

    pid: int
    url: str
    token: str

    @property
    def qualities(self) -> str:
        """The address of the one path that is measured."""
        return f"{self.url}/v1/meeting/qualities"

    def cpu_s(self) -> float:
        """CPU seconds that all threads of the process have used, to the nanosecond."""
        return time.clock_gettime((~self.pid << 3) | CPU_CLOCK_OF_PROCESS)

    def rss_bytes(self) -> int:
        """Resident memory now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise BenchError("the kernel does not tell VmRSS")


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(
    command: list[str],
    *,
    log: Path,
    env: dict[str, str] | None = None,
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """A child process that writes to `log` and is gone when the block ends."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            cwd=log.parent if user else ROOT,
            env=os.environ | (env or {}),
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
    try:
        yield child
    finally:
        child.send_signal(stop)
        try:
            child.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(STOP_S_MAX)


def wait_for(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when the port is open; BenchError with the log's end when it dies or is late."""
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline and child.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(POLL_S)
    raise BenchError(f"did not start: {log.read_text()[-2000:]}")


def roomtone_token(data: Path) -> str:
    """A token that may write and read, made as an operator makes one."""
    command = [roomtone_command(), "token", "create", "--data", str(data), "--org", ORG]
    for scope in ("telemetry:write", "analytics:read_all"):
        command += ["--scope", scope]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def roomtone_command() -> str:
    """The command beside the interpreter that runs the bench."""
    return str(Path(sys.executable).with_name("roomtone"))


@contextmanager
def roomtone(data: Path, *, log: Path) -> Iterator[Server]:
    """Roomtone with its default settings over the store in `data`."""
    token, port = roomtone_token(data), free_port()
    command = [roomtone_command(), "serve", "--data", str(data), "--port", str(port)]
    with process(command, log=log) as child:
        wait_for(child, port, log)
        yield Server(pid=child.pid, url=f"http://127.0.0.1:{port}", token=token)


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A private PostgreSQL with Debian's defaults on a unix socket; yields SQLAlchemy's address."""
    user = "postgres" if os.geteuid() == 0 else None
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[-2]))
    home, log = folder / "postgresql", folder / "postgresql.log"
    home.mkdir()
    if user:
        shutil.chown(home, user, user)
    initdb = [str(binaries / "initdb"), "-D", str(home / "data"), "-A", "trust", "-U", "postgres"]
    subprocess.run(
        initdb,
        check=True,
        capture_output=True,
        cwd=home,
        user=user,
        group=user,
        extra_groups=[] if user else None,
    )
    command = [str(binaries / "postgres"), "-D", str(home / "data"), "-k", str(home)]
    command += ["-c", "listen_addresses="]
    with process(command, log=log, user=user, stop=signal.SIGINT) as child:
        wait_for_socket(child, home / ".s.PGSQL.5432", log)
        yield f"postgresql+psycopg://postgres@/postgres?host={home}"


def wait_for_socket(child: subprocess.Popen[bytes], path: Path, log: Path) -> None:
    """Return when PostgreSQL says in its log that it is ready."""
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline and child.poll() is None:
        if path.exists() and "ready to accept connections" in log.read_text():
            return
        time.sleep(POLL_S)
    raise BenchError(f"did not start: {log.read_text()[-2000:]}")


@contextmanager
def baseline(folder: Path) -> Iterator[Server]:
    """The baseline: one uvicorn process and PostgreSQL's own."""
    port, log = free_port(), folder / "baseline.log"
    with postgresql(folder) as database:
        command = [sys.executable, "-m", "uvicorn", "bench.baseline.app:app", "--port", str(port)]
        command += ["--no-access-log", "--log-level", "warning"]
        env = {"BASELINE_DATABASE": database, "BASELINE_TOKEN": TOKEN}
        with process(command, log=log, env=env) as child:
            wait_for(child, port, log)
            yield Server(pid=child.pid, url=f"http://127.0.0.1:{port}", token=TOKEN)


@contextmanager
def nginx(folder: Path, body: bytes) -> Iterator[str]:
    """nginx with one worker that serves `body` as a file; yields the file's address."""
    root, port, log = folder / "www", free_port(), folder / "nginx.log"
    root.mkdir(exist_ok=True)
    (root / "answer.json").write_bytes(body)
    text = (Path(__file__).parent / "nginx.conf").read_text()
    config = folder / "nginx.conf"
    config.write_text(text.format(folder=folder, root=root, port=port))
    command = [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(config), "-p", str(folder)]
    with process(command, log=log) as child:
        wait_for(child, port, log)
        yield f"http://127.0.0.1:{port}/answer.json"
