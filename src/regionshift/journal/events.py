"""The events of one run, and their fold.

An event is written before and after every step. The run itself is the step ``run``. Its ``before`` opens the run, with
the decisions at the start. Its ``after`` or ``failed`` closes the run, with the outcome.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from regionshift.journal.store import StateDamaged

VERSION = 1
RUN = "run"
DECISION = "decision"
"""The step that records what a person, or `resume`, chose."""
PHASES = ("before", "after", "failed")

Kind = str
"""``deployment``, ``rollback``, ``migration``, ``promotion``, ``move``, ``destroy``, ``fence``, or a new one's name."""
Phase = Literal["before", "after", "failed"]


@dataclass(frozen=True)
class Event:
    """One thing that is about to happen, has happened or has failed in a run.

    ``kind`` and ``phase`` are plain text, because a newer tool may write values that this one does not know.
    ``data`` is JSON without secrets. ``id`` identifies our own write when its answer got lost.
    """

    sequence: int
    run_id: str
    kind: str
    step: str
    phase: str
    region: str | None
    data: Mapping[str, object]
    at: datetime
    id: str = ""
    version: int = VERSION


@dataclass(frozen=True)
class StepView:
    """The newest state of one step in one region (or of the whole environment)."""

    step: str
    region: str | None
    phase: str
    sequence: int
    began: datetime
    at: datetime
    data: Mapping[str, object]


@dataclass(frozen=True)
class RunView:
    """A run, as the fold of its events.

    Args:
        opened: the data of the opening event. outcome: None while the run is open.
        result: the data of the closing event.
        newer: a newer tool wrote something that this one cannot read. The run may be shown but not continued.
    """

    run_id: str
    kind: str
    started: datetime
    ended: datetime | None
    outcome: str | None
    opened: Mapping[str, object]
    result: Mapping[str, object]
    steps: tuple[StepView, ...]
    last_sequence: int
    newer: bool

    @property
    def of_data(self) -> bool:
        """Whether it copies data or undoes a copy. A ``rollback`` is of a migration or of a deployment."""
        return self.kind == "migration" or (self.kind == "rollback" and "migration_id" in self.opened)

    @property
    def was_turned(self) -> bool:
        """Whether a person, or `resume`, decided to undo it."""
        return any(step.step == DECISION for step in self.steps)

    @property
    def in_doubt(self) -> tuple[StepView, ...]:
        """Steps that began and have no end: a crash may have stopped them anywhere."""
        return tuple(step for step in self.steps if step.phase == "before")


@dataclass(frozen=True)
class RunSummary:
    """A run without its steps. ``outcome`` and ``ended`` are None while it is open.

    Args:
        by: who began it. regions: the regions that it names. reason: why it was begun, failed or was rolled back.
        subject: the migration that it copies or undoes, or the run that it undoes.
        of_data: see `RunView`.
    """

    run_id: str
    kind: str
    started: datetime
    ended: datetime | None
    outcome: str | None
    result: Mapping[str, object]
    by: str = ""
    regions: tuple[str, ...] = ()
    reason: str = ""
    subject: str = ""
    of_data: bool = False


