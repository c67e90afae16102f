"""One batch of a migration: the state machine's Lambda runs a batch again and again until it is done."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from regionshift.carriers.bounds import Bounds
from regionshift.carriers.carrier import (
    Before,
    Carrier,
    Conflict,
    Failed,
    Item,
    Level,
    OutOfTimeError,
    Proof,
    UnfinishedItem,
    Work,
    WriteAgain,
    Written,
)
from regionshift.carriers.lines import (
    Line,
    before_line,
    from_bytes,
    read_before,
    read_entry,
    read_item,
    result_line,
    to_bytes,
    undone_line,
    whole_name,
)
from regionshift.carriers.records import MigrationRecords, StoredProgress
from regionshift.carriers.transport import S3Error
from regionshift.errors import Refused, WorkFailed

_NAMED = 10  # conflicts named in an answer; the record has all of them
_NOTED_EVERY = 2.0  # seconds
_READ_AT_ONCE = 8

_T = TypeVar("_T")

Carriers = Mapping[str, Carrier]


@dataclass(frozen=True)
class BatchAnswer:
    """The result of one call. ``more``: call again. ``stopped``: somebody asked the migration to stop.

    ``conflicts``: the first items that undo did not change, each with key and reason. ``wrote``: undo wrote versions
    of its own; later plans read them.
    """

    batch: int
    more: bool = False
    stopped: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    conflicts: tuple[Mapping[str, str], ...] = ()
    wrote: bool = False


@dataclass(frozen=True)
class _Planned:
    """A batch, read from the plan."""

    work: Work
    level: Level


OnProgress = Callable[[int, int], None]
"""Called with the number of items and bytes of a batch that are done."""


def ignore_progress(items: int, size: int) -> None:
    """Do nothing."""
    del items, size


def progress_writer(
    records: MigrationRecords, batch: int, now: Callable[[], datetime], warn: Callable[[str], None]
) -> OnProgress:
    """Return a function that records the progress of ``batch`` for `migrate --status`, at most every two seconds.

    The progress has a record of its own. It cannot be in the lease, because a lease is compared by its bytes.

    Args:
        now: returns the time, with its zone.
        warn: called when the progress cannot be recorded. Copying continues.
    """
    noted = now()

    def note(items: int, size: int) -> None:
        nonlocal noted
        if (now() - noted).total_seconds() >= _NOTED_EVERY:
            noted = now()
            try:
                records.store.put_json(records.share(batch), {"items": items, "bytes": size})
            except S3Error as problem:
                warn(f"The progress of batch {batch} of {records.id} could not be recorded: {problem}")

    return note


def read_progress(records: MigrationRecords, batches: list[int]) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield (batch, (items done, bytes done)) for each of ``batches`` that has recorded progress."""
    with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        found = list(pool.map(lambda batch: records.store.get_json(records.share(batch)), batches))
    for batch, share in zip(batches, found, strict=True):
        if share:
            yield batch, (int(share["items"]), int(share["bytes"]))


