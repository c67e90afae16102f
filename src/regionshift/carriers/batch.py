"""One batch of a migration: the unit that the state machine's Lambda runs, and runs again until done."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from regionshift.carriers.carrier import (
    Before,
    Carrier,
    Conflict,
    Failed,
    Item,
    Level,
    OutOfTimeError,
    Proof,
    Unfinished,
    Work,
    Written,
)
from regionshift.carriers.lines import (
    before_line,
    from_bytes,
    read_before,
    read_entry,
    read_item,
    result_line,
    to_bytes,
    undone_line,
)
from regionshift.carriers.records import Layout, RecordStore, StoredProgress
from regionshift.errors import WorkFailed

_NAMED = 10  # conflicts named in an answer; all of them stand in the record

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


def run_batch(
    store: RecordStore, carriers: Carriers, migration_id: str, batch: int, has_time: Callable[[], bool]
) -> BatchAnswer:
    """Record what is there, copy, prove and record the outcome; what is done already is not done again.

    Args:
        has_time: asked before each item; false ends the call early with ``more``.
    """
    layout = Layout(migration_id)
    with ThreadPoolExecutor(1, thread_name_prefix="stop") as pool:
        stopped = pool.submit(store.exists, layout.stop)
        planned = _read_plan(store, layout, batch, has_time)
    if stopped.result():
        return BatchAnswer(batch, stopped=True)
    carrier = carriers[planned.work.entry.kind]
    described = carrier.describe_before(planned.work)
    first = to_bytes(before_line(described[item.key]) for item in planned.work.items)
    if store.create(layout.before(batch), first):
        lines = _work_through(carrier, planned, described, {}, {})
    else:
        before = _read_before(store, layout, batch)
        known = {line["key"]: line for line in from_bytes(store.get(layout.results(batch)) or b"")}
        done = {key: line for key, line in known.items() if _is_done(line, planned.level)}
        if len(done) == len(planned.work.items):
            return BatchAnswer(batch, counts=count(done.values()))
        try:
            written, unclear = _written(carrier, planned.work, before, known, done)
        except OutOfTimeError:
            return BatchAnswer(batch, more=True, counts=count(known.values()))
        # Written again, it would be there twice if it was ours.
        left = done | _failed(planned.work, unclear)
        lines = _work_through(carrier, planned, before, written, left)
    store.put(layout.results(batch), to_bytes(lines))
    return BatchAnswer(batch, more=any(_is_open(line) for line in lines), counts=count(lines))


def undo_batch(
    store: RecordStore, carriers: Carriers, migration_id: str, batch: int, has_time: Callable[[], bool]
) -> BatchAnswer:
    """Take back what one batch wrote, recorded or not. Done again, it changes nothing."""
    layout = Layout(migration_id)
    known = {line["key"]: line for line in from_bytes(store.get(layout.undone(batch)) or b"")}
    undone = {key: line for key, line in known.items() if line["state"] == "undone"}
    if known and len(undone) == len(known):
        return BatchAnswer(batch, counts=count(known.values()), wrote=_wrote(known.values()))
    recorded = store.get(layout.before(batch))
    if recorded is None:
        return BatchAnswer(batch)  # nothing is written before this record is
    planned = _read_plan(store, layout, batch, has_time)
    carrier = carriers[planned.work.entry.kind]
    before = {line["key"]: read_before(line) for line in from_bytes(recorded)}
    results = {line["key"]: line for line in from_bytes(store.get(layout.results(batch)) or b"")}
    try:
        # What was in conflict is looked at again: whoever caused it may have cleared it.
        written, unclear = _written(carrier, planned.work, before, results, undone)
    except OutOfTimeError:
        return BatchAnswer(batch, more=True, counts=count(known.values()))
    answers = [*unclear, *carrier.undo(planned.work, before, written)]
    lines = [*undone.values(), *map(undone_line, answers)]
    store.put(layout.undone(batch), to_bytes(sorted(lines, key=lambda line: str(line["key"]))))
    conflicts = [line for line in lines if line["state"] == "conflict"]
    return BatchAnswer(
        batch,
        more=any(line["state"] == "unfinished" for line in lines),
        counts=count(lines),
        conflicts=tuple(conflicts[:_NAMED]),
        wrote=_wrote(lines),
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


def _failed(work: Work, unclear: Iterable[Conflict]) -> dict[str, dict[str, Any]]:
    reasons = {conflict.key: conflict.reason for conflict in unclear}
    return {
        item.key: result_line(item, Failed(item.key, reasons[item.key]), None)
        for item in work.items
        if item.key in reasons
    }


def _wrote(lines: Iterable[Mapping[str, Any]]) -> bool:
    return any(line.get("version") for line in lines)


def _work_through(
    carrier: Carrier,
    planned: _Planned,
    before: Mapping[str, Before],
    written: Mapping[str, tuple[str, ...]],
    done: Mapping[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    left = [item for item in planned.work.items if item.key not in done]
    work = _narrowed(planned.work, left)
    outcomes = dict(zip((item.key for item in left), carrier.copy(work, before, written), strict=True))
    proofs = _prove(carrier, work, outcomes, planned.level)
    return [done.get(item.key) or _outcome_line(item, outcomes, proofs) for item in planned.work.items]


def _narrowed(work: Work, items: list[Item]) -> Work:
    return Work(work.migration_id, work.entry, items, work.progress, work.has_time, work.after)


def _prove(
    carrier: Carrier, work: Work, outcomes: Mapping[str, Written | Failed | Unfinished], level: Level
) -> dict[str, Proof]:
    written = {key: outcome for key, outcome in outcomes.items() if isinstance(outcome, Written)}
    if not written:
        return {}
    return {proof.key: proof for proof in carrier.verify(work, written, level) if isinstance(proof, Proof)}


def _outcome_line(
    item: Item, outcomes: Mapping[str, Written | Failed | Unfinished], proofs: Mapping[str, Proof]
) -> dict[str, Any]:
    return result_line(item, outcomes[item.key], proofs.get(item.key))


def _is_done(line: Mapping[str, Any], level: Level) -> bool:
    return line["state"] == "written" and bool(line.get("proven")) and line["level"] == level.value


def _is_open(line: Mapping[str, Any]) -> bool:
    """Whether another call could do more: time ran out before the copy, or before its proof."""
    return line["state"] == "unfinished" or (line["state"] == "written" and "proven" not in line)


def _read_plan(store: RecordStore, layout: Layout, batch: int, has_time: Callable[[], bool]) -> _Planned:
    body = store.get(layout.plan(batch))
    if body is None:
        raise WorkFailed(f"Migration {layout.id} has no batch {batch}.", where=layout.plan(batch))
    head, *items = from_bytes(body)
    progress = StoredProgress(store, layout, batch)
    entry = read_entry(head["entry"])
    work = Work(layout.id, entry, [read_item(line) for line in items], progress, has_time, head["after"])
    return _Planned(work, Level(head["level"]))


def _read_before(store: RecordStore, layout: Layout, batch: int) -> dict[str, Before]:
    body = store.get(layout.before(batch)) or b""
    return {line["key"]: read_before(line) for line in from_bytes(body)}


def read_results(store: RecordStore, layout: Layout, batches: int) -> Iterator[bytes]:
    """The results of every batch in order; a batch that never ran has none."""
    for batch in range(batches):
        yield store.get(layout.results(batch)) or b""
