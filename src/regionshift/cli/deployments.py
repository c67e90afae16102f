"""`up` in waves, `rollback`, `releases`, `diff`, `history`, `status` and `drift`, as a person sees them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from regionshift.cli.deployment_tables import (
    differences_table,
    drift_table,
    history_table,
    releases_table,
    standing_table,
)
from regionshift.cli.migrations import all_migrations, rollback_migration
from regionshift.cli.opening import carrying_in, opened
from regionshift.cli.options import Choices
from regionshift.cli.running import driver
from regionshift.cli.show import ask, confirm, console, person_is_there, print_json, working
from regionshift.errors import EXIT_FAILED, EXIT_OK, Refused, RegionshiftError
from regionshift.journal.journal import Journal
from regionshift.journal.lock import holder_to_json, living_holder
from regionshift.operations.deploying import half_done
from regionshift.operations.migrations.taking_back import require_all_takeable
from regionshift.operations.moving.fencing import with_fenced
from regionshift.operations.plan_up import begun_under
from regionshift.operations.planning import make_plan
from regionshift.operations.status import alarms_now, last_change, releases_among
from regionshift.operations.unfinished import (
    alive_runs,
    changed_by_open_runs,
    open_runs,
    require_finished,
    worked_on,
)
from regionshift.operations.up import PlanRefused
from regionshift.operations.waves import deploying
from regionshift.operations.waves.deploying import written_since
from regionshift.operations.waves.facts import terms_of
from regionshift.operations.waves.pruning import prune
from regionshift.releases import deployed_releases
from regionshift.report.migrations import migrations_table
from regionshift.report.terminal import findings_table, plan_table
from regionshift.report.values import Finding, Plan, as_data
from regionshift.runs.deployment_state import DeploymentState, Outcome, RegionState
from regionshift.session import Session
from regionshift.settings.config import MigrationConfig


def up_in_waves(
    choices: Choices,
    session: Session,
    intent: deploying.Intent,
    findings: Sequence[Finding],
    *,
    allow_data_loss: bool = False,
    refresh: bool = False,
    despite_alarms: bool = False,
) -> int:
    """Do what was planned, wave by wave; ``findings`` of the plan stand in the JSON of its end."""
    deployed = deployed_releases(session.journal)
    terms = terms_of(session.environment.config, refresh=refresh, allow_data_loss=allow_data_loss)
    intent = begun_under(
        session.environment, session.journal, intent, deployed, terms, despite_alarms=despite_alarms
    )
    with driver(choices, session) as driving:
        state = deploying.begin(driving, session.catalog, intent, deployed)
    return ended(choices, session, state, more={"findings": as_data(findings)})


def run_deployment_rollback(
    choices: Choices,
    run_id: str | None,
    *,
    to_nothing: bool,
    allow_data_loss: bool,
    with_data: bool = False,
    reason: str = "",
) -> int:
    """Bring the regions that a deployment changed back to what each had, its migrations' data first if wanted.

    All is shown and asked before anything is taken back. Data goes first: what wrote it must still be there.
    """
    options = _BackOptions(to_nothing, allow_data_loss, reason)

    def skipped(journal: Journal) -> Collection[str]:
        return deploying.left_out_by(journal, run_id)

    with opened(choices, locked=True, skipped=skipped) as session:
        with working(choices, "planning"):
            way = _way_back(session, run_id, options)
        _show(choices, way.plan)
        written = written_since(session.journal, way.undone, way.intent.plan.target)
        data = [
            each for each in written if with_data or _wants_back(choices, each, session.environment.config)
        ]
        left_out = session.environment.scope.left_out
        if data:
            with carrying_in(choices, session) as carrying:
                require_all_takeable(carrying, data)
        confirm(
            choices,
            f"Take back deployment {way.undone}, {len(way.plan.changes)} resources{_also(data)}?",
            session.environment.config,
        )
        if not data:
            return _go_back(choices, session, way, options)
    taken_back: list[dict[str, Any]] = []
    for migration in data:
        why = f"with deployment {way.undone}"
        done = rollback_migration(replace(choices, yes=True), migration, why, skipped=left_out)
        taken_back.append(done.as_json)
        if not done.whole:
            if choices.as_json:
                print_json({"outcome": "data is not back", "data": taken_back})
            return EXIT_FAILED
    with opened(choices, locked=True, skipped=skipped) as session:
        # Nobody held the lock for a moment, so it is planned again.
        return _go_back(choices, session, _way_back(session, way.undone, options), options, taken_back)


@dataclass(frozen=True)
class _BackOptions:
    to_nothing: bool
    allow_data_loss: bool
    reason: str


@dataclass(frozen=True)
class _WayBack:
    """What takes the run ``undone`` back, and what the engine says that it changes."""

    undone: str
    intent: deploying.Intent
    plan: Plan


def _way_back(session: Session, run_id: str | None, options: _BackOptions) -> _WayBack:
    require_finished(session.journal)
    undone, intent = deploying.plan_rollback(
        session.journal, deployed_releases(session.journal), run_id, to_nothing=options.to_nothing
    )
    plan, intent = deploying.preview_rollback(
        session.environment, session.catalog, intent, [], allow_data_loss=options.allow_data_loss
    )
    return _WayBack(undone, intent, plan)


def _go_back(
    choices: Choices,
    session: Session,
    way: _WayBack,
    options: _BackOptions,
    data: Sequence[Mapping[str, Any]] = (),
) -> int:
    if way.plan.errors:
        raise PlanRefused(way.plan.errors)
    terms = terms_of(session.environment.config, allow_data_loss=options.allow_data_loss)
    intent = deploying.under(way.intent, terms)
    why = {"reason": options.reason} if options.reason else {}
    run = session.journal.start("rollback", {**intent.facts.opening(intent.plan), "of": way.undone, **why})
    with driver(choices, session) as driving:
        state = driving.drive(run)
    code = ended(choices, session, state, "rollback", {"data": list(data)} if data else {})
    say_what_the_settings_say(choices)
    return code


def say_what_the_settings_say(choices: Choices) -> None:
    console(choices).print(
        "The settings still say what was taken back: change them, or the next `up` brings it again.",
    )


def _also(data: Collection[str]) -> str:
    return f", and what {', '.join(data)} wrote" if data else ""


def _wants_back(choices: Choices, migration: str, config: MigrationConfig) -> bool:
    said = f"Migration {migration} wrote data while that release ran."
    if choices.yes or not person_is_there():
        console(choices).print(
            f"{said} It stays; --with-data takes it back too, as does: regionshift rollback {migration}",
        )
        return False
    return ask(choices, f"{said} Take it back too?", config)


def run_releases(choices: Choices) -> int:
    """Every kept release, the newest first, and where it runs."""
    with opened(choices) as session:
        records = session.catalog.store.kept()
        regions = _as_they_are(session)
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


def run_history(choices: Choices, limit: int) -> int:
    """The newest runs and how each ended."""
    with opened(choices) as session:
        runs = session.journal.history(limit)
    if choices.as_json:
        print_json(as_data(runs))
    else:
        console(choices).print(history_table(runs))
    return EXIT_OK


def run_status(choices: Choices) -> int:
    """Every region and its release, and what is not finished; 1 when something is not as it should be.

    What a living command works on is as it should be; what lies beside it is not. Nor is a migration whose record
    cannot be read: it may be open.
    """
    with opened(choices) as session:
        environment = session.environment
        deployed = with_fenced(deployed_releases(session.journal), session.journal)
        holder = living_holder(session.store, session.identity.scope, environment.now())
        alive = alive_runs(session.journal, holder.run_id if holder else None)
        unfinished, half = open_runs(session.journal, alive), half_done(session.journal)
        changing = any(run.running for run in unfinished)
        with working(choices, "asking every region"):
            migrations, unread = all_migrations(session)
        regions = _as_they_are(session)
        last = None if half else last_change(session.journal, regions)
        up = [
            r for r, s in regions.items() if s.release and not s.note and r not in environment.scope.uncalled
        ]
        with working(choices, "asking every region for its alarms"):
            alarms = alarms_now(environment, up)
        ids = [str(each["migration_id"]) for each in migrations]
        under_way = worked_on(session.journal, ids, alive)
    migrations = [{**each, "running": each["migration_id"] in under_way} for each in migrations]
    releases = releases_among(regions)
    if choices.as_json:
        print_json(
            {
                "regions": {region: asdict(state) for region, state in regions.items()},
                "links": deployed.links,
                "unfinished": as_data(unfinished),
                "running": changing,
                "half_done": asdict(half) if half else None,
                "last_change": asdict(last) if last else None,
                "lock": holder_to_json(holder) if holder else None,
                "alarms": [alarm.to_json() for alarm in alarms.red],
                "alarms_without_data": list(alarms.silent),
                "alarms_unread": alarms.unread or None,
                "migrations": migrations,
                "migrations_unread": unread or None,
            }
        )
    else:
        screen = console(choices)
        screen.print(standing_table(regions, unfinished, half, holder, last=last, alarms=alarms))
        if migrations:
            screen.print(migrations_table(migrations))
        if unread:
            screen.print(unread, style="yellow")
    settled = all(state.settled for state in deployed.regions.values()) and len(releases) < 2
    well = changing or (settled and half is None)
    well = (
        well
        and all(run.running for run in unfinished)
        and not alarms.red
        and all(each["settled"] or each["running"] for each in migrations)
    )
    # While a destroy runs, the records go.
    going = any(run.running and run.kind == "destroy" for run in unfinished)
    return EXIT_OK if well and (going or not unread) else EXIT_FAILED


def _as_they_are(session: Session) -> dict[str, RegionState]:
    """Every region as the finished runs left it, and as far as an open one has changed it; the primary first.

    A region that is no more in the settings and has nothing is left out.
    """
    found = dict(with_fenced(deployed_releases(session.journal), session.journal).regions)
    found |= changed_by_open_runs(session.journal)
    named = session.environment.config.all_regions
    gone = {r for r, state in found.items() if r not in named and state.settled and state.release is None}
    return {region: found[region] for region in [*named, *sorted(found)] if region in found.keys() - gone}


def run_drift(choices: Choices) -> int:
    """What differs from the releases, read from the cloud; changes nothing. 1 when something differs."""
    with opened(choices, locked=True) as session:
        environment = session.environment
        deployed = deployed_releases(session.journal)
        if deployed.is_empty:
            raise Refused("Nothing is up, so nothing can have drifted.", remedy="run `regionshift up` first")
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


def _show(choices: Choices, plan: Plan) -> None:
    if not choices.as_json:
        console(choices).print(plan_table(plan, whole=choices.verbose))
        if plan.findings:
            console(choices).print(findings_table(plan.findings))
    if plan.errors:
        raise PlanRefused(plan.errors)


def ended(
    choices: Choices,
    session: Session,
    state: DeploymentState,
    kind: str = "deployment",
    more: Mapping[str, Any] = MappingProxyType({}),
    *,
    back: bool = False,
) -> int:
    """Show how a deployment ended; 0 when what was asked for was done, which with ``back`` is to take it back."""
    regions = state.said_per_region(kind)
    if choices.as_json:
        print_json({"outcome": verdict(state), "regions": regions, "failed": state.failed, **more})
    else:
        screen = console(choices)
        for region, said in regions.items():
            screen.print(f"  {region:<16} {said}")
    prune_releases(choices, session)
    wanted = Outcome.ROLLED_BACK if back else Outcome.SUCCEEDED
    return EXIT_OK if state.verdict is wanted else EXIT_FAILED


def prune_releases(choices: Choices, session: Session) -> None:
    """Remove the releases that are kept no longer. What is done stays done when that cannot be."""
    try:
        prune(session.journal, session.catalog)
    except RegionshiftError as error:
        console(choices).print(
            f"warning: old releases could not be removed: {error.message}; the next `up` tries again.",
            style="yellow",
        )


def verdict(state: DeploymentState) -> str:
    return str(state.verdict.value if state.verdict else "unfinished")
