"""Putting together what drives a deployment from a terminal: who is asked, what is said, on which terms."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import typer

from regionshift.cli.deployment_tables import step_line
from regionshift.cli.options import Choices
from regionshift.cli.show import confirm, console, person_is_there, working
from regionshift.cli.telling import NewsLines, topics
from regionshift.engine.events import StepProgress
from regionshift.errors import Refused
from regionshift.operations.environment import Environment
from regionshift.operations.obstacles import before_waves
from regionshift.operations.up import PlanRefused
from regionshift.operations.waves import deploying
from regionshift.operations.waves.applier import Applier
from regionshift.operations.waves.bake import Watch
from regionshift.operations.waves.facts import Terms
from regionshift.operations.waves.wave_run import WaveDriver
from regionshift.releases import DeployedReleases
from regionshift.report.live import Activity
from regionshift.report.values import errors_of
from regionshift.runs.deployment_plan import WaveStep
from regionshift.runs.driver import Unanswered, Waits
from regionshift.runs.messages import RunListener, StepPhase
from regionshift.session import Session

_GO_ON = (
    "`regionshift resume` begins it (with --yes where nobody can be asked),"
    " `regionshift resume --back` takes back what was done"
)


@contextmanager
def driver(choices: Choices, session: Session, *, approving: str | None = None) -> Iterator[WaveDriver]:
    """A driver that shows every step, tells the topics, and asks before the waves that are to be approved.

    Args:
        approving: the step that --yes approves, as a person who resumes has seen that it waits.
    """
    screen, environment, under_way = console(choices), session.environment, _UnderWay(choices)
    try:
        yield WaveDriver(
            environment,
            session.journal,
            Applier(environment, session.catalog, under_way.listen),
            Watch(environment.clients, time.monotonic, time.sleep, under_way.left),
            _approval(choices, environment, approving),
            [under_way, NewsLines(screen), topics(session, screen)],
        )
    finally:
        under_way.end()


class _UnderWay(RunListener[WaveStep]):
    """Shows each step, and of the one that is being done its resource, since when, and what is left of a bake."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._activity: Activity | None = None

    def on_step(self, step: WaveStep, phase: StepPhase, said: Mapping[str, object]) -> None:
        self.end()
        if line := step_line(step, phase, said):
            console(self._choices).print(line)
        if phase == "before" and step.action != "approve":  # nothing moves under a question
            what = f"{step.name} ({', '.join(step.regions)})"
            self._activity = working(self._choices, what).__enter__()

    def end(self) -> None:
        if self._activity is not None:
            self._activity.__exit__()
        self._activity = None

    def listen(self, progress: StepProgress) -> None:
        step = progress.step
        if self._activity is not None and progress.phase == "started" and step.changes:
            self._activity.now(f"{step.op} {step.name}")

    def left(self, seconds: float) -> None:
        if self._activity is not None:
            self._activity.ends_in(seconds)


def begun_under(
    session: Session,
    intent: deploying.Intent,
    deployed: DeployedReleases,
    terms: Terms,
    *,
    despite_alarms: bool,
) -> deploying.Intent:
    """The intent on its terms, with the alarms that are red and need not be green first.

    Asked anew: between the plan and this moment a person may have thought it over for long.

    Raises:
        PlanRefused: an alarm is red that should not be, is not there or cannot be read, or a bake is too short.
    """
    target = intent.plan.target
    found = before_waves(
        session.environment, session.journal, deployed, target, terms, despite=despite_alarms
    )
    if errors_of(found.findings):
        raise PlanRefused(found.findings)
    return deploying.under(intent, terms, found.red)


def _approval(
    choices: Choices, environment: Environment, approving: str | None
) -> Callable[[WaveStep], bool]:
    """A person at the terminal is asked whatever --yes says: what nobody looks at is no approval."""

    def approve(step: WaveStep) -> bool:
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
            confirm(asking, f"Begin wave {step.wave} ({', '.join(step.regions)})?", environment.config)
        except Refused:
            return False
        except typer.Abort as left:  # Ctrl-C or the end of the input is no answer
            raise Unanswered(
                f"Wave {step.wave} ({', '.join(step.regions)}) was not answered for; it waits.",
                where="deployment.approve",
                remedy=_GO_ON,
            ) from left
        return True

    return approve
