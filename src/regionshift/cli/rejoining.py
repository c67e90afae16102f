"""`regionshift up --rejoin`: a lost region comes back, as a person sees it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial

from regionshift.cli.migrations import carrying_in
from regionshift.cli.opening import opened
from regionshift.cli.options import Choices
from regionshift.cli.show import confirm, console, print_json, working
from regionshift.cli.telling import StepRows, topics
from regionshift.errors import EXIT_OK, InputError
from regionshift.operations import rejoining
from regionshift.operations.moving.copying import LastCopy
from regionshift.operations.unfinished import require_finished
from regionshift.operations.up import PlanRefused
from regionshift.report.moving import StepsView
from regionshift.report.terminal import findings_table, plan_table
from regionshift.session import Session

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
