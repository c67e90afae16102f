"""Copies of a change of primary: what replication did not carry, before and after the change; each has a way back.

Objects of the deployment bucket are copied by S3 itself, on the word of whoever runs the command; the entries
under ``carry`` go by the state machine, whose worker has the rights to just those.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from regionshift.aws.errors import told_plainly
from regionshift.carriers.carrier import Carried, DataLocation, Entry, Level
from regionshift.carriers.ledger import carried
from regionshift.carriers.locks import holders
from regionshift.carriers.migration import Metadata, Migration
from regionshift.carriers.plan import MigrationPlan
from regionshift.carriers.records import PROGRAMS_OWN
from regionshift.carriers.s3.calls import NULL, Bucket, Calls
from regionshift.carriers.s3.checks import check_source
from regionshift.carriers.s3.listing import Stack, stacks
from regionshift.carriers.selection import Cursor, selector
from regionshift.carriers.summary import entries_of
from regionshift.errors import Refused, WorkFailed
from regionshift.journal.journal import Journal
from regionshift.operations.migrations.carrying import Carrying
from regionshift.operations.migrations.entries import entries
from regionshift.operations.migrations.migrate import MigrationRequest, migrate
from regionshift.operations.migrations.taking_back import take_back
from regionshift.operations.run_tools import RunTools
from regionshift.settings import components as named
from regionshift.settings.config import MigrationConfig

_MOST_CAUGHT_UP = 1000
_NAMED = 20
_COPY_BACK = "-copy-back"


def bucket_entry(config: MigrationConfig, source: str, target: str) -> Entry:
    """Everything in the deployment bucket that is not the program's own."""
    there = {region: named.DEPLOYMENT_BUCKET.name(config.names, region) for region in (source, target)}
    return Entry(
        "s3",
        DataLocation(source, there[source], ""),
        DataLocation(target, there[target], ""),
        owned=PROGRAMS_OWN,
    )


def carried_entries(config: MigrationConfig, source: str, target: str) -> list[Entry]:
    """What ``carry`` names beside the deployment bucket, which goes as a whole."""
    if not config.carry.entries:
        return []
    whole = bucket_entry(config, source, target)
    return [
        entry
        for entry in entries(config, source, target)
        if (entry.source.bucket, entry.target.bucket) != (whole.source.bucket, whole.target.bucket)
        or entry.source.prefix != entry.target.prefix
    ]


@dataclass(frozen=True)
class Missed:
    """What the old primary alone had after the roles changed.

    Args:
        keys: newest there, and not in the new one. written: in both since, the new primary's counts.
        deleted: deleted there alone. more: whether there was more than is named.
    """

    keys: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    more: bool = False


