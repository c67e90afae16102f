"""One batch of a migration: the unit that the state machine's Lambda runs, and runs again until done."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from regionshift.carriers.bounds import Bounds
from regionshift.carriers.carrier import (
    Again,
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

_NAMED = 10  # conflicts named in an answer; all of them stand in the record
_NOTED_EVERY = 2.0  # seconds; what is done sooner notes nothing
_READ_AT_ONCE = 8

_T = TypeVar("_T")

Carriers = Mapping[str, Carrier]


@dataclass(frozen=True)
class BatchAnswer:
    """What one call did. ``more``: call again; ``stopped``: the migration was asked to stop.

    ``conflicts`` are the first items that undo left alone: key and reason. ``wrote``: undo had to write
    versions of its own, which later plans have to know.
    """

    batch: int
    more: bool = False
    stopped: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    conflicts: tuple[Mapping[str, str], ...] = ()
    wrote: bool = False


@dataclass(frozen=True)
class _Planned:
    """A batch as the plan has it."""

    work: Work
    level: Level


Note = Callable[[int, int], None]
"""Told how many items and bytes of a batch are done."""


def unnoted(items: int, size: int) -> None:
    """Notes nothing."""
    del items, size


def batch_notes(
    records: MigrationRecords, batch: int, now: Callable[[], datetime], warn: Callable[[str], None]
) -> Note:
    """Notes how far ``batch`` is for whoever watches, every two seconds at most.

    A record beside the lease, and not in it: who holds a batch is told by the lease's bytes.

    Args:
        now: the time, with its zone.
        warn: told of a note that could not be written: it is for watching only, so the copying goes on.
    """
    noted = now()

    def note(items: int, size: int) -> None:
        nonlocal noted
        if (now() - noted).total_seconds() >= _NOTED_EVERY:
            noted = now()
            try:
                records.store.put_json(records.share(batch), {"items": items, "bytes": size})
            except S3Error as problem:
                warn(f"How far batch {batch} of {records.id} is could not be noted: {problem}")

    return note


def read_notes(records: MigrationRecords, batches: list[int]) -> Iterator[tuple[int, tuple[int, int]]]:
    """Items and bytes done of those of ``batches`` that have noted any."""
    with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        found = list(pool.map(lambda batch: records.store.get_json(records.share(batch)), batches))
    for batch, share in zip(batches, found, strict=True):
        if share:
            yield batch, (int(share["items"]), int(share["bytes"]))


@dataclass(frozen=True)
class Batch:
    """One batch of a migration.

    Args:
        number: which of the migration's.
        has_time: asked before each item; false ends the call early with ``more``.
    """

    records: MigrationRecords
    carriers: Carriers
    bounds: Bounds
    number: int
    has_time: Callable[[], bool]

    def run(self, note: Note = unnoted) -> BatchAnswer:
        """Record what is there, copy, prove and record the outcome; what is done already is not done again.

        Args:
            note: told how far it is.

        Raises:
            OutOfBounds: the plan names what the settings do not.
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
            # Written again, it would be there twice if it was ours.
            done |= _failed(planned.work, unclear, known)
        share = _Share(planned.level, note)
        lines, again = _work_through(carrier, planned, before, written, done, share)
        if again:
            # On record as not written before it is taken away: what is found then is found by what it holds.
            store.put(records.results(batch), to_bytes(lines))
            lines = _write_again(carrier, planned, before, again, lines)
        store.put(records.results(batch), to_bytes(lines))
        return BatchAnswer(batch, more=any(_is_open(line) for line in lines), counts=count(lines))

    def undo(self) -> BatchAnswer:
        """Take back what the batch wrote, recorded or not. Done again, it changes nothing. Raises as ``run``."""
        records, batch = self.records, self.number
        known = self._by_key(records.undone(batch))
        undone = {key: line for key, line in known.items() if line["state"] == "undone"}
        if known and len(undone) == len(known):
            return BatchAnswer(batch, counts=count(known.values()), wrote=_wrote(known.values()))
        recorded = records.store.get(records.before(batch))
        if recorded is None:
            self._require_unwritten()
            return BatchAnswer(batch)  # nothing is written before this record is
        planned = self._read_plan()
        carrier = self.carriers[planned.work.entry.kind]
        before = {line["key"]: read_before(line) for line in from_bytes(recorded)}
        results = self._by_key(records.results(batch))
        try:
            # What was in conflict is looked at again: the cause may be cleared by now.
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
        """Raises Refused when something was written by a batch whose record of what was there before is gone."""
        records = self.records
        if not records.store.exists(records.results(self.number)):
            return
        raise Refused(
            f"The record of what was there before batch {self.number} of migration {records.id} is missing,"
            " so what the batch wrote cannot be taken back.",
            where=records.where(records.before(self.number)),
            remedy="restore that object (the bucket keeps its versions), then run the rollback again",
            error_id="RS-MIGRATION-009",
        )


