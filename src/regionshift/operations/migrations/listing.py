"""Every migration of an environment, the newest first, from the records in each region."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from regionshift.carriers.migration import Metadata
from regionshift.carriers.records import MigrationRecords, RecordStore, is_id
from regionshift.carriers.seals import OfAnotherRegion, Unsealed
from regionshift.errors import InputError
from regionshift.journal.journal import Journal
from regionshift.operations.migrations.carrying import Carrying

_AT_ONCE = 16
_REGIONS_AT_ONCE = 8
RUN_NAME = re.compile(r"\d{1,6}(-[a-z0-9-]*)?")
"""A run's id, its number, or the beginning of its id. The id of a migration may look so too."""
SETTLED = ("completed", "rolled_back")
"""How a migration can end that needs nothing more of anybody."""


@dataclass(frozen=True)
class Known:
    """One migration: the region of its record, its source, status and times."""

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
        """Whether nothing is left to do: it is completed, or undone."""
        return self.status in SETTLED


def run_named(journal: Journal, name: str) -> str:
    """The id of the run that ``name`` means.

    Args:
        name: a run's id, its number, or the beginning of its id. Or the id of a migration, or its beginning: that means
            the run that began the migration.

    Raises:
        InputError: there is none, or ``name`` begins the ids of several migrations.
    """
    return _run_named(journal, name) or journal.view(name).run_id


def _run_named(journal: Journal, name: str) -> str | None:
    """As `run_named`; None when there is none."""
    if RUN_NAME.fullmatch(name):
        with suppress(InputError):
            return journal.view(name).run_id
    runs = [run for run in journal.history() if name and run.of_data and run.subject.startswith(name)]
    found = {run.subject: run.run_id for run in runs}  # the run that began each
    if len(found) > 1 and name not in found:
        raise InputError(
            f"{name!r} begins the ids of several migrations: {', '.join(sorted(found))}",
            where=journal.store.url,
            remedy="give more of it",
            error_id="RS-RUN-001",
        )
    return found.get(name) or next(iter(found.values()), None)


def migration_named(journal: Journal, name: str) -> str:
    """The id of the migration that ``name`` means: its id, the beginning of it, or a run that copied or undid it.

    An id that this journal does not know is returned unchanged: its record may be in a region.

    Raises:
        InputError: ``name`` means a run of another kind, or several migrations.
    """
    run = _run_named(journal, name)
    if run is None and not RUN_NAME.fullmatch(name):
        return name
    view = journal.view(run or name)
    if not view.of_data:
        raise InputError(
            f"{view.run_id} is a {view.kind}, and no migration.",
            where=view.run_id,
            remedy=f"regionshift history {view.run_id}",
            error_id="RS-RUN-001",
        )
    return str(view.opened["migration_id"])


@dataclass(frozen=True)
class Unread:
    """A migration whose record this environment did not write, so its status is unknown; and the error."""

    migration_id: str
    problem: Unsealed


def known_migrations(carrying: Carrying, regions: Iterable[str]) -> tuple[list[Known], list[Unread]]:
    """The migrations into ``regions``, the newest first; and those whose record has no valid seal.

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
    """Its record; None for a replica of another region's record, which is read there."""
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
    """The region of a source. A record has one place, several places of one region, or the word of a function call."""
    if isinstance(source, Sequence) and not isinstance(source, str):
        source = source[0] if source else ""
    return str(source.get("region", "")) if isinstance(source, Mapping) else str(source or "")
