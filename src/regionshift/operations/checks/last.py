"""The last checks of each region, kept beside the journal, so that `status` shows them without new checks."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from regionshift.journal.journal import Journal
from regionshift.report.values import CheckResult

_AT_ONCE = 16


@dataclass(frozen=True)
class LastChecks:
    """The newest answers of one region.

    Args:
        at: when it was checked. release: its digest at that time; None when it was not known.
        results: an answer a check. replication_seconds: how long a probe took to it; None without a probe that arrived.
    """

    at: datetime
    release: str | None
    results: tuple[CheckResult, ...]
    replication_seconds: float | None = None

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """Those that found something wrong."""
        return tuple(each for each in self.results if not each.passed)

    def to_json(self) -> dict[str, Any]:
        """For pipelines."""
        asked = [each for each in self.results if each.outcome != "not applicable"]
        return {
            "at": self.at.isoformat(),
            "release": self.release,
            "asked": len(asked),
            "failed": [asdict(each) for each in self.failed],
            "replication_seconds": self.replication_seconds,
        }


def keep_checks(
    journal: Journal,
    results: Iterable[CheckResult],
    releases: Mapping[str, str | None],
    delays: Mapping[str, float | None],
) -> None:
    """Keep the answers for every region in ``results``.

    Earlier answers to other checks stay while the region runs the same release.

    Args:
        releases: the digest that each region runs. delays: {region: seconds that a probe took}.

    Raises:
        StateUnreachable: they could not be written.
    """
    by_region: dict[str, list[CheckResult]] = {}
    for each in results:
        by_region.setdefault(each.region, []).append(each)
    before = {
        region: each
        for region, each in last_checks(journal, by_region).items()
        if each.release == releases.get(region)
    }

    def put(region: str) -> None:
        found, earlier = by_region[region], before.get(region)
        if earlier is not None:
            asked = {each.check for each in found}
            found = [*(each for each in earlier.results if each.check not in asked), *found]
        delay = delays.get(region, earlier.replication_seconds if earlier else None)
        kept = LastChecks(journal.now(), releases.get(region), tuple(found), delay)
        content = {**asdict(kept), "at": kept.at.isoformat()}
        journal.store.put(_key(journal, region), json.dumps(content).encode())

    journal.guard()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(put, by_region))


def last_checks(journal: Journal, regions: Collection[str]) -> dict[str, LastChecks]:
    """The newest answers of each of ``regions`` that was ever checked. Unreadable records are left out."""
    names = {_key(journal, region): region for region in regions}
    bodies = journal.store.get_many(names)
    read = {names[key]: _decoded(body) for key, body in bodies.items()}
    return {region: found for region, found in read.items() if found is not None}


def _decoded(body: bytes) -> LastChecks | None:
    try:
        content = json.loads(body)
        results: Sequence[CheckResult] = [CheckResult(**each) for each in content["results"]]
        return LastChecks(
            datetime.fromisoformat(content["at"]),
            content["release"],
            tuple(results),
            content["replication_seconds"],
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # another version's, or torn: the next checks replace it


def _key(journal: Journal, region: str) -> str:
    return f"{journal.folder}/checks/{region}.json"