@dataclass(frozen=True)
class Batch:
    """One batch of a migration.

    Args:
        number: its number in the migration.
        has_time: called before each item; False ends the call early with ``more``.
    """

    records: MigrationRecords
    carriers: Carriers
    bounds: Bounds
    number: int
    has_time: Callable[[], bool]

    def run(self, note: OnProgress = ignore_progress) -> BatchAnswer:
        """Record the target's state, copy, prove and record the results. Items that are done are skipped.

        Args:
            note: called with the progress.

        Raises:
            OutOfBounds: the plan names a place that the settings do not.
        """
        records, store, batch = self.records, self.records.store, self.number
        with ThreadPoolExecutor(1, thread_name_prefix="stop") as pool:
            stopped = pool.submit(store.exists, records.stop)
            planned = self._read_plan()
        if stopped.result():
            return BatchAnswer(batch, stopped=True)
        carrier = self.carriers[planned.work.entry.kind]
        try:
            before = carrier.describe_before(planned.work)
        except OutOfTimeError:
            return BatchAnswer(batch, more=True)
        first = to_bytes(before_line(before[item.key]) for item in planned.work.items)
        written: dict[str, tuple[str, ...]] = {}
        done: dict[str, dict[str, Any]] = {}
        if not store.create(records.before(batch), first):
            before = {line["key"]: read_before(line) for line in records.lines(records.before(batch))}
            known = self._by_key(records.results(batch))
            done = {key: line for key, line in known.items() if _is_done(line, planned.level)}
            if len(done) == len(planned.work.items):
                return BatchAnswer(batch, counts=count(done.values()))
            try:
                written, unclear = _written(carrier, planned.work, before, known, done)
            except OutOfTimeError:
                return BatchAnswer(batch, more=True, counts=count(known.values()))
            # If an unclear version is ours, a second copy would be a duplicate.
            done |= _failed(planned.work, unclear, known)
        share = _Share(planned.level, note)
        lines, again = _work_through(carrier, planned, before, written, done, share)
        if again:
            # Recorded as unwritten before it is deleted: after a crash, it is then recognised by its contents.
            store.put(records.results(batch), to_bytes(lines))
            lines = _write_again(carrier, planned, before, again, lines)
        store.put(records.results(batch), to_bytes(lines))
        return BatchAnswer(batch, more=any(_is_open(line) for line in lines), counts=count(lines))

    def undo(self) -> BatchAnswer:
        """Undo all writes of the batch, recorded or not. Idempotent. Raises as ``run``."""
        records, batch = self.records, self.number
        known = self._by_key(records.undone(batch))
        undone = {key: line for key, line in known.items() if line["state"] == "undone"}
        if known and len(undone) == len(known):
            return BatchAnswer(batch, counts=count(known.values()), wrote=_wrote(known.values()))
        recorded = records.store.get(records.before(batch))
        if recorded is None:
            self._require_unwritten()
            return BatchAnswer(batch)  # this record is written before the first copy
        planned = self._read_plan()
        carrier = self.carriers[planned.work.entry.kind]
        before = {line["key"]: read_before(line) for line in from_bytes(recorded)}
        results = self._by_key(records.results(batch))
        try:
            # Conflicts are tried again: somebody may have removed the cause.
            written, unclear = _written(carrier, planned.work, before, results, undone)
        except OutOfTimeError:
            return BatchAnswer(batch, more=True, counts=count(known.values()))
        answers = [*unclear, *carrier.undo(planned.work, before, written)]
        lines = [*undone.values(), *map(undone_line, answers)]
        records.store.put(records.undone(batch), to_bytes(sorted(lines, key=lambda line: str(line["key"]))))
        conflicts = [line for line in lines if line["state"] == "conflict"]
        target = planned.work.entry.target
        return BatchAnswer(
            batch,
            more=any(line["state"] == "unfinished" for line in lines),
            counts=count(lines),
            conflicts=tuple({**line, **whole_name(target, line["key"])} for line in conflicts[:_NAMED]),
            wrote=_wrote(lines),
        )

    def _by_key(self, name: str) -> dict[str, Line]:
        return {line["key"]: line for line in self.records.lines(name)}

    def _read_plan(self) -> _Planned:
        records, name = self.records, self.records.plan(self.number)
        body = records.store.get(name)
        if body is None:
            raise WorkFailed(
                f"Migration {records.id} has no batch {self.number}.", where=name, error_id="RS-MIGRATION-001"
            )
        head, *items = from_bytes(body)
        entry, planned = read_entry(head["entry"]), [read_item(line) for line in items]
        self.bounds.require([entry], records.id)
        self.bounds.require_items(entry, planned, records.id)
        progress = StoredProgress(records, self.number)
        work = Work(records.id, entry, planned, progress, self.has_time, head["after"])
        return _Planned(work, Level(head["level"]))

    def _require_unwritten(self) -> None:
        """Raises Refused when the batch has results, but its record of the earlier state is missing."""
        records = self.records
        if not records.store.exists(records.results(self.number)):
            return
        raise Refused(
            f"Batch {self.number} of migration {records.id} cannot be rolled back: its record of the earlier state is"
            " missing.",
            where=records.where(records.before(self.number)),
            remedy="restore that object (the bucket keeps its versions), then run the rollback again",
            error_id="RS-MIGRATION-009",
        )


