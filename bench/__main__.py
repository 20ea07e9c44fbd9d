"""`python -m bench`: measure every row of the table, print it, keep it in bench/out/.

Wants wrk, nginx and PostgreSQL; as root on Debian it installs them.
"""

import argparse
import datetime
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw
from msgspec import json
from rich.console import Console
from rich.table import Table

from bench import (
    capture_bench,
    causes_bench,
    fleet_bench,
    live_bench,
    measure_bench,
    rank_bench,
    rescore_bench,
    rows,
    score_bench,
)
from bench.load import BenchError
from bench.rows import Bench, Row

OUT: Final = Path(__file__).parent / "out"
ON_DISK: Final = "/var/tmp"  # noqa: S108 not /tmp, which may be memory, where fsync means nothing
PARTS: Final[dict[str, Callable[[Bench], list[Row]]]] = {
    "posts": rows.posts_of_one_session,
    "batches": rows.posts_of_hundred_sessions,
    "warm": rows.warm_reads,
    "cold": rows.cold_reads,
    "disk": rows.disk,
    "measure": measure_bench.rows,
    "score": score_bench.rows,
    "rescore": rescore_bench.rows,
    "causes": causes_bench.rows,
    "capture": capture_bench.rows,
    "rank": rank_bench.rows,
    "fleet": fleet_bench.rows,
    "live": live_bench.rows,
    "collector": rows.collector,
}

NEEDS_NOTHING: Final = frozenset({"measure", "score", "rescore", "causes", "fleet", "live"})
"""Parts that need no program of others."""


def main() -> None:
    """Measure the parts that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each; the median counts")
    parser.add_argument("--seconds", type=int, default=5, help="length of one timed run")
    parser.add_argument("parts", nargs="*", help=f"default: all of {' '.join(PARTS)}")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {' '.join(sorted(unknown))}")
    if not options.parts or set(options.parts) - NEEDS_NOTHING:
        install_what_is_missing()
    with tempfile.TemporaryDirectory(prefix="roomtone-bench-", dir=ON_DISK) as folder:
        Path(folder).chmod(0o755)  # nginx's worker and PostgreSQL are other users
        bench = Bench(folder=Path(folder), rounds=options.rounds, seconds=options.seconds)
        show(measure(bench, options.parts or list(PARTS)), machine())


def install_what_is_missing() -> None:
    """Debian's packages, when this is root on Debian; else say what to install."""
    there = {
        "wrk": shutil.which("wrk"),
        "nginx-light": shutil.which("nginx") or Path("/usr/sbin/nginx").exists(),
        "postgresql": any(Path("/usr/lib/postgresql").glob("*/bin/postgres")),
    }
    missing = [name for name, found in there.items() if not found]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SystemExit(f"The benchmarks need: {' '.join(missing)} (packages of Debian).")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=env)
    command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing]
    subprocess.run(command, check=True, env=env)


def measure(bench: Bench, parts: list[str]) -> list[Row]:
    """All rows; a part that cannot count ends the bench with its reason."""
    measured: list[Row] = []
    for part in parts:
        started = time.monotonic()
        try:
            measured += PARTS[part](bench)
        except BenchError as error:
            raise SystemExit(f"{part}: {error}") from None
        print(f"{part}: {time.monotonic() - started:.0f} s", flush=True)
    return measured


def machine() -> str:
    """What was measured on, with what, and when."""
    models = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    }
    today = datetime.datetime.now(datetime.UTC).date()
    return (
        f"{', '.join(sorted(models))}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, {today}"
    )


def figure(value: float | None) -> str:
    """Three figures that matter, no more."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cells(row: Row) -> tuple[str, ...]:
    """A row as text: what, limit, measured with its runs, peer, ratio, verdict, note."""
    bound = "at most" if row.less_is_better else "at least"
    return (
        row.what,
        f"{bound} {figure(row.limit)}",
        f"{figure(row.measured)} {row.unit}",
        f"{figure(row.peer_measured)} ({row.peer})" if row.peer else "",
        f"{figure(row.ratio)}x" if row.ratio else "",
        "yes" if row.reached else "NO",
        "; ".join(filter(None, (" ".join(map(figure, row.runs)), row.note))),
    )


HEADINGS: Final = ("what", "limit", "measured", "beside", "ratio", "reached", "runs and notes")


def show(measured: list[Row], where: str) -> None:
    """Print the table; keep it as JSON and as the Markdown of docs/performance.md."""
    table = Table(*HEADINGS, title=where)
    lines = [where, "", f"| {' | '.join(HEADINGS)} |", f"|{'---|' * len(HEADINGS)}"]
    for row in measured:
        table.add_row(*cells(row))
        lines.append(f"| {' | '.join(cells(row))} |")
    Console(width=None if os.isatty(1) else 160).print(table)
    OUT.mkdir(exist_ok=True)
    (OUT / "table.md").write_text("\n".join(lines) + "\n")
    (OUT / "results.json").write_bytes(json.format(json.encode(measured)))


if __name__ == "__main__":
    main()
