"""What is left to do about regions that were given up as lost, said whenever something is done without them."""

from __future__ import annotations

from regionshift.cli.options import Choices
from regionshift.cli.show import console
from regionshift.cli.telling import topics
from regionshift.operations.moving.fencing import shut_again
from regionshift.releases.deployed import deployed_releases
from regionshift.runs.messages import News
from regionshift.wiring import Wired


def warn_of_fences(choices: Choices, wired: Wired) -> None:
    """Try again to shut what could not be shut; whatever comes of it is said here and to the topics."""
    run_id, fences = shut_again(wired.environment, wired.journal)
    screen = console(choices)
    for fence in fences:
        said = fence.warning or f"{fence.region} is shut now: all of its roles are denied everything"
        screen.print(said, style="red bold" if fence.warning else "green")
        news = News("promote", "error" if fence.warning else "success", said)
        topics(wired, screen).on_news(run_id, news, deployed_releases(wired.journal).regions_up)
