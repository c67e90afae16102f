"""The core by itself: with a delay before each request, and with large objects that are copied in parts."""

from __future__ import annotations

from pathlib import Path

from benchmarks.copying.arena import MEGABYTE, Arena, Case, Run
from benchmarks.copying.figures import Aim, Figures, table
from benchmarks.copying.limit import limit
from benchmarks.copying.ours import Core
from benchmarks.copying.peers import Prepare, install

from regionshift.carriers.carrier import Level
from regionshift.carriers.s3.multipart import MultipartSizes

_DELAY = 0.03  # seconds
_DELAYED_CONNECTIONS = 64
_LARGE_OBJECTS = 3
_PART = 64 * MEGABYTE
_PART_CONNECTIONS = 16


def with_latency(place: Arena, case: Case, rounds: int) -> None:
    """Compare the core with the limit, with a delay before each request.

    The sender waits, because a proxy would be a third busy process, and two cores have no room for it.
    """
    seeded = place.seed(Case(case.name, case.objects, case.size))
    figures = {"limit": Figures(place.cloud.pid), "core, pinned": Figures(place.cloud.pid)}
    for _ in range(rounds):
        with place.swept():
            figures["limit"].measure(limit(place, seeded, _DELAYED_CONNECTIONS, _DELAY))
        with place.swept():
            core = Core(place, seeded, _DELAYED_CONNECTIONS, held=_DELAY)
            figures["core, pinned"].measure(core.run(Level.PINNED))
    print(table(f"30 ms added, {_DELAYED_CONNECTIONS} connections, 2,000 × 1 KB", figures, case.objects))
    ratio = figures["core, pinned"].best / figures["limit"].best
    print(Aim("core ÷ limit, 30 ms added", ratio, 1.4), flush=True)


def with_parts(place: Arena, cache: Path, megabytes: int, rounds: int) -> None:
    """Compare the core with the peers, all with the same part size. Targets are emptied after each run."""
    case = place.seed(Case("parts", _LARGE_OBJECTS, megabytes * MEGABYTE))
    contenders: dict[str, Prepare] = {"core, pinned": _in_parts, **install(cache, parts=True).found}
    figures = {name: Figures(place.cloud.pid) for name in contenders}
    for _ in range(rounds):
        for name, prepare in contenders.items():
            with place.swept():
                figures[name].measure(prepare(place, case))
    print(table(f"{_LARGE_OBJECTS} × {megabytes} MB in parts of 64 MB", figures, _LARGE_OBJECTS))
    fastest = min(one.best for name, one in figures.items() if name != "core, pinned")
    print(Aim("core ÷ fastest peer", figures["core, pinned"].best / fastest, 1.1), flush=True)


def _in_parts(place: Arena, case: Case) -> Run:
    sizes = MultipartSizes(threshold=_PART - 1, part=_PART)
    return Core(place, case, _PART_CONNECTIONS, sizes).run(Level.PINNED)
