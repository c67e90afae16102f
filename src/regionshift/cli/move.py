"""`regionshift move` as a person sees it: phase by phase in one table, then what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from regionshift.cli.opening import opened, tools_of, topics
from regionshift.cli.options import Choices
from regionshift.cli.running import shown
from regionshift.cli.show import (
    NotConfirmed,
    aside,
    confirm,
    confirm_by_name,
    console,
    print_json,
    show_plan,
    working,
)
from regionshift.errors import (
    EXIT_OK,
    Interrupted,
    Refused,
    RegionshiftError,
    WorkFailed,
)
from regionshift.operations import moves
from regionshift.operations.moving.promoting import read_text
from regionshift.operations.run_tools import RunTools
from regionshift.operations.unfinished import require_finished
from regionshift.releases import deployed_releases
from regionshift.report.terminal import run_facts_table
from regionshift.runs.driver import RunUnderWay, drive_in_sessions, saga_state
from regionshift.runs.state import RunStep, SagaState
from regionshift.session import Session


def run_move(choices: Choices, source: str, target: str, *, retire: bool, allow_data_loss: bool) -> int:
    """Up in the new region, migrate, promote; with ``retire`` the old region goes, confirmed apart."""
    run_id = _begun(choices, source, target)
    said, seconds = _phases(choices, run_id, source, target) if run_id is not None else ({}, None)
    retired, left = False, None
    if retire:
        try:
            retired = _retire(choices, source, allow_data_loss=allow_data_loss)
        except (RegionshiftError, typer.Abort) as error:
            if not said:
                raise
            left = _not_retired(error, source)  # the move is done, and is told first
    promotion = said.get("promote", {})
    facts = {
        "replication_seconds": promotion.get("replication_seconds"),
        "turned_in_seconds": promotion.get("turned_in_seconds"),
        "seconds": seconds,
    }
    if choices.as_json:
        more = {"not_retired": left.message} if left else {}
        print_json({"primary": target, "retired": retired, "seconds": seconds, "phases": said, **more})
    else:
        screen = console(choices)
        if said:
            aside(choices).print(run_facts_table(facts))
        old = f"{source} is retired" if retired else f"{source} is a secondary; to delete it: "
        old += "" if retired else f"{moves.command_of(source, target)} --retire --allow-data-loss"
        screen.print(f"{target} is the primary, {old}")
        if left:
            screen.print(left.message, style="red")
    return left.exit_code if left else EXIT_OK


def _not_retired(error: RegionshiftError | typer.Abort, region: str) -> RegionshiftError:
    """Return an error that says why the old region still exists; the move itself has been done."""
    if isinstance(error, typer.Abort):
        return Interrupted(f"{region} was not retired: the question was not answered.")
    why = (
        "it was not confirmed"
        if isinstance(error, NotConfirmed)
        else f"{error.message} {error.remedy or ''}".strip()
    )
    said = f"{region} was not retired: {why}"
    return Interrupted(said) if isinstance(error, Interrupted) else WorkFailed(said, error_id="RS-RUN-010")


def _begun(choices: Choices, source: str, target: str) -> str | None:
    """Return the open run, or a new one after its plan was confirmed; None when the move is done already."""
    with opened(choices, locked=True, naming=(target,)) as session:
        if away := session.environment.scope.fenced:
            region = min(away)
            raise Refused(
                f"{region} is fenced.",
                where=region,
                remedy=f"first: regionshift up --rejoin {region}",
                error_id="RS-REGION-002",
            )
        if (view := moves.unfinished(session.journal)) is not None:
            if moves.ends_of(view) == (source, target):
                done = saga_state(session.journal, view.run_id, moves.STEPS).done
                left = [phase for phase in moves.PHASES if phase not in done]
                # The first that is left looks by itself when it begins.
                moves.look(_tools(choices, session, target), source, target, left[1:], view.run_id)
            # We hold the environment's lock, so no living process holds the engine's own.
            session.environment.engine.release_lock()
        elif session.environment.config.regions.primary == target:
            return None
        else:
            require_finished(session.journal)
            _show(choices, _tools(choices, session, target), source, target)
            confirm(choices, f"Move from {source} to {target}?", session.environment.config)
        return moves.open_run(session.journal, source, target).run_id


def _show(choices: Choices, tools: RunTools, source: str, target: str) -> None:
    """What bringing the new region up makes and changes; refused here is refused before the first change."""
    moves.require_movable(tools.load(read_text(choices.config)), source, target)
    with working(choices, "planning"):
        plan = moves.look(tools, source, target, moves.PHASES)
    if choices.as_json or plan is None:
        return
    screen = aside(choices, asks=True)
    screen.print(f"{target} comes up as a secondary first:" if plan.changes else f"{target} is up.")
    show_plan(choices, plan)
    screen.print(
        f"Then what is in {source} is copied to it, {target} becomes the primary, {source} a secondary.",
    )


def _tools(choices: Choices, session: Session, target: str) -> RunTools:
    remedy = f"name {target} yourself (in deployment.waves too, where they are written), then run the command again"
    return tools_of(choices, session, remedy)


def _phases(
    choices: Choices, run_id: str, source: str, target: str
) -> tuple[dict[str, dict[str, Any]], float | None]:
    """Do the rest of a move. Each phase reads the settings again, because the one before may have changed them.

    Returns the results of the phases, and the seconds since the move began, including the time between two commands.
    """
    with shown(choices, f"move {source} to {target}") as view:

        @contextmanager
        def session() -> Iterator[RunUnderWay[SagaState, RunStep]]:
            with opened(choices, locked=True) as session:
                own, told = view.listeners(session)
                tools = _tools(choices, session, target)
                kind = moves.MoveRun(tools, run_id, source, target, [view.within("promote"), told])
                run = session.journal.reopen(run_id)
                yield RunUnderWay(session.journal, run, kind, [own, told])

        state, closed = drive_in_sessions(session)
    took = (closed.ended - closed.started).total_seconds() if closed and closed.ended else None
    said = {phase: dict(each) for phase, each in state.said.items()}
    return said, None if took is None else round(took, 1)


def stop_move(choices: Choices, *, quiet: bool) -> int:
    """Stop the open move and undo its copies; ``quiet``: do not print the JSON."""
    with opened(choices, locked=True) as session:
        view = moves.unfinished(session.journal)
        if view is None:
            return EXIT_OK
        source, target = moves.ends_of(view)
        undone = moves.stop(_tools(choices, session, target), view)
        screen, news = console(choices), moves.news_of(source, target).of_stop()
        screen.print(news.summary, style="red")
        topics(session, screen).on_news(view.run_id, news, deployed_releases(session.journal).regions_up)
    screen.print(
        f"  → {target} stays in the settings as a secondary. To delete it, take it out of the settings, then run:"
        " regionshift up --allow-data-loss",
        style="dim",
    )
    if choices.as_json and not quiet:
        print_json({"run": view.run_id, "outcome": "stopped", "primary": source, "taken_back": undone})
    return EXIT_OK


def _retire(choices: Choices, region: str, *, allow_data_loss: bool) -> bool:
    """Delete a region from the environment and the settings; data only with --allow-data-loss."""
    remedy = f"take {region} out yourself (of deployment.waves too), then: regionshift up --allow-data-loss"
    with opened(choices, locked=True) as session:
        require_finished(session.journal)
        tools = tools_of(choices, session, remedy)
        with working(choices, "planning"):
            found = moves.propose_retirement(tools, region, allow_data_loss=allow_data_loss)
        show_plan(choices, found.proposal.plan)
        found.require_allowed(session.environment.config.regions.primary)
        confirm_by_name(choices, session.environment.config)
        with shown(choices, f"retire {region}", found.proposal.plan) as view:
            run_id, news, told = moves.retire(tools, found, [view])
        topics(session, console(choices)).on_news(run_id, news, told)
    return True
