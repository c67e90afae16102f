"""`regionshift promote` and `up --rejoin`, as a person sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from regionshift.cli.opening import opened, settings_of, tools_of
from regionshift.cli.options import Choices
from regionshift.cli.running import do_steps, resume_steps, shown
from regionshift.cli.show import aside, confirm, console, print_json, show_plan, working
from regionshift.errors import EXIT_FAILED, EXIT_OK, EXIT_REFUSED, InputError
from regionshift.operations import moves, rejoining
from regionshift.operations.moving import proposing
from regionshift.operations.moving.promotion_plan import PromotionPlan
from regionshift.operations.unfinished import require_finished, require_row
from regionshift.operations.up import PlanRefused
from regionshift.report.terminal import run_facts_table
from regionshift.report.values import as_data, exit_code_of
from regionshift.session import Session


def run_promote(choices: Choices, new: str, *, lost: bool, plan_only: bool) -> int:
    """Make a secondary the primary: plan, show, confirm, do it step by step, say how it ended."""
    old = settings_of(choices).regions.primary
    # When the settings name the new primary already, the journal knows who is lost.
    skipped = (old,) if lost and old != new else ()
    with opened(choices, locked=True, skipped=skipped) as session:
        view = proposing.unfinished(session.journal)
        if view is not None and proposing.plan_of(view).new == new and not plan_only:
            code = resume_steps(choices, session, require_row(view), view, back=False)
            if (move := moves.unfinished(session.journal)) is None:
                return code
            go_on = moves.command_of(*moves.ends_of(move))
            console(choices).print(f"It was part of a move; to continue: {go_on}")
            return EXIT_FAILED
        require_finished(session.journal)
        return _promote(choices, session, new, lost=lost, plan_only=plan_only)


def _promote(choices: Choices, session: Session, new: str, *, lost: bool, plan_only: bool) -> int:
    tools = tools_of(choices, session)
    with working(choices, "planning"):
        prepared = proposing.prepare(tools, new, lost=lost)
    plan, preview, facts = prepared.plan, prepared.preview, prepared.facts
    if not choices.as_json:
        screen = console(choices) if plan_only else aside(choices, asks=True)
        screen.print(f"{plan.new} becomes the primary, {_fate(plan)}.")
        show_plan(choices, preview)
        screen.print(run_facts_table(facts))
        for sentence in prepared.unproven:
            console(choices).print(f"! {sentence}", style="yellow")
    if plan_only:
        if choices.as_json:
            shown = {name: as_data(getattr(preview, name)) for name in ("changes", "findings", "growth")}
            print_json({"plan": plan.to_json(), **shown, **facts})
        return EXIT_REFUSED if facts.get("conflicts") else exit_code_of(preview.findings)
    prepared.require_no_obstacle()
    confirm(choices, f"Make {new} the primary?", session.environment.config)
    run_id = proposing.begin(session.catalog, session.journal, prepared.proposed).run_id
    with proposing.promotion_run(tools, plan, run_id) as run:
        return do_steps(choices, session, run, run_id, facts)


def _fate(plan: PromotionPlan) -> str:
    if plan.lost:
        return f"{plan.old} is given up as lost: it gets no call and is fenced"
    return f"{plan.old} becomes a secondary"


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
            f"--rejoin cannot be combined with {', '.join(wrong)}.",
            where="--rejoin",
            remedy="leave that out: bringing a region back changes nothing else and always checks;"
            " for the rest run `regionshift up` before or after",
            error_id="RS-USAGE-001",
        )


def run_rejoin(choices: Choices, region: str) -> int:
    """Bring a fenced region back as a secondary; before anything else it is shut for writers and replication."""
    with opened(choices, locked=True, rejoining=(region,)) as session:
        require_finished(session.journal)
        tools = tools_of(choices, session)
        with working(choices, "planning"):
            plan = rejoining.plan_return(tools, region)
        show_plan(choices, plan)
        if plan.errors:
            raise PlanRefused(plan.errors)
        rejoining.look_before_return(tools, region)
        confirm(choices, f"Shut {region}, then bring it back as a secondary?", session.environment.config)
        with shown(choices, f"rejoin {region}") as view:
            said = rejoining.rejoin(tools, region, view.listeners(session))
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
