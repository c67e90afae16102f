"""Memory of a plan."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.copying.figures import Aim

_MOST_MB = 200


def planned(objects: int) -> None:
    """Plan so many keys in a process of its own, and say how big it grew."""
    command = [sys.executable, "-m", "benchmarks.copying.memory", str(objects)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(Aim(f"memory of planning {objects:,} keys, MB", float(done.stdout), _MOST_MB), flush=True)
