"""The data of `report`: one run from beginning to end, and the state of the environment, as plain data for JSON.

It comes from the journal and the kept releases alone, without a call to AWS. So the report of a run is always the same,
also while a region is down.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from regionshift.journal.events import RunSummary, RunView
from regionshift.journal.journal import Journal
from regionshift.journal.releases import ReleaseRecord, ReleaseStore, differences
from regionshift.operations import moves
from regionshift.operations.checks.last import LastChecks, last_checks
from regionshift.operations.environment import Environment
from regionshift.operations.moving.fencing import is_fenced, last_measured_in
from regionshift.operations.moving.promotion_plan import STEPS, STEPS_WITHOUT_SOURCE, promotion_from_json
from regionshift.operations.status import regions_now, told_outcome
from regionshift.operations.story import RunStory, parts_of, story_of
from regionshift.operations.unfinished import row_of, went_well
from regionshift.releases import deployed_releases, known_regions
from regionshift.report.values import as_data
from regionshift.runs.deployment_plan import plan_from_json
from regionshift.runs.deployment_state import DOWN, Outcome, RegionState, fold_deployment
from regionshift.runs.messages import relied_on
from regionshift.settings.config import Regions
from regionshift.settings.regions import PLACES

FORMAT = 1
"""The version of the data. It grows when a field changes its meaning, or is removed."""
_MOST_RUNS = 20
_MOST_LOOKED_AT = 100  # runs, for the newest measurement of a delay
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
    "undo": "undo",
    **{step.name: step.meaning for step in (*STEPS, *STEPS_WITHOUT_SOURCE)[::-1] if step.meaning},
    **{step.name: step.meaning for step in moves.STEPS},
}
_OF_A_DEPLOYMENT = {
    "apply": "apply",
    "validate": "check",
    "links": "join regions",
    "links/validate": "check replication",
}


@dataclass(frozen=True)
class ReportedStep:
    """One attempt at one step of a run.

    Args:
        label: what it does, in words. action: its name without its wave. back: it belongs to the way back.
        ended: None when its end was not recorded.
        state: ``done``, ``failed``, ``left`` (nothing was done, as a region takes no part), ``open`` (a command may
            work on it), or ``cut off`` (its command was stopped or killed).
        notes: its result in words. error: why it failed. said: its whole result.
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
    notes: tuple[str, ...]
    error: str
    said: Mapping[str, object]


@dataclass(frozen=True)
class Turn:
    """One turn of a run: a failure, a decision, or a step of the way back."""

    at: datetime
    what: str
    regions: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True)
