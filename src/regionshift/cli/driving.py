"""Putting together what drives a deployment from a terminal: who is asked, what is said, on which terms."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import typer

from regionshift.aws.errors import told_plainly
from regionshift.cli.deployment_tables import step_line
from regionshift.cli.options import Choices
from regionshift.cli.show import confirm, console, person_is_there
from regionshift.cli.telling import readers
from regionshift.cli.verbose import make_log
from regionshift.deployment.steps import Step
from regionshift.engine.engine import Listener
from regionshift.engine.events import Progress
from regionshift.errors import Interrupted, Refused
from regionshift.operations.waves import deploying
from regionshift.operations.waves.alarms import (
    Red,
    known_from,
    longest_window,
    require_green,
    require_long_enough,
)
from regionshift.operations.waves.apply import Applier
from regionshift.operations.waves.bake import RegionDown, Watch
from regionshift.operations.waves.driving import Driver, Said, Waits
from regionshift.operations.waves.facts import Terms
from regionshift.operations.waves.standing import Standing
from regionshift.wiring import Wired

_GO_ON = (
    "`regionshift resume` begins it (with --yes where nobody can be asked),"
    " `regionshift resume --back` takes back what was done"
)


def driver(choices: Choices, wired: Wired, *, approving: str | None = None) -> Driver:
    """A driver that shows every step, tells the topics, and asks before the waves that are to be approved.

    Args:
        approving: the step that --yes approves, as a person who resumes has seen that it waits.
    """
    screen, environment = console(choices), wired.environment

    def tell(step: Step, phase: str, said: Said) -> None:
        if line := step_line(step, phase, said):
            screen.print(line, soft_wrap=True)

    return Driver(
        environment,
        wired.journal,
        Applier(environment, wired.shelf, _listener(choices)),
        Watch(environment.clients, time.monotonic, time.sleep),
        _approval(choices, approving),
        tell,
        readers(wired, screen),
    )


def begun_under(
    choices: Choices,
    wired: Wired,
    intent: deploying.Intent,
    standing: Standing,
    terms: Terms,
    *,
    despite_alarms: bool,
) -> deploying.Intent:
    """The intent on its terms, with the alarms that are red and need not be green first.

    Raises:
        Refused: an alarm is red that should not be, a bake is too short, or too many regions do not answer.
        AwsFailed: the alarms of a region cannot be read.
    """
    config, skipped = wired.environment.config, intent.facts.skipped
    watch = Watch(wired.environment.clients, time.monotonic, time.sleep)
    red: list[Red] = []
    down: list[str] = []
    for region in wired.environment.regions:
        if region in skipped or not standing.releases.get(region):
            continue
        try:
            with told_plainly(region, "alarms"):
                red += watch.red(config, [region], terms.alarms)
        except RegionDown:
            down.append(region)
    if len(down) > config.deployment.failure_tolerance:
        raise Refused(
            f"{', '.join(down)} does not answer, and {config.deployment.failure_tolerance} may be down.",
            where="deployment.failure_tolerance",
            remedy="; ".join(f"--skip-region {region} leaves it out" for region in down),
        )
    answering = set(wired.environment.regions) - skipped - set(down)
    window = longest_window(wired.environment.clients, terms.alarms, answering)
    require_long_enough(config.target, terms.bake, window)
    # What puts regions back to the release that they have brings nothing new in, and is what mends them.
    repair = deploying.is_repair(intent, standing)
    known = red if repair else known_from(wired.journal, red)
    require_green(red, known, despite=despite_alarms)
    for alarm in red:
        why = "the last deployment left it so" if alarm in known and not repair else "it was so before"
        console(choices).print(
            f"warning: {alarm} is red; {why}. It counts again once it was green.",
            style="yellow",
            soft_wrap=True,
            markup=False,
        )
    return deploying.under(intent, terms, red)


def _approval(choices: Choices, approving: str | None) -> Callable[[Step], bool]:
    """A person at the terminal is asked whatever --yes says: what nobody looks at is no approval."""

    def approve(step: Step) -> bool:
        if choices.yes and step.name == approving:
            return True
        if not person_is_there():
            raise Waits(
                f"Wave {step.wave} ({', '.join(step.regions)}) waits for a person.",
                where="deployment.approve",
                remedy=_GO_ON,
            )
        asking = Choices(choices.config, as_json=choices.as_json)
        try:
            confirm(asking, f"Begin wave {step.wave} ({', '.join(step.regions)})?")
        except Refused:
            return False
        except typer.Abort as left:  # Ctrl-C or the end of the input is no answer
            raise Interrupted(
                f"Wave {step.wave} ({', '.join(step.regions)}) was not answered for; it waits.",
                where="deployment.approve",
                remedy=_GO_ON,
            ) from left
        return True

    return approve


def _listener(choices: Choices) -> Listener:
    log: Any = make_log(verbose=choices.verbose)

    def listen(progress: Progress) -> None:
        step = progress.step
        log.debug(progress.phase, op=step.op, region=step.region, type=step.type, name=step.name)

    return listen
