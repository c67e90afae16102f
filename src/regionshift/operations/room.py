"""Room on this machine's disks, looked for before a run begins: a disk that fills in the middle stops it half way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from regionshift.report.values import Finding

_MB = 2**20
# Measured with two regions (156 resources): 4.6 KB of engine state a resource, of which the file backend keeps the
# newest, the one before, and the one that it writes; in the run's own folder its events, some five times the state.
_RESOURCES, _BYTES = 80, 4_600
_STATE = 3 * _RESOURCES * _BYTES
_EVENTS = 5 * _RESOURCES * _BYTES
_CLOUD = 2 * _MB
"""What the embedded AWS keeps of a region (0.9 MB), with the copy that it writes."""
_ARTIFACT = 3 * _MB
"""The function's zip, in the state and beside it, with the journal of a run."""
_SLACK = 2
"""What is reckoned is needed twice over: a run that goes back writes as much again."""


@dataclass(frozen=True)
class Disk:
    """Where something is to be written.

    Args:
        use: ``state``, ``work`` (what is for the time of a run) or ``cloud`` (the embedded AWS).
        path: the folder, or what there is of its path. device: which disk it is. free: bytes.
    """

    use: str
    path: str
    device: int
    free: int


def needed(use: str, regions: int) -> int:
    """Bytes that a run over so many regions writes at most for ``use``."""
    a_region = {"state": _STATE, "work": _EVENTS, "cloud": _CLOUD}[use]
    return _SLACK * (_ARTIFACT + regions * a_region)


def room_findings(disks: Sequence[Disk], regions: int) -> list[Finding]:
    """An error for each disk without the room that all that is to be written on it needs."""
    by_device: defaultdict[int, list[Disk]] = defaultdict(list)
    for disk in disks:
        by_device[disk.device].append(disk)
    return [
        _finding(there, want)
        for there in by_device.values()
        if (want := sum(needed(disk.use, regions) for disk in there)) > there[0].free
    ]


def _finding(there: Sequence[Disk], want: int) -> Finding:
    free = there[0].free / _MB
    return Finding(
        "disk",
        "error",
        f"{there[0].path} has {free:.0f} MB of room left, and a run may need {want / _MB:.0f} MB there"
        f" ({', '.join(disk.use for disk in there)})",
        None,
        "make room on that disk, or name another place (`state:` in the settings)",
    )