def count(lines: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Count items by state, proven and unproven items, and bytes written."""
    counts: dict[str, int] = {}
    for line in lines:
        counts[line["state"]] = counts.get(line["state"], 0) + 1
        if line["state"] == "written":
            counts["bytes"] = counts.get("bytes", 0) + line["size"]
            name = "proven" if line.get("proven") else "unproven"
            counts[name] = counts.get(name, 0) + 1
    return counts


def _written(
    carrier: Carrier,
    work: Work,
    before: Mapping[str, Before],
    results: Mapping[str, Mapping[str, Any]],
    settled: Container[str],
) -> tuple[dict[str, tuple[str, ...]], list[Conflict]]:
    """Return this migration's versions of all items that are not in ``settled``, and the items where that is unclear.

    The results can have fewer versions than were written, when a call died or an answer was lost. Then the carrier
    looks for them.
    """
    written: dict[str, tuple[str, ...]] = {}
    short: list[Item] = []
    for item in work.items:
        if item.key in settled:
            continue
        recorded = tuple(results[item.key]["versions"]) if item.key in results else ()
        if recorded:
            written[item.key] = recorded
        if len(recorded) < len(item.versions):
            short.append(item)
    unclear: list[Conflict] = []
    for key, found in (carrier.recover(replace(work, items=short), before) if short else {}).items():
        if isinstance(found, Conflict):
            unclear.append(found)
        elif len(found) > len(written.get(key, ())):
            written[key] = found
    named = {conflict.key for conflict in unclear}
    return {key: versions for key, versions in written.items() if key not in named}, unclear


def _failed(
    work: Work, unclear: Iterable[Conflict], known: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    reasons = {conflict.key: conflict.reason for conflict in unclear}
    items = [item for item in work.items if item.key in reasons]
    recorded = {item.key: tuple(known.get(item.key, {}).get("versions", ())) for item in items}
    return {
        item.key: result_line(item, Failed(item.key, reasons[item.key], recorded[item.key]), None)
        for item in items
    }


def _wrote(lines: Iterable[Mapping[str, Any]]) -> bool:
    return any(line.get("version") for line in lines)


class _Share:
    """Counts the progress of a batch. At level ``full``, copying is one half of an item and proving the other."""

    def __init__(self, level: Level, note: OnProgress) -> None:
        self._passes = 2 if level is Level.FULL else 1
        self._note = note
        self._items = self._bytes = 0

    def passed(self, item: Item) -> None:
        """Count an item that is copied or proven."""
        self._items += 1
        self._bytes += item.size
        self._note(self._items // self._passes, self._bytes // self._passes)


def _work_through(
    carrier: Carrier,
    planned: _Planned,
    before: Mapping[str, Before],
    written: Mapping[str, tuple[str, ...]],
    done: Mapping[str, dict[str, Any]],
    share: _Share,
) -> tuple[list[dict[str, Any]], dict[str, tuple[str, ...]]]:
    """Copy and prove. Return the result lines, and the present versions of each item to be written again, by key."""
    left = [item for item in planned.work.items if item.key not in done]
    work = replace(planned.work, items=left)
    outcomes = _copied(carrier, work, before, written, share)
    proofs = _prove(carrier, work, outcomes, planned.level, share)
    again = {key: _versions(outcomes[key]) for key, proof in proofs.items() if isinstance(proof, WriteAgain)}
    lines = [done.get(item.key) or _outcome_line(item, outcomes, proofs) for item in planned.work.items]
    return lines, again


def _write_again(
    carrier: Carrier,
    planned: _Planned,
    before: Mapping[str, Before],
    again: Mapping[str, tuple[str, ...]],
    lines: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    items = [item for item in planned.work.items if item.key in again]
    work = replace(planned.work, items=items, again=frozenset(again))
    share = _Share(planned.level, ignore_progress)
    outcomes = _copied(carrier, work, before, again, share)
    proofs = {
        key: Proof(key, planned.level, False, reason=proof.reason) if isinstance(proof, WriteAgain) else proof
        for key, proof in _prove(carrier, work, outcomes, planned.level, share).items()
    }
    renewed = {item.key: _outcome_line(item, outcomes, proofs) for item in items}
    return [renewed.get(line["key"], line) for line in lines]


def _copied(
    carrier: Carrier,
    work: Work,
    before: Mapping[str, Before],
    written: Mapping[str, tuple[str, ...]],
    share: _Share,
) -> dict[str, Written | Failed | UnfinishedItem]:
    outcomes: dict[str, Written | Failed | UnfinishedItem] = {}
    with _none_left_behind(carrier.copy(work, before, written)) as answers:
        for item, outcome in zip(work.items, answers, strict=True):
            outcomes[item.key] = outcome
            share.passed(item)
    return outcomes


def _prove(
    carrier: Carrier,
    work: Work,
    outcomes: Mapping[str, Written | Failed | UnfinishedItem],
    level: Level,
    share: _Share,
) -> dict[str, Proof | WriteAgain]:
    written = {key: outcome for key, outcome in outcomes.items() if isinstance(outcome, Written)}
    if not written:
        return {}
    items = {item.key: item for item in work.items}
    answers: dict[str, Proof | WriteAgain] = {}
    with _none_left_behind(carrier.verify(work, written, level)) as given:
        for answer in given:
            if not isinstance(answer, UnfinishedItem):
                answers[answer.key] = answer
            if level is Level.FULL:
                share.passed(items[answer.key])
    return answers


@contextmanager
def _none_left_behind(answers: Iterator[_T]) -> Iterator[Iterator[_T]]:
    """Yield ``answers`` and close them with the block. Otherwise a traceback would keep their threads at work."""
    try:
        yield answers
    finally:
        if isinstance(answers, Generator):
            answers.close()


def _outcome_line(
    item: Item,
    outcomes: Mapping[str, Written | Failed | UnfinishedItem],
    proofs: Mapping[str, Proof | WriteAgain],
) -> dict[str, Any]:
    proof = proofs.get(item.key)
    if isinstance(proof, WriteAgain):
        return result_line(item, UnfinishedItem(item.key), None)
    return result_line(item, outcomes[item.key], proof)


def _versions(outcome: Written | Failed | UnfinishedItem) -> tuple[str, ...]:
    return outcome.versions if isinstance(outcome, Written) else ()


def _is_done(line: Mapping[str, Any], level: Level) -> bool:
    return line["state"] == "written" and bool(line.get("proven")) and line["level"] == level.value


def _is_open(line: Mapping[str, Any]) -> bool:
    """Whether time ran out before the item was copied or proven, so that another call continues."""
    return line["state"] == "unfinished" or (line["state"] == "written" and "proven" not in line)
