"""`regionshift move` as a person sees it: phase by phase in one table, then what was measured."""

from __future__ import annotations

import time
from collections.abc import Collection
from functools import partial
from typing import Any

import typer

from regionshift.cli.migrations import carrying_in
from regionshift.cli.opening import opened
from regionshift.cli.options import Choices
from regionshift.cli.promoting import promote_quietly
from regionshift.cli.show import NotConfirmed, confirm, confirm_by_name, console, print_json, working
from regionshift.cli.steps import MEANINGS, load_text
from regionshift.cli.telling import herald, topics
from regionshift.errors import (
    EXIT_OK,
    Interrupted,
    Refused,
    RegionshiftError,
    WorkFailed,
)
from regionshift.journal.events import RunView
from regionshift.journal.journal import RunJournal
from regionshift.operations.deploying import deploy, mend
from regionshift.operations.moving import moves, proposing
from regionshift.operations.moving.copying import LastCopy, carried_entries
from regionshift.operations.moving.driving import NewsListener, interruption, state_of
from regionshift.operations.moving.plan import STEPS as PROMOTION
from regionshift.operations.moving.promoting import read_text, write_text
from regionshift.operations.moving.proposing import Loader, figures
from regionshift.operations.moving.settings_unchanged import require_removal_alone
from regionshift.operations.obstacles import before_plan, prevents_plan
from regionshift.operations.planning import LOSS
from regionshift.operations.preflight import region_findings
from regionshift.operations.unfinished import require_finished
from regionshift.operations.up import PlanRefused, Proposal, propose
from regionshift.operations.validate import validate
from regionshift.releases.deployed import deployed_releases
from regionshift.report.moving import StepsView, promotion_table
from regionshift.report.terminal import findings_table, plan_table
from regionshift.report.values import Plan
from regionshift.settings.editing import applied
from regionshift.wiring import Wired, settings, surroundings

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
    with opened(choices, locked=True, naming=(target,)) as wired:
        if away := wired.environment.scope.fenced:
            region = min(away)
            raise Refused(
                f"{region} is fenced.", where=region, remedy=f"first: regionshift up --rejoin {region}"
            )
        if (view := moves.unfinished(wired.journal)) is not None:
            if moves.ends_of(view) == (source, target):
                done = state_of(wired.journal, view.run_id, moves.STEPS).done
                left = [phase for phase in moves.PHASES if phase not in done]
                # The first that is left looks by itself when it begins.
                _look(choices, wired, (source, target), left[1:], view.run_id)
            # Whoever held the engine's own lock is dead: we hold the environment's.
            wired.environment.engine.release_lock()
        elif wired.environment.config.regions.primary == target:
            return None
        else:
            require_finished(wired.journal)
            _show(choices, wired, source, target)
            confirm(choices, f"Move from {source} to {target}?", wired.environment.config)
        return moves.open_run(wired.journal, source, target).run_id


def _show(choices: Choices, wired: Wired, source: str, target: str) -> None:
    """What bringing the new region up makes and changes; refused here is refused before the first change."""
    raw = settings(choices.config, choices.overrides, surroundings())
    moves.require_movable(raw, source, target)
    with working(choices, "planning"):
        plan = _look(choices, wired, (source, target), list(moves.PHASES))
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


def _look(
    choices: Choices, wired: Wired, ends: tuple[str, str], phases: Collection[str], run_id: str = "planned"
) -> Plan | None:
    """Ask each of ``phases`` for what it needs, before the first of them changes anything; what its `up` does.

    Raises:
        InputError, Refused, PlanRefused: something that one of them needs is not as it must be.
    """
    source, target = ends
    environment, load, plan = wired.environment, _loader(choices, target), None
    text = read_text(choices.config)
    if "name" in phases:
        raw = settings(choices.config, choices.overrides, surroundings())
        text = moves.with_target(raw, choices.config, target, load) or text
    if "up" in phases:
        plan = _planned(choices, wired, source, target).plan
    if environment.config.regions.primary == target or _promoting(wired):
        return plan  # the change of primary asked before its first step
    if "migrate" in phases:
        with carrying_in(wired) as carrying:
            copies = LastCopy(carrying, wired.journal, time.monotonic, source, target)
            is_up = deployed_releases(wired.journal).releases.get(target) is not None
            copies.look(run_id) if is_up else copies.look_before_up()
    if "promote" in phases:
        proposing.require_turnable(load(text), target, text, choices.config, load)
        proposing.require_secrets(environment, target, carried_entries(environment.config, source, target))
    return plan


