"""What `pip install .` gives: a wheel that serves by itself, with its pages, assets and schema."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2

from tests.conftest import start_server

ROOT = Path(__file__).parent.parent


def test_the_wheel_alone_serves_pages_assets_and_a_fresh_store(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(wheel).extractall(unpacked)
    command = [sys.executable, "-c", "import roomtone; print(roomtone.__file__)"]
    env = {**os.environ, "PYTHONPATH": str(unpacked)}
    found = subprocess.run(
        command, env=env, check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert found.stdout.startswith(str(unpacked))

    flags = ("--test-call-org", "acme")
    server = start_server(tmp_path / "data", *flags, env={"PYTHONPATH": str(unpacked)})
    try:
        for path in ("/", "/call", "/collector.js", "/static/base.css", "/health/ready"):
            assert httpx2.get(server.url + path).status_code == 200, path
        (entry,) = unpacked.glob("*.dist-info/entry_points.txt")
        assert "roomtone = roomtone.cli:main" in entry.read_text()
    finally:
        server.stop()
