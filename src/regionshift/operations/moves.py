"""A move to another region: bring the new one up, migrate, promote it; and retire the old one.

Each phase is a run of its own (a deployment, a migration, a change of primary) with its own way back. After each phase
the environment is one that `up`, `validate` and `promote` know. So a move can be continued, or stopped, at any phase.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from regionshift.errors import InputError, Refused, RegionshiftError, WorkFailed
from regionshift.journal.events import RunView
from regionshift.journal.journal import Journal, RunJournal
from regionshift.operations.deploying import deploy, mend
from regionshift.operations.environment import Environment
from regionshift.operations.moving import proposing
from regionshift.operations.moving.copying import carried_entries, copies_of
from regionshift.operations.moving.promoting import read_text, require_writable, write_text
from regionshift.operations.moving.proposing import (
    figures,
    promote_in_move,
    require_secrets,
    require_turnable,
)
from regionshift.operations.moving.settings_unchanged import require_nothing_else, require_removal_alone
from regionshift.operations.obstacles import before_plan, prevents_plan
from regionshift.operations.preflight import region_findings
from regionshift.operations.run_tools import Loader, RunTools
from regionshift.operations.up import PlanRefused, Proposal, propose
from regionshift.operations.validate import validate
from regionshift.releases import deployed_releases
from regionshift.report.values import LOSS, Plan
from regionshift.runs.driver import RunEnd, SagaRun, Said, WhenFailed, saga_state, turn_back
from regionshift.runs.messages import News, RunListener, SagaNews
from regionshift.runs.state import RunStep, SagaState
from regionshift.settings.config import MigrationConfig
from regionshift.settings.editing import Edit, add_secondary, applied, remove_secondary

STEPS = (
    RunStep("name", reversible=False, meaning="name the new region in the settings"),
    RunStep("up", reversible=False, meaning="bring it up"),
    RunStep("migrate", reversible=False, meaning="copy what is there"),
    RunStep("promote", reversible=False, meaning="make it the primary"),
)
PHASES = tuple(step.name for step in STEPS)


@dataclass(frozen=True)
class MoveRun(SagaRun):
    """A move as a kind of run. A phase that failed is done again by the command that continues the move.

    Args:
        tools: opened again for each phase, as the phase before may have changed the settings.
        listeners: get the steps of the change of primary, which is a run of its own.
    """

    tools: RunTools
    run_id: str
    source: str
    target: str
    listeners: Sequence[RunListener[RunStep]]

    when_failed: ClassVar[WhenFailed] = WhenFailed.STAY_OPEN

    @property
    def steps(self) -> tuple[RunStep, ...]:
        """See `RunKind`."""
        return tuple(replace(step, regions=(self.target,)) for step in STEPS)

    @property
    def news(self) -> SagaNews:
        """See `RunKind`."""
        return news_of(self.source, self.target)

    def told_regions(self, state: SagaState) -> Sequence[str]:
        """The regions that are up."""
        del state
        return deployed_releases(self.tools.journal).regions_up

    def explained(self, step: RunStep, error: Exception) -> Exception:
        """See `RunKind`. Every remedy ends with the commands that continue and stop the move."""
        found = super().explained(step, error)
        if isinstance(found, RegionshiftError):
            found.remedy = f"{found.remedy}; then: {self.news.go_on}" if found.remedy else self.news.go_on
        return found

    def do(self, step: RunStep, state: SagaState, *, doubt: bool) -> Said:
        """See `RunKind`."""
        del state, doubt
        tools, target = self.tools, self.target
        match step.name:
            case "name":
                return name_target(tools.environment.config, tools.settings, target, tools.load)
            case "up":
                return _bring_up(tools, self.source, target)
            case "migrate":
                if _is_primary(tools, target):
                    return {}
                with copies_of(tools, self.source, target) as copies:
                    return copies.copy(self.run_id)
        if _is_primary(tools, target) and not _is_promoting(tools.journal):
            return {}
        return promote_in_move(tools, target, self.listeners)

    def end(self, state: SagaState) -> RunEnd:
        """See `RunKind`. The result has what each phase said."""
        return RunEnd("moved", {"phases": {phase: dict(said) for phase, said in state.said.items()}})

    def figures(self, closed: RunView) -> str:
        """See `RunKind`."""
        phases = closed.result["phases"]
        return figures(closed, phases["promote"] if isinstance(phases, Mapping) else {})


def look(
    tools: RunTools, source: str, target: str, phases: Collection[str], run_id: str = "planned"
) -> Plan | None:
    """Check what each of ``phases`` needs, before the first changes anything. Returns the plan of the `up` phase.

    Raises:
        InputError, Refused, PlanRefused: a phase lacks something that it needs.
    """
    environment, plan = tools.environment, None
    text = read_text(tools.settings)
    if "name" in phases:
        text = with_target(tools.load(text), tools.settings, target, tools.load) or text
    if "up" in phases:
        plan = proposed_up(tools, source, target).plan
    if _is_primary(tools, target) or _is_promoting(tools.journal):
        return plan  # the change of primary checked before its first step
    if "migrate" in phases:
        with copies_of(tools, source, target) as copies:
            is_up = deployed_releases(tools.journal).releases.get(target) is not None
            copies.look(run_id) if is_up else copies.look_before_up()
    if "promote" in phases:
        require_turnable(tools.load(text), target, text, tools.settings, tools.load)
        require_secrets(environment, target, carried_entries(environment.config, source, target))
    return plan


def _is_promoting(journal: Journal) -> bool:
    return proposing.unfinished(journal) is not None


def _is_primary(tools: RunTools, region: str) -> bool:
    """Whether ``region`` is already the primary, by the settings."""
    return tools.environment.config.regions.primary == region


def proposed_up(tools: RunTools, source: str, target: str) -> Proposal:
    """The plan that brings the new region up. Raises Refused, PlanRefused when that is not allowed."""
    environment, journal, catalog = tools.environment, tools.journal, tools.catalog
    remains = mend(environment, journal)
    deployed = deployed_releases(journal)
    coming = set() if deployed.releases.get(target) else {target}
    require_nothing_else(environment, catalog, deployed, source, coming, tools.settings)
    refresh = remains.is_read_back
    # One engine run changes all regions, so all must answer.
    regional = region_findings(environment, tolerate=False)
    findings = before_plan(environment, journal, catalog, tools.machine, regional, refresh=refresh)
    if prevents_plan(findings):
        raise PlanRefused(findings)
    proposal = propose(environment, [*findings, *remains.findings], refresh=refresh)
    if proposal.plan.errors:
        raise PlanRefused(proposal.plan.errors)
    return proposal


def _bring_up(tools: RunTools, source: str, target: str) -> dict[str, object]:
    """Bring the new region up, link the others to it, and check the new one."""
    environment, journal = tools.environment, tools.journal
    proposal = proposed_up(tools, source, target)
    # Also when nothing is left to change: a run that was killed at its end did not record the regions.
    tools.catalog.keep(environment.release(), deployed_releases(journal).links)
    deploy(environment, journal, proposal)
    wrong = [each for each in validate(environment, journal, regions=[target]).results if not each.passed]
    if wrong:
        raise WorkFailed(
            f"{wrong[0].check}: {wrong[0].detail}",
            where=target,
            remedy=wrong[0].remedy,
            error_id="RS-RUN-009",
        )
    return {"changed": len(proposal.plan.changes)}


@dataclass(frozen=True)
class Retirement:
    """A region that will be removed: the edit of the settings, and what the engine would do.

    Args:
        environment: with the settings that no longer name the region.
    """

    region: str
    edit: Edit
    environment: Environment
    proposal: Proposal

    def require_allowed(self, primary: str) -> None:
        """Raises PlanRefused for errors of the plan, Refused when data would be lost without permission."""
        errors = self.proposal.plan.errors
        if any(each.code != LOSS for each in errors):
            raise PlanRefused(errors)
        if errors:
            raise Refused(
                f"{self.region} holds data that would be deleted with it ({len(errors)} resources).",
                where=self.region,
                remedy=f"until then it stays a secondary; {command_of(self.region, primary)} --retire"
                " --allow-data-loss",
                error_id="RS-ENVIRONMENT-006",
            )


def require_movable(config: MigrationConfig, source: str, target: str) -> None:
    """Raises InputError when ``source`` is not the primary or ``target`` is."""
    if source == target:
        raise InputError(
            f"{source} is both ends of the move.",
            where="--to",
            remedy="name two regions",
            error_id="RS-REGION-001",
        )
    if config.regions.primary != source:
        raise InputError(
            f"{source} is not the primary, {config.regions.primary} is.",
            where="--from",
            remedy="a secondary is added and taken away in the settings, then: regionshift up",
            error_id="RS-REGION-001",
        )


def news_of(source: str, target: str) -> SagaNews:
    """The messages of a move."""
    return SagaNews(
        "move",
        f"move from {source} to {target}",
        PHASES,
        success=f"{target} is the primary, {source} is a secondary",
        undone=f"stopped, {source} is the primary",
        go_on=f"{command_of(source, target)} (or regionshift resume; regionshift resume --back stops it)",
        last_says_all=True,
    )


def command_of(source: str, target: str) -> str:
    """The command that begins and continues a move."""
    return f"regionshift move --from {source} --to {target}"


def unfinished(journal: Journal) -> RunView | None:
    """The newest open move."""
    return next((view for view in journal.unfinished() if view.kind == "move"), None)


def ends_of(view: RunView) -> tuple[str, str]:
    """The source and the target of a move. Raises WorkFailed when its first event does not have them."""
    found = view.opened.get("move")
    if not isinstance(found, Mapping):
        raise WorkFailed("the plan of this move cannot be read", where=view.run_id, error_id="RS-STATE-002")
    return str(found["from"]), str(found["to"])


def open_run(journal: Journal, source: str, target: str) -> RunJournal:
    """The run of this move: the open one, or a new one.

    Raises:
        Refused: another move is not finished, or this one is being undone.
    """
    view = unfinished(journal)
    if view is None:
        return journal.start("move", {"move": {"from": source, "to": target}})
    if ends_of(view) != (source, target):
        raise Refused(
            f"The move {view.run_id} is not finished.",
            where=view.run_id,
            remedy=f"{command_of(*ends_of(view))}, or regionshift resume --back",
            error_id="RS-RUN-003",
        )
    if goes_back(journal, view):
        raise Refused(
            f"The move {view.run_id} is being rolled back.",
            where=view.run_id,
            remedy="regionshift resume",
            error_id="RS-RUN-003",
        )
    return journal.reopen(view.run_id)


def goes_back(journal: Journal, view: RunView) -> bool:
    """Whether the undo of an open move has begun."""
    return saga_state(journal, view.run_id, STEPS).backward


def require_way_back(view: RunView, primary: str, journal: Journal) -> None:
    """Raises Refused when an open move has made the new region the primary: only another promotion reverses that.

    Args:
        primary: the primary of the settings.
    """
    source, target = ends_of(view)
    if primary != target or _is_promoting(journal):
        return
    raise Refused(
        f"The move {view.run_id} has made {target} the primary, so --back cannot undo it. Nothing was changed.",
        where=view.run_id,
        remedy=f"regionshift resume ends the move; then regionshift promote {source} makes {source} the primary again",
        error_id="RS-RUN-005",
    )


def stop(tools: RunTools, view: RunView) -> dict[str, object]:
    """End an open move where it is, and undo its migrations. The new region stays a secondary.

    Once it has begun, the move cannot go forward any more. It may be done twice.
    """
    journal, run_id = tools.journal, view.run_id
    tools.environment.engine.release_lock()
    if not goes_back(journal, view):
        turn_back(journal, journal.reopen(run_id), STEPS)
    taken_back: dict[str, object] = {}
    if "migrate" in saga_state(journal, run_id, STEPS).began:
        with copies_of(tools, *ends_of(view)) as copies:
            taken_back = {each: copies.take_back(each) for each in (f"{run_id}-carry", f"{run_id}-bucket")}
    journal.reopen(run_id).close("stopped", failed=True)
    return taken_back


def with_target(config: MigrationConfig, settings: Path, target: str, load: Loader) -> str | None:
    """The text of the settings with ``target`` as the last secondary; None when they name it. Changes nothing.

    Raises:
        InputError: the file cannot be edited or written, or the regions come from elsewhere.
    """
    if target in config.all_regions:
        return None
    text = read_text(settings)
    require_writable(settings)
    after = applied(add_secondary(text, target), text)
    if load(after).all_regions != (*config.all_regions, target):
        raise _elsewhere()
    return after


def name_target(config: MigrationConfig, settings: Path, target: str, load: Loader) -> dict[str, object]:
    """Add ``target`` as the last secondary to the settings file, unless it is there. Raises as :func:`with_target`."""
    after = with_target(config, settings, target, load)
    if after is None:
        return {"settings": "it is named"}
    write_text(settings, after)
    return {"settings": f"added {target}"}


def propose_retirement(tools: RunTools, region: str, *, allow_data_loss: bool) -> Retirement:
    """The plan that removes ``region`` from the environment. Changes nothing, except that it cleans up a killed run.

    Raises:
        InputError: the region is no secondary, or the file cannot be edited or written.
        Refused: the settings also change something else.
    """
    environment, settings, load = tools.environment, tools.settings, tools.load
    refresh = mend(environment, tools.journal).half_done
    config = environment.config
    if region not in config.regions.secondaries:
        raise InputError(
            f"{region} is no secondary.",
            where=region,
            remedy="only a secondary can be retired; one that the settings no longer name, because a retirement was"
            " killed, is taken down by: regionshift up --allow-data-loss",
            error_id="RS-REGION-001",
        )
    text = read_text(settings)
    require_writable(settings)
    edit = remove_secondary(text, region)
    after = load(applied(edit, text))
    if after.all_regions != tuple(each for each in config.all_regions if each != region):
        raise _elsewhere()
    release = replace(environment.release(), config=after)
    rest = replace(environment, config=after, release=lambda: release)
    found = propose(rest, allow_data_loss=allow_data_loss, refresh=refresh)
    require_removal_alone(rest, tools.catalog, deployed_releases(tools.journal))
    return Retirement(region, edit, rest, found)


def retire(
    tools: RunTools, found: Retirement, listeners: Sequence[RunListener[RunStep]]
) -> tuple[str, News, Sequence[str]]:
    """Remove a region from the settings and the environment. Returns the run, its message and the regions that get it.

    The file is written first, so that `up` finishes a retirement that was killed.
    """
    journal = tools.journal
    journal.changing()
    write_text(tools.settings, applied(found.edit, read_text(tools.settings)))
    tools.catalog.keep(found.environment.release(), deployed_releases(journal).links)
    deploy(found.environment, journal, found.proposal, listeners)
    told, primary = deployed_releases(journal), found.environment.config.regions.primary
    news = News("move", "success", f"{found.region} is retired; {primary} is the primary")
    return str(told.run_id), news, told.regions_up


def _elsewhere() -> InputError:
    return InputError(
        "The regions come from a REGIONSHIFT_ variable or an option, not from the file.",
        where="regions",
        remedy="take it away and run the command again",
        error_id="RS-SETTINGS-003",
    )
