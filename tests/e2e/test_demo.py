"""`make demo`, as it is run: from the project's folder, with a folder that is named relative to it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ROOT / ".venv/bin/regionshift"
pytestmark = [pytest.mark.e2e, pytest.mark.thorough]


@pytest.mark.skipif(not COMMAND.exists(), reason="the demo runs what `make setup` installed")
def test_the_demo_shows_what_it_promises(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    try:
        shown = subprocess.run(
            ["bash", "tools/demo", os.path.relpath(folder, ROOT)],
            check=False,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert shown.returncode == 0, shown.stdout
        for promise in (
            "The second region is byte for byte as before.",
            "killed at wave-1/apply",
            "Three regions are up and checked",
        ):
            assert promise in shown.stdout
    finally:
        subprocess.run(
            [str(COMMAND), "local", "down", "--wipe", "--config", str(folder / "regionshift.yaml")],
            check=True,
        )
