"""A run at the terminal: its listeners, the view of its steps, approvals, and its end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType

import typer

from regionshift.cli.opening import tools_of, topics
from regionshift.cli.options import Choices
from regionshift.cli.show import aside, confirm, console, person_is_there, print_json
from regionshift.engine.events import StepProgress
from regionshift.errors import EXIT_FAILED, EXIT_OK, Interrupted, Refused
from regionshift.journal.events import RunView
from regionshift.operations.environment import Environment
from regionshift.operations.moving import proposing
from regionshift.operations.moving.fencing import shut_again
from regionshift.operations.unfinished import RunRow
from regionshift.operations.waves.applier import Applier
from regionshift.operations.waves.bake import Watch
from regionshift.operations.waves.wave_run import WaveDriver
from regionshift.releases import deployed_releases
from regionshift.report.live import NEWS_STYLES, CourseStep, CourseView, said_in_words
from regionshift.report.printer import Screen, Text
from regionshift.report.terminal import run_facts_table
from regionshift.report.values import Plan
from regionshift.runs.deployment_plan import WaveStep
from regionshift.runs.driver import RunUnderWay, SagaRun, Unanswered, Waits, drive, saga_state, turn_back
from regionshift.runs.messages import News, RunListener, StepPhase, StepWork, relied_on
from regionshift.runs.state import Ending, RunStep
from regionshift.session import Session

_GO_ON = (
    "`regionshift resume` begins it (with --yes where nobody can be asked),"
    " `regionshift resume --back` rolls back what was done"
)


class RunShown(RunListener[RunStep]):
    """A run at the terminal, whatever its kind: a view of its steps, and each message above it.

    With --quiet there are only errors, and the last message at the end. A context manager.

    Args:
        screen: where messages go; the view's own, but with --quiet.
    """

    def __init__(self, view: CourseView, screen: Screen) -> None:
        self._view = view
        self._screen = screen
        self._last: News | None = None

    def __enter__(self) -> RunShown:
        self._view.__enter__()
        return self

    def __exit__(self, *how: object) -> None:
        self._view.__exit__(*how)
        if self._last is not None:
            self._screen.print(news_line(self._last))

    def listeners(self, session: Session) -> list[RunListener[RunStep]]:
        """The listeners of a run in ``session``: this view, which also gets the engine's events, and the topics."""
        session.environment.engine.watch = self.on_resource
        return [self, topics(session, self._screen)]

    def within(self, name: str) -> RunListener[RunStep]:
        """The listeners of a run that is one step of the shown run: its steps come below that step."""
        return _Within(self, f"{name}/")

    @contextmanager
    def one_step(self, step: RunStep) -> Iterator[None]:
        """Show work that is no run of the journal, as a run of one step."""
        self.on_course([step])
        self.on_step(step, "before", {})
        try:
            yield
        except BaseException:
            self.on_step(step, "failed", {})
            raise
        self.on_step(step, "after", {})

    def on_course(self, steps: Sequence[RunStep]) -> None:
        """See `RunListener`."""
        self._view.course(map(_course_step, steps))

    def on_step(self, step: RunStep, phase: StepPhase, said: Mapping[str, object]) -> None:
        """As of every listener. Nothing moves while a person is asked to approve a wave."""
        if not isinstance(step, WaveStep):
            self._view.told(_course_step(step), phase, said_in_words(said))
            return
        if step.action == "approve" and phase == "before":
            self._view.pause()
            return
        self._view.told(_course_step(step), phase)
        if line := step_line(step, phase, said):
            self._screen.print(line)

    def on_news(self, run_id: str, news: News, regions: Collection[str]) -> None:
        """As of every listener; the view itself shows that a step has ended."""
        del run_id, regions
        if "step" in news.counts and news.status == "success":
            return
        is_said = news.status == "error" or self._view.screen is self._screen
        self._last = None if is_said or news.status != "success" else news
        if is_said:
            self._screen.print(news_line(news))

    def on_resource(self, progress: StepProgress) -> None:
        """The engine began or ended one resource."""
        step = progress.step
        if step.changes:
            self._view.resource(progress.phase, step.region, step.urn, f"{step.op} {step.name}")

    def on_work(self, work: StepWork) -> None:
        """See `RunListener`."""
        self._view.doing(work.region, work.what, done=work.done, total=work.total, left=work.left)


