"""`regionshift destroy`: show what will be deleted, ask for the name, delete, and check that nothing is left."""

from __future__ import annotations

from dataclasses import asdict

from regionshift.cli.opening import opened
from regionshift.cli.options import Choices
from regionshift.cli.running import shown
from regionshift.cli.show import (
    aside,
    confirm_by_name,
    console,
    print_json,
    show_plan,
    working,
)
from regionshift.errors import EXIT_OK
from regionshift.operations.deploying import mend
from regionshift.operations.destroy import count_what_goes, destroy, propose_destroy, require_destroyable
from regionshift.operations.environment import Environment
from regionshift.operations.unfinished import require_endable
from regionshift.report.values import Plan


def run_destroy(choices: Choices) -> int:
    """Show what will be deleted, ask for the name, delete, and check that nothing is left."""
    with opened(choices, locked=True) as session:
        environment = (
            session.environment.calling_left_out()
        )  # a deployment that leaves a region out ends here
        require_destroyable(environment)
        require_endable(session.journal)
        remains = mend(environment, session.journal)
        screen = console(choices)
        with working(choices, "planning"):
            plan = propose_destroy(environment)
        show_plan(choices, plan)
        unclear = remains.killed or remains.half_done
        if unclear:
            aside(choices).print(
                "Resources that an earlier run created and did not record are searched for and deleted too."
            )
        if plan.changes and not choices.yes:
            screen.print(_goes_with_it(environment, plan))
        if plan.changes or unclear:
            confirm_by_name(choices, environment.config)
        with shown(choices, f"destroy {environment.name}", plan) as view:
            done = destroy(environment, session.journal, plan, view.listeners(session))
    if choices.as_json:
        print_json(asdict(done))
        return EXIT_OK
    screen.print(f"{done.deleted} resources deleted, {done.emptied} object versions with them.")
    kept: dict[str, list[str]] = {}
    for left in done.kept:
        until = f" until {left.until.date().isoformat()}" if left.until else ""
        kept.setdefault(until, []).append(f"{left.what} [{left.region}]")
    for until, those in sorted(kept.items()):
        screen.print(f"  kept by AWS{until}, {len(those)} in all:")
        for each in those:
            screen.print(f"    {each}")
    return EXIT_OK


def _goes_with_it(environment: Environment, plan: Plan) -> str:
    kinds, more = count_what_goes(environment, plan)
    counted = [f"{count:,} {kind}" for kind, count in kinds.items() if count]
    least = "at least " if more else ""
    regions = len({change.region for change in plan.changes if change.region})
    return (
        f"{len(plan.changes)} resources in {regions} regions are deleted, and what they hold: "
        f"{least}{', '.join(counted) or 'nothing'}."
    )
