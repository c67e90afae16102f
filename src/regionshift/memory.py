"""How often a process of ours looks for garbage."""

from __future__ import annotations

import atexit
import gc

# Containers made since the last look, and looks until one at older generations. Python's own (700, 10, 10) suit
# a small heap; the program's resources make one of a million objects, and few of them are garbage in cycles.
THRESHOLDS = (20_000, 20, 50)


def collect_garbage_less() -> None:
    """Look for garbage seldom, and not once more at the end, when the whole process goes.

    What is in no cycle goes when it is let go of, as always. A command that runs the engine for five regions spends
    a third of its own time on looking otherwise, one second of it after its last word.
    """
    gc.set_threshold(*THRESHOLDS)
    atexit.register(gc.freeze)
