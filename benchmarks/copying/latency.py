"""The core with a wide ocean between it and S3."""

from __future__ import annotations

from benchmarks.copying.arena import Arena, Case
from benchmarks.copying.figures import Aim, Figures, table
from benchmarks.copying.limit import limit
from benchmarks.copying.ours import Core

from regionshift.carriers.carrier import Level

_SECONDS = 0.03
_CONNECTIONS = 64


def with_latency(place: Arena, case: Case, rounds: int) -> None:
    """The core against the limit, each request held back before it is sent.

    By whoever sends it: a proxy in between would be a third busy process, and two cores have no room for it.
    """
    seeded = place.seed(Case(case.name, case.objects, case.size))
    figures = {"limit": Figures(place.cloud.pid), "core, pinned": Figures(place.cloud.pid)}
    for _ in range(rounds):
        with place.swept():
            figures["limit"].measure(limit(place, seeded, _CONNECTIONS, _SECONDS))
        with place.swept():
            core = Core(place, seeded, _CONNECTIONS, held=_SECONDS)
            figures["core, pinned"].measure(core.run(Level.PINNED))
    print(table(f"30 ms added, {_CONNECTIONS} connections, 2,000 × 1 KB", figures, case.objects))
    ratio = figures["core, pinned"].best / figures["limit"].best
    print(Aim("core ÷ limit, 30 ms added", ratio, 1.4), flush=True)
