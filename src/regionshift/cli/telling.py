"""Who is told what goes on: the person at the terminal, and the topics of the regions."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from regionshift.cli.deployment_tables import news_line
from regionshift.cli.options import Choices
from regionshift.cli.show import console
from regionshift.operations.moving.fencing import shut_again
from regionshift.releases import deployed_releases
from regionshift.report.moving import StepsView
from regionshift.report.printer import Screen
from regionshift.runs.messages import News, RunListener, StepPhase
from regionshift.runs.state import RunStep
from regionshift.runs.topics import TopicNotifier
from regionshift.session import Session


def topics(session: Session, screen: Screen) -> TopicNotifier:
    """The topics of an environment; what cannot be told there is said on ``screen``."""
    environment = session.environment
    return TopicNotifier(
        environment.clients,
        environment.config,
        environment.now,
        lambda said: screen.print(f"warning: {said}", style="yellow"),
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
