"""Plan a change in waves of an environment that is up; roll one back; resume one after a kill."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from regionshift.errors import InputError, Refused
from regionshift.journal.events import DECISION, RunSummary, RunView
from regionshift.journal.journal import Journal
from regionshift.journal.releases import ReleaseRecord, to_prune
from regionshift.operations.alarms import RedAlarm
from regionshift.operations.environment import Environment
from regionshift.operations.moving.promotion_plan import rollback_obstacle
from regionshift.operations.moving.proposing import take_over_engine
from regionshift.operations.planning import home_of, is_link, link_targets, make_plan, targets_of
from regionshift.operations.up import Proposal
from regionshift.operations.waves.facts import Facts, Terms, facts_from_json, terms_of
from regionshift.operations.waves.wave_run import WaveDriver
from regionshift.releases import DeployedReleases, ReleaseCatalog, deployed_releases
from regionshift.report.values import Finding, Plan
from regionshift.runs.deployment_plan import (
    DeploymentPlan,
    plan_from_json,
    plan_waves,
    rollback_plan,
    way_back_waves,
)
from regionshift.runs.deployment_state import DeploymentState, fold_deployment

KINDS = ("deployment", "rollback")


@dataclass(frozen=True)
class Intent:
    """A planned deployment."""

    plan: DeploymentPlan
    facts: Facts


def plan_deployment(
    environment: Environment,
    deployed: DeployedReleases,
    preview: Plan,
    *,
    down: Collection[str] = (),
) -> Intent | None:
    """The waves that do what ``preview`` shows; None when there is nothing to do, or when it must go in one run.

    One run does it when no region is up yet, when a region is removed, and when only links change.

    Args:
        down: the regions that are left out because they do not answer. The plan marks them.
    """
    left_out = environment.scope.left_out
    regions = environment.config.all_regions
    homes = {change.urn: home_of(change.urn, regions) for change in preview.changes}
    strays = [urn for urn, home in homes.items() if home is None and not is_link(urn)]
    if deployed.is_empty or strays or (preview.is_empty and not deployed.unsettled - left_out):
        return None
    target = environment.release().digest
    moved = frozenset(home for home in homes.values() if home is not None)
    before = {region: deployed.releases.get(region) for region in regions}
    unsettled = (deployed.unsettled | moved) - left_out
    waves = plan_waves(environment.config, before, target, unsettled=unsettled, left_out=left_out)
    if not waves:
        return None
    plan = DeploymentPlan(
        before=before,
        target={region: target for wave in waves for region in wave.regions},
        waves=tuple(waves),
        on_failure=environment.config.deployment.on_failure,
        failure_tolerance=environment.config.deployment.failure_tolerance,
        unsettled=deployed.unsettled & frozenset(regions),
        down=frozenset(down),
    )
    links_change = preview.outputs_differ or any(is_link(urn) for urn in homes)
    return Intent(plan, Facts(deployed.links, target, links_change, moved, left_out))


def under(intent: Intent, terms: Terms, red: Collection[RedAlarm] = ()) -> Intent:
    """The intent with ``terms``. It ignores the alarms in ``red`` until they were green."""
    return replace(intent, facts=replace(intent.facts, ignored=tuple(red), terms=terms))


def require_skippable(environment: Environment, deployed: DeployedReleases, skipped: Collection[str]) -> None:
    """Raises InputError for an unknown region, Refused when nothing is up yet or nothing would be left."""
    regions = environment.config.all_regions
    skipped = set(skipped) - environment.scope.fenced  # those get no call anyway
    for region in sorted(skipped):
        if region not in regions:
            raise InputError(
                f"{region} is no region of this environment.",
                where="--skip-region",
                remedy=f"one of {', '.join(regions)}",
                error_id="RS-REGION-001",
            )
    if skipped and deployed.is_empty:
        raise Refused(
            "A region can be left out only of an environment that is up.",
            where="--skip-region",
            remedy="run `regionshift up` without --skip-region",
            error_id="RS-ENVIRONMENT-002",
        )
    if skipped >= set(regions):
        raise Refused(
            "No region would be left.",
            where="--skip-region",
            remedy="leave fewer regions out",
            error_id="RS-REGION-003",
        )


def one_run_findings(environment: Environment, proposal: Proposal) -> list[Finding]:
    """An error when only one run for all regions can do a change, while a region is left out."""
    if not environment.scope.left_out or not proposal.doomed:
        return []
    region, bucket = proposal.doomed[0]
    message = f"{bucket} would be emptied and deleted, and a region is left out"
    return [Finding("left-out", "error", message, region, "run the command again when every region is there")]


def left_behind(environment: Environment, deployed: DeployedReleases, down: Collection[str]) -> list[str]:
    """The regions in ``down`` that are not known to have the release of the settings."""
    digest = environment.release().digest
    return sorted(r for r in down if deployed.releases.get(r) != digest or r in deployed.unsettled)


def begin(
    driver: WaveDriver, catalog: ReleaseCatalog, intent: Intent, deployed: DeployedReleases
) -> DeploymentState:
    """Keep the release, begin the run and do it. Raises as `WaveDriver.drive`."""
    catalog.keep(driver.environment.release(), deployed.links)
    run = driver.journal.start("deployment", intent.facts.opening(intent.plan))
    return driver.drive(run)


def unfinished(journal: Journal) -> list[RunView]:
    """The open deployments in waves, the newest first."""
    return [view for view in journal.unfinished() if view.kind in KINDS and "plan" in view.opened]


def left_out_by_open_run(journal: Journal) -> frozenset[str]:
    """The regions that the open deployment leaves out. No command calls them until it has ended."""
    views = unfinished(journal)
    return facts_from_json(views[0].opened).left_out if views else frozenset()


def left_out_by(journal: Journal, run_id: str | None) -> frozenset[str]:
    """The regions that a finished deployment (the newest, or ``run_id``) left out. Its rollback calls none of them."""
    view = journal.view(run_id or _newest(journal.history()))
    return facts_from_json(view.opened).left_out if "plan" in view.opened else frozenset()


@dataclass(frozen=True)
class WaitingWave:
    """The wave of an open deployment that waits for approval."""

    run_id: str
    wave: int
    regions: tuple[str, ...]


def approval_of(wave: int) -> str:
    """The name of the approval step of ``wave``."""
    return f"wave-{wave}/approve"


def waiting(journal: Journal) -> WaitingWave | None:
    """The wave that waits for approval; None when none does."""
    views = unfinished(journal)
    step = fold_deployment(journal.events(views[0].run_id)).next_step if views else None
    if step is None or step.action != "approve" or step.wave is None:
        return None
    return WaitingWave(views[0].run_id, step.wave, step.regions)


def begun_to_the_same(journal: Journal, digest: str) -> bool:
    """Whether the open deployment brings every region that it changes to the release ``digest``."""
    views = unfinished(journal)
    if not views or views[0].kind != "deployment" or views[0].newer:
        return False
    return set(plan_from_json(views[0].opened["plan"]).target.values()) == {digest}


def resume(driver: WaveDriver, *, back: bool = False) -> tuple[str, DeploymentState]:
    """Continue the newest open deployment, or roll it back. The caller holds the lock.

    Raises:
        InputError: there is none. Refused: a newer version wrote it.
    """
    views = unfinished(driver.journal)
    if not views:
        raise InputError(
            "No deployment is unfinished.", remedy="see: regionshift history", error_id="RS-RUN-002"
        )
    take_over_engine(driver.environment, driver.journal, views[0].run_id)
    run = driver.journal.reopen(views[0].run_id)
    if back and "back" in driver.state(run.run_id).choices:
        run.append(DECISION, "after", data={"direction": "back", "by": "resume"})
    return run.run_id, driver.drive(run)


def plan_rollback(
    journal: Journal, deployed: DeployedReleases, run_id: str | None, *, to_nothing: bool = False
) -> tuple[str, Intent]:
    """The rollback of a finished deployment: the newest that changed something, or ``run_id``.

    Raises:
        InputError: there is no such deployment. Refused: as `rollback_plan`, or there is nothing to roll back.
    """
    view = journal.view(run_id or _newest(journal.history()))
    if view.kind not in KINDS or "plan" not in view.opened:
        raise InputError(
            f"{view.run_id} is no deployment in waves, so there is nothing to go back to.",
            where=view.run_id,
            remedy="name another of `regionshift history`; to take everything down: regionshift destroy",
            error_id="RS-RUN-001",
        )
    state = fold_deployment(journal.events(view.run_id))
    plan = plan_from_json(view.opened["plan"])
    facts = facts_from_json(view.opened)
    try:
        back = rollback_plan(
            plan, state.changed, deployed.releases, unsettled=deployed.unsettled, to_nothing=to_nothing
        )
    except Refused as error:
        error.remedy = rollback_obstacle(journal, deployed, view.run_id) or error.remedy
        raise
    going = {r for r in back.target if deployed.releases.get(r) != back.target[r] or r in deployed.unsettled}
    if not going:
        raise Refused(
            f"Deployment {view.run_id} left nothing to roll back: every region has what it had before.",
            where=view.run_id,
            remedy="`regionshift history` lists older ones; `regionshift rollback RUN` takes that one back",
            error_id="RS-RUN-005",
        )
    back = replace(
        back,
        target={region: back.target[region] for region in going},
        waves=way_back_waves((wave.regions for wave in back.waves), going),
    )
    new = Facts(
        deployed.links,
        facts.links_before,
        links_change=True,
        moved=frozenset(going),
        left_out=facts.left_out,
        to_nothing=to_nothing,
    )
    return view.run_id, Intent(back, new)


def preview_rollback(
    environment: Environment,
    catalog: ReleaseCatalog,
    intent: Intent,
    findings: list[Finding],
    *,
    allow_data_loss: bool,
) -> tuple[Plan, Intent]:
    """The plan of the rollback, and the intent without steps that need no engine run. Changes nothing.

    Raises:
        Refused: a release needs another version of the tool, which the error names; or a region of a protected
            environment would be deleted.
    """
    target, uncalled = intent.plan.target, environment.scope.uncalled
    given_up = [region for region, digest in target.items() if digest is None]
    if given_up and environment.config.is_protected:
        raise Refused(
            f"The environment {environment.name} is protected, so {', '.join(given_up)} stays.",
            where="protect",
            remedy="set `protect: false` and run `regionshift up`; then take the region out of the settings and run"
            " `regionshift up --allow-data-loss`",
            error_id="RS-ENVIRONMENT-003",
        )
    releases = {r: catalog.take(digest) for r, digest in target.items() if digest and r not in uncalled}
    releases |= {
        region: catalog.take_or(digest, environment.release)
        for region, digest in intent.plan.before.items()
        if digest and region not in target and region not in uncalled
    }
    if not releases:
        raise Refused(
            "No region would be left.",
            remedy="that is what `regionshift destroy` is for",
            error_id="RS-REGION-003",
        )
    digest = None if environment.scope.left_out else intent.facts.links_target
    links = catalog.take(digest) if digest else None
    program = environment.program(releases, links=links, allow_data_loss=allow_data_loss)
    reach = [*targets_of(target), *([] if environment.scope.left_out else link_targets())]
    record = environment.engine.preview(
        program, target=reach, excluded=environment.excluded, refresh=bool(intent.plan.unsettled - uncalled)
    )
    plan = make_plan(environment, record, findings, allow_data_loss=allow_data_loss, given_up=given_up)
    moved = {home_of(change.urn, environment.regions) for change in plan.changes}
    facts = replace(
        intent.facts,
        links_change=plan.outputs_differ or any(is_link(change.urn) for change in plan.changes),
        moved=frozenset(home for home in moved if home is not None),
    )
    return plan, Intent(intent.plan, facts)


@dataclass(frozen=True)
class WayBack:
    """The rollback of the run ``undone``, with the plan of its changes."""

    undone: str
    intent: Intent
    plan: Plan


def way_back(
    environment: Environment,
    journal: Journal,
    catalog: ReleaseCatalog,
    run_id: str | None,
    *,
    to_nothing: bool,
    allow_data_loss: bool,
) -> WayBack:
    """What takes a deployment back, the newest or the one named. Raises as `plan_rollback`, `preview_rollback`."""
    deployed = deployed_releases(journal)
    undone, intent = plan_rollback(journal, deployed, run_id, to_nothing=to_nothing)
    plan, intent = preview_rollback(environment, catalog, intent, [], allow_data_loss=allow_data_loss)
    return WayBack(undone, intent, plan)


def go_back(driver: WaveDriver, way: WayBack, *, allow_data_loss: bool, reason: str) -> DeploymentState:
    """Begin the run of a rollback and do it. Raises as `WaveDriver.drive`."""
    terms = terms_of(driver.environment.config, allow_data_loss=allow_data_loss)
    intent = under(way.intent, terms)
    why = {"reason": reason} if reason else {}
    opened = {**intent.facts.opening(intent.plan), "of": way.undone, **why}
    return driver.drive(driver.journal.start("rollback", opened))


def newest_to_take_back(history: Iterable[RunSummary]) -> str | None:
    """The deployment that `rollback` undoes when none is named; None when there is none."""
    found = (
        run.run_id
        for run in history
        if run.kind == "deployment" and "regions" in run.result and run.outcome != "rolled back"
    )
    return next(found, None)


def _newest(history: Iterable[RunSummary]) -> str:
    if run_id := newest_to_take_back(history):
        return run_id
    raise InputError(
        "No deployment in waves was ever finished.", remedy="see: regionshift history", error_id="RS-RUN-002"
    )


def written_since(journal: Journal, run_id: str, regions: Collection[str]) -> list[str]:
    """The ids of the migrations into ``regions`` that completed after the deployment ``run_id`` began.

    The newest first, without those that were undone since.
    """
    found: list[str] = []
    gone: set[str] = set()
    for run in journal.history():
        if run.run_id <= run_id:
            break
        if not run.of_data:
            continue
        target = journal.view(run.run_id).opened.get("target")
        if run.kind == "rollback" and run.outcome == "rolled_back":
            gone.add(run.subject)
        elif run.kind == "migration" and run.outcome == "completed" and target in regions:
            found.append(run.subject)
    return [migration for migration in dict.fromkeys(found) if migration and migration not in gone]


def prune(journal: Journal, catalog: ReleaseCatalog) -> list[ReleaseRecord]:
    """Remove the releases that the settings no longer keep, and the artifacts that only they used. Returns them.

    The releases of regions and links are kept. So are those from before the newest deployment, so that it can always be
    rolled back. Nothing is removed while a run is open, except a run of data. The caller holds the environment's lock.
    """
    if any(not view.of_data for view in journal.unfinished()):
        return []
    terms, now = catalog.current.deployment, catalog.now()
    number, age = terms.keep_releases, timedelta(days=terms.keep_days)
    deployed = deployed_releases(journal)
    in_use = {digest for digest in (*deployed.releases.values(), deployed.links) if digest}
    if not to_prune(catalog.store.kept(), keep=number, older_than=age, in_use=in_use, now=now):
        return []
    in_use |= _of_the_newest(journal)
    return catalog.store.prune(keep=number, older_than=age, in_use=in_use, now=now)


def _of_the_newest(journal: Journal) -> set[str]:
    """Every release before and after the deployment that `rollback` would undo."""
    run_id = newest_to_take_back(journal.history())
    opened = journal.view(run_id).opened if run_id else {}
    plan = opened.get("plan")
    maps = [plan[end] for end in ("before", "target")] if isinstance(plan, dict) else []
    named = [digest for each in maps for digest in each.values()]
    return {str(digest) for digest in (*named, opened.get("links")) if digest}
