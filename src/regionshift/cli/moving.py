"""`regionshift move` as a person sees it: phase by phase in one table, then what was measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import typer

from regionshift.cli.migrations import carrying_in
from regionshift.cli.opening import opened
from regionshift.cli.options import Choices
from regionshift.cli.promoting import MEANINGS, load_text, promote_quietly
from regionshift.cli.show import NotConfirmed, confirm, confirm_by_name, console, print_json, working
from regionshift.cli.telling import StepRows, topics
from regionshift.errors import (
    EXIT_OK,
    Interrupted,
    Refused,
    RegionshiftError,
    WorkFailed,
)
from regionshift.operations import moves
from regionshift.operations.deploying import deploy, mend
from regionshift.operations.moving.copying import LastCopy
from regionshift.operations.moving.promoting import read_text, write_text
from regionshift.operations.moving.promotion_plan import STEPS as PROMOTION
from regionshift.operations.moving.settings_unchanged import require_removal_alone
from regionshift.operations.planning import LOSS
from regionshift.operations.unfinished import require_finished
from regionshift.operations.up import PlanRefused
from regionshift.releases import deployed_releases
from regionshift.report.moving import StepsView, promotion_table
from regionshift.report.terminal import findings_table, plan_table
from regionshift.runs.driver import RunUnderWay, drive_in_sessions, saga_state
from regionshift.runs.state import RunStep, SagaState
from regionshift.session import Session
from regionshift.settings.editing import applied

_LAST = "promote"


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
            screen.print(promotion_table(facts))
        old = f"{source} is retired" if retired else f"{source} is a secondary; to take it down: "
        old += "" if retired else f"{moves.command_of(source, target)} --retire --allow-data-loss"
        screen.print(f"{target} is the primary, {old}")
        if left:
            screen.print(left.message, style="red")
    return left.exit_code if left else EXIT_OK


def _not_retired(error: RegionshiftError | typer.Abort, region: str) -> RegionshiftError:
    """Why the old region is still there, in a sentence that does not say that nothing was changed."""
    if isinstance(error, typer.Abort):
        return Interrupted(f"{region} was not retired: the question was not answered.")
    why = (
        "it was not confirmed"
        if isinstance(error, NotConfirmed)
        else f"{error.message} {error.remedy or ''}".strip()
    )
    kind = Interrupted if isinstance(error, Interrupted) else WorkFailed
    return kind(f"{region} was not retired: {why}")


def _begun(choices: Choices, source: str, target: str) -> str | None:
    """The run to go on with: an open one, or a new one once its plan was shown and confirmed; None when moved."""
    with opened(choices, locked=True, naming=(target,)) as session:
        if away := session.environment.scope.fenced:
            region = min(away)
            raise Refused(
                f"{region} is fenced.", where=region, remedy=f"first: regionshift up --rejoin {region}"
            )
        if (view := moves.unfinished(session.journal)) is not None:
            if moves.ends_of(view) == (source, target):
                done = saga_state(session.journal, view.run_id, moves.STEPS).done
                left = [phase for phase in moves.PHASES if phase not in done]
                # The first that is left looks by itself when it begins.
                moves.look(_tools(choices, session, source, target), source, target, left[1:], view.run_id)
            # Whoever held the engine's own lock is dead: we hold the environment's.
            session.environment.engine.release_lock()
        elif session.environment.config.regions.primary == target:
            return None
        else:
            require_finished(session.journal)
            _show(choices, session, source, target)
            confirm(choices, f"Move from {source} to {target}?", session.environment.config)
        return moves.open_run(session.journal, source, target).run_id


def _show(choices: Choices, session: Session, source: str, target: str) -> None:
    """What bringing the new region up makes and changes; refused here is refused before the first change."""
    tools = _tools(choices, session, source, target)
    moves.require_movable(tools.load(read_text(choices.config)), source, target)
    with working(choices, "planning"):
        plan = moves.look(tools, source, target, list(moves.PHASES))
    if choices.as_json or plan is None:
        return
    screen = console(choices)
    screen.print(f"{target} comes up as a secondary first:" if plan.changes else f"{target} is up.")
    screen.print(plan_table(plan, whole=choices.verbose))
    if plan.findings:
        screen.print(findings_table(plan.findings))
    screen.print(
        f"Then what is in {source} is copied to it, {target} becomes the primary, {source} a secondary.",
    )


def _tools(choices: Choices, session: Session, source: str, target: str) -> moves.MoveTools:
    @contextmanager
    def copies() -> Iterator[LastCopy]:
        with carrying_in(session) as carrying:
            yield LastCopy(carrying, session.journal, time.monotonic, source, target)

    remedy = f"name {target} yourself (in deployment.waves too, where they are written), then go on"
    return moves.MoveTools(
        session.environment,
        session.catalog,
        session.journal,
        session.machine,
        choices.config,
        partial(load_text, choices, remedy=remedy),
        copies,
    )


def _phases(
    choices: Choices, run_id: str, source: str, target: str
) -> tuple[dict[str, dict[str, Any]], float | None]:
    """Do what is left of a move; each phase reads the settings anew, as the one before may have changed them.

    Gives what the phases said, and the seconds since the move began, the time between two commands with them.
    """
    meanings = {phase: meaning for phase, meaning in moves.PHASES.items() if phase != _LAST}
    meanings |= {f"{_LAST}/{step.name}": MEANINGS[step.name] for step in PROMOTION}
    with StepsView(console(choices), f"move {source} to {target}", meanings, time.monotonic) as view:

        @contextmanager
        def session() -> Iterator[RunUnderWay[SagaState, RunStep]]:
            with opened(choices, locked=True) as session:
                run = session.journal.reopen(run_id)
                kind = moves.MoveRun(
                    _tools(choices, session, source, target),
                    run_id,
                    source,
                    target,
                    partial(promote_quietly, choices, session, target, view),
                )
                # The steps of the last phase are in the table.
                listeners = [StepRows(view, hidden=_LAST), topics(session, view.console)]
                yield RunUnderWay(session.journal, run, kind, listeners)

        state, closed = drive_in_sessions(session)
    took = (closed.ended - closed.started).total_seconds() if closed and closed.ended else None
    said = {phase: dict(each) for phase, each in state.said.items()}
    return said, None if took is None else round(took, 1)


def resume_move(choices: Choices, *, back: bool, said: bool) -> int:
    """Go on with the open move; or stop it, with what it copied itself taken back, as `moves.require_way_back` allows.

    ``said``: the command wrote its JSON document already.
    """
    with opened(choices, locked=True) as session:
        view = moves.unfinished(session.journal)
        if view is None:
            return EXIT_OK
        source, target = moves.ends_of(view)
        if back:
            session.environment.engine.release_lock()
            moves.turn_back(session.journal, view)
            undone: dict[str, object] = {}
            if "migrate" in saga_state(session.journal, view.run_id, moves.STEPS).began:
                with carrying_in(session) as carrying:
                    copies = LastCopy(carrying, session.journal, time.monotonic, source, target)
                    undone = moves.take_back(copies, view.run_id)
            moves.stop(session.journal, view.run_id)
            screen, news = console(choices), moves.news_of(source, target).of_stop()
            screen.print(news.summary, style="red")
            topics(session, screen).on_news(view.run_id, news, deployed_releases(session.journal).regions_up)
            screen.print(
                f"  → {target} stays in the settings as a secondary; without it: take it out there, then"
                " regionshift up --allow-data-loss",
                style="dim",
            )
            if choices.as_json and not said:
                print_json(
                    {"run": view.run_id, "outcome": "stopped", "primary": source, "taken_back": undone}
                )
            return EXIT_OK
    return run_move(choices, source, target, retire=False, allow_data_loss=False)


def _retire(choices: Choices, region: str, *, allow_data_loss: bool) -> bool:
    """Take a region out of the environment, and out of the settings; what holds data only when it is allowed."""
    with opened(choices, locked=True) as session:
        require_finished(session.journal)
        remains = mend(session.environment, session.journal)
        with working(choices, "planning"):
            found = moves.propose_retirement(
                session.environment,
                choices.config,
                region,
                partial(
                    load_text,
                    choices,
                    remedy=f"take {region} out yourself (of deployment.waves too), then: regionshift up"
                    " --allow-data-loss",
                ),
                allow_data_loss=allow_data_loss,
                refresh=remains.half_done,
            )
        require_removal_alone(found.environment, session.catalog, deployed_releases(session.journal))
        plan = found.proposal.plan
        again = moves.command_of(region, session.environment.config.regions.primary)
        if not choices.as_json:
            console(choices).print(plan_table(plan, whole=choices.verbose))
            if plan.findings:
                console(choices).print(findings_table(plan.findings))
        if any(each.code != LOSS for each in plan.errors):
            raise PlanRefused(plan.errors)
        if plan.errors:
            raise Refused(
                f"{region} holds data that would go with it ({len(plan.errors)} things).",
                where=region,
                remedy=f"until then it stays a secondary; {again} --retire --allow-data-loss",
            )
        confirm_by_name(choices, session.environment.config)
        session.journal.changing()  # the file goes first, so that a killed retirement is finished by `up`
        write_text(choices.config, applied(found.edit, read_text(choices.config)))
        session.catalog.keep(found.environment.release(), deployed_releases(session.journal).links)
        with working(choices, f"taking {region} down"):
            deploy(found.environment, session.journal, found.proposal)
        screen = console(choices)
        told = deployed_releases(session.journal)
        gone = moves.of_retired(region, found.environment.config.regions.primary)
        topics(session, screen).on_news(str(told.run_id), gone, told.regions_up)
    return True
