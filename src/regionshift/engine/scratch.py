"""Where engine runs keep what is for their own time: a folder a process, which the next run takes away if it must.

The SDK makes a folder for each run's events, and the engine unpacks what it works on, both in the system's temporary
folder; whoever is killed leaves them there, and nothing ever takes them away.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pulumi.automation._stack as sdk


class Scratch:
    """This process's folder under ``root``, made when it is needed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folder = root / str(os.getpid())

    def make(self) -> None:
        """Have the folder there."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove(self) -> None:
        """Take the folder away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove_dead(self) -> None:
        """Take away what processes left that are no more. Only while no engine is at work."""
        for folder in self._root.glob("*"):
            if folder.name.isdigit() and not lives(int(folder.name)):
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def used_by_sdk(self) -> Iterator[None]:
        """The SDK's own folders are made here, and not in the system's temporary folder."""
        self.make()
        made_here = partial(tempfile.TemporaryDirectory, dir=self.folder)
        vars(sdk)["tempfile"] = SimpleNamespace(**{**vars(tempfile), "TemporaryDirectory": made_here})
        try:
            yield
        finally:
            vars(sdk)["tempfile"] = tempfile


def lives(pid: int) -> bool:
    """Whether there is a process of that number on this machine, ours or somebody else's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True