def count(lines: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many items are in each state, how many are proven, how many bytes were written."""
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
    """The versions that are ours, of the items that are not settled; and items of which that cannot be told.

    Looked for where the record may be short of what was written: a call that died, an answer that was lost.
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
    for key, found in (carrier.recover(_narrowed(work, short), before) if short else {}).items():
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
    """How much of a batch is done: an item counts for half when it is copied, where its contents are proven too."""

    def __init__(self, level: Level, note: Note) -> None:
        self._passes = 2 if level is Level.FULL else 1
        self._note = note
        self._items = self._bytes = 0

    def passed(self, item: Item) -> None:
        """One item is copied, or proven."""
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
    """The results, and what is to be written again: the versions that are there, by key."""
    left = [item for item in planned.work.items if item.key not in done]
    work = _narrowed(planned.work, left)
    outcomes = _copied(carrier, work, before, written, share)
    proofs = _prove(carrier, work, outcomes, planned.level, share)
    again = {key: _versions(outcomes[key]) for key, proof in proofs.items() if isinstance(proof, Again)}
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
    work = replace(_narrowed(planned.work, items), again=frozenset(again))
    share = _Share(planned.level, unnoted)
    outcomes = _copied(carrier, work, before, again, share)
    proofs = {
        key: Proof(key, planned.level, False, reason=proof.reason) if isinstance(proof, Again) else proof
        for key, proof in _prove(carrier, work, outcomes, planned.level, share).items()
    }
    renewed = {item.key: _outcome_line(item, outcomes, proofs) for item in items}
    return [renewed.get(line["key"], line) for line in lines]


def _narrowed(work: Work, items: list[Item]) -> Work:
    return replace(work, items=items)


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
) -> dict[str, Proof | Again]:
    written = {key: outcome for key, outcome in outcomes.items() if isinstance(outcome, Written)}
    if not written:
        return {}
    items = {item.key: item for item in work.items}
    answers: dict[str, Proof | Again] = {}
    with _none_left_behind(carrier.verify(work, written, level)) as given:
        for answer in given:
            if not isinstance(answer, UnfinishedItem):
                answers[answer.key] = answer
            if level is Level.FULL:
                share.passed(items[answer.key])
    return answers


@contextmanager
def _none_left_behind(answers: Iterator[_T]) -> Iterator[Iterator[_T]]:
    """``answers``, closed with the block: a traceback would keep what they have under way at work."""
    try:
        yield answers
    finally:
        if isinstance(answers, Generator):
            answers.close()


def _outcome_line(
    item: Item, outcomes: Mapping[str, Written | Failed | UnfinishedItem], proofs: Mapping[str, Proof | Again]
) -> dict[str, Any]:
    proof = proofs.get(item.key)
    if isinstance(proof, Again):
        return result_line(item, UnfinishedItem(item.key), None)
    return result_line(item, outcomes[item.key], proof)


def _versions(outcome: Written | Failed | UnfinishedItem) -> tuple[str, ...]:
    return outcome.versions if isinstance(outcome, Written) else ()


def _is_done(line: Mapping[str, Any], level: Level) -> bool:
    return line["state"] == "written" and bool(line.get("proven")) and line["level"] == level.value


def _is_open(line: Mapping[str, Any]) -> bool:
    """Whether another call could do more: time ran out before the copy, or before its proof."""
    return line["state"] == "unfinished" or (line["state"] == "written" and "proven" not in line)
