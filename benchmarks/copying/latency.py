"""The core with a wide ocean between it and S3."""

from __future__ import annotations

from benchmarks.copying.arena import Arena, Case
from benchmarks.copying.figures import Aim, Figures, table
from benchmarks.copying.limit import limit
from benchmarks.copying.ours import Core
from benchmarks.copying.proxies import delayed

from regionshift.carriers.carrier import Level

_SECONDS = 0.03
_CONNECTIONS = 64


def with_latency(place: Arena, case: Case, rounds: int) -> None:
    """The core against the limit, each request held back on its way there."""
    seeded = place.seed(Case(case.name, case.objects, case.size))
    figures = {"limit": Figures(place.cloud.pid), "core, pinned": Figures(place.cloud.pid)}
    with delayed(place.cloud.endpoint, _SECONDS) as endpoint:
        far = Arena(place.folder, place.cloud, endpoint)
        for _ in range(rounds):
            with place.swept():
                figures["limit"].measure(limit(far, seeded, _CONNECTIONS))
            with place.swept():
                figures["core, pinned"].measure(Core(far, seeded, _CONNECTIONS).run(Level.PINNED))
    print(table(f"30 ms added, {_CONNECTIONS} connections, 2,000 × 1 KB", figures, case.objects))
    ratio = figures["core, pinned"].best / figures["limit"].best
    print(Aim("core ÷ limit, 30 ms added", ratio, 1.4), flush=True)
