"""Functions of the same code share one unpacked copy, and with it what Python has compiled of it.

The emulator unpacks the code anew for every worker that it starts, so that Python compiles all of it again: half of
what a first call takes, and a change of the function starts one in every region. AWS keeps the code read-only, so one
copy serves all.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CODE = "code.zip"
_KEPT = 5  # copies; what was used before those is unpacked anew when it is called
_here = threading.local()


def install() -> None:
    """Put it into the running ministack."""
    from ministack.core import lambda_runtime  # type: ignore[import-untyped]

    temporary = Path(tempfile.gettempdir())
    for left in temporary.glob("ministack-lambda-*"):
        shutil.rmtree(left, ignore_errors=True)  # of workers that ended with an earlier process
    copies = Copies(temporary / "functions")
    copies.tidy()
    lambda_runtime.zipfile = _like_zipfile(copies)
    lambda_runtime.Worker._spawn = _sharing(lambda_runtime.Worker._spawn)


class Copies:
    """One unpacked copy of every archive, under its digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def put_at(self, place: Path, archive: zipfile.ZipFile) -> None:
        """Make ``place``, an empty folder, a link to the copy of ``archive``."""
        self._folder.mkdir(exist_ok=True)
        copy = self._folder / hashlib.sha256(Path(str(archive.filename)).read_bytes()).hexdigest()
        with self._lock:
            if not copy.exists():
                begun = copy.with_suffix(".begun")
                archive.extractall(begun)
                begun.rename(copy)
            copy.touch()
        place.rmdir()
        place.symlink_to(copy, target_is_directory=True)

    def tidy(self) -> None:
        """Remove all but the copies that were used last. To be called before the first worker starts."""
        copies = sorted(self._folder.glob("*"), key=lambda copy: copy.stat().st_mtime, reverse=True)
        for copy in copies[_KEPT:]:
            shutil.rmtree(copy, ignore_errors=True)


def _sharing(spawn: Callable[[Any], None]) -> Callable[[Any], None]:
    """``spawn``, which leaves the code of Python functions alone; to others' the emulator adds links of its own."""

    def sharing(worker: Any) -> None:
        _here.shares = str(worker.config.get("Runtime", "python")).startswith("python")
        try:
            spawn(worker)
        finally:
            _here.shares = False

    return sharing


def _like_zipfile(copies: Copies) -> types.ModuleType:
    """The module `zipfile` as the emulator's runtime uses it."""

    class Archive(zipfile.ZipFile):
        def extractall(self, path: Any = None, *more: Any, **named: Any) -> None:
            if getattr(_here, "shares", False) and Path(str(self.filename)).name == _CODE:
                _here.shares = False
                copies.put_at(Path(path), self)
            else:
                super().extractall(path, *more, **named)

    module = types.ModuleType("zipfile")
    module.__dict__.update(vars(zipfile) | {"ZipFile": Archive})
    return module
