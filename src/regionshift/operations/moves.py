"""A move from region to region: up in the new one, migrate, promote it; and retiring the region that was left.

Every phase is a whole of its own (a deployment, a migration, a change of primary) with its own way back, and
after each the environment is one that `up`, `validate` and `promote` know. So a move is gone on with, or
stopped where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from regionshift.errors import InputError, Refused, RegionshiftError, WorkFailed
from regionshift.journal.events import DECISION, RunView
from regionshift.journal.journal import Journal, RunJournal
from regionshift.operations.deploying import deploy, mend
from regionshift.operations.environment import Environment
from regionshift.operations.moving.copying import LastCopy, carried_entries
from regionshift.operations.moving.promoting import read_text, require_writable, write_text
from regionshift.operations.moving.proposing import (
    Loader,
    figures,
    require_secrets,
    require_turnable,
)
from regionshift.operations.moving.settings_unchanged import require_nothing_else
from regionshift.operations.obstacles import before_plan, prevents_plan
from regionshift.operations.preflight import Machine, region_findings
from regionshift.operations.up import PlanRefused, Proposal, propose
from regionshift.operations.validate import validate
from regionshift.releases import ReleaseCatalog, deployed_releases
from regionshift.report.values import Plan
from regionshift.runs.driver import RunEnd, SagaRun, Said, WhenFailed, saga_state
from regionshift.runs.messages import News, SagaNews
from regionshift.runs.state import RunStep, SagaState
from regionshift.settings.config import MigrationConfig
from regionshift.settings.editing import Edit, add_secondary, applied, remove_secondary

PHASES = {
    "name": "name the new region in the settings",
    "up": "bring it up",
    "migrate": "copy what is there",
    "promote": "make it the primary",
}
STEPS = tuple(RunStep(phase, reversible=False) for phase in PHASES)


@dataclass(frozen=True)
class MoveTools:
    """What a phase works with, opened anew for each, as the one before may have changed the settings.

    Args:
        settings: the file. load: reads its text as the command would. copies: opens what copies.
    """

    environment: Environment
    catalog: ReleaseCatalog
    journal: Journal
    machine: Machine
    settings: Path
    load: Loader
    copies: Callable[[], AbstractContextManager[LastCopy]]

    @property
    def is_promoting(self) -> bool:
        """Whether a change of primary is under way."""
        return any(view.kind == "promotion" for view in self.journal.unfinished())

    def is_primary(self, region: str) -> bool:
        """Whether ``region`` is the primary already, by the settings as they are."""
        return self.environment.config.regions.primary == region


@dataclass(frozen=True)
class MoveRun(SagaRun):
    """A move as a kind of run: a phase that fails is done again by whoever goes on with it.

    Args:
        promote: makes the new region the primary; gives what was measured.
    """

    tools: MoveTools
    run_id: str
    source: str
    target: str
    promote: Callable[[], Said]

    when_failed: ClassVar[WhenFailed] = WhenFailed.STAY_OPEN

    @property
    def steps(self) -> tuple[RunStep, ...]:
        """As of every run."""
        return STEPS

    @property
    def news(self) -> SagaNews:
        """As of every run."""
        return news_of(self.source, self.target)

    def told_regions(self, state: SagaState) -> Sequence[str]:
        """Those that are up."""
        del state
        return deployed_releases(self.tools.journal).regions_up

    def explained(self, step: RunStep, error: Exception) -> Exception:
        """Whatever stopped it, the reader is told how to go on and how to leave it."""
        found = super().explained(step, error)
        if isinstance(found, RegionshiftError):
            found.remedy = f"{found.remedy}; then: {self.news.go_on}" if found.remedy else self.news.go_on
        return found

    def do(self, step: RunStep, state: SagaState, *, doubt: bool) -> Said:
        """As of every run."""
        del state, doubt
        tools, target = self.tools, self.target
        match step.name:
            case "name":
                return name_target(tools.environment.config, tools.settings, target, tools.load)
            case "up":
                return _bring_up(tools, self.source, target)
            case "migrate":
                if tools.is_primary(target):
                    return {}
                with tools.copies() as copies:
                    return copies.copy(self.run_id)
        return {} if tools.is_primary(target) and not tools.is_promoting else self.promote()

    def end(self, state: SagaState) -> RunEnd:
        """With what each phase said."""
        return RunEnd("moved", {"phases": {phase: dict(said) for phase, said in state.said.items()}})

    def figures(self, closed: RunView) -> str:
        """As of every run."""
        phases = closed.result["phases"]
        return figures(closed, phases["promote"] if isinstance(phases, Mapping) else {})


def look(
    tools: MoveTools, source: str, target: str, phases: Collection[str], run_id: str = "planned"
) -> Plan | None:
    """Ask each of ``phases`` for what it needs, before the first of them changes anything; what its `up` does.

    Raises:
        InputError, Refused, PlanRefused: something that one of them needs is not as it must be.
    """
    environment, plan = tools.environment, None
    text = read_text(tools.settings)
    if "name" in phases:
        text = with_target(tools.load(text), tools.settings, target, tools.load) or text
    if "up" in phases:
        plan = proposed_up(tools, source, target).plan
    if tools.is_primary(target) or tools.is_promoting:
        return plan  # the change of primary asked before its first step
    if "migrate" in phases:
        with tools.copies() as copies:
            is_up = deployed_releases(tools.journal).releases.get(target) is not None
            copies.look(run_id) if is_up else copies.look_before_up()
    if "promote" in phases:
        require_turnable(tools.load(text), target, text, tools.settings, tools.load)
        require_secrets(environment, target, carried_entries(environment.config, source, target))
    return plan


def proposed_up(tools: MoveTools, source: str, target: str) -> Proposal:
    """What bringing the new region up does. Raises Refused, PlanRefused when that may not be."""
    environment, journal, catalog = tools.environment, tools.journal, tools.catalog
    remains = mend(environment, journal)
    deployed = deployed_releases(journal)
    coming = set() if deployed.releases.get(target) else {target}
    require_nothing_else(environment, catalog, deployed, source, coming, tools.settings)
    own, refresh = unfinished(journal), remains.is_read_back
    # One engine run for all regions leaves none out.
    regional = region_findings(environment, tolerate=False)
    open_now = [own.run_id] if own else ()
    findings = before_plan(environment, journal, catalog, tools.machine, regional, open_now, refresh=refresh)
    if prevents_plan(findings):
        raise PlanRefused(findings)
    proposal = propose(environment, [*findings, *remains.findings], refresh=refresh)
    if proposal.plan.errors:
        raise PlanRefused(proposal.plan.errors)
    return proposal


def _bring_up(tools: MoveTools, source: str, target: str) -> dict[str, object]:
    """Bring the new region up, and the others to knowing of it; check the new one."""
    environment, journal = tools.environment, tools.journal
    proposal = proposed_up(tools, source, target)
    # Also when nothing is left to change: a run that was killed at its end has not said where the regions stand.
    tools.catalog.keep(environment.release(), deployed_releases(journal).links)
    deploy(environment, journal, proposal)
    wrong = [each for each in validate(environment, regions=[target]).results if not each.passed]
    if wrong:
        raise WorkFailed(f"{wrong[0].check}: {wrong[0].detail}", where=target, remedy=wrong[0].remedy)
    return {"changed": len(proposal.plan.changes)}


@dataclass(frozen=True)
class Retirement:
    """A region that may be taken down: the edit of the settings, and what the engine would do."""

    edit: Edit
    environment: Environment
    proposal: Proposal


def require_movable(config: MigrationConfig, source: str, target: str) -> None:
    """Raises InputError when ``source`` is not the primary or ``target`` is."""
    if source == target:
        raise InputError(f"{source} is both ends of the move.", where="--to", remedy="name two regions")
    if config.regions.primary != source:
        raise InputError(
            f"{source} is not the primary, {config.regions.primary} is.",
            where="--from",
            remedy="a secondary is added and taken away in the settings, then: regionshift up",
        )


def news_of(source: str, target: str) -> SagaNews:
    """A move in words."""
    return SagaNews(
        "move",
        f"move from {source} to {target}",
        tuple(PHASES),
        success=f"{target} is the primary, {source} is a secondary",
        undone=f"stopped, {source} is the primary",
        go_on=f"{command_of(source, target)} (or regionshift resume; regionshift resume --back stops it)",
        last_says_all=True,
    )


def command_of(source: str, target: str) -> str:
    """What begins a move, and goes on with it, as it is typed."""
    return f"regionshift move --from {source} --to {target}"


def of_retired(region: str, primary: str) -> News:
    """The old region is down."""
    return News("move", "success", f"{region} is retired; {primary} is the primary")


def unfinished(journal: Journal) -> RunView | None:
    """The newest move that was stopped or killed."""
    return next((view for view in journal.unfinished() if view.kind == "move"), None)


def ends_of(view: RunView) -> tuple[str, str]:
    """From where to where a move goes. Raises WorkFailed when its first event does not say."""
    found = view.opened.get("move")
    if not isinstance(found, Mapping):
        raise WorkFailed("the plan of this move cannot be read", where=view.run_id)
    return str(found["from"]), str(found["to"])


def open_run(journal: Journal, source: str, target: str) -> RunJournal:
    """The run of this move: a new one, or the one that is open.

    Raises:
        Refused: another move is not finished, or this one is being taken back.
    """
    view = unfinished(journal)
    if view is None:
        return journal.start("move", {"move": {"from": source, "to": target}})
    if ends_of(view) != (source, target):
        raise Refused(
            f"The move {view.run_id} is not finished.",
            where=view.run_id,
            remedy=f"{command_of(*ends_of(view))}, or regionshift resume --back",
        )
    if goes_back(journal, view):
        raise Refused(
            f"The move {view.run_id} is being taken back.", where=view.run_id, remedy="regionshift resume"
        )
    return journal.reopen(view.run_id)


def goes_back(journal: Journal, view: RunView) -> bool:
    """Whether taking an open move back was begun."""
    return saga_state(journal, view.run_id, STEPS).backward


def require_way_back(view: RunView, primary: str, journal: Journal) -> None:
    """Raises Refused when an open move has made the new region the primary: only another change turns that.

    Args:
        primary: by the settings as they are, while no change of primary is open.
    """
    source, target = ends_of(view)
    if primary != target or any(each.kind == "promotion" for each in journal.unfinished()):
        return
    raise Refused(
        f"The move {view.run_id} has made {target} the primary, which --back does not undo. Nothing was changed.",
        where=view.run_id,
        remedy=f"regionshift resume ends the move; then regionshift promote {source} makes {source} the primary again",
    )


def turn_back(journal: Journal, view: RunView) -> None:
    """Decide that an open move is taken back: from then on nobody goes forward with it."""
    if not goes_back(journal, view):
        journal.reopen(view.run_id).append(DECISION, "after", data={"direction": "back", "by": "resume"})


def stop(journal: Journal, run_id: str) -> None:
    """End a move where it is."""
    journal.reopen(run_id).close("stopped", failed=True)


def take_back(copies: LastCopy, run_id: str) -> dict[str, object]:
    """Take back what the move itself copied; the new region stays what it is, a secondary. Done twice is no harm."""
    return {each: copies.take_back(each) for each in (f"{run_id}-carry", f"{run_id}-bucket")}


def with_target(config: MigrationConfig, settings: Path, target: str, load: Loader) -> str | None:
    """The file's text with ``target`` named as the last secondary; None when it is named. Changes nothing.

    Raises:
        InputError: the file cannot be changed exactly, or not at all, or the regions come from elsewhere.
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
    """Name ``target`` as the last secondary in the file, unless it is named. Raises as :func:`with_target`."""
    after = with_target(config, settings, target, load)
    if after is None:
        return {"settings": "it is named"}
    write_text(settings, after)
    return {"settings": f"added {target}"}


