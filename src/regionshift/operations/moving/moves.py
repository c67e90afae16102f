"""A move from region to region: its phases in the journal, and retiring the region that was left.

Every phase is a whole of its own (a deployment, a migration, a change of primary) with its own way back, and
after each the environment is one that `up`, `validate` and `promote` know. So a move is gone on with, or
stopped where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from regionshift.errors import InputError, Refused, WorkFailed
from regionshift.journal.events import DECISION, RunView
from regionshift.journal.journal import Journal, RunJournal
from regionshift.operations.environment import Environment
from regionshift.operations.moving.copying import LastCopy
from regionshift.operations.moving.driving import state_of
from regionshift.operations.moving.promoting import read_text, require_writable, write_text
from regionshift.operations.moving.proposing import Loader
from regionshift.operations.moving.settings_unchanged import (
    release_of,
    require_everywhere,
    require_release_unchanged,
)
from regionshift.operations.region_scope import without_regions
from regionshift.operations.up import Proposal, propose
from regionshift.releases.catalog import ReleaseCatalog
from regionshift.releases.deployed import DeployedReleases, deployed_releases
from regionshift.runs.messages import News, SagaNews
from regionshift.runs.state import RunStep
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


def course_of(source: str, target: str) -> SagaNews:
    """A move in words."""
    return SagaNews(
        "move",
        f"move from {source} to {target}",
        tuple(PHASES),
        success=f"{target} is the primary, {source} is a secondary",
        undone=f"stopped, {source} is the primary",
        go_on=f"{command_of(source, target)} (or regionshift resume; regionshift resume --back stops it)",
    )


def command_of(source: str, target: str) -> str:
    """What begins a move, and goes on with it, as it is typed."""
    return f"regionshift move --from {source} --to {target}"


def of_retired(region: str, primary: str) -> News:
    """The old region is down."""
    return News("move", "success", f"{region} is retired; {primary} is the primary")


def told_of(journal: Journal) -> tuple[str, ...]:
    """The regions whose topics may be told: they have a release, and are not fenced."""
    return deployed_releases(journal).regions_up


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
    return state_of(journal, view.run_id, STEPS).backward


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


def require_unchanged(
    environment: Environment,
    catalog: ReleaseCatalog,
    deployed: DeployedReleases,
    source: str,
    target: str,
    settings: Path,
) -> None:
    """Bringing ``target`` up brings nothing else: that would reach every region at once, and no canary first.

    Raises:
        Refused: the settings, the tool or a secret is not what is up, or a region is not at that release.
    """
    base = release_of(catalog, deployed, source)
    coming = set() if deployed.releases.get(target) else {target}
    config = without_regions(environment.config, coming)
    require_release_unchanged(base, environment.release(), config, str(settings))
    require_everywhere(deployed, config.all_regions, base, source)


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
