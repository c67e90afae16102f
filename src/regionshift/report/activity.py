"""What goes on and since when: one moving line at a terminal, and in a log a line soon and then now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rich.live import Live

from regionshift.report.migrations import duration
from regionshift.report.printer import Screen, Text

SOON_S = 0.5
SILENCE_S = 15.0


class Heartbeat:
    """Calls ``beat`` in a thread of its own, after ``soon`` seconds and then every ``silence``. A context manager."""

    def __init__(
        self, beat: Callable[[], None], *, soon: float = SILENCE_S, silence: float = SILENCE_S
    ) -> None:
        self._beat = beat
        self._soon = soon
        self._silence = silence
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        wait = self._soon
        while not self._ended.wait(wait):
            self._beat()
            wait = self._silence


class Activity:
    """One phase of a command. A context manager; what takes no time is not told.

    Args:
        what: the phase, as "planning". clock: seconds, monotonic. soon, silence: as `Heartbeat` has them.
    """

    def __init__(
        self,
        screen: Screen,
        what: str,
        clock: Callable[[], float],
        *,
        soon: float = SOON_S,
        silence: float = SILENCE_S,
    ) -> None:
        self._screen = screen
        self._what = what
        self._clock = clock
        self._began = clock()
        self._now = ""
        self._until: float | None = None
        self._heartbeat = Heartbeat(self._tell, soon=soon, silence=silence)
        self._live = Live(
            get_renderable=self._moving,
            console=screen,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> Activity:
        self._heartbeat.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._heartbeat.__exit__()
        self._live.stop()

    def now(self, text: str) -> None:
        """What is done at this moment."""
        self._now = text

    def ends_in(self, seconds: float) -> None:
        """How long it takes from now on; what is left is counted down."""
        self._until = self._clock() + seconds

    @property
    def line(self) -> str:
        """What goes on, since when, and how long still."""
        parts = [f"{self._what}  {duration(self._clock() - self._began)}"]
        if self._until is not None:
            parts.append(f"{duration(max(0.0, self._until - self._clock()))} left")
        return "  ".join([*parts, self._now] if self._now else parts)

    def _tell(self) -> None:
        if self._screen.is_live:
            self._live.start()  # once more is nothing
        else:
            self._screen.print(f"… {self.line}", style="dim")

    def _moving(self) -> Text:
        return Text(self.line, "dim", no_wrap=True, overflow="ellipsis")