def _planned(choices: Choices, wired: Wired, source: str, target: str) -> Proposal:
    """What bringing the new region up does. Raises Refused, PlanRefused when that may not be."""
    environment = wired.environment
    remains = mend(environment, wired.journal)
    moves.require_unchanged(
        environment, wired.catalog, deployed_releases(wired.journal), source, target, choices.config
    )
    own, refresh = moves.unfinished(wired.journal), remains.is_read_back
    # One engine run for all regions leaves none out.
    regional = region_findings(environment, tolerate=False)
    findings = before_plan(
        environment,
        wired.journal,
        wired.catalog,
        wired.machine,
        regional,
        [own.run_id] if own else (),
        refresh=refresh,
    )
    if prevents_plan(findings):
        raise PlanRefused(findings)
    proposal = propose(environment, [*findings, *remains.findings], refresh=refresh)
    if proposal.plan.errors:
        raise PlanRefused(proposal.plan.errors)
    return proposal


def _loader(choices: Choices, target: str) -> Loader:
    remedy = f"name {target} yourself (in deployment.waves too, where they are written), then go on"
    return partial(load_text, choices, remedy=remedy)


def _phases(
    choices: Choices, run_id: str, source: str, target: str
) -> tuple[dict[str, dict[str, Any]], float | None]:
    """Do what is left of a move; each phase reads the settings anew, as the one before may have changed them.

    Gives what the phases said, and the seconds since the move began, the time between two commands with them.
    """
    meanings = dict(moves.PHASES)
    del meanings["promote"]
    meanings |= {f"promote/{step.name}": MEANINGS[step.name] for step in PROMOTION}
    said: dict[str, dict[str, Any]] = {}
    seconds = None
    saga_news, began = moves.course_of(source, target), False
    with StepsView(console(choices), f"move {source} to {target}", meanings, time.monotonic) as view:
        for phase in moves.PHASES:
            with opened(choices, locked=True) as wired:
                run = wired.journal.reopen(run_id)
                state = state_of(wired.journal, run_id, moves.STEPS)
                spread = herald(wired, view, run_id, partial(moves.told_of, wired.journal))
                if phase in state.done:
                    said[phase] = dict(state.said[phase])
                    view.done_before([phase])
                else:
                    if not began:
                        spread(saga_news.of_start(again=bool(state.began)))
                        began = True
                    said[phase] = _recorded(choices, wired, run, phase, (source, target), view, spread)
                if phase == _LAST:  # also when it was done, and the command killed before it could say so
                    ended = run.close("moved", {"phases": said})
                    seconds = _took(ended)
                    spread(saga_news.of_success(figures(ended, said[phase])))
    return said, seconds


def _recorded(
    choices: Choices,
    wired: Wired,
    run: RunJournal,
    phase: str,
    ends: tuple[str, str],
    view: StepsView,
    spread: NewsListener,
) -> dict[str, Any]:
    """Do one phase, written down before and after; the last one's end is the move's own."""
    saga_news = moves.course_of(*ends)
    shown = phase != _LAST  # its own steps are in the table
    run.append(phase, "before")
    if shown:
        view.told(phase, "before", {})
    try:
        said = _phase(choices, wired, phase, run.run_id, ends, view)
    except (Interrupted, KeyboardInterrupt) as stopped:
        spread(saga_news.of_interruption(phase))
        raise interruption(phase, saga_news) from stopped
    except RegionshiftError as error:
        # Whatever stopped it, the reader is told how to go on and how to leave it.
        error.remedy = f"{error.remedy}; then: {saga_news.go_on}" if error.remedy else saga_news.go_on
        spread(saga_news.of_failure(phase, error.message))
        raise
    run.append(phase, "after", data=said)
    if shown:
        view.told(phase, "after", said)
        spread(saga_news.of_done(phase))
    return said


