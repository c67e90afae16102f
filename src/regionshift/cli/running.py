"""A run at the terminal: who is told of it, what is shown of its steps, who approves, and how it ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

import typer

from regionshift.cli.opening import tools_of, topics
from regionshift.cli.options import Choices
from regionshift.cli.show import confirm, console, person_is_there, print_json
from regionshift.engine.engine import Listener
from regionshift.engine.events import StepProgress
from regionshift.errors import EXIT_FAILED, EXIT_OK, Interrupted, Refused
from regionshift.journal.events import RunView
from regionshift.operations.environment import Environment
from regionshift.operations.moving import proposing
from regionshift.operations.moving.fencing import shut_again
from regionshift.operations.unfinished import RunRow
from regionshift.operations.waves.applier import Applier
from regionshift.operations.waves.bake import BakeLook, Watch
from regionshift.operations.waves.wave_run import WaveDriver
from regionshift.releases import deployed_releases
from regionshift.report.live import NEWS_STYLES, CourseStep, CourseView, LiveView, StepsView
from regionshift.report.printer import Screen, Text
from regionshift.report.terminal import run_facts_table
from regionshift.report.values import Plan
from regionshift.runs.deployment_plan import WaveStep
from regionshift.runs.driver import RunUnderWay, SagaRun, Unanswered, Waits, drive, saga_state, turn_back
from regionshift.runs.messages import News, RunListener, StepPhase, relied_on
from regionshift.runs.state import Ending, RunStep
from regionshift.session import Session

_GO_ON = (
    "`regionshift resume` begins it (with --yes where nobody can be asked),"
    " `regionshift resume --back` takes back what was done"
)


class NewsLines(RunListener[RunStep]):
    """Each message as a line on ``screen``."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def on_news(self, run_id: str, news: News, regions: Collection[str]) -> None:
        """As of every listener."""
        del run_id, regions
        self._screen.print(news_line(news))


class StepRows(RunListener[RunStep]):
    """Each step as a row of ``view``, its name after ``prefix``, and each message above them; ``hidden`` has no row."""

    def __init__(self, view: StepsView, prefix: str = "", hidden: str = "") -> None:
        self._view, self._prefix, self._hidden = view, prefix, hidden

    def on_step(self, step: RunStep, phase: StepPhase, said: Mapping[str, object]) -> None:
        """As of every listener."""
        if step.name == self._hidden:
            return
        if phase == "earlier":
            self._view.done_before([self._prefix + step.name])
        else:
            self._view.told(self._prefix + step.name, phase, said)

    def on_news(self, run_id: str, news: News, regions: Collection[str]) -> None:
        """As of every listener."""
        del run_id, regions
        self._view.news(news.summary, news.status, of_step="step" in news.counts)


def warn_of_fences(choices: Choices, session: Session) -> None:
    """Try again to shut what could not be shut; whatever comes of it is said here and to the topics."""
    run_id, fences = shut_again(session.environment, session.journal)
    screen = console(choices)
    for fence in fences:
        said = fence.warning or f"{fence.region} is shut now: all of its roles are denied everything"
        screen.print(said, style="red bold" if fence.warning else "green")
        news = News("promote", "error" if fence.warning else "success", said)
        topics(session, screen).on_news(run_id, news, deployed_releases(session.journal).regions_up)


def do_steps(
    choices: Choices,
    session: Session,
    run: SagaRun,
    run_id: str,
    known: Mapping[str, object] = MappingProxyType({}),
) -> int:
    """Do what is left of an open run, its steps in a table, and say how it ended; 0 when what was asked for is done.

    Args:
        known: facts that were shown before it began; its JSON has them too.
    """
    journal, screen = session.journal, console(choices)
    meanings = {step.name: step.meaning for step in run.steps}
    with StepsView(screen, run.title, meanings, time.monotonic) as view:
        listeners = [StepRows(view), topics(session, view.console)]
        try:
            state = drive(RunUnderWay(journal, journal.reopen(run_id), run, listeners))
        except Interrupted as error:
            going_back = saga_state(journal, run_id, run.steps).backward
            error.remedy = (
                "regionshift resume continues to take it back"
                if going_back
                else "regionshift resume continues it, regionshift resume --back undoes it"
            )
            raise
    seen = journal.view(run_id)
    took = (seen.ended or session.environment.now()) - seen.started
    facts = {**known, "seconds": round(took.total_seconds(), 1), **run.facts(state, seen)}
    again = "fix the cause, then again" if state.failed else "to do it after all"
    remedy = {
        Ending.DONE: None,
        Ending.TAKEN_BACK: f"{again}: {run.command}" if run.command else None,
    }.get(state.ending or Ending.STUCK, "fix the cause, then: regionshift resume")
    if choices.as_json:
        print_json(
            {
                "run": run_id,
                "outcome": state.ending or "unfinished",
                "steps": {name: dict(said) for name, said in state.said.items()},
                "failed": state.failed,
                "remedy": remedy,
                **facts,
            }
        )
    else:
        if state.ending is Ending.DONE:
            screen.print(run_facts_table({name: value for name, value in facts.items() if name not in known}))
            warnings = facts.get("warnings")
            for missed in warnings if isinstance(warnings, list) else ():
                screen.print(f"warning: {missed}", style="yellow")
        for step, why in state.failed.items():
            screen.print(f"✗ {step}: {why}", style="red")
        if remedy:
            screen.print(f"  → {remedy}", style="dim")
    return EXIT_OK if state.ending is (Ending.TAKEN_BACK if seen.was_turned else Ending.DONE) else EXIT_FAILED


