"""The whole story of one run: what it changed, its steps, what failed, what was rolled back and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from regionshift.errors import RegionshiftError
from regionshift.journal.events import DECISION, RUN, Event, RunSummary, RunView, fold, summarize
from regionshift.journal.journal import Journal
from regionshift.journal.releases import Difference, ReleaseStore
from regionshift.journal.store import StateDamaged
from regionshift.operations.migrations.listing import run_named
from regionshift.operations.status import told_outcome
from regionshift.operations.unfinished import RUN_KINDS, row_of
from regionshift.report.terminal import short
from regionshift.runs.deployment_state import regions_from_result

StepEnd = Literal["done", "failed", "open", "decided"]
_BACK = "back/"


@dataclass(frozen=True)
class StoryStep:
    """One attempt at a step, in the order in which they began.

    Args:
        regions: the regions of the step; empty for all. seconds: how long it took; None when it never ended.
        said: what the journal keeps of its end.
    """

    name: str
    regions: tuple[str, ...]
    began: datetime
    seconds: float | None
    end: StepEnd
    said: Mapping[str, object]

    @property
    def back(self) -> bool:
        """Whether it undid something."""
        return self.name.startswith(_BACK)

    @property
    def why(self) -> str:
        """The error it failed with; empty when it did not fail."""
        return str(self.said.get("error", "failed")) if self.end == "failed" else ""


@dataclass(frozen=True)
class SettingsChange:
    """The difference between the releases of regions before a run and the releases that the run deploys.

    ``unknown``: why the difference is not known. ``before`` is None when the regions had no release.
    """

    regions: tuple[str, ...]
    before: str | None
    after: str | None
    differences: tuple[Difference, ...] = ()
    unknown: str = ""


@dataclass(frozen=True)
class RunStory:
    """Everything about one run.

    Args:
        ended_as: how it ended, in words. regions: {region: how the run left it}.
        taken_back_by: later runs that undid it. parts: runs that it began.
        missing: says what of its record cannot be read; empty when nothing is missing.
    """

    run: RunSummary
    ended_as: str
    changes: tuple[SettingsChange, ...]
    steps: tuple[StoryStep, ...]
    regions: Mapping[str, str]
    taken_back_by: tuple[str, ...] = ()
    parts: tuple[RunSummary, ...] = ()
    missing: str = ""

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it is open."""
        return (self.run.ended - self.run.started).total_seconds() if self.run.ended else None

    @property
    def turned(self) -> StoryStep | None:
        """The failed step, or the decision, that began the way back; None without a way back."""
        backward = next((place for place, step in enumerate(self.steps) if step.back), None)
        if backward is None:
            return None
        before = [step for step in self.steps[:backward] if step.end in ("failed", "decided")]
        return before[-1] if before else None

    def to_json(self) -> dict[str, Any]:
        """For pipelines."""
        run = self.run
        return {
            "run": run.run_id,
            "kind": run.kind,
            "by": run.by,
            "began": run.started.isoformat(),
            "ended": run.ended.isoformat() if run.ended else None,
            "seconds": self.seconds,
            "outcome": run.outcome,
            "ended_as": self.ended_as,
            "reason": run.reason,
            "subject": run.subject,
            "settings": [asdict(change) for change in self.changes],
            "steps": [
                {**asdict(step), "began": step.began.isoformat(), "back": step.back} for step in self.steps
            ],
            "regions": dict(self.regions),
            "taken_back_by": list(self.taken_back_by),
            "parts": [part.run_id for part in self.parts],
            "missing": self.missing or None,
        }


def story_of(journal: Journal, releases: ReleaseStore, name: str) -> RunStory:
    """The story of the run that ``name`` means (`run_named`).

    Raises:
        InputError: there is no such run, or several may be meant.
        StateDamaged: neither its events nor its copy can be read.
    """
    view = journal.view(run_named(journal, name))
    run, history = summarize(view), journal.history()
    kept = next((each for each in history if each.run_id == view.run_id), run)
    events, missing = list[Event](), ""
    try:
        events = journal.events(view.run_id)
        fold(events)
    except StateDamaged as error:
        missing = f"Some of its steps cannot be read: {error.message} [{error.where}]"
    if kept.outcome is not None and run.outcome is None:
        missing = "Its last event is missing. Its copy tells how it ended."
    if missing:  # its copy knows more
        run, view = kept, replace(view, ended=kept.ended, outcome=kept.outcome, result=kept.result)
    return RunStory(
        run,
        told_outcome(run),
        tuple(_changes(view, releases)),
        tuple(_steps(events)),
        _regions(view),
        tuple(
            each.run_id
            for each in reversed(history)
            if each.kind in ("rollback", "destroy") and _undoes(each, run)
        ),
        tuple(parts_of(view, history)),
        missing,
    )


