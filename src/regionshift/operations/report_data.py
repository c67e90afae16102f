"""What `report` shows: one run from beginning to end and how the environment stands, as plain data for JSON.

It is told by the journal and the kept releases alone. Nothing is asked of AWS, so that the report of a run is the same
whenever it is made, and can be made while a region is down.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from regionshift.journal.events import DECISION, RUN, Event, RunSummary, RunView, summarize
from regionshift.journal.journal import Journal
from regionshift.journal.releases import ReleaseRecord, ReleaseStore, differences
from regionshift.operations import moves
from regionshift.operations.checks.last import LastChecks, last_checks
from regionshift.operations.environment import Environment
from regionshift.operations.migrations import listing
from regionshift.operations.moving.fencing import last_measured_in
from regionshift.operations.moving.promotion_plan import STEPS, STEPS_WITHOUT_SOURCE, promotion_from_json
from regionshift.operations.status import regions_now, told_outcome
from regionshift.operations.unfinished import row_of, rows_named
from regionshift.releases import deployed_releases
from regionshift.report.values import as_data
from regionshift.runs.deployment_plan import backward_steps, forward_steps, plan_from_json
from regionshift.runs.deployment_state import DOWN, Outcome, RegionState, fold_deployment
from regionshift.runs.messages import relied_on
from regionshift.settings.regions import PLACES

FORMAT = 1
"""Of the data; it grows when a field changes its meaning or goes."""
_MOST_RUNS = 20
_MOST_MIGRATIONS = 5
_MOST_RELEASES = 6
_MOST_ROWS = 200
_STEP = re.compile(r"(?P<back>back/)?(?:wave-(?P<wave>\d+)/)?(?P<action>.+)")
_LABELS = {
    "apply": "apply",
    "validate": "check",
    "bake": "bake",
    "approve": "approval",
    "links": "join regions",
    "links/validate": "check replication",
    "plan": "plan",
    "copy": "copy and prove",
    "undo": "take back",
    **{step.name: step.meaning for step in (*STEPS, *STEPS_WITHOUT_SOURCE)[::-1] if step.meaning},
    **{step.name: step.meaning for step in moves.STEPS},
}
_OF_A_DEPLOYMENT = {
    "apply": "apply",
    "validate": "check",
    "links": "join regions",
    "links/validate": "check replication",
}
# A change of primary: which of its steps are about one region. The others are about all that change.
_AT_THE_NEW = ("validate", "last-copy", "gather")
_WELL = {"migration": "completed", "rollback": "rolled_back"}


@dataclass(frozen=True)
class ReportedStep:
    """One attempt at one step of a run.

    Args:
        label: what it does, in words. action: its name without its wave. back: it is of the way back.
        ended: None when nobody saw its end. state: ``done``, ``failed``, ``left`` (nothing was done, as a region takes
            no part), ``open`` (a command may be at it), or ``cut off`` (its command was stopped or killed).
        notes: what it said of its end. error: why it failed.
    """

    step: str
    label: str
    action: str
    wave: int | None
    back: bool
    regions: tuple[str, ...]
    began: datetime
    ended: datetime | None
    state: str
    notes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Turn:
    """One moment of a run that did not go straight on: a failure, a decision, a step that was taken back."""

    at: datetime
    what: str
    regions: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True)
class ReportedRun:
    """One run from beginning to end.

    Args:
        tone: ``good``, ``back`` (taken back as it should be), ``bad``, or ``open``. told: how it ended, in words.
        waves: the regions that changed together, in order. per_region: what became of each.
        go_on: what goes on with it while it is open. parts: the runs that it began itself.
    """

    run: str
    kind: str
    title: str
    by: str
    reason: str
    started: datetime
    ended: datetime | None
    tone: str
    told: str
    regions: tuple[str, ...]
    waves: tuple[tuple[str, ...], ...]
    steps: tuple[ReportedStep, ...]
    turns: tuple[Turn, ...]
    per_region: Mapping[str, str]
    go_on: str
    parts: tuple[ReportedRun, ...] = ()


def run_named(journal: Journal, name: str | None) -> str | None:
    """The id of the run that is meant, as `listing.run_named` has it; the newest when none is named."""
    if name is not None:
        return listing.run_named(journal, name)
    newest = journal.history(1)
    return newest[0].run_id if newest else None


def report_data(
    environment: Environment,
    journal: Journal,
    store: ReleaseStore,
    run_id: str | None,
    *,
    by: str,
    version: str,
) -> dict[str, Any]:
    """All that the page shows, as plain JSON.

    Args:
        run_id: of `run_named`; None for an environment without a run. by: who makes the report.
    """
    config = environment.config
    runs = journal.history()
    view = journal.view(run_id) if run_id else None
    story = story_of(journal, view, runs) if view else None
    regions = regions_now(environment, journal)
    known = last_checks(journal, list(regions))
    return {
        "format": FORMAT,
        "environment": {
            "name": f"{config.project}-{config.suffix}",
            "account": config.account,
            "target": config.target,
            "primary": config.regions.primary,
            "rpo_seconds": config.recovery.rpo,
        },
        "made": {"at": environment.now().isoformat(), "by": by, "version": version},
        "story": _plain(story),
        "regions": [
            _region(region, state, config.regions.primary, config.all_regions)
            for region, state in regions.items()
        ],
        "links": _links(journal, runs, known, config.regions.primary, config.regions.secondaries),
        "checks": checks_of(journal, [part.run for part in (*story.parts, story)] if story else ())
        or _of_last(known),
        "migrations": _migrations(journal, runs, view),
        "releases": _releases(journal, store, view),
        "history": [_told_run(run) for run in runs[:_MOST_RUNS]],
    }


def story_of(journal: Journal, view: RunView, runs: Sequence[RunSummary]) -> ReportedRun:
    """The story of one run; ``runs`` are all of the journal."""
    events = journal.events(view.run_id)
    summary = summarize(view)
    row = row_of(view)
    position = row.position(journal, view) if row and view.outcome is None else None
    where = _places(view, summary.regions)
    steps = tuple(_steps(events, view, where))
    parts = [run for run in runs if _is_part(run, view)] if view.kind == "move" else []
    return ReportedRun(
        view.run_id,
        view.kind,
        _title(view),
        summary.by,
        str(view.opened.get("reason") or ""),
        view.started,
        view.ended,
        tone_of(summary),
        told_outcome(summary) if view.outcome else f"not finished: {position.at if position else 'unknown'}",
        tuple(dict.fromkeys((*summary.regions, *where[""]))),
        _waves(view),
        steps,
        tuple(_turns(events, steps)),
        fold_deployment(events).said_per_region(view.kind) if "plan" in view.opened else {},
        row.go_on(journal, view) if row and view.outcome is None else "",
        tuple(story_of(journal, journal.view(run.run_id), runs) for run in parts[::-1]),
    )


def tone_of(run: RunSummary) -> str:
    """Whether a run ended well: ``good``, ``back``, ``bad``, or ``open``."""
    if run.outcome is None:
        return "open"
    if run.of_data:
        well = run.outcome == _WELL.get(run.kind)
        return "good" if well else "back" if run.outcome == "rolled_back" else "bad"
    if run.outcome in {row.succeeds_as or "succeeded" for row in rows_named(run.kind)}:
        return "good"
    return "back" if run.outcome == Outcome.ROLLED_BACK else "bad"


def _is_part(run: RunSummary, whole: RunView) -> bool:
    """Whether ``run`` was begun by a step of ``whole``, beside which no other change may begin."""
    if run.run_id <= whole.run_id or (whole.ended and run.started > whole.ended):
        return False
    if run.of_data:
        return run.subject.startswith(f"{whole.run_id}-")
    names = {row.name for row in rows_named(whole.kind)}
    return any(names & set(row.part_of) for row in rows_named(run.kind))


def _title(view: RunView) -> str:
    opened = view.opened
    match view.kind:
        case "promotion" | "move":
            found = opened.get(view.kind)
            ends = found if isinstance(found, Mapping) else {}
            old, new = (ends.get(a) or ends.get(b) or "?" for a, b in (("old", "from"), ("new", "to")))
            return f"{'Change of primary' if view.kind == 'promotion' else 'Move'} from {old} to {new}"
        case "migration":
            return f"Migration from {opened.get('source', '?')} to {opened.get('target', '?')}"
        case "rollback":
            return f"Rollback of {opened.get('migration_id') or opened.get('of') or 'a deployment'}"
        case "deployment" if "plan" in opened:
            waves = len(_waves(view))
            return f"Deployment in {waves} wave{'' if waves == 1 else 's'}"
        case "deployment" if opened.get("rejoins"):
            return f"Return of {opened['rejoins']}"
        case "deployment":
            return "Deployment of all regions at once"
        case "destroy":
            return "Deletion of the environment"
    return view.kind.capitalize()


def _waves(view: RunView) -> tuple[tuple[str, ...], ...]:
    plan = view.opened.get("plan")
    return tuple(wave.regions for wave in plan_from_json(plan).waves) if plan else ()


def _steps(
    events: Sequence[Event], view: RunView, where: Mapping[str, tuple[str, ...]]
) -> Iterator[ReportedStep]:
    """Every attempt at every step, in the order in which they began; ``where`` as `_places` has it."""
    under_way: dict[tuple[str, str | None], Event] = {}
    found: list[ReportedStep] = []
    for event in events:
        if event.step in (RUN, DECISION):
            continue
        key = (event.step, event.region)
        began = under_way.pop(key, None)
        if event.phase == "before":
            if began is not None:  # its command was killed, and another one does the step again
                found.append(_step(began, None, where, view))
            under_way[key] = event
        else:
            found.append(_step(began or event, event, where, view))
    found += [_step(began, None, where, view) for began in under_way.values()]
    yield from sorted(found, key=lambda step: step.began)


def _step(
    began: Event, end: Event | None, where: Mapping[str, tuple[str, ...]], view: RunView
) -> ReportedStep:
    parts = _STEP.fullmatch(began.step)
    action = parts["action"] if parts else began.step
    words = _OF_A_DEPLOYMENT if view.kind in ("deployment", "rollback", "destroy") else {}
    on = began.data.get("on")
    regions = tuple(map(str, on)) if isinstance(on, list) else where.get(began.step, where[""])
    if not isinstance(on, list) and began.region:
        regions = (began.region,)
    if end is None:
        state = "cut off" if view.outcome or began.sequence < view.last_sequence else "open"
    else:
        state = "failed" if end.phase == "failed" else "left" if end.data.get("left") else "done"
    return ReportedStep(
        began.step,
        words.get(action) or _LABELS.get(action, action),
        action,
        int(parts["wave"]) if parts and parts["wave"] else None,
        bool(parts and parts["back"]),
        regions,
        began.at,
        end.at if end else None,
        state,
        tuple(_notes(end.data)) if end else (),
        str(end.data.get("error", "")) if end and end.phase == "failed" else "",
    )


def _places(view: RunView, everywhere: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """The regions of each step that does not say so itself; under "" those of every other step."""
    found: dict[str, tuple[str, ...]] = {"": everywhere}
    plan = view.opened.get("plan")
    if plan:
        waves = plan_from_json(plan)
        there = forward_steps(waves)
        back = backward_steps(waves, [step.name for step in there])
        found |= {step.name: step.regions for step in (*there, *back)}
    if view.kind == "promotion":
        change = promotion_from_json(view.opened.get("promotion"))
        found[""] = change.present
        found |= {name: (change.new,) for at in _AT_THE_NEW for name in (at, f"back/{at}")}
        found |= {"fence": (change.old,), "back/fence": (change.old,), "settings": (), "back/settings": ()}
    return found


def _notes(said: Mapping[str, object]) -> Iterator[str]:
    """What a step said of its end, in words; what is not known here is left out."""
    for name in ("engine", "left", "warning"):
        if said.get(name):
            yield f"{said[name]}"
    if isinstance(checks := said.get("checks"), int):
        yield f"{checks} checks"
    for name, word in (("probes", "probes"), ("traffic", "calls of traffic")):
        if isinstance(found := said.get(name), Mapping) and (number := sum(found.values())):
            yield f"{number} {word}"
    yield from filter(None, [relied_on(said)])
    delays = said.get("replication_seconds")
    if isinstance(delays, Mapping) and delays:
        yield "replicated after " + ", ".join(f"{seconds:.2f} s to {to}" for to, seconds in delays.items())
    elif isinstance(delays, int | float):
        yield f"replicated after {delays:.2f} s"
    for name in ("counts", "bucket", "carry"):
        if isinstance(counts := said.get(name), Mapping) and counts:
            yield ", ".join(f"{number} {what}" for what, number in counts.items())
    if isinstance(regions := said.get("regions"), Mapping):
        yield from (f"{region}: {word}" for region, word in regions.items() if word != "done")
    if said.get("by"):
        yield f"approved by {said['by']}"


def _turns(events: Sequence[Event], steps: Sequence[ReportedStep]) -> Iterator[Turn]:
    """Failures, decisions and what was taken back, in order."""
    found = [
        Turn(step.ended, f"{_name(step)} failed", step.regions, step.error)
        for step in steps
        if step.ended and step.state == "failed"
    ]
    found += [
        Turn(step.ended, f"{_name(step)}: done", step.regions)
        for step in steps
        if step.ended and step.back and step.state == "done"
    ]
    found += [
        Turn(step.began, f"{_name(step)} was cut off", step.regions)
        for step in steps
        if step.state == "cut off"
    ]
    found += [
        Turn(event.at, "somebody decided to take it back", ())
        for event in events
        if event.step == DECISION and event.data.get("direction") == "back"
    ]
    return iter(sorted(found, key=lambda turn: turn.at))


def _name(step: ReportedStep) -> str:
    wave = f"wave {step.wave}, " if step.wave else ""
    return f"{'way back, ' if step.back else ''}{wave}{step.label}"


def _region(region: str, state: RegionState, primary: str, named: Sequence[str]) -> dict[str, Any]:
    place = PLACES.get(region)
    role = "primary" if region == primary else "secondary" if region in named else "not in the settings"
    if state.note:
        how = "down" if state.note == DOWN else "fenced" if "fenced" in state.note else "attention"
    else:
        how = "between" if not state.settled else "up" if state.release else "empty"
    return {
        "region": region,
        "place": place.name if place else "",
        "at": [place.longitude, place.latitude] if place else None,
        "role": role,
        "release": state.release,
        "state": how,
        "note": state.note,
    }


def _links(
    journal: Journal,
    runs: Sequence[RunSummary],
    known: Mapping[str, LastChecks],
    primary: str,
    secondaries: Sequence[str],
) -> list[dict[str, Any]]:
    """Every replication of the settings, with the newest delay that was measured since ``primary`` is the primary.

    A run measured it, or a `validate` that is no run.
    """
    turned = next((run for run in runs if run.outcome == "promoted"), None)
    by_runs, found = last_measured_in(journal, secondaries), []
    for region in secondaries:
        run, checks = by_runs.get(region), known.get(region)
        seen = (
            [(run.at, run.seconds, run.run_id)] if run and (not turned or run.run_id >= turned.run_id) else []
        )
        if checks and checks.replication_seconds is not None and (not turned or checks.at > turned.started):
            seen.append((checks.at, checks.replication_seconds, ""))
        at, seconds, by = max(seen, default=(None, None, ""))
        measured = {"seconds": seconds, "at": at.isoformat() if at else None, "run": by or None}
        found.append({"from": primary, "to": region, **measured})
    return found


def _of_last(known: Mapping[str, LastChecks]) -> dict[str, Any] | None:
    """The last answers of every region, for a run that asked nothing itself; None when there are none."""
    if not known:
        return None
    results = [result for checks in known.values() for result in as_data(checks.results)]
    return {
        "at": max(checks.at for checks in known.values()).isoformat(),
        "of_run": False,
        "results": results,
    }


def checks_of(journal: Journal, run_ids: Sequence[str]) -> dict[str, Any] | None:
    """The answers to the checks of a run and its parts, the last of each; None when they asked none, or kept none.

    What was asked on the way back stands only where nothing was asked on the way there: it says that all is well again,
    and not what was wrong.
    """
    there, back = dict[tuple[str, str], dict[str, Any]](), dict[tuple[str, str], dict[str, Any]]()
    at = None
    for event in (event for run_id in run_ids for event in journal.events(run_id)):
        results = event.data.get("results")
        if isinstance(results, list) and event.phase != "before":
            found = back if event.step.startswith("back/") else there
            at = event.at if found is there or not there else at
            found |= {(str(each["check"]), str(each["region"])): dict(each) for each in results}
    return {"at": at.isoformat(), "of_run": True, "results": [*(back | there).values()]} if at else None


def _migrations(journal: Journal, runs: Sequence[RunSummary], view: RunView | None) -> list[dict[str, Any]]:
    """The migration that the report is about, or else the newest ones, as the journal has them."""
    of_data = [run for run in runs if run.of_data]
    names = list(dict.fromkeys(run.subject for run in of_data))
    if view is not None and view.of_data:
        names = [str(view.opened["migration_id"])]
    found = []
    for name in names[:_MOST_MIGRATIONS]:
        found.append(
            _migration(name, [journal.view(run.run_id) for run in of_data[::-1] if run.subject == name])
        )
    return found


def _migration(name: str, views: Sequence[RunView]) -> dict[str, Any]:
    """One migration by its runs, the oldest first."""
    told: dict[str, Any] = {
        "id": name,
        "source": "",
        "target": "",
        "runs": [view.run_id for view in views],
        "by": list(dict.fromkeys(str(view.opened.get("by", "")) for view in views)),
        "started": views[0].started.isoformat(),
        "ended": views[-1].ended.isoformat() if views[-1].ended else None,
        "status": "not finished",
        "planned": None,
        "copied": 0,
        "proven": 0,
        "conflicts": 0,
        "taken_back": 0,
        "left_alone": 0,
        "bytes": 0,
        "throughput": [],
        "reasons": [],
    }
    for view in views:
        said = {step.step: step.data for step in view.steps}
        if view.kind == "migration":
            told |= {end: str(view.opened.get(end, "")) for end in ("source", "target")}
            _add_copying(told, view, said)
        else:
            _add_taking_back(told, view)
    return told


def _add_copying(told: dict[str, Any], view: RunView, said: Mapping[str, Mapping[str, object]]) -> None:
    planned = said.get("plan", {}).get("counts")
    if isinstance(planned, Mapping):
        told["planned"] = sum(int(planned.get(each, 0)) for each in ("new", "changed", "conflict"))
        told["same"] = int(planned.get("same", 0))
        told["conflicts"] = int(planned.get("conflict", 0))
    copying = said.get("copy", {})
    counts = view.result.get("counts") or copying.get("counts")
    if isinstance(counts, Mapping):
        told["copied"], told["proven"] = int(counts.get("written", 0)), int(counts.get("proven", 0))
    told["bytes"] = view.result.get("bytes") or told["bytes"]
    if isinstance(pace := copying.get("throughput"), list):
        told["throughput"] = pace
    back = view.result.get("taken_back")
    if isinstance(back, Mapping):
        told["taken_back"], told["left_alone"] = int(back.get("undone", 0)), int(back.get("conflict", 0))
    told["reasons"] += view.result.get("unproven") or ()
    if view.outcome:
        told["status"] = view.outcome.replace("_", " ")
    told["reasons"] += [
        {"item": step.step, "reason": str(step.data["error"])}
        for step in view.steps
        if step.phase == "failed" and "error" in step.data
    ]


def _add_taking_back(told: dict[str, Any], view: RunView) -> None:
    counts = view.result.get("counts")
    if isinstance(counts, Mapping):
        told["taken_back"], told["left_alone"] = int(counts.get("undone", 0)), int(counts.get("conflict", 0))
    if view.outcome:
        told["status"] = view.outcome.replace("_", " ")
    if view.opened.get("reason"):
        told["reasons"].append({"item": "taken back", "reason": str(view.opened["reason"])})


def _releases(journal: Journal, store: ReleaseStore, view: RunView | None) -> dict[str, Any]:
    """The releases that the run comes from and goes to, and those that regions run now, side by side; oldest first."""
    deployed = deployed_releases(journal).releases
    wanted = [digest for digest in deployed.values() if digest]
    opened = view.opened if view else {}
    plan = opened.get("plan")
    if plan:
        kept = plan_from_json(plan)
        wanted += [digest for digest in (*kept.before.values(), *kept.target.values()) if digest]
    for found in (opened.get("releases"), opened.get("promotion")):
        content = found.get("before", found) if isinstance(found, Mapping) else {}
        wanted += [str(digest) for digest in content.values() if digest]
    if isinstance(promotion := opened.get("promotion"), Mapping):
        wanted.append(str(promotion.get("after")))
    records = [record for record in store.kept()[::-1] if record.digest in wanted][-_MOST_RELEASES:]
    rows = _side_by_side(records)
    return {
        "columns": [
            {
                "digest": record.digest,
                "at": record.at.isoformat(),
                "by": record.by,
                "tool": record.tool_version,
                "runs_in": [region for region, digest in deployed.items() if digest == record.digest],
            }
            for record in records
        ],
        "rows": rows[:_MOST_ROWS],
        "more": max(0, len(rows) - _MOST_ROWS),
    }


def _side_by_side(records: Sequence[ReleaseRecord]) -> list[dict[str, Any]]:
    """One row a value that differs somewhere; of secrets only where they differ."""
    changes: dict[str, dict[int, tuple[object, object]]] = {}
    for place, (one, other) in enumerate(pairwise(records)):
        for each in differences(one.content, other.content, one.secret_digests, other.secret_digests):
            changes.setdefault(each.path, {})[place] = (each.before, each.after)
    rows = []
    for path, found in sorted(changes.items()):
        value = found[min(found)][0]
        values = [value]
        for place in range(len(records) - 1):
            value = found.get(place, (value, value))[1]
            values.append(value)
        if path.startswith("secrets."):
            values = _numbered(path.removeprefix("secrets."), records)
        rows.append({"path": path, "values": values})
    return rows


def _numbered(secret: str, records: Iterable[ReleaseRecord]) -> list[object]:
    """Which of its values a secret had in each release, as ``value 1``; None where it was not there."""
    digests = [record.secret_digests.get(secret) for record in records]
    order = list(dict.fromkeys(filter(None, digests)))
    return [f"value {order.index(digest) + 1}" if digest else None for digest in digests]


def _told_run(run: RunSummary) -> dict[str, Any]:
    return {
        "run": run.run_id,
        "kind": run.kind,
        "by": run.by,
        "started": run.started.isoformat(),
        "ended": run.ended.isoformat() if run.ended else None,
        "regions": list(run.regions),
        "subject": run.subject,
        "told": told_outcome(run),
        "tone": tone_of(run),
        "reason": run.reason,
    }


def _plain(value: Any) -> Any:
    """The story with its times as text."""
    if isinstance(value, ReportedRun):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value
