"""Telling what goes on: one stream of news, to the topics of the regions and to the terminal."""

from __future__ import annotations

from collections.abc import Callable, Collection

from regionshift.cli.deployment_tables import news_line
from regionshift.operations.waves.driving import WaveNewsListener
from regionshift.operations.waves.telling import TopicNotifier
from regionshift.report.moving import StepsView
from regionshift.report.printer import Screen
from regionshift.runs.messages import News
from regionshift.wiring import Wired


def topics(wired: Wired, screen: Screen) -> TopicNotifier:
    """The topics of an environment; what cannot be told there is said on ``screen``."""
    environment = wired.environment
    return TopicNotifier(
        environment.clients,
        environment.config,
        environment.now,
        lambda said: screen.print(f"warning: {said}", style="yellow"),
    )


def readers(wired: Wired, screen: Screen) -> tuple[WaveNewsListener, ...]:
    """Who is told of a deployment or a destroy: the person at the terminal, and the regions' topics."""
    return (lambda _run, news, _regions: screen.print(news_line(news)), topics(wired, screen))


def herald(
    wired: Wired, view: StepsView, run_id: str, regions: Callable[[], Collection[str]]
) -> Callable[[News], None]:
    """Tells the regions' topics, and the view, what is new of one run. ``regions`` are asked for each time."""
    told = topics(wired, view.console)

    def spread(news: News) -> None:
        view.news(news.summary, news.status, of_step="step" in news.counts)
        told(run_id, news, regions())

    return spread