def _took(view: RunView) -> float | None:
    return round((view.ended - view.started).total_seconds(), 1) if view.ended else None


def resume_move(choices: Choices, *, back: bool, said: bool) -> int:
    """Go on with the open move; or stop it, with what it copied itself taken back, as `moves.require_way_back` allows.

    ``said``: the command wrote its JSON document already.
    """
    with opened(choices, locked=True) as wired:
        view = moves.unfinished(wired.journal)
        if view is None:
            return EXIT_OK
        source, target = moves.ends_of(view)
        if back:
            wired.environment.engine.release_lock()
            moves.turn_back(wired.journal, view)
            undone: dict[str, object] = {}
            if "migrate" in state_of(wired.journal, view.run_id, moves.STEPS).began:
                with carrying_in(wired) as carrying:
                    copies = LastCopy(carrying, wired.journal, time.monotonic, source, target)
                    undone = moves.take_back(copies, view.run_id)
            moves.stop(wired.journal, view.run_id)
            screen, news = console(choices), moves.course_of(source, target).of_stop()
            screen.print(news.summary, style="red")
            topics(wired, screen)(view.run_id, news, moves.told_of(wired.journal))
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


def _phase(
    choices: Choices, wired: Wired, phase: str, run_id: str, ends: tuple[str, str], view: StepsView
) -> dict[str, Any]:
    source, target = ends
    environment = wired.environment
    if phase == "name":
        return moves.name_target(environment.config, choices.config, target, _loader(choices, target))
    if phase == "up":
        return _up(choices, wired, source, target)
    if phase == "migrate":
        if environment.config.regions.primary == target:
            return {}
        with carrying_in(wired) as carrying:
            return LastCopy(carrying, wired.journal, time.monotonic, source, target).copy(run_id)
    if environment.config.regions.primary == target and not _promoting(wired):
        return {}
    return promote_quietly(choices, wired, target, view)


def _promoting(wired: Wired) -> bool:
    return any(view.kind == "promotion" for view in wired.journal.unfinished())


def _up(choices: Choices, wired: Wired, source: str, target: str) -> dict[str, Any]:
    """Bring the new region up, and the others to knowing of it; check the new one."""
    environment = wired.environment
    proposal = _planned(choices, wired, source, target)
    # Also when nothing is left to change: a run that was killed at its end has not said where the regions stand.
    wired.catalog.keep(environment.release(), deployed_releases(wired.journal).links)
    deploy(environment, wired.journal, proposal)
    wrong = [each for each in validate(environment, regions=[target]).results if not each.passed]
    if wrong:
        raise WorkFailed(f"{wrong[0].check}: {wrong[0].detail}", where=target, remedy=wrong[0].remedy)
    return {"changed": len(proposal.plan.changes)}


def _retire(choices: Choices, region: str, *, allow_data_loss: bool) -> bool:
    """Take a region out of the environment, and out of the settings; what holds data only when it is allowed."""
    with opened(choices, locked=True) as wired:
        require_finished(wired.journal)
        remains = mend(wired.environment, wired.journal)
        with working(choices, "planning"):
            found = moves.propose_retirement(
                wired.environment,
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
        require_removal_alone(found.environment, wired.catalog, deployed_releases(wired.journal))
        plan = found.proposal.plan
        again = moves.command_of(region, wired.environment.config.regions.primary)
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
        confirm_by_name(choices, wired.environment.config)
        wired.journal.changing()  # the file goes first, so that a killed retirement is finished by `up`
        write_text(choices.config, applied(found.edit, read_text(choices.config)))
        wired.catalog.keep(found.environment.release(), deployed_releases(wired.journal).links)
        with working(choices, f"taking {region} down"):
            deploy(found.environment, wired.journal, found.proposal)
        screen = console(choices)
        told = deployed_releases(wired.journal)
        gone = moves.of_retired(region, found.environment.config.regions.primary)
        topics(wired, screen)(str(told.run_id), gone, moves.told_of(wired.journal))
    return True
