"""docs/truth.md, from what a run of the tests wrote: `python -m tests.truth.page [truth.json]`.

Without a file it runs the tests first, in a folder that it removes.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from tests.truth.ledger import FILE_NAME

PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "truth.md"
COLUMNS: Final = {
    "packetLoss": ("Loss, %", 2, "0.5 points"),
    "latency": ("Latency (round trip), ms", 1, "10 ms"),
    "jitter": ("Jitter, ms", 1, "1.5 ms"),
    "mediaBitRate": ("Bit rate, kbit/s", 1, "5 %"),
    "resolutionHeight": ("Height, px", 0, "equal"),
    "frameRate": ("Pictures per second", 2, "1"),
}
ABOUT: Final = {
    "both ways": "Two Chromium: microphone, camera, a shared tab. 5 % and 80 ± 20 ms each way.",
    "steps": "The same; nothing is lost at first, then 5 % from a to b, then 5 % both ways.",
    "firefox": "Chromium (a) and Firefox (b, shares a canvas). 5 % and 80 ± 20 ms each way.",
    "turn": "Two Chromium over coturn by TCP; the road loses 2 % of what goes over TCP.",
    "reload": "b reloads its page, and a replaces its connection.",
    "janus": "Two Chromium over Janus: alice over a road that loses 5 % each way, bob beside it.",
    "sleep": "The computer of b sleeps: each of its processes stands still for 90 s.",
}
TROUBLES: Final = """\
Real calls of about 80 s (the long way 170 s) in intervals of 10 s, each with one trouble that was
made; [causes](causes.md) says how they are told apart. The test fails when another cause is told,
or one more."""
DONE: Final = {
    "no trouble": "Janus, a road of 30 ms each way",
    "loss up": "Janus; of what alice sends, 10 % is lost",
    "loss down": "Janus; of what alice receives, 10 % is lost",
    "delay": "two Chromium, 200 ms each way",
    "TCP": "two Chromium over coturn by TCP; a road of 180 ms that loses 2 % each way",
    "CPU": "two Chromium; after 35 s b's page runs 2 of 30 ms (as by cpulimit), and other programs "
    "take what is left of the CPU; `roomtone agent` beside it",
}
INTRODUCTION: Final = Path(__file__).with_name("introduction.md")
UNKNOWN: Final = "–"  # noqa: RUF001


def page(data: dict[str, Any]) -> str:
    parts = [*head(data), *summary(data), *runs(data), *causes(data)]
    return "\n".join([INTRODUCTION.read_text(), *parts])


def head(data: dict[str, Any]) -> Iterator[str]:
    machine, versions = data["machine"], data["packages"]
    yield f"{data['when'][:16].replace('T', ' ')} UTC, {data['lasted_s'] / 60:.1f} minutes in all;"
    yield f"{machine['system']}, {machine['kernel']}, {machine['cores']} x {machine['cpu']},"
    yield f"load at the end {machine['load_1m']};"
    yield ", ".join(f"{name} {version}" for name, version in versions.items()) + "."
    yield ""


def summary(data: dict[str, Any]) -> Iterator[str]:
    """How far off the figures were at most."""
    yield "## In short"
    yield ""
    yield "| figure | limit | intervals | told | furthest off | outside |"
    yield "|---|---|---|---|---|---|"
    for column, (title, _, limit) in COLUMNS.items():
        rows = [row for row in data["rows"] if row["column"] == column]
        found = [row for row in rows if row["reported"] is not None]
        if not found:
            continue
        outside = sum(not row["holds"] for row in found)
        most = furthest(column, found)
        yield f"| {title} | {limit} | {len(rows)} | {len(found)} | {most} | {outside} |"
    yield ""


def furthest(column: str, rows: list[dict[str, Any]]) -> str:
    if column == "mediaBitRate":
        return f"{max(100 * abs(row['reported'] / row['wire'] - 1) for row in rows):.1f} %"
    digits = COLUMNS[column][1]
    return f"{max(abs(row['reported'] - row['wire']) for row in rows):.{digits}f}"


def runs(data: dict[str, Any]) -> Iterator[str]:
    for run, about in data["runs"].items():
        yield f"## {run[0].upper()}{run[1:]}"
        yield ""
        yield ABOUT.get(run, f"A short call with {run} on a road that loses 5 %.")
        yield f"{' and '.join(about['browsers'])}; intervals of {about['interval_s']} s,"
        yield f"a sample each {about['sample_every_s']} s."
        if len(about["roads"]) > 1:
            yield changes(about["roads"])
        yield ""
        yield from findings([one for one in data["findings"] if one["run"] == run])
        rows = [row for row in data["rows"] if row["run"] == run]
        rows.sort(key=lambda row: list(COLUMNS).index(row["column"]))
        for column, some in groupby(rows, key=lambda row: row["column"]):
            yield from table(column, list(some))


def changes(roads: list[dict[str, Any]]) -> str:
    words = []
    for road in roads[1:]:
        there, back = (way["loss"] for way in road["ways"])
        words.append(f"{there} % and {back} % from second {road['after_s']:.0f} on")
    return f"Loss from a to b and back: {'; '.join(words)}."


def findings(found: list[dict[str, Any]]) -> Iterator[str]:
    if not found:
        return
    yield "| | expected | told |"
    yield "|---|---|---|"
    for one in found:
        yield f"| {one['what']} | {one['expected']} | {one['reported']} |"
    yield ""


def table(column: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each stream, its intervals one after the other."""
    title, digits, limit = COLUMNS[column]
    scale = 1000 if column == "mediaBitRate" else 1
    yield f"**{title}** (limit: {limit})"
    yield ""
    injects = any(row["injected"] is not None for row in rows)
    yield f"| stream | {'injected | ' if injects else ''}wire | told |"
    yield f"|---|{'---|' if injects else ''}---|---|"
    for stream, some in groupby(rows, key=lambda row: row["stream"]):
        line = list(some)
        names = ["injected", "wire", "reported"] if injects else ["wire", "reported"]
        cells = [
            " / ".join(text(row[name], scale, 0 if name == "injected" else digits) for row in line)
            for name in names
        ]
        yield f"| {stream} | {' | '.join(cells)} |"
    yield ""


def causes(data: dict[str, Any]) -> Iterator[str]:
    """Calls with one known trouble each, and what was found."""
    yield "## Causes"
    yield ""
    yield TROUBLES
    yield ""
    yield "| what was done | verdict | findings |"
    yield "|---|---|---|"
    for one in data["causes"]:
        found = "; ".join(
            f"{finding['text']} (`{finding['family']}`, confidence {finding['confidence']})"
            for finding in one["findings"]
        )
        yield f"| {DONE[one['call']]} | {one['verdict']} | {found or 'none'} |"
    yield ""


def text(value: float | None, scale: int, digits: int) -> str:
    return UNKNOWN if value is None else f"{value / scale:.{digits}f}"


def main(arguments: list[str]) -> int:
    if arguments:
        return write(Path(arguments[0]))
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "run"
        command = [sys.executable, "-m", "pytest", "tests/truth", f"--basetemp={base}"]
        code = subprocess.run(command).returncode
        return code or write(base / FILE_NAME)


def write(found: Path) -> int:
    PAGE.write_text(page(json.loads(found.read_text())).rstrip() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
