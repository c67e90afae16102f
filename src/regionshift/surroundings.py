"""The surroundings of a command, read once and passed on as values: variables, clocks, the user, memory, folders."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

HOME = ".regionshift"


@dataclass(frozen=True)
class ProjectFiles:
    """The folders of one settings file: everything is under ``.regionshift/`` next to it."""

    config: Path

    @property
    def home(self) -> Path:
        """``.regionshift/`` beside the settings."""
        return self.config.resolve().parent / HOME

    def make_home(self) -> Path:
        """The same folder, created if it is missing, and kept out of Git: it may have keys and a whole state."""
        self.home.mkdir(parents=True, exist_ok=True)
        ignored = self.home / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n", encoding="utf-8")
        return self.home

    @property
    def cloud(self) -> Path:
        """The data of the embedded AWS."""
        return self.home / "cloud"


@dataclass(frozen=True)
class Surroundings:
    """The surroundings, read once: environment variables, clocks, how to stop."""

    variables: Mapping[str, str] = field(repr=False)
    now: Callable[[], datetime]
    monotonic: Callable[[], float]


def surroundings() -> Surroundings:
    """The process's own."""
    return Surroundings(dict(os.environ), lambda: datetime.now(UTC), _seconds)


def _seconds() -> float:
    """Seconds that also pass while the machine sleeps, so that a lease is not trusted when it wakes too late.

    clock_gettime(2): on Linux CLOCK_MONOTONIC stands still in suspend and CLOCK_BOOTTIME does not; on macOS
    CLOCK_MONOTONIC goes on, and Python's own monotonic clock (mach_absolute_time) does not.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def user_name() -> str:
    """Who is at work; a container's user may have a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the second since Python 3.13
        return f"user {os.getuid()}"


def free_memory_mb() -> int | None:
    """Free memory; None if the system does not report it, as on macOS.

    Memory that only caches files counts as free, if the system reports it.
    """
    told = Path("/proc/meminfo")
    for line in told.read_text(encoding="utf-8").splitlines() if told.exists() else ():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 2**10
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    except (ValueError, OSError):
        return None
