"""Every migration of an environment, the newest first, from the records in each region."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from regionshift.carriers.migration import Metadata
from regionshift.carriers.records import MigrationRecords, RecordStore, is_id
from regionshift.carriers.seals import OfAnotherRegion, Unsealed
from regionshift.journal.journal import Journal
from regionshift.operations.migrations.carrying import Carrying

_AT_ONCE = 16
_REGIONS_AT_ONCE = 8
_RUN = re.compile(r"\d{6}-(migration|rollback)-[0-9a-f]+")
SETTLED = ("completed", "rolled_back")
"""How a migration can end that needs nothing more of anybody."""


@dataclass(frozen=True)
class Known:
    """One migration: where its record lies, from where to where, how it stands and since when."""

    migration_id: str
    region: str
    source: str
    status: str
    started: str
    ended: str | None
    counts: Mapping[str, int]
    bytes: int

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do: completed, or taken back."""
        return self.status in SETTLED


def migration_named(journal: Journal, name: str) -> str:
    """The id of a migration; ``name`` is that, or the id of a run that copied it or took it back.

    Raises:
        InputError: there is no such run.
    """
    if not _RUN.fullmatch(name):
        return name
    return str(journal.view(name).opened.get("migration_id", name))


@dataclass(frozen=True)
class Unread:
    """A migration whose record this environment did not write, so that its status is unknown; and why."""

    migration_id: str
    problem: Unsealed


def known_migrations(carrying: Carrying, regions: Iterable[str]) -> tuple[list[Known], list[Unread]]:
    """The migrations into ``regions``, the newest first; and those whose record may not be believed.

    Raises:
        WorkFailed: a region's records cannot be read.
    """
    with ThreadPoolExecutor(_REGIONS_AT_ONCE) as pool:
        answers = list(pool.map(lambda region: _of_region(carrying, region), regions))
    found = [each for answer in answers for each in answer]
    known = [each for each in found if isinstance(each, Known)]
    known.sort(key=lambda each: (each.started, each.migration_id), reverse=True)
    return known, [each for each in found if isinstance(each, Unread)]


def _of_region(carrying: Carrying, region: str) -> Sequence[Known | Unread]:
    store = carrying.store(region)
    ids = [name for name in store.folders("migrations/") if is_id(name)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda each: _read(store, each), ids))
    return [each if isinstance(each, Unread) else _known(each, region) for each in found if each]


def _read(store: RecordStore, migration_id: str) -> Metadata | Unread | None:
    """Its record; None for a replica of another region's, which is read there."""
    try:
        return store.get_json(MigrationRecords(store, migration_id).metadata)
    except OfAnotherRegion:
        return None
    except Unsealed as problem:
        return Unread(migration_id, problem)


def _known(record: Metadata, region: str) -> Known:
    return Known(
        str(record.get("migration_id")),
        region,
        _region_of(record.get("source")),
        str(record.get("status") or "unknown"),
        str(record.get("started") or ""),
        record.get("ended"),
        record.get("counts") or {},
        int(record.get("bytes") or 0),
    )


def _region_of(source: Any) -> str:
    """A record names one place, several of one region, or, when the function was called with a word, just that."""
    if isinstance(source, Sequence) and not isinstance(source, str):
        source = source[0] if source else ""
    return str(source.get("region", "")) if isinstance(source, Mapping) else str(source or "")
