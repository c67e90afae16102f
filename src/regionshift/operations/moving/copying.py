"""The copies of a change of primary: data that replication did not copy, before and after the change.

Each copy can be undone. S3 itself copies objects of the deployment bucket, with the rights of the caller. The state
machine copies the entries under ``carry``, as its worker has rights to just those.
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
    """The entry for all data in the deployment bucket, without the program's own objects."""
    there = {region: named.DEPLOYMENT_BUCKET.name(config.names, region) for region in (source, target)}
    return Entry(
        "s3",
        DataLocation(source, there[source], ""),
        DataLocation(target, there[target], ""),
        owned=PROGRAMS_OWN,
    )


def carried_entries(config: MigrationConfig, source: str, target: str) -> list[Entry]:
    """The entries of ``carry`` outside the deployment bucket, which is copied as a whole."""
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
    """The changes in the old primary that the new one does not have.

    Args:
        keys: newest in the old primary alone. written: since written in both; the new primary's version counts.
        deleted: deleted in the old primary alone. more: whether there is more than is named.
    """

    keys: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    more: bool = False


@dataclass(frozen=True)
class LastCopy:
    """The copies of one change of primary. Their ids begin with ``run_id``."""

    carrying: Carrying
    journal: Journal
    clock: Callable[[], float]
    source: str
    target: str

    @property
    def _config(self) -> MigrationConfig:
        return self.carrying.environment.config

    def plan(self) -> MigrationPlan:
        """The plan of the copy now. Changes nothing."""
        what = [bucket_entry(self._config, self.source, self.target), *self._carried()]
        return self._migration("planned").plan(what, Level.PINNED, left_behind=False)

    def look(self, run_id: str) -> None:
        """Check what :meth:`copy` needs. Changes nothing.

        Raises:
            InputError, Refused: a place is missing, not ours or not fit, or another migration has it.
        """
        self.look_at_bucket(f"{run_id}-bucket")
        if what := self._carried():
            with told_plainly(self.target):
                self._migration(f"{run_id}-carry").require_beginnable(what)

    def look_at_bucket(self, migration_id: str) -> None:
        """Check what :meth:`copy_bucket` needs. Raises as :meth:`look`."""
        entry = bucket_entry(self._config, self.source, self.target)
        with told_plainly(self.target):
            self._migration(migration_id).require_beginnable([entry])

    def look_to_catch_up(self, run_id: str) -> None:
        """Check what :meth:`catch_up` needs. Raises as :meth:`look`."""
        try:
            self.look_at_bucket(f"{run_id}-catch-up")
        except Refused:
            if self.missed().keys:
                raise

    def look_before_return(self) -> None:
        """The same for a region without known outputs, whose records are not read. Raises as :meth:`look`."""
        with told_plainly(self.target):
            self.carrying.carriers()["s3"].check(bucket_entry(self._config, self.source, self.target))

    def look_before_up(self) -> None:
        """Check what :meth:`copy` needs while the new region is not up. Leaves out what its `up` will create.

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
        """Copy and prove the items that are missing. Raises WorkFailed when an item is not proven."""
        said: dict[str, object] = {"bucket": self.copy_bucket(f"{run_id}-bucket")}
        if what := self._carried():
            level = Level(self._config.migration.verify)
            wanted = MigrationRequest(self.source, self.target, level, f"{run_id}-carry", tuple(what))
            report = migrate(self.carrying, self.journal, wanted, clock=self.clock)
            _require_whole(report.metadata)
            said["carry"] = dict(report.metadata["counts"])
        return said

    def catch_up(self, run_id: str) -> dict[str, object]:
        """Copy what was written to the old primary until the links changed direction. Returns counts."""
        migration_id = f"{run_id}-catch-up"
        known = self._known(migration_id)
        missed = self.missed()
        said: dict[str, object] = {}
        if missed.keys or (known and known["status"] == "copying"):
            patterns = tuple(glob.escape(key) for key in missed.keys)
            said["bucket"] = self.copy_bucket(migration_id, patterns)
        elif known and known["status"] == "incomplete":
            # The items that it could not copy were replicated since, so nobody resumes it.
            self._migration(migration_id).release_targets()
        for name in ("written", "deleted"):
            if keys := getattr(missed, name):
                said[name] = list(keys)
        if missed.more:
            said["more"] = f"more than {_MOST_CAUGHT_UP}: see `regionshift migrate`"
        return said

    def copy_back(self, run_id: str) -> dict[str, object]:
        """Copy what a returning region has missed, after the copy of a killed return is whole."""
        entry = bucket_entry(self._config, self.source, self.target)
        for earlier in sorted(holders(self.carrying.store(self.target), [entry])):
            if earlier.endswith(_COPY_BACK):
                self.copy_bucket(earlier)
        return self.copy_bucket(f"{run_id}{_COPY_BACK}")

    def take_back(self, migration_id: str) -> dict[str, object]:
        """Undo one of the copies, however far it came. One that never began is no error."""
        found = self._known(migration_id)
        if found is None or found["status"] in ("planning", "rolled_back"):
            return {}
        if migration_id.endswith("-carry"):
            done = take_back(self.carrying, self.journal, migration_id, "change of primary", clock=self.clock)
            return dict(done.record["counts"])
        record = self._migration(migration_id).rollback("change of primary")
        if record["status"] != "completed":
            raise WorkFailed(
                "Some copies could not be undone.",
                where=migration_id,
                error_id="RS-MIGRATION-003",
            )
        return dict(record["counts"])

    def missed(self) -> Missed:
        """Compare both buckets, newest versions in the old one first."""
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
        """Copy the objects that differ (only the keys in ``include``, if given). Raises WorkFailed as :meth:`copy`."""
        entry = replace(bucket_entry(self._config, self.source, self.target), include=tuple(include))
        migration = self._migration(migration_id)
        # An open copy continues with its own list: objects that were copied since are no longer missing.
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
    """The copies from ``source`` to ``target``. Raises WorkFailed when the environment is not up."""
    with tools.carrying() as carrying:
        yield LastCopy(carrying, tools.journal, tools.clock, source, target)


def _all(calls: Calls, place: DataLocation) -> Iterator[Stack]:
    return stacks(calls, Bucket(place.region, place.bucket, place.account), place.prefix)


def _kind(source: Stack, target: Stack | None, ours: Carried | None) -> str | None:
    """The kind of change of one key; None when the target (the new primary) has the source's newest version.

    Args:
        ours: the version that a migration wrote last. It does not count as a write.
    """
    newest = source.latest
    known = {version.id for version in target.versions} - {NULL} if target else set()
    # A replica keeps its version id. So a version that the target knows has arrived, whatever came after it.
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