def resume_steps(choices: Choices, session: Session, row: RunRow, view: RunView, *, back: bool) -> int:
    """Go on with an open run of a kind that needs no more than its steps, or take it back.

    Raises:
        Refused: all of its steps are done, so that only its end is left.
    """
    assert row.run is not None
    tools, journal = tools_of(choices, session), session.journal
    proposing.take_over(tools, view.run_id)
    with row.run(tools, journal.view(view.run_id)) as run:
        if back:
            if saga_state(journal, view.run_id, run.steps).next_step is None:
                raise Refused(
                    f"Every step of {view.run_id} is done, so --back cannot undo it. Nothing was changed.",
                    where=view.run_id,
                    remedy="regionshift resume ends it",
                    error_id="RS-RUN-005",
                )
            turn_back(journal, journal.reopen(view.run_id), run.steps)
        return do_steps(choices, session, run, view.run_id)


@contextmanager
def driver(choices: Choices, session: Session, *, approving: str | None = None) -> Iterator[WaveDriver]:
    """A driver that shows every step, tells the topics, and asks before the waves that are to be approved.

    Args:
        approving: the step that --yes approves: a person has seen that it waits.
    """
    screen, environment = console(choices), session.environment
    with CourseShown(screen) as under_way:
        yield WaveDriver(
            environment,
            session.journal,
            Applier(environment, session.catalog, under_way.listen),
            Watch(environment.clients, time.monotonic, time.sleep, under_way.look),
            _approval(choices, environment, approving),
            [under_way, NewsLines(screen), topics(session, screen)],
        )


class CourseShown(RunListener[WaveStep]):
    """Shows a run in waves: its regions and phases, the resources that are changed, and what is left of a bake."""

    def __init__(self, screen: Screen, clock: Callable[[], float] = time.monotonic) -> None:
        self._view = CourseView(screen, "waves", clock)

    def __enter__(self) -> CourseShown:
        self._view.__enter__()
        return self

    def __exit__(self, *how: object) -> None:
        self._view.__exit__(*how)

    def on_course(self, steps: Sequence[WaveStep]) -> None:
        self._view.course([_course_step(step) for step in steps])

    def on_step(self, step: WaveStep, phase: StepPhase, said: Mapping[str, object]) -> None:
        if step.action == "approve" and phase == "before":
            self._view.pause()
            return
        self._view.told(step.name, phase)
        if line := step_line(step, phase, said):
            self._view.console.print(line)

    def listen(self, progress: StepProgress) -> None:
        step = progress.step
        if progress.phase == "started" and step.changes:
            self._view.now(step.region, f"{step.op} {step.name}")

    def look(self, look: BakeLook) -> None:
        self._view.watching(look.left, look.in_words)


def _course_step(step: WaveStep) -> CourseStep:
    """Of what is joined to regions there is no column, nor of a question; the way back has columns of its own."""
    phase = {"apply": "back", "validate": "checked"}.get(step.action, "") if step.back else step.action
    of_regions = step.wave is not None and step.action != "approve"
    return CourseStep(step.name, phase if of_regions else "", step.regions, step.wave, step.back)


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
                f"Nobody answered whether wave {step.wave} ({', '.join(step.regions)}) may begin; it waits.",
                where="deployment.approve",
                remedy=_GO_ON,
            ) from left
        return True

    return approve


@contextmanager
def engine_view(screen: Screen, title: str, plan: Plan) -> Iterator[Listener | None]:
    """Shows the engine at work on ``plan``; nothing to do is not shown."""
    if plan.is_empty:
        yield None
        return
    totals = Counter(change.region or "" for change in plan.changes)
    with LiveView(screen, title, plan.regions, totals, time.monotonic) as view:

        def listen(progress: StepProgress) -> None:
            step = progress.step
            if step.changes:
                view.step(progress.phase, step.region, step.urn, step.op, step.name)

        yield listen


def step_line(step: WaveStep, phase: str, said: Mapping[str, object]) -> Text | None:
    """What a person is to know of a step beside that it ended: which regions are down, what it had to rely on."""
    if phase != "after":
        return None
    regions = said.get("regions")
    if isinstance(regions, dict) and regions:
        told = "; ".join(f"{r}: {w}" for r, w in regions.items())
        return Text(f"! {step.name}  {told}", style="yellow")
    relied = relied_on(said)
    return Text(f"{step.name}: {relied}", style="yellow") if relied else None


def news_line(news: News) -> Text:
    """What the topics are told too."""
    return Text(news.summary, style=NEWS_STYLES[news.status])
