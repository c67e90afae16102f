"""Kill a process group with SIGKILL as soon as the journal has the beginning of a step.

``python tools/kill_at.py FOLDER STEP GROUP``: FOLDER has the settings, GROUP is the id of the process group.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

PATIENCE_S = 120.0


def begun(folder: Path, step: str, since: float) -> bool:
    """Whether a run since ``since`` has begun ``step``."""
    events = (folder / ".regionshift/state/journal").glob("*/runs/*/*.json")
    return any(each.stat().st_mtime > since and f'"step":"{step}"' in each.read_text() for each in events)


def main() -> None:
    """Wait for the step, then kill."""
    folder, step, group = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    since = time.time()
    while not begun(folder, step, since):
        if time.time() - since > PATIENCE_S:
            raise SystemExit(f"{step} did not begin within {PATIENCE_S:.0f} s")
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    print(f"killed at {step}")


if __name__ == "__main__":
    main()
