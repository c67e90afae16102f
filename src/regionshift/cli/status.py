"""`status`, `history`, `releases`, `diff`, `drift`, `outputs`: what only looks, as tables and as JSON."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial

from rich.console import Group, RenderableType

from regionshift.cli.opening import opened, tools_of
from regionshift.cli.options import Choices
from regionshift.cli.show import (
    console,
    print_json,
    screen_of,
    working,
)
from regionshift.errors import EXIT_FAILED, EXIT_OK, Interrupted, Refused
from regionshift.journal.releases import Difference, ReleaseRecord
from regionshift.operations.planning import make_plan
from regionshift.operations.status import (
    LastChange,
    StatusReport,
    regions_now,
    status_of,
    verdict_of,
)
from regionshift.releases import deployed_releases
from regionshift.report.folding import listed
from regionshift.report.live import WatchView
from regionshift.report.migrations import migrations_table
from regionshift.report.printer import Rows, Text
from regionshift.report.terminal import duration, instant, outputs_view, short, value_text
from regionshift.report.values import Plan, as_data

_MOST_REGIONS = 3
_MOST_MIGRATIONS = 5
_HEALTH = {"well": "green", "no answer": "red bold", "changing": "cyan", "nothing": "dim"}
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


def run_status(choices: Choices, watch: float | None = None) -> int:
    """Show every region, each problem and its remedy; 1 if there is a problem.

    Args:
        watch: look again every so many seconds, until Ctrl-C.
    """
    with opened(choices) as session:
        look = partial(status_of, tools_of(choices, session), session.store, session.identity.scope)
        if watch is not None:
            return _watched(choices, look, watch)
        with working(choices, "asking every region"):
            found = look()
    if choices.as_json:
        print_json(found.to_json())
    else:
        screen = console(choices)
        screen.print(status_view(found, screen.height if screen.is_live else 0, whole=choices.verbose))
    return EXIT_OK if found.is_well else EXIT_FAILED


def _watched(choices: Choices, look: Callable[[], StatusReport], pause: float) -> int:
    """Show what ``look`` finds again and again: in place at a terminal, else one after the other.

    Raises:
        Interrupted: Ctrl-C, which is how it ends, so nothing is said of it.
    """
    screen = console(choices)
    try:
        with working(choices, "asking every region"):
            found = look()
        if choices.as_json:
            while True:
                print_json(found.to_json(), indent=None)
                time.sleep(pause)
                found = look()
        with WatchView(screen, lambda room: status_view(found, room, whole=choices.verbose)) as view:
            while True:
                view.show()
                time.sleep(pause)
                found = look()
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted("") from None


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
            short(record.digest),
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
        table.add(difference.path, value_text(difference.before), value_text(difference.after))
    return table


def status_view(found: StatusReport, room: int = 0, *, whole: bool = False) -> RenderableType:
    """The status: a line for each region, each problem with its remedy, the last change, the verdict.

    Args:
        room: lines of the terminal. If the regions would take more than half of them, equal regions share a line.
            0: no limit. whole: every region has its own line.
    """
    place = found.place
    parts: list[RenderableType] = []
    told = f"{place.name}  {place.target}, account {place.account}, {instant(place.at)}"
    parts.append(Text(told, "bold"))
    if found.regions:
        parts += _regions_of(found, 0 if whole else room // 2)
    else:
        parts.append(Text("No region has a release." if found.half_done else "Nothing is up."))
    if found.lock:
        parts.append(Text(f"The lock is held by {found.lock}."))
    parts += (
        Text(f"The {run.kind} {run.run} is running: {run.at}", "cyan")
        for run in found.unfinished
        if run.running
    )
    for problem in found.problems:
        if problem.kind in ("open migration", "unread migration"):
            continue  # the table of migrations says it
        red = problem.kind in ("silent region", "red alarm", "failed check")
        parts.append(Text(problem.what, "red" if red else "yellow"))
        if problem.go_on:
            parts.append(Text(f"  → {problem.go_on}", "dim"))
    parts += _unseen(found)
    parts += _last(found.last_change)
    parts += _migrations(found)
    if found.problems:
        parts.append(Text(f"Not well: {verdict_of(found.problems)}", "bold red"))
    elif found.regions:
        parts.append(Text("Well, and being changed." if found.is_changing else "Well.", "bold green"))
    if found.next_command:
        parts.append(Text("next: ", "bold").append(found.next_command, "not bold"))
    return Group(*parts)


def _regions_of(found: StatusReport, most: int) -> list[RenderableType]:
    """A line a region; those that are well and alike in one, where there would be more than ``most`` lines."""
    table = Rows("region", "role", "release", "health", "checked", "behind")
    alike: dict[tuple[str, str], list[str]] = {}
    for region, state in found.regions.items():
        alike.setdefault((state.release or "", found.health(region)), []).append(region)
    folded = (
        [] if not most or len(found.regions) <= most else [each for each in alike.values() if len(each) > 2]
    )
    hidden = {region for each in folded for region in each if region != found.place.primary}
    for region, state in found.regions.items():
        if region in hidden:
            continue
        health, checks = found.health(region), found.checks.get(region)
        table.add(
            region,
            "primary" if region == found.place.primary else "·",
            short(state.release or "·"),
            Text(health, _HEALTH.get(health, "yellow")),
            _ago(found.place.at, checks.at) if checks else "·",
            _behind(found, region),
        )
    parts: list[RenderableType] = [table]
    for each in folded:
        rest = [region for region in each if region in hidden]
        health, release = found.health(rest[0]), found.regions[rest[0]].release
        text = f"… and {len(rest)} more, {health}, release {short(release or '·')}: --verbose names them"
        parts.append(Text(text, "dim" if health == "well" else "yellow"))
    return parts


def _behind(found: StatusReport, region: str) -> str:
    """How late the replication is, and what waits."""
    behind = found.replication(region)
    if behind is None:
        return "·"
    seconds = behind.seconds
    told = "" if seconds is None else f"{seconds:.2f} s" if seconds < 1 else duration(seconds)
    waiting = f"{behind.operations} left" if behind.operations else ""
    return ", ".join(each for each in (told, waiting) if each) or "·"


def _ago(now: datetime, at: datetime) -> str:
    """How long ago, in its largest unit."""
    return " ".join(duration(max(0.0, (now - at).total_seconds())).split()[:2])


def _unseen(found: StatusReport) -> Iterator[RenderableType]:
    """What nobody could look at: it is no fault, and no sign that all is well."""
    signals = found.signals
    for alarm in signals.silent:
        yield Text(f"{alarm} has no data yet: green says nothing", "yellow")
    if signals.silent:
        begin = "S3 begins 15 minutes after replication is switched on; regionshift validate tries it"
        yield Text(f"  → {begin}", "dim")
    for alarm in signals.unseen:
        yield Text(f"{alarm}: not allowed to see whether it has data", "yellow")
    if signals.unseen:
        yield Text("  → allow cloudwatch:GetMetricData", "dim")
    for region, why in signals.unread.items():
        yield Text(f"Alarms of {region} are not known: {why}", "yellow")
    for region, why in signals.unmeasured.items():
        yield Text(f"How far {region} is behind is not known: {why}", "yellow")
    unchecked = [
        r for r, state in found.regions.items() if state.release and not state.note and r not in found.checks
    ]
    if unchecked and not found.is_changing:
        yield Text(f"Not checked since the last change: {listed(unchecked, most=_MOST_REGIONS)}", "dim")
        yield Text("  → regionshift validate", "dim")


def _last(last: LastChange | None) -> Iterator[RenderableType]:
    if last is None:
        return
    who = f", by {last.by}" if last.by else ""
    when = f", {instant(last.at)}" if last.at else ""
    why = f": {last.reason}" if last.reason else ""
    yield Text(
        f"The last {last.kind}, {last.run}: {last.ended}{who}{when}{why}", "" if last.succeeded else "yellow"
    )
    if last.go_on:
        yield Text(f"  → {last.go_on}", "dim")


def _migrations(found: StatusReport) -> Iterator[RenderableType]:
    """Those that are not finished, and the newest of the others."""
    left = [each for each in found.migrations if not each["settled"] or each.get("running")]
    others = [each for each in found.migrations if each not in left]
    shown = [*left, *others[: max(0, _MOST_MIGRATIONS - len(left))]]
    if shown:
        yield migrations_table(shown)
    if more := len(found.migrations) - len(shown):
        yield Text(f"… and {more} that ended before: regionshift status --json", "dim")
    if found.migrations_unread:
        yield Text(found.migrations_unread, "yellow")


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
