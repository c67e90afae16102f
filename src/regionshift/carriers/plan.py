"""Plan a migration: find the state of each entry's items, cut them into batches, and check the plan.

Memory does not grow with the number of items: listings are streams, and each batch is written before the next one.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Protocol, Self

from regionshift.carriers.carrier import Carrier, Cost, Entry, Item, ItemState, Level, Limits
from regionshift.carriers.kinds import KINDS
from regionshift.carriers.ledger import carried, folder_of
from regionshift.carriers.lines import dump, entry_line, item_line, to_bytes
from regionshift.carriers.records import PROGRAMS_OWN, MigrationRecords
from regionshift.carriers.selection import narrowed, selector
from regionshift.errors import InputError, Refused

# Each batch needs about ten requests and four state transitions more; over 250 items that is little
# (docs/benchmarks.md). The limit of bytes spreads few large objects over many workers.
BATCH_ITEMS = 250
_BATCH_VERSIONS = 1000
_BATCH_BYTES = 10 * 1024**3
_CONFLICTS_SHOWN = 100
_REWRITES_SHOWN = 20
_NEWER_SHOWN = 20
_LEFT_SHOWN = 3  # of each kind
_UNSEALED_SHOWN = 3
_MISSING_SHOWN = 10
_CONFLICTS_A_PART = 1000
_WRITTEN_AT_ONCE = 8  # records, in memory until they are written


@dataclass
class Targets:
    """Finds items of one plan that must not be written, entry by entry in the plan's order.

    Names are remembered only where two entries select them, which the settings refuse. So memory does not grow with
    the number of items.

    Args:
        records_bucket: the bucket of the migration's records.
    """

    entries: Sequence[Entry]
    records_bucket: str
    _seen: set[bytes] = field(default_factory=set)

    def judged(self, items: Iterator[Item], place: int) -> Iterator[Item]:
        """Yield the items of the entry at ``place``; those that must not be written as conflicts."""
        entry = self.entries[place]
        rivals = [other for at, other in enumerate(self.entries) if at != place and _may_meet(entry, other)]
        selects = [(other.target.prefix, selector(other)) for other in rivals]
        for item in items:
            name = entry.target.prefix + item.key
            # Also for items that are the same or in conflict: another entry must not overwrite them.
            shared = any(name.startswith(prefix) and wants(name[len(prefix) :]) for prefix, wants in selects)
            problem = self._problem(entry, item, name) or (self._twice(entry, name) if shared else "")
            if problem and item.kind is not ItemState.CONFLICT:
                yield replace(item, kind=ItemState.CONFLICT, versions=(), reason=problem, rewrites="")
            else:
                yield item

    def _problem(self, entry: Entry, item: Item, name: str) -> str:
        if item.kind is ItemState.SAME:
            return ""
        # Otherwise anybody who can write at the source could forge records, locks and code.
        if entry.target.bucket == self.records_bucket and name.startswith(PROGRAMS_OWN):
            return "the program keeps its own objects there"
        if not name:
            whole = f"{entry.source}{item.key}"
            return (
                f"{whole} has nothing left of its name behind the prefix, and none can be empty: exclude it"
            )
        return KINDS[entry.kind].too_long(name)

    def _twice(self, entry: Entry, name: str) -> str:
        digest = hashlib.blake2b(
            "\0".join((entry.kind, entry.target.region, entry.target.bucket, name)).encode(), digest_size=16
        ).digest()
        if digest in self._seen:
            return "another entry of the plan writes it too: exclude it in one of them"
        self._seen.add(digest)
        return ""


def _may_meet(one: Entry, other: Entry) -> bool:
    """Whether one name can be in both targets."""
    here, there = one.target, other.target
    if (one.kind, here.region, here.bucket) != (other.kind, there.region, there.bucket):
        return False
    return here.prefix.startswith(there.prefix) or there.prefix.startswith(here.prefix)


@dataclass
class EntryPlan:
    """The part of a plan for one entry: the number of items by state, the bytes, and the cost of copying.

    ``rewritten``: how many values the entry's rules change; ``rewrites``: the first of them, (name, rules).
    ``newer``: how many items would overwrite something newer; ``newest``: the first of them, (name, reason).
    ``left``: how many items have each property that is not carried; ``left_by``: the first, (name, property).
    """

    entry: Entry
    counts: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    first_batch: int = 0
    batches: int = 0
    cost: Cost = field(default_factory=Cost)
    undo_until: str = ""
    notes: tuple[str, ...] = ()
    rewritten: int = 0
    rewrites: list[tuple[str, str]] = field(default_factory=list)
    newer: int = 0
    newest: list[tuple[str, str]] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    left_by: list[tuple[str, str]] = field(default_factory=list)

    def add(self, item: Item, level: Level) -> None:
        """Add one item that would be written."""
        name = f"{self.entry.target.prefix}{item.key}"
        self.bytes += item.size
        KINDS[self.entry.kind].add_cost(self.cost, item, level)
        if item.rewrites:
            self.rewritten += 1
            if len(self.rewrites) < _REWRITES_SHOWN:
                self.rewrites.append((name, item.rewrites))
        if item.newer:
            self.newer += 1
            if len(self.newest) < _NEWER_SHOWN:
                self.newest.append((name, item.newer))
        for what in item.left:
            self.left[what] = self.left.get(what, 0) + 1
            if self.left[what] <= _LEFT_SHOWN:
                self.left_by.append((name, what))


@dataclass(frozen=True)
class MigrationPlan:
    """A whole plan. ``conflicts``: the first of them, (name, reason).

    ``digest``: over all items that would be written or are in conflict. Plans with the same digest do the same.
    """

    migration_id: str
    level: Level
    entries: tuple[EntryPlan, ...]
    conflicts: tuple[tuple[str, str], ...] = ()
    digest: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """The number of items in each state."""
        return {
            kind.value: sum(part.counts.get(kind.value, 0) for part in self.entries) for kind in ItemState
        }

    @property
    def to_copy(self) -> int:
        """The number of items that the migration would write."""
        counts = self.counts
        return counts[ItemState.NEW.value] + counts[ItemState.CHANGED.value]

    @property
    def bytes(self) -> int:
        """The number of bytes that the migration would move."""
        return sum(part.bytes for part in self.entries)

    @property
    def batches(self) -> int:
        """The number of batches."""
        return sum(part.batches for part in self.entries)


class Sink(Protocol):
    """Receives batches and conflicts while a plan is made."""

    def batch(self, number: int, entry: Entry, after: str, items: Sequence[Item]) -> None:
        """Receive one batch, in order."""

    def conflict(self, entry: Entry, item: Item) -> None:
        """Receive one item that is not copied."""


class NullSink:
    """Keeps nothing: for a plan that is only shown."""

    def batch(self, number: int, entry: Entry, after: str, items: Sequence[Item]) -> None:
        """See ``Sink.batch``."""

    def conflict(self, entry: Entry, item: Item) -> None:
        """See ``Sink.conflict``."""


class RecordingSink:
    """Writes the plan's records, a few at once. They are valid once the summary says that the plan is complete."""

    def __init__(self, records: MigrationRecords, level: Level) -> None:
        self._records, self._level = records, level
        self._manifest: list[str] = []
        self._conflicts: list[dict[str, Any]] = []
        self._announced: list[Entry] = []
        self._parts = 0
        self._pool = ThreadPoolExecutor(_WRITTEN_AT_ONCE, thread_name_prefix="record")
        self._writing: deque[Future[str]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def batch(self, number: int, entry: Entry, after: str, items: Sequence[Item]) -> None:
        """Write the record of one batch."""
        if entry not in self._announced:
            self._write(folder_of(entry) + self._records.id, b"")
            self._announced.append(entry)
        own = entry_line(narrowed(entry, [item.key for item in items]))
        head = {"batch": number, "entry": own, "level": self._level.value, "after": after}
        self._write(self._records.plan(number), to_bytes([head, *map(item_line, items)]))
        self._manifest.append(dump({"migration_id": self._records.id, "batch": number}))

    def conflict(self, entry: Entry, item: Item) -> None:
        """Add one line to the record of conflicts."""
        self._conflicts.append({"entry": str(entry.target), **item_line(item)})
        if len(self._conflicts) == _CONFLICTS_A_PART:
            self._flush()

    def close(self) -> None:
        """Write the remaining conflicts and the manifest."""
        if self._conflicts:
            self._flush()
        self._write(self._records.manifest, "".join(line + "\n" for line in self._manifest).encode())
        while self._writing:
            self._writing.popleft().result()

    def _flush(self) -> None:
        self._write(self._records.conflicts(self._parts), to_bytes(self._conflicts))
        self._parts += 1
        self._conflicts = []

    def _write(self, name: str, body: bytes) -> None:
        if len(self._writing) == _WRITTEN_AT_ONCE:
            self._writing.popleft().result()
        self._writing.append(self._pool.submit(self._records.store.put, name, body))


def require_sound(carriers: Mapping[str, Carrier], entries: Sequence[Entry]) -> list[Limits]:
    """Check that each entry can be carried and undone. Changes nothing.

    Raises:
        InputError, Refused: see ``Carrier.check``.
    """
    return [carriers[entry.kind].check(entry) for entry in entries]


def make_plan(
    records: MigrationRecords,
    carriers: Mapping[str, Carrier],
    entries: Sequence[Entry],
    limits: Sequence[Limits],
    *,
    level: Level,
    sink: Sink,
    deep: bool = False,
    left_behind: bool = False,
    watch: Callable[[Entry, Item], None] = lambda _entry, _item: None,
) -> MigrationPlan:
    """Plan all entries. Changes nothing at the source or the target.

    Args:
        limits: the answers of ``require_sound``, one for each entry.
        deep, left_behind: see ``Carrier.inventory``.
        watch: called with each selected item.
    """
    parts: list[EntryPlan] = []
    conflicts: list[tuple[str, str]] = []
    digest = hashlib.sha256()
    targets = Targets(entries, records.store.bucket)
    for place, (entry, limit) in enumerate(zip(entries, limits, strict=True)):
        first = sum(part.batches for part in parts)
        part = EntryPlan(entry, first_batch=first, undo_until=limit.undo_until)
        digest.update(dump(entry_line(entry)).encode())
        unsealed: list[str] = []
        earlier = carried(records.store, entry, unsealed.append)
        found = carriers[entry.kind].inventory(entry, earlier, deep=deep, left_behind=left_behind)
        items = _observed(targets.judged(found, place), entry, watch, digest.update)
        for after, batch in _batches(_to_write(items, part, level, sink, conflicts)):
            sink.batch(first + part.batches, entry, after, batch)
            part.batches += 1
            part.cost.batch()
        part.notes = (*limit.notes, *_of_unsealed(unsealed))
        parts.append(part)
    return MigrationPlan(records.id, level, tuple(parts), tuple(conflicts), digest.hexdigest())


def _of_unsealed(migrations: Sequence[str]) -> Iterator[str]:
    """Yield the plan's note about earlier migrations whose records are ignored, if there are any."""
    if migrations:
        named = ", ".join(migrations[:_UNSEALED_SHOWN])
        more = f" and {len(migrations) - _UNSEALED_SHOWN} more" if len(migrations) > _UNSEALED_SHOWN else ""
        yield (
            f"{len(migrations)} earlier migrations have records that this environment did not seal ({named}{more}). "
            'Their copies count as somebody else\'s writes; see docs/security.md, "Records"'
        )


def _observed(
    items: Iterator[Item],
    entry: Entry,
    watch: Callable[[Entry, Item], None],
    add_to_digest: Callable[[bytes], None],
) -> Iterator[Item]:
    for item in items:
        watch(entry, item)
        if item.kind is not ItemState.SAME:
            versions = "".join(f"\0{version.identity}\0{version.etag}" for version in item.versions)
            add_to_digest(f"{item.key}\0{item.kind.value}{versions}\n".encode())
        yield item


def _to_write(
    items: Iterator[Item], part: EntryPlan, level: Level, sink: Sink, conflicts: list[tuple[str, str]]
) -> Iterator[Item]:
    """Count all items, and yield those that would be written."""
    for item in items:
        part.counts[item.kind.value] = part.counts.get(item.kind.value, 0) + 1
        if item.kind is ItemState.CONFLICT:
            sink.conflict(part.entry, item)
            if len(conflicts) < _CONFLICTS_SHOWN:
                conflicts.append((f"{part.entry.target}{item.key}", item.reason))
        elif item.kind is not ItemState.SAME:
            part.add(item, level)
            yield item


def _batches(items: Iterator[Item]) -> Iterator[tuple[str, list[Item]]]:
    """Yield (the last key before the batch, the batch)."""
    after = ""
    batch: list[Item] = []
    versions = size = 0
    for item in items:
        full = (
            len(batch) == BATCH_ITEMS
            or versions + len(item.versions) > _BATCH_VERSIONS
            or size + item.size > _BATCH_BYTES
        )
        if batch and full:
            yield after, batch
            after, batch, versions, size = batch[-1].key, [], 0, 0
        batch.append(item)
        versions += len(item.versions)
        size += item.size
    if batch:
        yield after, batch


class BeingPlanned(Refused):
    """Another call plans this migration, or was killed while it planned. Try again later."""

    error_id = "RS-MIGRATION-006"


class PlanChanged(Refused):
    """The plan has changed since it was confirmed."""

    error_id = "RS-MIGRATION-007"

    def __init__(self, plan: MigrationPlan) -> None:
        counts = ", ".join(f"{number} {kind}" for kind, number in plan.counts.items())
        super().__init__(
            f"The plan has changed since it was confirmed. It is now: {counts}. Nothing was copied.",
            where=", ".join(str(part.entry.source) for part in plan.entries),
            remedy="look at the new plan and confirm it; --yes accepts any plan",
        )


@dataclass(frozen=True)
class Asked:
    """Conditions for a plan.

    Args:
        keys: whole keys that must exist at the source.
        confirmed: the digest of the plan that was confirmed; None: no plan was shown.
        conflicts: whether items in conflict may be left out.
    """

    keys: Sequence[str] = ()
    confirmed: str | None = None
    conflicts: bool = True


ANYTHING = Asked()


class RequestCheck:
    """Watches a plan while it is made, and then checks the conditions ``asked``."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._missing = set(asked.keys)

    def __call__(self, entry: Entry, item: Item) -> None:
        """Note one selected item of the source."""
        self._missing.discard(entry.source.prefix + item.key)

    def require(self, plan: MigrationPlan) -> None:
        """Check ``plan``, after all of its items were noted.

        Raises:
            InputError: keys are missing at the source.
            PlanChanged: it is not the confirmed plan.
            Refused: it has conflicts, which are not allowed.
        """
        if self._missing:
            _refuse_missing(self._missing, plan)
        if self._asked.confirmed not in (None, plan.digest):
            raise PlanChanged(plan)
        if plan.conflicts and not self._asked.conflicts:
            raise refused_for(plan.counts["conflict"], plan.conflicts)


def refused_for(conflicts: int, named: Sequence[tuple[str, str]]) -> Refused:
    """Return the refusal of a plan that has conflicts.

    Args:
        conflicts: their number.
        named: the first of them, (item, reason).
    """
    return Refused(
        f"{conflicts} items cannot be carried: "
        + ", ".join(f"{item} ({reason})" for item, reason in named[:3]),
        where="migration.on_failure: rollback",
        remedy="exclude them under `carry`, fix them, or set migration.on_failure: stop",
        error_id="RS-CARRY-009",
    )


def _refuse_missing(missing: Collection[str], plan: MigrationPlan) -> None:
    shown = sorted(missing)
    more = f" and {len(shown) - _MISSING_SHOWN} more" if len(shown) > _MISSING_SHOWN else ""
    raise InputError(
        f"The source does not have: {', '.join(shown[:_MISSING_SHOWN])}{more}.",
        where=", ".join(str(part.entry.source) for part in plan.entries),
        remedy="Name objects that are there. Nothing was copied.",
        error_id="RS-CARRY-001",
    )
