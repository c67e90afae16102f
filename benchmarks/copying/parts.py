"""Few large objects, copied in parts by everybody."""

from __future__ import annotations

from pathlib import Path

from benchmarks.copying.arena import Arena, Case, Run
from benchmarks.copying.figures import Aim, Figures, table
from benchmarks.copying.ours import Core
from benchmarks.copying.peers import Prepare, install

from regionshift.carriers.carrier import Level
from regionshift.carriers.s3.multipart import MultipartSizes

_OBJECTS = 3
_MB = 1024**2
_PART = 64 * _MB
_CONNECTIONS = 16


def large(place: Arena, cache: Path, megabytes: int, rounds: int) -> None:
    """The core and the peers, the threshold lowered for all of them; targets are emptied after each run."""
    case = place.seed(Case("parts", _OBJECTS, megabytes * _MB))
    contenders: dict[str, Prepare] = {"core, pinned": _core, **install(cache, parts=True).found}
    figures = {name: Figures(place.cloud.pid) for name in contenders}
    for _ in range(rounds):
        for name, prepare in contenders.items():
            with place.swept():
                figures[name].measure(prepare(place, case))
    print(table(f"{_OBJECTS} × {megabytes} MB in parts of 64 MB", figures, _OBJECTS))
    fastest = min(one.best for name, one in figures.items() if name != "core, pinned")
    print(Aim("core ÷ fastest peer", figures["core, pinned"].best / fastest, 1.1), flush=True)


def _core(place: Arena, case: Case) -> Run:
    sizes = MultipartSizes(threshold=_PART - 1, part=_PART)
    return Core(place, case, _CONNECTIONS, sizes).run(Level.PINNED)