def _undoes(later: RunSummary, run: RunSummary) -> bool:
    if later.of_data:
        return run.of_data and later.subject == run.subject and later.run_id != run.run_id
    return later.subject == run.run_id


def _steps(events: Iterable[Event]) -> Iterator[StoryStep]:
    found: list[StoryStep] = []
    running: dict[tuple[str, str | None], int] = {}
    for event in events:
        key = (event.step, event.region)
        if event.step == RUN:
            continue
        if event.step == DECISION:
            found.append(StoryStep(DECISION, (), event.at, 0.0, "decided", event.data))
        elif event.phase == "before":
            running[key] = len(found)
            on = event.data.get("on")
            regions = tuple(map(str, on)) if isinstance(on, list) else (event.region,) if event.region else ()
            found.append(StoryStep(event.step, regions, event.at, None, "open", {}))
        elif key in running:
            place = running.pop(key)
            began, end = found[place].began, "failed" if event.phase == "failed" else "done"
            took = (event.at - began).total_seconds()
            found[place] = replace(found[place], seconds=took, end=end, said=event.data)  # type: ignore[arg-type]
    return iter(found)


def _changes(view: RunView, releases: ReleaseStore) -> Iterator[SettingsChange]:
    """One for all regions with the same release before and after."""
    alike: dict[tuple[str | None, str | None], list[str]] = {}
    plan = view.opened.get("plan")
    if isinstance(plan, Mapping):
        before, target = plan.get("before"), plan.get("target")
        for region, after in (target if isinstance(target, Mapping) else {}).items():
            was = before.get(region) if isinstance(before, Mapping) else None
            alike.setdefault((was, after), []).append(str(region))
    else:
        given = view.opened.get("releases")
        brought = (
            given
            if isinstance(given, Mapping)
            else {r: s.release for r, s in _left(view).items() if s.release}
        )
        for region, after in brought.items():
            alike.setdefault((_previous(releases, str(after)), str(after)), []).append(str(region))
    for (was, after), regions in alike.items():
        yield _difference(releases, tuple(regions), was, after)


def _difference(
    releases: ReleaseStore, regions: tuple[str, ...], before: str | None, after: str | None
) -> SettingsChange:
    if before is None or after is None or before == after:
        return SettingsChange(regions, before, after)
    try:
        return SettingsChange(regions, before, after, releases.diff(before, after))
    except RegionshiftError as error:
        return SettingsChange(regions, before, after, unknown=error.message)


def _previous(releases: ReleaseStore, digest: str) -> str | None:
    """The release before ``digest``; None for the first, and when it is no longer kept."""
    try:
        return releases.find(digest).previous
    except RegionshiftError:
        return None


def _left(view: RunView) -> Mapping[str, Any]:
    return regions_from_result(view.result)


def _regions(view: RunView) -> dict[str, str]:
    """How the run left each region, by its result."""
    plan = view.opened.get("plan") or view.opened.get("promotion")
    before = plan.get("before", {}) if isinstance(plan, Mapping) else {}
    found = {}
    for region, state in _left(view).items():
        if state.note:
            found[region] = state.note
        elif not state.settled:
            found[region] = "between two releases"
        else:
            is_same = region in before and before[region] == state.release
            found[region] = f"{'still at' if is_same else 'at'} {short(state.release or 'no release')}"
    return found


def parts_of(view: RunView, history: Sequence[RunSummary]) -> Iterator[RunSummary]:
    """The runs that this one began, the oldest first: those of a kind that is a part of its kind, while it was open."""
    row = row_of(view)
    kinds = {kind for each in RUN_KINDS if row and row.name in each.part_of for kind in each.kinds}
    for run in reversed(history):
        inside = view.started <= run.started and (view.ended is None or run.started <= view.ended)
        named = run.of_data and run.subject.startswith(f"{view.run_id}-")
        if run.run_id != view.run_id and inside and (named or (run.kind in kinds and not run.of_data)):
            yield run
