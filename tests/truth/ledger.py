"""What the tests found, as a JSON file that docs/truth.md is made of."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.truth.calls import Outcome
from tests.truth.compare import Row

PACKAGES = ("chromium", "firefox-esr", "coturn", "janus", "iproute2")
FILE_NAME = "truth.json"


class Ledger:
    """Rows of figures and lines of findings, each written down before it is judged."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.findings: list[dict[str, Any]] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.causes: list[dict[str, Any]] = []
        self.began = datetime.now(UTC)

    def check(self, rows: list[Row]) -> None:
        """Write rows down; AssertionError if there is none or one breaks its limit."""
        self.rows += rows
        assert rows, "there is no full interval to look at"
        broken = [row for row in rows if not row.holds]
        assert not broken, "\n".join(map(str, broken))

    def find(self, run: str, what: str, expected: Any, reported: Any) -> None:
        """Write down something that is no figure of an interval; AssertionError if it differs."""
        holds = expected == reported
        self.findings.append(
            {"run": run, "what": what, "expected": expected, "reported": reported, "holds": holds}
        )
        assert holds, f"{run}: {what}: expected {expected}, reported {reported}"

    def cause(self, call: str, quality: dict[str, Any]) -> None:
        """Write down the verdict on a call and what was found to be the cause."""
        kept = ("family", "owner", "direction", "confidence", "text")
        findings = [{name: one[name] for name in kept} for one in quality["findings"]]
        verdict = {name: quality[name] for name in ("verdict", "because")}
        self.causes.append({"call": call, **verdict, "findings": findings})

    def note(self, run: str, outcome: Outcome) -> None:
        """Write down how a run was set up."""
        roads = [
            {"after_s": round(at - outcome.marks["connected"], 1), "ways": [vars(a), vars(b)]}
            for at, a, b in outcome.changes
        ]
        self.runs[run] = {
            "browsers": list(outcome.versions.values()),
            "interval_s": outcome.plan.interval_s,
            "sample_every_s": outcome.plan.sample_every_s,
            "roads": roads,
        }

    def write(self, folder: Path) -> None:
        """Everything, for `python -m tests.truth.page`."""
        data = {
            "when": self.began.isoformat(timespec="seconds"),
            "lasted_s": round((datetime.now(UTC) - self.began).total_seconds()),
            "machine": machine(),
            "packages": packages(),
            "runs": self.runs,
            "rows": [row.as_json() for row in self.rows],
            "findings": self.findings,
            "causes": self.causes,
        }
        (folder / FILE_NAME).write_text(json.dumps(data, indent=1))


def machine() -> dict[str, Any]:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "system": system,
        "kernel": platform.release(),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def packages() -> dict[str, str]:
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES]
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    return dict(line.split(" ", 1) for line in lines)
