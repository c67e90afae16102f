"""Compare migrations with the limit of the embedded AWS, and with other copying tools.

    python -m benchmarks.copying [--rounds 3] [--quick] [--only NAME ...]

Each contender runs once in each round, so that other work on the machine affects them all. Trust ratios, not seconds:
machines differ. Requests are counted later, in other runs. A missed target is printed, but is no failure.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.copying.arena import IN_MEMORY, MEGABYTE, Arena, Case, arena, stand_up
from benchmarks.copying.core import with_latency, with_parts
from benchmarks.copying.memory import planned
from benchmarks.copying.peers import install
from benchmarks.copying.small import Small

CASES = {
    "1 KB": Case("1 KB", 2000, 1024, "bench-kb"),
    "1 MB": Case("1 MB", 200, MEGABYTE, "bench-mb"),
    "both": Case("1 KB, 200 of them 1 MB", 2200, 1024, "bench-both", large=200),
}
CACHE = Path(".cache/peers").resolve()


def main() -> None:
    """Run all benchmarks, or those of ``--only``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--quick", action="store_true", help="128 MB instead of 256 MB where parts are copied"
    )
    parser.add_argument("--only", nargs="*", default=[*CASES, "parts", "latency", "memory"])
    given = parser.parse_args()
    memory = IN_MEMORY if IN_MEMORY.is_dir() else None
    where = tempfile.TemporaryDirectory(prefix="regionshift-bench-", dir=memory)
    with where as folder, arena(Path(folder)) as place:
        _small(place, [case for name, case in CASES.items() if name in given.only], given.rounds)
        if "latency" in given.only:
            with_latency(place, CASES["1 KB"], given.rounds)
        if "parts" in given.only:
            with_parts(place, CACHE, 128 if given.quick else 256, given.rounds)
    if "memory" in given.only:
        planned(100_000)


def _small(place: Arena, cases: list[Case], rounds: int) -> None:
    if not cases:
        return
    peers = install(CACHE)
    for name, reason in peers.skipped.items():
        print(f"skipped: {name}: {reason}")
    seeded = [place.seed(case) for case in cases]
    targets = stand_up(place, seeded)
    for case in seeded:
        Small(place, case, targets, peers, rounds).show()


if __name__ == "__main__":
    main()