class _Within(RunListener[RunStep]):
    def __init__(self, shown: RunShown, prefix: str) -> None:
        self._shown = shown
        self._prefix = prefix

    def on_course(self, steps: Sequence[RunStep]) -> None:
        self._shown.on_course(list(map(self._named, steps)))

    def on_step(self, step: RunStep, phase: StepPhase, said: Mapping[str, object]) -> None:
        self._shown.on_step(self._named(step), phase, said)

    def on_news(self, run_id: str, news: News, regions: Collection[str]) -> None:
        self._shown.on_news(run_id, news, regions)

    def _named(self, step: RunStep) -> RunStep:
        return replace(step, name=self._prefix + step.name)


def shown(choices: Choices, title: str, plan: Plan | None = None) -> RunShown:
    """What shows a run; ``plan``: what it changes, where that is known."""
    totals = Counter(change.region or "" for change in plan.changes) if plan else {}
    return RunShown(CourseView(aside(choices), title, time.monotonic, totals), console(choices))


def _course_step(step: RunStep) -> CourseStep:
    """A step with a meaning is a row, and others are columns; so are a wave's steps, except for the links."""
    if not isinstance(step, WaveStep):
        phase = "" if step.meaning or step.back else step.name
        return CourseStep(step.name, phase, step.regions, None, step.back, step.meaning)
    phase = {"apply": "back", "validate": "checked"}.get(step.action, "") if step.back else step.action
    of_regions = step.wave is not None and step.action != "approve"
    return CourseStep(step.name, phase if of_regions else "", step.regions, step.wave, step.back)


def warn_of_fences(choices: Choices, session: Session) -> None:
    """Try again to fence regions whose roles could not be denied everything; tell the terminal and the topics."""
    run_id, fences = shut_again(session.environment, session.journal)
    screen = console(choices)
    for fence in fences:
        said = fence.warning or f"{fence.region} is fenced now: all of its roles are denied everything"
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
    """Do the remaining steps of an open run and show how it ended; returns 0 when it was done as asked.

    Args:
        known: facts that were shown before it began; the JSON repeats them.
    """
    journal, screen = session.journal, console(choices)
    with shown(choices, run.title) as view:
        listeners = view.listeners(session)
        try:
            state = drive(RunUnderWay(journal, journal.reopen(run_id), run, listeners))
        except Interrupted as error:
            going_back = saga_state(journal, run_id, run.steps).backward
            error.remedy = (
                "regionshift resume continues to roll it back"
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
            aside(choices).print(
                run_facts_table({name: value for name, value in facts.items() if name not in known})
            )
            warnings = facts.get("warnings")
            for missed in warnings if isinstance(warnings, list) else ():
                screen.print(f"warning: {missed}", style="yellow")
        for step, why in state.failed.items():
            screen.print(f"✗ {step}: {why}", style="red")
        if remedy:
            screen.print(f"  → {remedy}", style="dim")
    return EXIT_OK if state.ending is (Ending.TAKEN_BACK if seen.was_turned else Ending.DONE) else EXIT_FAILED


def resume_steps(choices: Choices, session: Session, row: RunRow, view: RunView, *, back: bool) -> int:
    """Continue an open run whose kind needs only its steps, or roll it back.

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
def driver(
    choices: Choices, session: Session, title: str, plan: Plan | None = None, *, approving: str | None = None
) -> Iterator[WaveDriver]:
    """A driver that shows every step, sends messages to the topics, and asks before waves that need an approval.

    Args:
        title: the run in words. plan: its changes, if they are known.
        approving: the step that --yes approves, because a person has seen that it waits.
    """
    environment = session.environment
    with shown(choices, f"{title} {environment.name}", plan) as view:
        listeners = view.listeners(session)
        yield WaveDriver(
            environment,
            session.journal,
            Applier(environment, session.catalog),
            Watch(environment.clients, time.monotonic, time.sleep, view.on_work),
            _approval(choices, environment, approving),
            listeners,
        )


def _approval(
    choices: Choices, environment: Environment, approving: str | None
) -> Callable[[WaveStep], bool]:
    """Return the function that asks for an approval. It asks also with --yes, except for ``approving``."""

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


def step_line(step: WaveStep, phase: str, said: Mapping[str, object]) -> Text | None:
    """Return what else to say when a step ended: regions that are down, alarms without data."""
    if phase != "after":
        return None
    regions = said.get("regions")
    if isinstance(regions, dict) and regions:
        told = "; ".join(f"{r}: {w}" for r, w in regions.items())
        return Text(f"! {step.name}  {told}", style="yellow")
    relied = relied_on(said)
    return Text(f"{step.name}: {relied}", style="yellow") if relied else None


def news_line(news: News) -> Text:
    """The messages that the topics get too."""
    return Text(news.summary, style=NEWS_STYLES[news.status])
