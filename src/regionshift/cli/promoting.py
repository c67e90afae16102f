"""`regionshift promote` and what goes on with it, as a person sees them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from regionshift.cli.migrations import carrying_in
from regionshift.cli.opening import opened, settings_of
from regionshift.cli.options import Choices
from regionshift.cli.show import confirm, console, print_json, working
from regionshift.cli.telling import StepRows, topics
from regionshift.errors import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_REFUSED,
    InputError,
    Interrupted,
    Refused,
    WorkFailed,
)
from regionshift.journal.events import DECISION
from regionshift.operations import moves, rejoining
from regionshift.operations.moving import proposing
from regionshift.operations.moving.copying import LastCopy
from regionshift.operations.moving.engine_runs import PromotionApplier
from regionshift.operations.moving.measuring import unproven
from regionshift.operations.moving.promoting import Promotion
from regionshift.operations.moving.promotion_plan import PromotionPlan
from regionshift.operations.unfinished import require_finished
from regionshift.operations.up import PlanRefused
from regionshift.operations.usable_keys import key_findings
from regionshift.releases import deployed_releases
from regionshift.report.moving import StepsView, promotion_table
from regionshift.report.terminal import findings_table, plan_table
from regionshift.report.values import Plan, as_data, exit_code_of
from regionshift.runs.driver import saga_state
from regionshift.runs.state import Ending
from regionshift.session import Session
from regionshift.settings.config import MigrationConfig
from regionshift.settings.mistakes import SettingsError
from regionshift.surroundings import ProjectFiles

MEANINGS = {
    "fence": "shut the lost region's roles",
    "validate": "check the new primary",
    "gather": "copy what only other regions have",
    "last-copy": "copy what replication did not carry",
    "settings": "change the settings",
    "unlink": "take the old replication away",
    "turn": "replicate from the new primary",
    "catch-up": "copy what was written meanwhile",
    "validate-all": "check every region",
}


def run_promote(choices: Choices, new: str, *, lost: bool, plan_only: bool) -> int:
    """Make a secondary the primary: plan, show, confirm, do it step by step, say how it ended."""
    old = settings_of(choices).regions.primary
    # When the settings name the new primary already, the journal knows who is lost.
    skipped = (old,) if lost and old != new else ()
    with opened(choices, locked=True, skipped=skipped) as session:
        view = proposing.unfinished(session.journal)
        if view is not None and proposing.plan_of(view).new == new and not plan_only:
            code = resume_promotion(choices, session, back=False)
            if (move := moves.unfinished(session.journal)) is not None:
                go_on = moves.command_of(*moves.ends_of(move))
                console(choices).print(f"It was part of a move; go on with: {go_on}")
                return EXIT_FAILED
            return EXIT_FAILED if code is None else code
        require_finished(session.journal)
        return promote_here(choices, session, new, lost=lost, plan_only=plan_only)


def promote_here(choices: Choices, session: Session, new: str, *, lost: bool, plan_only: bool = False) -> int:
    """The same, in a command that is session already."""
    with working(choices, "planning"):
        proposed, preview, facts = _prepared(choices, session, new, lost=lost)
    plan = proposed.plan
    if not choices.as_json:
        screen = console(choices)
        screen.print(f"{plan.new} becomes the primary, {_fate(plan)}.")
        screen.print(plan_table(preview, whole=choices.verbose))
        if preview.findings:
            screen.print(findings_table(preview.findings))
        screen.print(promotion_table(facts))
        for sentence in facts.get("unproven", ()):
            screen.print(f"! {sentence}", style="yellow")
    if plan_only:
        if choices.as_json:
            shown = {"changes": as_data(preview.changes), "findings": as_data(preview.findings)}
            print_json({"plan": plan.to_json(), **shown, **facts})
        return EXIT_REFUSED if facts.get("conflicts") else exit_code_of(preview.findings)
    _require_no_obstacle(plan, preview, facts)
    confirm(choices, f"Make {new} the primary?", session.environment.config)
    run = proposing.begin(session.catalog, session.journal, proposed)
    return _go(choices, session, plan, run.run_id, facts)


def promote_quietly(choices: Choices, session: Session, new: str, view: StepsView) -> dict[str, Any]:
    """The same as a part of a move, whose view shows the steps; goes on with one that was killed.

    Raises:
        WorkFailed: it was taken back.
    """
    left = proposing.unfinished(session.journal)
    if left is not None:
        plan, run_id = proposing.plan_of(left), left.run_id
        take_over(choices, session, run_id)
    else:
        proposed, preview, facts = _prepared(choices, session, new, lost=False)
        plan = proposed.plan
        _require_no_obstacle(plan, preview, facts)
        run_id = proposing.begin(session.catalog, session.journal, proposed).run_id
    run = session.journal.reopen(run_id)
    with _promotion(choices, session, plan, run_id) as promotion:
        listeners = [StepRows(view, "promote/"), topics(session, view.console)]
        state = proposing.go(session.journal, run, promotion, listeners)
    if state.ending is not Ending.DONE:
        why = "; ".join(f"{step}: {said}" for step, said in state.failed.items())
        raise WorkFailed(f"the change of primary was {state.ending or 'not finished'}: {why}", where=run_id)
    return {"run": run_id, **proposing.measured(state)}


def _prepared(
    choices: Choices, session: Session, new: str, *, lost: bool
) -> tuple[proposing.Proposed, Plan, dict[str, Any]]:
    """The plan, what the engine would change, and what is known before the first step."""
    proposed = proposing.propose(
        session.environment,
        session.catalog,
        session.journal,
        deployed_releases(session.journal),
        new,
        choices.config,
        lambda text: load_text(choices, text),
        lost=lost,
    )
    plan = proposed.plan
    proposing.require_secrets(session.environment, new)
    session.catalog.add_unsaved(proposed.release)  # kept only once it is confirmed
    applier = PromotionApplier(session.environment, session.catalog, plan.uncalled)
    after = dict.fromkeys(plan.present, plan.after)
    findings = key_findings(session.environment.clients, session.environment.config, plan.present)
    preview = applier.preview(after, plan.after, findings)
    return proposed, preview, _facts(choices, session, plan)


def _require_no_obstacle(plan: PromotionPlan, preview: Plan, facts: Mapping[str, Any]) -> None:
    """Raises PlanRefused, Refused."""
    if preview.errors:
        raise PlanRefused(preview.errors)
    if conflicts := facts.get("conflicts"):
        raise Refused(
            f"{conflicts} items under `carry` were changed in {plan.new} by somebody else.",
            where=plan.new,
            remedy=f"see: regionshift migrate --from {plan.old} --to {plan.new} --plan-only",
        )


def resume_promotion(choices: Choices, session: Session, *, back: bool) -> int | None:
    """Go on with a change of primary that was stopped or killed, or take it back; None when there is none."""
    view = proposing.unfinished(session.journal)
    if view is None:
        return None
    plan = proposing.plan_of(view)
    take_over(choices, session, view.run_id)
    if back:
        proposing.turn_back(session.journal, session.journal.reopen(view.run_id), plan)
    return _go(choices, session, plan, view.run_id, {})


def take_over(choices: Choices, session: Session, run_id: str) -> None:
    """Find what the killed engine of an open run made, and say so."""
    if findings := proposing.take_over(session.environment, session.journal, run_id).findings(
        session.environment.config.all_regions
    ):
        console(choices).print(findings_table(findings))


def _go(
    choices: Choices, session: Session, plan: PromotionPlan, run_id: str, facts: Mapping[str, Any]
) -> int:
    run = session.journal.reopen(run_id)
    with _promotion(choices, session, plan, run_id) as promotion, _view(choices, plan) as view:
        listeners = [StepRows(view), topics(session, view.console)]
        try:
            state = proposing.go(session.journal, run, promotion, listeners)
        except Interrupted as error:
            going_back = saga_state(session.journal, run_id, plan.steps).backward
            error.remedy = (
                "regionshift resume goes on with taking it back"
                if going_back
                else "regionshift resume goes on with it, regionshift resume --back takes it back"
            )
            raise
    again = "mend the cause, then again" if state.failed else "to do it after all"
    remedy = {
        Ending.DONE: None,
        Ending.TAKEN_BACK: f"{again}: {plan.command}",
    }.get(state.ending or Ending.STUCK, "mend the cause, then: regionshift resume")
    seen = session.journal.view(run_id)
    took = (seen.ended or session.environment.now()) - seen.started
    measured = proposing.measured(state)
    target = session.environment.config.recovery.rto
    recovery = proposing.recovery(plan, seen, measured, target) if state.ending is Ending.DONE else {}
    found = {**facts, **measured, "seconds": round(took.total_seconds(), 1), **recovery}
    if choices.as_json:
        print_json(
            {
                "run": run_id,
                "outcome": state.ending or "unfinished",
                "primary": plan.new if state.ending is Ending.DONE else plan.old,
                "steps": {name: dict(said) for name, said in state.said.items()},
                "failed": state.failed,
                "remedy": remedy,
                "fenced": sorted(plan.uncalled) if state.ending is Ending.DONE else sorted(plan.fenced),
                **found,
            }
        )
    else:
        screen = console(choices)
        if state.ending is Ending.DONE:
            screen.print(promotion_table({name: value for name, value in found.items() if name not in facts}))
            for missed in found["warnings"]:
                screen.print(f"warning: {missed}", style="yellow")
        for step, why in state.failed.items():
            screen.print(f"✗ {step}: {why}", style="red")
        if remedy:
            screen.print(f"  → {remedy}", style="dim")
    turned = any(event.step == DECISION for event in session.journal.events(run_id))
    return EXIT_OK if state.ending is (Ending.TAKEN_BACK if turned else Ending.DONE) else EXIT_FAILED


@contextmanager
def _promotion(choices: Choices, session: Session, plan: PromotionPlan, run_id: str) -> Iterator[Promotion]:
    with carrying_in(session) as carrying:
        yield Promotion(
            plan,
            run_id,
            session.environment,
            session.catalog,
            PromotionApplier(session.environment, session.catalog, plan.uncalled),
            partial(LastCopy, carrying, session.journal, time.monotonic),
            choices.config,
            time.monotonic,
        )


@contextmanager
def _view(choices: Choices, plan: PromotionPlan) -> Iterator[StepsView]:
    meanings = {step.name: MEANINGS[step.name] for step in plan.steps}
    with StepsView(console(choices), f"promote {plan.new}", meanings, time.monotonic) as view:
        yield view


def _facts(choices: Choices, session: Session, plan: PromotionPlan) -> dict[str, Any]:
    """What is known before the first step: what is left to copy, or what is unproven.

    Raises:
        InputError, Refused: a place that a step copies from or to is not there, or not fit.
    """
    with _promotion(choices, session, plan, "planned") as promotion:
        promotion.look()
    if plan.lost:
        config = session.environment.config
        now = session.environment.now()
        clients = session.environment.clients
        return {"unproven": unproven(clients, session.journal, config, plan.old, plan.new, now)}
    with _promotion(choices, session, plan, "planned") as promotion:
        made = promotion.copies(plan.old, plan.new).plan()
    facts: dict[str, Any] = {"to_copy": made.to_copy, "bytes": made.bytes}
    return {**facts, "conflicts": len(made.conflicts)} if made.conflicts else facts


def _fate(plan: PromotionPlan) -> str:
    if plan.lost:
        return f"{plan.old} is given up as lost: it gets no call and is fenced"
    return f"{plan.old} becomes a secondary"


def load_text(
    choices: Choices,
    text: str,
    remedy: str = "change this so that it fits both primaries, run `regionshift up`, and promote again",
) -> MigrationConfig:
    """The settings that ``text`` would give in place of the file; ``remedy`` if they would be wrong."""
    aside = ProjectFiles(choices.config).home / "settings-to-be.yaml"
    aside.write_bytes(text.encode())
    try:
        return settings_of(choices, aside)
    except SettingsError as error:
        first = error.mistakes[0]
        raise InputError(
            f"The settings with other regions would be wrong: {first}",
            where=first.path,
            remedy=remedy,
        ) from error
    finally:
        aside.unlink()


_MOST_NAMED = 20
_ALONE = {
    "keys": "written in {region} alone",
    "written": "written in both, the primary's counts, {region} has another",
    "deleted": "deleted in {region} alone",
}


def require_alone(given: Mapping[str, bool]) -> None:
    """Raises InputError when an option was given that a return does not know; ``given``: by name."""
    if wrong := [name for name, is_given in given.items() if is_given]:
        raise InputError(
            f"--rejoin does not go with {', '.join(wrong)}.",
            where="--rejoin",
            remedy="leave that out: a return changes nothing else, takes nothing away, and always checks;"
            " what it is not for is done by `regionshift up` before or after",
        )


def run_rejoin(choices: Choices, region: str) -> int:
    """Bring a fenced region back as a secondary; before anything else it is shut for writers and replication."""
    with opened(choices, locked=True, rejoining=(region,)) as session:
        require_finished(session.journal)
        rejoining.require_fenced(session.journal, region)
        _show(choices, session, region)
        with carrying_in(session) as carrying:
            primary = session.environment.config.regions.primary
            LastCopy(carrying, session.journal, time.monotonic, primary, region).look_before_return()
        confirm(choices, f"Shut {region}, then bring it back as a secondary?", session.environment.config)
        title = f"rejoin {region}"
        with (
            carrying_in(session) as carrying,
            StepsView(console(choices), title, rejoining.STEPS, time.monotonic) as view,
        ):
            copies = partial(LastCopy, carrying, session.journal, time.monotonic)
            listeners = [StepRows(view), topics(session, view.console)]
            said = rejoining.Rejoin(
                session.environment, session.catalog, session.journal, copies, listeners
            ).run(region)
    if choices.as_json:
        print_json({"rejoined": region, "steps": said})
    else:
        _show_alone(choices, region, said["look"])
    return EXIT_OK


def _show_alone(choices: Choices, region: str, found: Mapping[str, Sequence[str]]) -> None:
    """What the region has that nobody else has; a person says whether it is right."""
    screen = console(choices)
    for name, meaning in _ALONE.items():
        keys = found.get(name, ())
        for key in keys[:_MOST_NAMED]:
            screen.print(f"! {meaning.format(region=region)}: {key}", style="yellow")
        if len(keys) > _MOST_NAMED:
            screen.print(f"! … and {len(keys) - _MOST_NAMED} more; --json names them", style="yellow")
    if any(name in found for name in _ALONE):
        screen.print(
            f"  → nothing of that was carried over: look, and copy what is right from the bucket in {region}",
            style="dim",
        )


def _show(choices: Choices, session: Session, region: str) -> None:
    """What the return changes. Raises Refused, PlanRefused when that may not be."""
    with working(choices, "planning"):
        plan = rejoining.plan_return(
            session.environment, session.catalog, session.journal, session.machine, region, choices.config
        )
    if not choices.as_json:
        screen = console(choices)
        screen.print(plan_table(plan, whole=choices.verbose))
        if plan.findings:
            screen.print(findings_table(plan.findings))
    if plan.errors:
        raise PlanRefused(plan.errors)