class ReportedRun:
    """One run from beginning to end.

    Args:
        tone: ``good``, ``back`` (rolled back as it should be), ``bad``, or ``open``. told: how it ended, in words.
        waves: the regions that changed together, in order. per_region: the result for each region.
        go_on: the command that continues it while it is open. taken_back_by, parts, missing: see `RunStory`.
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
    taken_back_by: tuple[str, ...] = ()
    parts: tuple[ReportedRun, ...] = ()
    missing: str = ""


def report_data(
    environment: Environment,
    journal: Journal,
    store: ReleaseStore,
    run: str | None,
    *,
    by: str,
    version: str,
) -> dict[str, Any]:
    """Everything that the page shows, as plain JSON.

    Args:
        run: a name for `run_named`; None for the newest run, if there is one. by: who makes the report.

    Raises:
        InputError: there is no such run, or several may be meant.
    """
    config, journal = environment.config, journal.as_it_stands()
    runs = journal.history()
    name = run or _newest(journal, runs)
    story = _reported(journal, store, name) if name else None
    view = journal.view(story.run) if story else None
    regions = regions_now(environment, journal)
    known, links = last_checks(journal, list(regions)), deployed_releases(journal).links
    # As they are deployed: the settings may name what the next `up` brings.
    linked = (known_regions(store, links, config) if links else None) or config.regions
    return {
        "format": FORMAT,
        "environment": {
            "name": f"{config.project}-{config.suffix}",
            "account": config.account,
            "target": config.target,
            "primary": linked.primary,
            "rpo_seconds": config.recovery.rpo,
        },
        "made": {"at": environment.now().isoformat(), "by": by, "version": version},
        "story": _plain(story),
        "regions": [
            _region(region, state, linked.primary, config.all_regions) for region, state in regions.items()
        ],
        "links": _links(journal, runs, known, linked),
        "checks": (checks_of(story) if story else None) or _of_last(known),
        "migrations": _migrations(journal, runs, view),
        "releases": _releases(journal, store, view),
        "history": [_told_run(run) for run in runs[:_MOST_RUNS]],
    }


def _newest(journal: Journal, runs: Sequence[RunSummary]) -> str | None:
    """The newest run that no other run began; None where there is no run. ``runs``: the newest first."""
    for run in runs:
        around = (
            journal.view_or_none(other.run_id)
            for other in runs
            if other.started <= run.started and (other.ended is None or run.started <= other.ended)
        )
        parts = (part.run_id for other in around if other for part in parts_of(other, runs))
        if run.run_id not in parts:
            return run.run_id
    return None


def _reported(journal: Journal, store: ReleaseStore, name: str) -> ReportedRun:
    """One run, with the runs that it began."""
    story = story_of(journal, store, name)
    run = story.run
    view = journal.view(run.run_id)
    row = row_of(view)
    position = row.position(journal, view) if row and run.outcome is None else None
    where = _places(view, run.regions)
    steps = tuple(_steps(story, where))
    return ReportedRun(
        run.run_id,
        run.kind,
        _title(view),
        run.by,
        str(view.opened.get("reason") or ""),
        run.started,
        run.ended,
        tone_of(run),
        story.ended_as if run.outcome else f"not finished: {position.at if position else 'unknown'}",
        tuple(dict.fromkeys((*run.regions, *where[""]))),
        _waves(view),
        steps,
        tuple(_turns(story, steps)),
        _per_region(journal, view, story),
        row.go_on(journal, view) if row and run.outcome is None else "",
        story.taken_back_by,
        tuple(_reported(journal, store, part.run_id) for part in story.parts),
        story.missing,
    )


def _per_region(journal: Journal, view: RunView, story: RunStory) -> Mapping[str, str]:
    """The result for each region of a deployment in waves; when its record is damaged, by its end alone."""
    if "plan" not in view.opened:
        return {}
    if story.missing:
        return story.regions
    return fold_deployment(journal.events(view.run_id)).said_per_region(view.kind)


def tone_of(run: RunSummary) -> str:
    """Whether a run ended well: ``good``, ``back``, ``bad``, or ``open``."""
    if run.outcome is None:
        return "open"
    well = went_well(run)
    if well or (well is None and run.outcome == "succeeded"):
        return "good"
    return "back" if run.outcome in (Outcome.ROLLED_BACK, "rolled_back") else "bad"


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


def _steps(story: RunStory, where: Mapping[str, tuple[str, ...]]) -> Iterator[ReportedStep]:
    """Every attempt at every step, in the order in which they began. ``where``: see `_places`."""
    words = _OF_A_DEPLOYMENT if story.run.kind in ("deployment", "rollback", "destroy") else {}
    attempts = [step for step in story.steps if step.end != "decided"]
    for place, step in enumerate(attempts):
        parts = _STEP.fullmatch(step.name)
        action = parts["action"] if parts else step.name
        # Its command was stopped or killed: the run ended, or another command went on.
        is_over = story.run.outcome is not None or place < len(attempts) - 1
        yield ReportedStep(
            step.name,
            words.get(action) or _LABELS.get(action, action),
            action,
            int(parts["wave"]) if parts and parts["wave"] else None,
            step.back,
            step.regions or where.get(step.name, where[""]),
            step.began,
            None if step.seconds is None else step.began + timedelta(seconds=step.seconds),
            "left" if step.said.get("left") else "cut off" if step.end == "open" and is_over else step.end,
            tuple(_notes(step.said)),
            step.why,
            step.said,
        )


def _places(view: RunView, everywhere: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """The regions of each step whose events do not name them. Under "": those of every other step."""
    found: dict[str, tuple[str, ...]] = {"": everywhere}
    if view.kind == "promotion":
        change = promotion_from_json(view.opened.get("promotion"))
        found[""] = change.present
        found |= {f"{way}{step.name}": step.regions for step in change.steps for way in ("", "back/")}
    return found


def _notes(said: Mapping[str, object]) -> Iterator[str]:
    """The result of a step in words. Data that is not known here is left out."""
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


def _turns(story: RunStory, steps: Sequence[ReportedStep]) -> Iterator[Turn]:
    """Failures, decisions and steps of the way back, in order."""
    found = [
        Turn(step.began, "somebody decided to roll it back", ())
        for step in story.steps
        if step.end == "decided"
    ]
    for step in steps:
        if step.state == "cut off":
            found.append(Turn(step.began, f"{_name(step)} was cut off", step.regions))
        elif step.ended and step.state == "failed":
            found.append(Turn(step.ended, f"{_name(step)} failed", step.regions, step.error))
        elif step.ended and step.back and step.state == "done":
            found.append(Turn(step.ended, f"{_name(step)}: done", step.regions))
    return iter(sorted(found, key=lambda turn: turn.at))


def _name(step: ReportedStep) -> str:
    wave = f"wave {step.wave}, " if step.wave else ""
    return f"{'rollback, ' if step.back else ''}{wave}{step.label}"


def _region(region: str, state: RegionState, primary: str, named: Sequence[str]) -> dict[str, Any]:
    place = PLACES.get(region)
    role = "primary" if region == primary else "secondary" if region in named else "not in the settings"
    if state.note:
        how = "down" if state.note == DOWN else "fenced" if is_fenced(state) else "attention"
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
    linked: Regions,
) -> list[dict[str, Any]]:
    """Every replication, with the newest delay since the last change of primary.

    It was measured by a run, or by a `validate`, which is no run.
    """
    turned = next((run for run in runs if run.outcome == "promoted"), None)
    by_runs, found = last_measured_in(journal, linked.secondaries, _MOST_LOOKED_AT), []
    for region in linked.secondaries:
        run, checks = by_runs.get(region), known.get(region)
        seen = (
            [(run.at, run.seconds, run.run_id)] if run and (not turned or run.run_id >= turned.run_id) else []
        )
        if checks and checks.replication_seconds is not None and (not turned or checks.at > turned.started):
            seen.append((checks.at, checks.replication_seconds, ""))
        at, seconds, by = max(seen, default=(None, None, ""))
        measured = {"seconds": seconds, "at": at.isoformat() if at else None, "run": by or None}
        found.append({"from": linked.primary, "to": region, **measured})
    return found


def _of_last(known: Mapping[str, LastChecks]) -> dict[str, Any] | None:
    """The last checks of every region, for a run without checks of its own; None when there are none."""
    if not known:
        return None
    results = [result for checks in known.values() for result in as_data(checks.results)]
    return {
        "at": max(checks.at for checks in known.values()).isoformat(),
        "of_run": False,
        "results": results,
    }


def checks_of(run: ReportedRun) -> dict[str, Any] | None:
    """The last answer to each check of a run and its parts; None when they made no checks, or kept none.

    A check of the way back counts only without one of the way there: it shows that all is well again, and not what was
    wrong.
    """
    there, back = dict[tuple[str, str], dict[str, Any]](), dict[tuple[str, str], dict[str, Any]]()
    at = None
    for step in (step for each in (*run.parts, run) for step in each.steps):
        results = step.said.get("results")
        if isinstance(results, list):
            found = back if step.back else there
            at = step.ended if found is there or not there else at
            found |= {(str(each["check"]), str(each["region"])): dict(each) for each in results}
    return {"at": at.isoformat(), "of_run": True, "results": [*(back | there).values()]} if at else None


def _migrations(journal: Journal, runs: Sequence[RunSummary], view: RunView | None) -> list[dict[str, Any]]:
    """The migration of the reported run, or else the newest ones, by the journal."""
    of_data = [run for run in runs if run.of_data]
    names = list(dict.fromkeys(run.subject for run in of_data))
    if view is not None and view.of_data:
        names = [str(view.opened["migration_id"])]
    found = []
    for name in names[:_MOST_MIGRATIONS]:
        views = [journal.view_or_none(run.run_id) for run in of_data[::-1] if run.subject == name]
        if whole := [view for view in views if view]:
            found.append(_migration(name, whole))
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
        told["reasons"].append({"item": "undone", "reason": str(view.opened["reason"])})


def _releases(journal: Journal, store: ReleaseStore, view: RunView | None) -> dict[str, Any]:
    """The releases before and after the run, and those that regions run now, side by side, oldest first."""
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
    """One row for each value that differs. Of secrets only which of their values each release has."""
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
    """The number of the secret's value in each release, as ``value 1``; None when the release does not have it."""
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
    """``value`` as plain JSON, without the raw results of steps, which ``notes`` has in words."""
    if isinstance(value, ReportedRun):
        return _plain({**asdict(value), "parts": value.parts})
    if isinstance(value, Mapping) and "notes" in value:
        value = {name: each for name, each in value.items() if name != "said"}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value
