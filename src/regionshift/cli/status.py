"""`status`, `history`, `releases`, `diff`, `drift`, `outputs`: what only looks, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Group, RenderableType

from regionshift.cli.opening import opened, tools_of
from regionshift.cli.options import Choices
from regionshift.cli.show import (
    confirm,
    console,
    print_json,
    screen_of,
    working,
)
from regionshift.errors import EXIT_FAILED, EXIT_OK, Refused
from regionshift.journal.events import RunSummary
from regionshift.journal.lock import Holder
from regionshift.journal.releases import Difference, ReleaseRecord
from regionshift.operations.deploying import HalfDone
from regionshift.operations.planning import make_plan
from regionshift.operations.status import (
    Alarms,
    LastChange,
    regions_now,
    releases_among,
    status_of,
    told_outcome,
)
from regionshift.operations.unfinished import (
    OpenRun,
)
from regionshift.releases import deployed_releases
from regionshift.report.migrations import migrations_table
from regionshift.report.printer import Rows, Text
from regionshift.report.terminal import instant, outputs_view
from regionshift.report.values import Plan, as_data
from regionshift.runs.deployment_state import RegionState

_SHORT = 12
_MOST_REGIONS = 3
_DRIFT = {"create": "is gone", "delete": "is no part of the release"}


def run_outputs(choices: Choices) -> int:
    """The flat mapping of outputs; 1 when the environment is not up."""
    with opened(choices) as session:
        values = session.environment.engine.outputs()
        name = session.environment.name
    if choices.as_json:
        print_json(values)
    elif values:
        console(choices).print(outputs_view(values))
    if not values:
        screen_of(stderr=True).print(f"The environment {name} is not up: there are no outputs.")
        return EXIT_FAILED
    return EXIT_OK


def run_status(choices: Choices) -> int:
    """Every region and its release, and what is not finished; 1 when something is not as it should be."""
    with opened(choices) as session, working(choices, "asking every region"):
        found = status_of(tools_of(choices, session), session.store, session.identity.scope)
    if choices.as_json:
        print_json(found.to_json())
    else:
        screen = console(choices)
        screen.print(
            standing_table(
                found.regions,
                found.unfinished,
                found.half_done,
                found.lock,
                last=found.last_change,
                alarms=found.alarms,
            )
        )
        if found.migrations:
            screen.print(migrations_table(found.migrations))
        if found.migrations_unread:
            screen.print(found.migrations_unread, style="yellow")
    return EXIT_OK if found.is_well else EXIT_FAILED


def run_history(choices: Choices, limit: int) -> int:
    """The newest runs and how each ended."""
    with opened(choices) as session:
        runs = session.journal.history(limit)
    if choices.as_json:
        print_json(as_data(runs))
    else:
        console(choices).print(history_table(runs))
    return EXIT_OK


def run_seal(choices: Choices) -> int:
    """Show every run that has events without a seal, ask, and take them for the environment's own."""
    with opened(choices, locked=True, unsealed=True) as session:
        journal = session.journal
        found = journal.unsealed()
        runs = journal.runs_of(found)
        if choices.as_json:
            print_json(as_data(runs))
        else:
            console(choices).print(history_table(runs) if found else "Everything in the journal is sealed.")
        if found:
            question = f"Take {len(found)} events and copies of {len(runs)} runs as they are?"
            confirm(choices, question, session.environment.config)
            journal.take(found)
    return EXIT_OK


def run_releases(choices: Choices) -> int:
    """Every kept release, the newest first, and where it runs."""
    with opened(choices) as session:
        records = session.catalog.store.kept()
        regions = regions_now(session.environment, session.journal)
    runs = {r.digest: [g for g, state in regions.items() if state.release == r.digest] for r in records}
    if choices.as_json:
        hidden = ("content", "sealed", "secret_digests")
        print_json(
            [
                {
                    **{name: value for name, value in asdict(record).items() if name not in hidden},
                    "tool": record.tool_version,
                    "plugin": record.plugin_version,
                    "artifact": record.artifact,
                    "regions": runs[record.digest],
                }
                for record in records
            ]
        )
    else:
        console(choices).print(releases_table(records, runs, session.catalog.program))
    return EXIT_OK


def run_diff(choices: Choices, one: str, other: str) -> int:
    """What differs from one kept release to another."""
    with opened(choices) as session:
        found = session.catalog.store.diff(one, other)
    if choices.as_json:
        print_json([difference.to_json() for difference in found])
    else:
        console(choices).print(differences_table(found))
    return EXIT_OK


def run_drift(choices: Choices) -> int:
    """What differs from the releases, read from the cloud; changes nothing. 1 when something differs."""
    with opened(choices, locked=True) as session:
        environment = session.environment
        deployed = deployed_releases(session.journal)
        if deployed.is_empty:
            raise Refused(
                "Nothing is up, so nothing can have drifted.",
                remedy="run `regionshift up` first",
                error_id="RS-ENVIRONMENT-002",
            )
        catalog = session.catalog
        releases = {
            r: catalog.take(d)
            for r, d in deployed.releases.items()
            if d and r not in environment.scope.uncalled
        }
        links = catalog.take(deployed.links) if deployed.links and not environment.scope.left_out else None
        program = environment.program(releases, links=links)
        with working(choices, "reading back what is there"):
            record = environment.engine.preview(program, refresh=True, excluded=environment.excluded)
        plan = make_plan(environment, record, [], allow_data_loss=True)
    if choices.as_json:
        print_json({"drift": as_data(plan.changes), "unchanged": plan.unchanged})
    else:
        console(choices).print(drift_table(plan))
    return EXIT_FAILED if plan.changes else EXIT_OK


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
    parts += (Text(f"{alarm}: not allowed to see whether it has data", "yellow") for alarm in alarms.unseen)
    if alarms.unseen:
        parts.append(Text("  → allow cloudwatch:GetMetricData", "dim"))
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