@dataclass(frozen=True)
class LastCopy:
    """The copies of one change of primary, whose ids begin with ``run_id``."""

    carrying: Carrying
    journal: Journal
    clock: Callable[[], float]
    source: str
    target: str

    @property
    def _config(self) -> MigrationConfig:
        return self.carrying.environment.config

    def plan(self) -> MigrationPlan:
        """What would be copied now. Changes nothing."""
        what = [bucket_entry(self._config, self.source, self.target), *self._carried()]
        return self._migration("planned").plan(what, Level.PINNED, left_behind=False)

    def look(self, run_id: str) -> None:
        """What :meth:`copy` needs, asked beforehand. Changes nothing.

        Raises:
            InputError, Refused: a place is not there, not ours or not fit, or another migration has it.
        """
        self.look_at_bucket(f"{run_id}-bucket")
        if what := self._carried():
            with told_plainly(self.target):
                self._migration(f"{run_id}-carry").require_beginnable(what)

    def look_at_bucket(self, migration_id: str) -> None:
        """What :meth:`copy_bucket` needs, asked beforehand. Raises as :meth:`look`."""
        entry = bucket_entry(self._config, self.source, self.target)
        with told_plainly(self.target):
            self._migration(migration_id).require_beginnable([entry])

    def look_to_catch_up(self, run_id: str) -> None:
        """What :meth:`catch_up` needs, which copies only what is missed. Raises as :meth:`look`."""
        try:
            self.look_at_bucket(f"{run_id}-catch-up")
        except Refused:
            if self.missed().keys:
                raise

    def look_before_return(self) -> None:
        """The same for a region whose outputs are not known: no records are asked. Raises as :meth:`look`."""
        with told_plainly(self.target):
            self.carrying.carriers()["s3"].check(bucket_entry(self._config, self.source, self.target))

    def look_before_up(self) -> None:
        """What :meth:`copy` needs while the new region is not up: what its `up` makes there is not asked for.

        Raises as :meth:`look`.
        """
        config, calls, carriers = self._config, Calls(self.carrying.transport), self.carrying.carriers()
        own = named.DEPLOYMENT_BUCKET.name(config.names, self.target)
        made = {own, *config.carry.created_in(self.target)}
        for entry in self._carried():
            with told_plainly(self.target):
                if entry.target.bucket in made:
                    check_source(calls, entry)
                    continue
                key = None if entry.kms_key in entry.keys else entry.kms_key
                carriers[entry.kind].check(replace(entry, kms_key=key))

    def copy(self, run_id: str) -> dict[str, object]:
        """Copy, prove and record what is not there yet. Raises WorkFailed when something is not proven."""
        said: dict[str, object] = {"bucket": self.copy_bucket(f"{run_id}-bucket")}
        if what := self._carried():
            level = Level(self._config.migration.verify)
            wanted = MigrationRequest(self.source, self.target, level, f"{run_id}-carry", tuple(what))
            report = migrate(self.carrying, self.journal, wanted, clock=self.clock)
            _require_whole(report.metadata)
            said["carry"] = dict(report.metadata["counts"])
        return said

    def catch_up(self, run_id: str) -> dict[str, object]:
        """Copy what was written in the old primary until the links changed direction, and say what was left."""
        migration_id = f"{run_id}-catch-up"
        known = self._known(migration_id)
        missed = self.missed()
        said: dict[str, object] = {}
        if missed.keys or (known and known["status"] == "copying"):
            patterns = tuple(glob.escape(key) for key in missed.keys)
            said["bucket"] = self.copy_bucket(migration_id, patterns)
        elif known and known["status"] == "incomplete":
            # What it could not copy was replicated since, so it will not be resumed.
            self._migration(migration_id).let_go()
        for name in ("written", "deleted"):
            if keys := getattr(missed, name):
                said[name] = list(keys)
        if missed.more:
            said["more"] = f"more than {_MOST_CAUGHT_UP}: see `regionshift migrate`"
        return said

    def copy_back(self, run_id: str) -> dict[str, object]:
        """Copy what a region that returns has missed, when what a killed return began to copy is whole."""
        entry = bucket_entry(self._config, self.source, self.target)
        for earlier in sorted(holders(self.carrying.store(self.target), [entry])):
            if earlier.endswith(_COPY_BACK):
                self.copy_bucket(earlier)
        return self.copy_bucket(f"{run_id}{_COPY_BACK}")

    def take_back(self, migration_id: str) -> dict[str, object]:
        """Take back what one of the copies wrote, however far it came; what never began is no mistake."""
        found = self._known(migration_id)
        if found is None or found["status"] in ("planning", "rolled_back"):
            return {}
        if migration_id.endswith("-carry"):
            done = take_back(self.carrying, self.journal, migration_id, "change of primary", clock=self.clock)
            return dict(done.record["counts"])
        record = self._migration(migration_id).rollback("change of primary")
        if record["status"] != "completed":
            raise WorkFailed(
                "Not everything that was copied could be taken back.",
                where=migration_id,
                error_id="RS-MIGRATION-003",
            )
        return dict(record["counts"])

    def missed(self) -> Missed:
        """Look at both buckets side by side, newest versions in the old one first."""
        entry = bucket_entry(self._config, self.source, self.target)
        found: dict[str, list[str]] = {"keys": [], "written": [], "deleted": []}
        more = False
        for kind, key in self._differing(entry):
            named_now = found[kind]
            if len(named_now) < (_MOST_CAUGHT_UP if kind == "keys" else _NAMED):
                named_now.append(key)
            else:
                more = True
        return Missed(tuple(found["keys"]), tuple(found["written"]), tuple(found["deleted"]), more)

    def _differing(self, entry: Entry) -> Iterator[tuple[str, str]]:
        calls = Calls(self.carrying.transport)
        selects = selector(entry)
        there = Cursor(_all(calls, entry.target), lambda stack: stack.key)
        ours = Cursor(carried(self.carrying.store(self.target), entry), lambda line: line.key)
        for stack in _all(calls, entry.source):
            if not selects(stack.key):
                continue
            if kind := _kind(stack, there.at(stack.key), ours.at(stack.key)):
                yield kind, stack.key

    def copy_bucket(self, migration_id: str, include: Sequence[str] = ()) -> dict[str, object]:
        """Copy what differs (only the keys of ``include``, when given). Raises WorkFailed as :meth:`copy`."""
        entry = replace(bucket_entry(self._config, self.source, self.target), include=tuple(include))
        migration = self._migration(migration_id)
        # One that goes on carries what it began with: what was copied since is no longer missed.
        known = self._known(migration_id)
        what = entries_of(known) if known else [entry]
        metadata = migration.begin(what, Level(self._config.migration.verify))
        if metadata["status"] != "completed":
            migration.run()
            metadata = migration.finish()
        _require_whole(metadata)
        return {**metadata["counts"], "bytes": metadata["bytes"]}

    def _migration(self, migration_id: str) -> Migration:
        return self.carrying.migration(self.target, migration_id)

    def _known(self, migration_id: str) -> Metadata | None:
        records = self._migration(migration_id).records
        return records.store.get_json(records.metadata)

    def _carried(self) -> list[Entry]:
        return carried_entries(self._config, self.source, self.target)


@contextmanager
def copies_of(tools: RunTools, source: str, target: str) -> Iterator[LastCopy]:
    """What copies from region to region. Raises WorkFailed when the environment is not up."""
    with tools.carrying() as carrying:
        yield LastCopy(carrying, tools.journal, tools.clock, source, target)


def _all(calls: Calls, place: DataLocation) -> Iterator[Stack]:
    return stacks(calls, Bucket(place.region, place.bucket, place.account), place.prefix)


def _kind(source: Stack, target: Stack | None, ours: Carried | None) -> str | None:
    """What became of one key: None when the target (the new primary) has the source's newest version.

    Args:
        ours: what a migration carried of it last, which does not count as a write.
    """
    newest = source.latest
    known = {version.id for version in target.versions} - {NULL} if target else set()
    # A replica keeps its version id, so a version that is known there arrived, whatever came after it.
    if newest.id in known or (ours and newest.identity.is_recorded_as(ours.source_version, ours.ended)):
        return None
    if newest.marker:
        return "deleted" if target is not None and not target.latest.marker else None
    if target is None or target.latest.id in {version.id for version in source.versions} - {NULL}:
        return "keys"
    if ours and target.latest.identity.is_recorded_as(ours.target_version, ours.ended):
        return "keys"
    return "written"


def _require_whole(metadata: dict[str, object]) -> None:
    if metadata["status"] != "completed":
        raise WorkFailed(
            "Not everything could be proven at the new primary.",
            where=str(metadata["migration_id"]),
            remedy=f"see: regionshift status {metadata['migration_id']}",
            error_id="RS-MIGRATION-003",
        )
