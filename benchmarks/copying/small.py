"""Many small objects: whole migrations through Step Functions, the core, and the peers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from benchmarks.copying.arena import Arena, Case, Run, Targets
from benchmarks.copying.figures import Aim, Figures, table
from benchmarks.copying.limit import limit
from benchmarks.copying.ours import Core, Through, through
from benchmarks.copying.peers import Peers
from benchmarks.copying.proxies import Counter, counting

from regionshift.carriers.carrier import Level

_CONNECTIONS = 16
PINNED, FULL = "Step Functions, pinned", "Step Functions, full"
AGAIN, UNDO = "second run, all the same", "rollback"
CORE, CORE_FULL = "core, pinned", "core, full"


@dataclass
class Small:
    """One case: first measured, then its requests are counted."""

    place: Arena
    case: Case
    targets: dict[str, Targets]
    peers: Peers
    rounds: int
    figures: dict[str, Figures] = field(default_factory=dict)

    def show(self) -> None:
        """Measure, count, print."""
        with through(self.place, self.targets) as ours:
            for number in range(self.rounds):
                self._round(ours)
                if number == 0:
                    cold = self.figures[PINNED].seconds[0]
        self._count()
        title = f"{self.case.objects:,} × {self.case.name}, {self.rounds} rounds"
        print(table(title, self.figures, self.case.objects))
        print(f"  first migration of all, no Lambda warm: {cold:.2f} s")
        for aim in self._aims():
            print(aim)
        print(flush=True)

    def _measure(self, name: str, prepare: Callable[[], Run]) -> None:
        figures = self.figures.setdefault(name, Figures(self.place.cloud.pid))
        with self.place.swept():
            figures.measure(prepare())
        said = f"round {len(figures.seconds)}: {self.case.name}: {name}: {figures.seconds[-1]:.2f} s"
        print(said, file=sys.stderr, flush=True)

    def _round(self, ours: Through) -> None:
        place, case, number = self.place, self.case, self.case.objects
        self._measure("limit", lambda: limit(place, case, _CONNECTIONS))
        pinned, full = ours.fresh(case, Level.PINNED), ours.fresh(case, Level.FULL)
        self._measure(PINNED, _ready(lambda: ours.migrate(pinned, number)))
        self._measure(AGAIN, _ready(lambda: ours.migrate(ours.again(pinned), 0)))
        place.discard(self.targets[case.name].bucket)
        self._measure(FULL, _ready(lambda: ours.migrate(full, number)))
        self._measure(UNDO, _ready(lambda: ours.take_back(full, number)))
        self._measure(CORE, lambda: Core(place, case, _CONNECTIONS).run(Level.PINNED))
        self._measure(CORE_FULL, lambda: Core(place, case, _CONNECTIONS).run(Level.FULL))
        for name, prepare in self.peers.found.items():
            self._measure(name, partial(prepare, place, case))

    def _count(self) -> None:
        """Count the requests of the worker and the command, in runs without time measurement."""
        place, case, number = self.place, self.case, self.case.objects
        with counting(place.cloud.endpoint, str(place.cloud.ca_bundle)) as (endpoint, counter):
            seen = Arena(place.folder, place.cloud, endpoint)
            with through(seen, self.targets) as ours:
                pinned, full = ours.fresh(case, Level.PINNED), ours.fresh(case, Level.FULL)
                self._counted(counter, PINNED, lambda: ours.migrate(pinned, number))
                self._counted(counter, FULL, lambda: ours.migrate(full, number))
                self._counted(counter, AGAIN, lambda: ours.migrate(ours.again(pinned), 0))
                self._counted(counter, UNDO, lambda: ours.take_back(full, number))
            self._counted(counter, CORE, Core(seen, case, _CONNECTIONS).run(Level.PINNED))
            self._counted(counter, CORE_FULL, Core(seen, case, _CONNECTIONS).run(Level.FULL))
            for name, prepare in self.peers.found.items():
                self._counted(counter, name, prepare(seen, case))

    def _counted(self, counter: Counter, name: str, run: Run) -> None:
        before = counter.value
        run()
        self.figures[name].requests = counter.value - before

    def _aims(self) -> list[Aim]:
        seconds = {name: one.best for name, one in self.figures.items()}
        requests = {name: (one.requests or 0) / self.case.objects for name, one in self.figures.items()}
        cpu = {name: min(one.cpu) for name, one in self.figures.items()}
        fastest = min(self.peers.found, key=seconds.__getitem__)
        boto3 = "boto3 threads"
        middle = {name: median(one.seconds) for name, one in self.figures.items()}
        usual = min(self.peers.found, key=middle.__getitem__)
        return [
            Aim(f"pinned ÷ fastest peer ({fastest})", seconds[PINNED] / seconds[fastest], 1),
            Aim(f"the same by the medians ({usual})", middle[PINNED] / middle[usual], 1),
            Aim("requests an object, pinned", requests[PINNED], 1.3),
            Aim("requests an object, full", requests[FULL], 5),
            Aim("core, pinned ÷ limit", seconds[CORE] / seconds["limit"], 1.6),
            Aim("client CPU, core ÷ boto3", cpu[CORE] / cpu[boto3], 0.5),
            Aim("requests an object, second run", requests[AGAIN], 0.1),
            Aim("requests an object, rollback", requests[UNDO], 0.1),
            Aim("rollback ÷ copy (full)", seconds[UNDO] / seconds[FULL], 0.25),
        ]


def _ready(run: Run) -> Callable[[], Run]:
    """Return a preparation that does nothing."""
    return lambda: run
