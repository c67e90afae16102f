"""What -v says, on standard error, one line an event: name first, then its facts."""

from __future__ import annotations

import logging
from typing import Any

import structlog

from regionshift.cli.show import screen_of


class _Lines:
    """Where structlog writes: the one screen, which escapes what comes from outside."""

    def debug(self, line: str) -> None:
        screen_of(stderr=True).print(line)


def make_log(*, verbose: bool) -> Any:
    """A logger for what happens beneath the tables; silent unless ``verbose``."""
    return structlog.wrap_logger(
        _Lines(),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.CRITICAL),
    )
