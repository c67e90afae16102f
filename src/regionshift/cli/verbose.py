"""What -v says, on standard error, one line an event: name first, then its facts."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def make_log(*, verbose: bool) -> Any:
    """A logger for what happens beneath the tables; silent unless ``verbose``."""
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.CRITICAL),
    )
