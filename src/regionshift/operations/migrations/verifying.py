"""Check that the items a migration wrote are still as it wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from regionshift.aws.errors import told_plainly
from regionshift.carriers.batch import Carriers
from regionshift.carriers.carrier import DataLocation, Item, Level, Proof, Work, WriteAgain, Written
from regionshift.carriers.lines import read_entry, read_item, whole_name
from regionshift.carriers.records import MigrationRecords
from regionshift.carriers.summary import NAMED, Metadata, entries_of
from regionshift.errors import InputError
from regionshift.operations.migrations.carrying import Carrying

_BATCHES_AT_ONCE = 4


@dataclass
class Proven:
    """The number of items that are as the migration wrote them, and the first others, each with the reason."""

    level: Level
    proven: int = 0
    unproven: int = 0
    problems: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every item is."""
        return not self.unproven

    def add(self, other: Proven) -> None:
        """One batch more."""
        self.proven += other.proven
        self.unproven += other.unproven
        self.problems = [*self.problems, *other.problems][:NAMED]


def prove_again(records: MigrationRecords, carriers: Carriers, metadata: Metadata) -> Proven:
    """Check every item that the migration wrote, at the level of its proof. Changes nothing.

    Raises:
        RegionshiftError: a side cannot be read.
    """
    found = Proven(Level(metadata["level"]))
    one = partial(_batch, records, carriers, found.level)
    with ThreadPoolExecutor(_BATCHES_AT_ONCE, thread_name_prefix="prove") as pool:
        for answer in pool.map(one, range(metadata["batches"])):
            found.add(answer)
    return found


class _Unnoted:
    """Notes of an item's progress that are always empty: nothing is continued, and earlier notes do not count."""

    def read(self, key: str) -> Mapping[str, str]:
        """See ``ItemProgress.read``."""
        del key
        return {}

    def note(self, key: str, notes: Mapping[str, str]) -> None:
        """See ``ItemProgress.note``."""


def _batch(records: MigrationRecords, carriers: Carriers, level: Level, batch: int) -> Proven:
    head, *lines = records.lines(records.plan(batch)) or [{}]
    written = {
        line["key"]: Written(line["key"], tuple(line["versions"]))
        for line in records.lines(records.results(batch))
        if line["state"] == "written"
    }
    items = [item for item in map(read_item, lines) if item.key in written]
    if not items:
        return Proven(level)
    entry = read_entry(head["entry"])
    work = Work(records.id, entry, items, _Unnoted(), lambda: True, head["after"])
    answers = {answer.key: answer for answer in carriers[entry.kind].verify(work, written, level)}
    return _counted(level, items, [answers.get(item.key) for item in items], entry.target)


def _counted(level: Level, items: Sequence[Item], answers: Sequence[object], target: DataLocation) -> Proven:
    found = Proven(level)
    for item, answer in zip(items, answers, strict=True):
        if isinstance(answer, Proof) and answer.proven:
            found.proven += 1
            continue
        found.unproven += 1
        reason = answer.reason if isinstance(answer, Proof | WriteAgain) else "it could not be looked at"
        found.problems.append(
            {**whole_name(target, item.key), "key": f"{target}{item.key}", "reason": reason}
        )
    return found


def verify_again(carrying: Carrying, region: str, metadata: Metadata) -> Proven:
    """Prove a finished migration again, at its level, with the rights of the caller.

    Args:
        region: its target. metadata: its record.

    Raises:
        InputError: it did not complete, so there is nothing to prove.
        WorkFailed: something cannot be read.
        Unsealed, OutOfBounds: a record is not ours, or the settings do not name what it wrote.
    """
    if metadata["status"] not in ("completed", "incomplete"):
        raise InputError(
            f"Migration {metadata['migration_id']} is {str(metadata['status']).replace('_', ' ')}: "
            "there is nothing to verify.",
            where=region,
            remedy="name one that is completed; see: regionshift status",
            error_id="RS-MIGRATION-011",
        )
    migration = carrying.migration(region, metadata["migration_id"])
    with told_plainly(region):
        # Its objects are read with the rights of the caller.
        migration.means.bounds.require(entries_of(metadata), metadata["migration_id"])
        return prove_again(migration.records, migration.means.carriers, metadata)
