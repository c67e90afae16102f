"""Releases, runs, regions and steps as tables and lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType

from regionshift.journal.events import RunSummary
from regionshift.journal.lock import Holder
from regionshift.journal.releases import Difference, ReleaseRecord
from regionshift.operations.deploying import HalfDone
from regionshift.operations.status import Alarms, LastChange, releases_among, told_outcome
from regionshift.operations.unfinished import OpenRun
from regionshift.report.printer import Rows, Text
from regionshift.report.terminal import instant
from regionshift.report.values import Plan
from regionshift.runs.deployment_plan import WaveStep
from regionshift.runs.deployment_state import RegionState
from regionshift.runs.messages import News, relied_on

_SHORT = 12
_MOST_REGIONS = 3


def releases_table(
    records: Sequence[ReleaseRecord], regions: Mapping[str, Sequence[str]], program: str
) -> RenderableType:
    """One line a release, the newest first, with the regions that run it.

    ``program`` is today's: what another one made is marked, as only that one can bring it back.
    """
    if not records:
        return Text("No release is kept yet.")
    table = Rows("release", "made", "by", "tool", "changes", "runs in")
    for record in records:
        table.add(
            record.digest[:_SHORT],
            instant(record.at),
            record.by,
            record.tool_version + ("" if record.program == program else "*"),
            str(len(record.difference)) if record.previous else "first",
            ", ".join(regions.get(record.digest, ())) or "·",
        )
    if all(record.program == program for record in records):
        return table
    return Group(table, Text("* made for another program; going back to it needs that version", style="dim"))


def differences_table(found: Sequence[Difference]) -> RenderableType:
    """One line a value that differs."""
    if not found:
        return Text("They are alike.")
    table = Rows("what", "before", "after")
    for difference in found:
        table.add(difference.path, _value(difference.before), _value(difference.after))
    return table


def history_table(runs: Sequence[RunSummary]) -> RenderableType:
    """One line a run, the newest first; then why, of each that says so."""
    if not runs:
        return Text("Nothing was done yet.")
    table = Rows("run", "began", "seconds", "by", "regions", "of", "ended")
    for run in runs:
        took = f"{(run.ended - run.started).total_seconds():.1f}" if run.ended else ""
        table.add(
            run.run_id,
            instant(run.started),
            took,
            run.by,
            _some(run.regions),
            run.subject,
            told_outcome(run),
        )
    return Group(table, *(Text(f"{run.run_id}: {run.reason}", "dim") for run in runs if run.reason))


def _some(regions: Sequence[str]) -> str:
    """The first regions by name, and how many more."""
    more = len(regions) - _MOST_REGIONS
    return ", ".join(regions[:_MOST_REGIONS]) + (f" and {more} more" if more > 0 else "")


def _value(value: object) -> str:
    return "·" if value is None else str(value)


def standing_table(
    regions: Mapping[str, RegionState],
    unfinished: Sequence[OpenRun],
    half: HalfDone | None,
    holder: Holder | None,
    *,
    last: LastChange | None = None,
    alarms: Alarms = Alarms(),  # noqa: B008 - a frozen value
) -> RenderableType:
    """One line a region, who is at work, then what is not finished, half done or red, and what may be done about it."""
    changing = any(run.running for run in unfinished)
    table = Rows("region", "release", "")
    for region, state in regions.items():
        between = "is being changed" if changing else "between two releases"
        table.add(region, (state.release or "·")[:_SHORT], state.note or ("" if state.settled else between))
    parts: list[RenderableType] = [
        table if regions else Text("No region has a release." if half else "Nothing is up.")
    ]
    if holder:
        parts.append(Text(f"The lock is held by {holder}."))
    for run in unfinished:
        if run.running:
            parts.append(Text(f"The {run.kind} {run.run} is running: {run.at}", "cyan"))
        else:
            parts.append(Text(f"The {run.kind} {run.run} is not finished: {run.at}", "yellow"))
            parts.append(Text(f"  → {run.go_on}", "dim"))
    if half:
        parts.append(
            Text(
                f"The {half.kind} {half.run} ended half way ({half.outcome}): regions may be between two releases",
                "yellow",
            )
        )
        parts.append(Text(f"  → {half.go_on}", "dim"))
    parts += [] if changing else _last(regions, last)
    parts += (Text(f"{alarm} is in ALARM since {instant(alarm.since)}", "red") for alarm in alarms.red)
    parts += (Text(f"{alarm} has no data yet: green says nothing", "yellow") for alarm in alarms.silent)
    if alarms.silent:
        begin = "S3 begins 15 minutes after replication is switched on; regionshift validate tries it"
        parts.append(Text(f"  → {begin}", "dim"))
    unread = alarms.unread or {}
    parts += (Text(f"Alarms of {region} are not known: {why}", "yellow") for region, why in unread.items())
    return Group(*parts)


def _last(regions: Mapping[str, RegionState], last: LastChange | None) -> list[RenderableType]:
    lines: list[RenderableType] = []
    found = releases_among(regions)
    if len(found) > 1:
        each = "; ".join(f"{digest[:_SHORT]} in {', '.join(where)}" for digest, where in found.items())
        lines.append(Text(f"Regions run {len(found)} releases: {each}", "yellow"))
    if last:
        why = f": {last.reason}" if last.reason else ""
        lines.append(Text(f"The last {last.kind}, {last.run}: {last.ended}{why}", "yellow"))
        if last.go_on:
            lines.append(Text(f"  → {last.go_on}", "dim"))
    return lines


def step_line(step: WaveStep, phase: str, said: Mapping[str, object]) -> Text | None:
    """What a person reads of a step: one line when it ended; None for what says nothing."""
    where = ", ".join(step.regions)
    name = f"{step.name:<20} {where}"
    if phase == "before":
        return Text(f"… {name}", style="dim") if step.action in ("apply", "bake") else None
    if phase in ("failed", "earlier"):
        return None  # the news say it, or another process did
    regions = said.get("regions")
    if isinstance(regions, dict) and regions:
        return Text(f"! {name}  " + "; ".join(f"{r}: {w}" for r, w in regions.items()), style="yellow")
    relied = relied_on(said)
    return Text(f"✓ {name}{'  ' + relied if relied else ''}", style="green")


_NEWS = {"started": "bold", "success": "green", "error": "red"}
_DRIFT = {"create": "is gone", "delete": "is no part of the release"}


def news_line(news: News) -> Text:
    """What the topics are told too."""
    return Text(news.summary, style=_NEWS[news.status])


def drift_table(plan: Plan) -> RenderableType:
    """One line a thing that differs from its release, and the regions where it does."""
    if not plan.changes:
        return Text(f"{plan.environment}: as the releases say, {plan.unchanged} resources", style="green")
    found: dict[tuple[str, str], list[str]] = {}
    for change in plan.changes:
        ending = f"-{change.region}"
        name = change.name.removesuffix(ending) if change.region else change.name
        what = _DRIFT.get(change.op) or ", ".join(change.properties) or change.op
        found.setdefault((name, what), []).append(change.region or "all regions")
    table = Rows("what", "differs", "in")
    for (name, what), regions in sorted(found.items()):
        everywhere = len(regions) > 1 and set(regions) == set(plan.regions)
        table.add(name, what, f"all {len(regions)} regions" if everywhere else ", ".join(regions))
    told = f"{len(plan.changes)} differ from the releases, {plan.unchanged} do not; nothing was changed"
    return Group(table, Text(told, style="yellow"), Text("  → regionshift up --refresh", style="dim"))