def encode(event: Event) -> bytes:
    """The event as JSON. Raises TypeError or ValueError when ``data`` is not plain JSON (a secret, a NaN)."""
    content = {**vars(event), "at": event.at.isoformat()}
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def decode(body: bytes, where: str) -> Event:
    """The event in ``body``. Fields that a newer tool added are ignored, and fields that it dropped are empty.

    Raises:
        StateDamaged: the bytes are cut short, are no JSON object, or lack a field that this version writes.
    """
    try:
        content = json.loads(body)
        if not isinstance(content, dict):
            raise ValueError("not an object")
        version = int(content["version"])
        if version > VERSION:
            content = {"kind": "unknown", "step": "unknown", "phase": "unknown", "data": {}} | content
        return Event(
            sequence=int(content["sequence"]),
            run_id=_text(content["run_id"]),
            kind=_text(content["kind"]),
            step=_text(content["step"]),
            phase=_text(content["phase"]),
            region=None if content.get("region") is None else _text(content["region"]),
            data=_mapping(content["data"]),
            at=datetime.fromisoformat(content["at"]),
            id=_text(content.get("id", "")),
            version=version,
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged("an event of the journal cannot be read", where, error) from error


def damaged(what: str, where: str, reason: object) -> StateDamaged:
    """The error for a damaged part of the journal."""
    return StateDamaged(
        f"{what} ({type(reason).__name__ if isinstance(reason, Exception) else reason})",
        where=where,
        remedy="restore the file from a backup or an older version of the object; do not delete it,"
        " or the run cannot be resumed",
    )


@dataclass
class _Fold:
    """The run so far, while its events are read in order."""

    steps: dict[tuple[str, str | None], StepView] = field(default_factory=dict)
    closing: Event | None = None
    newer: bool = False

    def add(self, event: Event) -> None:
        self.newer |= event.version > VERSION
        if event.phase not in PHASES:
            self.newer = True
        elif event.step != RUN:
            key = (event.step, event.region)
            before = self.steps.get(key)
            began = before.began if before and event.phase != "before" else event.at
            self.steps[key] = StepView(
                event.step, event.region, event.phase, event.sequence, began, event.at, event.data
            )
        elif event.phase != "before" and self.closing is None:
            self.closing = event


def fold(events: Iterable[Event]) -> RunView:
    """Fold the events of one run. Their order in ``events`` does not matter.

    Raises:
        StateDamaged: an event is missing between others, or they belong to different runs.
        ValueError: there are no events.
    """
    ordered = sorted(events, key=lambda event: event.sequence)
    if not ordered:
        raise ValueError("a run has at least one event")
    first = ordered[0]
    for position, event in enumerate(ordered, start=1):
        if event.sequence != position:
            raise damaged(f"event {position} of the journal is missing", first.run_id, "gap")
        if event.run_id != first.run_id:
            raise damaged(f"event {position} belongs to run {event.run_id}", first.run_id, "mixed runs")
    run = _Fold()
    for event in ordered:
        run.add(event)
    closing = run.closing
    return RunView(
        run_id=first.run_id,
        kind=first.kind,
        started=first.at,
        ended=closing.at if closing else None,
        outcome=str(closing.data.get("outcome", closing.phase)) if closing else None,
        opened=first.data,
        result=closing.data if closing else {},
        steps=tuple(run.steps.values()),
        last_sequence=len(ordered),
        newer=run.newer,
    )


def summarize(view: RunView) -> RunSummary:
    """The run without its steps."""
    opened = view.opened
    return RunSummary(
        view.run_id,
        view.kind,
        view.started,
        view.ended,
        view.outcome,
        view.result,
        str(opened.get("by", "")),
        _regions(view),
        _reason(view),
        str(opened.get("migration_id") or opened.get("of") or ""),
        view.of_data,
    )


def _regions(view: RunView) -> tuple[str, ...]:
    """The regions that a run names, in its order. Each kind of run names them in its own fields."""
    opened = view.opened
    found: list[object] = [step.region for step in view.steps]
    for name in ("plan", "promotion", "move"):
        content = opened.get(name)
        if isinstance(content, Mapping):
            waves = content.get("waves")
            found += [r for wave in waves for r in wave["regions"]] if isinstance(waves, list) else []
            found += [content.get(end) for end in ("from", "to", "old", "new")]
    for named in (opened.get("releases"), opened.get("regions")):
        found += list(named) if isinstance(named, Mapping | list) else []
    found += [opened.get(name) for name in ("source", "target", "rejoins")]
    return tuple(dict.fromkeys(region for region in found if isinstance(region, str)))


def _reason(view: RunView) -> str:
    given = [str(view.opened["reason"])] if view.opened.get("reason") else []
    given += ["taken back as asked"] if view.was_turned else []
    given += [
        f"{step.step}: {step.data['error']}"
        for step in view.steps
        if step.phase == "failed" and "error" in step.data
    ]
    return "; ".join(given)


def view_without_steps(found: RunSummary, first: Event) -> RunView:
    """The run without steps, from its copy and its first event."""
    return RunView(
        run_id=found.run_id,
        kind=found.kind,
        started=found.started,
        ended=found.ended,
        outcome=found.outcome,
        opened=first.data,
        result=found.result,
        steps=(),
        last_sequence=first.sequence,
        newer=False,
    )


def encode_summary(summary: RunSummary) -> bytes:
    """The copy of a finished run, as JSON."""
    ended = summary.ended.isoformat() if summary.ended else None
    return json.dumps({**vars(summary), "started": summary.started.isoformat(), "ended": ended}).encode()


def decode_summary(body: bytes) -> RunSummary | None:
    """The copy; None when it cannot be used. The events say the same, only slower."""
    try:
        content = json.loads(body)
        if content["kind"] == "rollback" and "of_data" not in content:
            return None  # an older version did not write what it undoes
        return RunSummary(
            run_id=str(content["run_id"]),
            kind=str(content["kind"]),
            started=datetime.fromisoformat(content["started"]),
            ended=datetime.fromisoformat(content["ended"]),
            outcome=str(content["outcome"]),
            result=dict(content["result"]),
            by=str(content.get("by", "")),
            regions=tuple(map(str, content.get("regions", ()))),
            reason=str(content.get("reason", "")),
            subject=str(content.get("subject", "")),
            of_data=content["kind"] == "migration" or bool(content.get("of_data")),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {type(value).__name__}")
    return value


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, found {type(value).__name__}")
    return value