def propose_retirement(
    environment: Environment,
    settings: Path,
    region: str,
    load: Loader,
    *,
    allow_data_loss: bool,
    refresh: bool = False,
) -> Retirement:
    """What taking ``region`` out of the environment would do. Changes nothing.

    Args:
        refresh: as `propose`.

    Raises:
        InputError: it is no secondary, or the file cannot be changed exactly, or not at all.
    """
    config = environment.config
    if region not in config.regions.secondaries:
        raise InputError(
            f"{region} is no secondary.",
            where=region,
            remedy="only a secondary can be retired; one that the settings no longer name, because a retirement was"
            " killed, is taken down by: regionshift up --allow-data-loss",
        )
    text = read_text(settings)
    require_writable(settings)
    edit = remove_secondary(text, region)
    after = load(applied(edit, text))
    if after.all_regions != tuple(each for each in config.all_regions if each != region):
        raise _elsewhere()
    release = replace(environment.release(), config=after)
    rest = replace(environment, config=after, release=lambda: release)
    return Retirement(edit, rest, propose(rest, allow_data_loss=allow_data_loss, refresh=refresh))


def _elsewhere() -> InputError:
    return InputError(
        "The regions come from a REGIONSHIFT_ variable or an option, not from the file.",
        where="regions",
        remedy="take it away and run the command again",
    )
