"""What a command does beneath its tables, for `-v`, `-vv` and `--log-file`: calls, locks, the journal, the engine.

A line is an event and its facts: names, numbers and codes of errors. Never a value that a person or AWS gave, nor the
sentence of an error, as AWS repeats values in it. The standard library only: the carriers run in Lambda too, where
nobody listens.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_LOGGER = logging.getLogger(__name__)
STEPS: Final = logging.INFO
"""What `-v` says."""
DETAILS: Final = logging.DEBUG
"""What `-vv` says as well."""
_LEVELS = (logging.CRITICAL, STEPS, DETAILS)
_RUN = "run"


def is_on(level: int = STEPS) -> bool:
    """Whether anybody listens: what is dear to find out is found out only then."""
    return bool(_LOGGER.handlers) and _LOGGER.isEnabledFor(level)


def tell(event: str, level: int = STEPS, /, **facts: object) -> None:
    """Log ``event`` with its ``facts``; one that is None is left out."""
    if is_on(level):
        known = {name: value for name, value in facts.items() if value is not None}
        _LOGGER.log(level, event, extra={"facts": known})


@contextmanager
def timed(event: str, level: int = STEPS, /, **facts: object) -> Iterator[dict[str, object]]:
    """Log ``event`` at the end, with its milliseconds, what was put into the dictionary, and the kind of an error."""
    began = time.monotonic()
    try:
        yield facts
    except BaseException as error:
        facts.setdefault("error", type(error).__name__)
        raise
    finally:
        tell(event, level, **facts, ms=round(1000 * (time.monotonic() - began), 1))


def run_opens(run_id: str) -> None:
    """From now on lines are of this run, whichever thread they come from."""
    tell(_RUN, action="open", run=run_id)


def run_closes(run_id: str) -> None:
    """From now on lines are of the run within which this one was, if there was any."""
    tell(_RUN, action="close", run=run_id)


@contextmanager
def listening(
    verbosity: int, file: Path | None, show: Callable[[str], None], **always: object
) -> Iterator[None]:
    """Within it lines go to ``show`` as ``verbosity`` asks (0: none), and all of them to ``file`` with ``always``.

    Raises:
        OSError: the file cannot be written.
    """
    handlers: list[logging.Handler] = []
    if verbosity:
        handlers.append(_Shown(show, _LEVELS[min(verbosity, 2)]))
    if file is not None:
        handlers.append(_File(file, show, always))
    before = _LOGGER.level, _LOGGER.propagate
    with ExitStack() as stack:
        for handler in handlers:
            stack.callback(handler.close)
            stack.callback(_LOGGER.removeHandler, handler)
            _LOGGER.addHandler(handler)
        _LOGGER.setLevel(min((handler.level for handler in handlers), default=logging.CRITICAL))
        _LOGGER.propagate = False
        try:
            yield
        finally:
            _LOGGER.propagate = before[1]
            _LOGGER.setLevel(before[0])


class _Shown(logging.Handler):
    def __init__(self, show: Callable[[str], None], level: int) -> None:
        super().__init__(level)
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        """Show ``record`` as a line: time (UTC), event, name=value …"""
        pairs = [f"{name}={_word(value)}" for name, value in vars(record)["facts"].items()]
        self._show(" ".join([_time(record)[11:], record.msg, *pairs]))


class _File(logging.Handler):
    """A JSON object a line, in ASCII, added to what is there in one write; the file is its owner's alone."""

    def __init__(self, path: Path, warn: Callable[[str], None], always: dict[str, object]) -> None:
        super().__init__(DETAILS)
        self._path = path
        self._warn = warn
        self._always = always
        self._runs: list[str] = []  # the open ones, the newest last: a move holds a migration
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of ``record``. No work fails for its log: that it cannot be written is said once."""
        facts = vars(record)["facts"]
        if record.msg == _RUN:
            self._runs = [run for run in self._runs if run != facts["run"]]
            self._runs += [facts["run"]] if facts["action"] == "open" else []
        run = self._runs[-1] if self._runs else None
        line = {"time": _time(record), "event": record.msg, "run": run, **self._always, **facts}
        try:
            os.write(self._file, json.dumps(line, default=str).encode("ascii") + b"\n")
        except OSError as error:
            self.setLevel(logging.CRITICAL)
            self._warn(f"warning: the log ends here, as {self._path} cannot be written: {error.strerror}")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
        super().close()


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _word(value: object) -> str:
    text = str(value)
    return text if text and not set(text) & set(' "=') else json.dumps(text, ensure_ascii=False)
