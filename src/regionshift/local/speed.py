"""Patches that make the embedded AWS faster without changing its answers.

- Policies are parsed once, not twice for each request of a role.
- Functions with the same code share one unpacked copy, with Python's compiled files.
- Executions begin at once. The emulator sleeps first, unlike AWS. Each migration and each rollback is an execution, and
  reports its time.
- S3 writes XML in a third of the time.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
import time
import types
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

_MOST_DOCUMENTS = 1024


def install() -> None:
    """Patch the running ministack."""
    from ministack.core import iam_evaluator, lambda_runtime  # type: ignore[import-untyped]
    from ministack.services import s3, stepfunctions  # type: ignore[import-untyped]

    iam_evaluator.parse_policy_document = once(iam_evaluator.parse_policy_document)
    temporary = Path(tempfile.gettempdir())
    for left in temporary.glob("ministack-lambda-*"):
        shutil.rmtree(left, ignore_errors=True)  # from an earlier process
    copies = Copies(temporary / "functions")
    copies.tidy()
    lambda_runtime.zipfile = _like_zipfile(copies)
    lambda_runtime.Worker._spawn = _sharing(lambda_runtime.Worker._spawn)
    stepfunctions.time = without_pause()
    s3.tostring = fast_tostring(s3.tostring)


def once(parse: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    """Wrap the parser of policies: parse the same text once. Each caller gets its own list.

    The emulator parses the caller's policies twice for each request, to name the caller and to decide. For a worker
    with rights for a few buckets, that takes a third of a CopyObject.
    """
    known = lru_cache(maxsize=_MOST_DOCUMENTS)(parse)

    def remembering(document: Any) -> list[Any]:
        return list(known(document)) if isinstance(document, str) else parse(document)

    return remembering


_CODE = "code.zip"
_KEPT = 5  # copies; older ones are removed
_here = threading.local()


class Copies:
    """One unpacked copy of each archive, under its digest.

    The emulator unpacks the code for each worker, so Python compiles all of it again. That takes half of a first call,
    and a change of the function starts a worker in each region. On AWS the code is read-only, so one copy is enough.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def put_at(self, place: Path, archive: zipfile.ZipFile) -> None:
        """Replace the empty folder ``place`` by a link to the copy of ``archive``."""
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
        """Remove all copies except the last used. Call this before the first worker starts."""
        copies = sorted(self._folder.glob("*"), key=lambda copy: copy.stat().st_mtime, reverse=True)
        for copy in copies[_KEPT:]:
            shutil.rmtree(copy, ignore_errors=True)


def _sharing(spawn: Callable[[Any], None]) -> Callable[[Any], None]:
    """Wrap ``spawn``: share the code of Python functions. For other runtimes the emulator writes into the code."""

    def sharing(worker: Any) -> None:
        _here.shares = str(worker.config.get("Runtime", "python")).startswith("python")
        try:
            spawn(worker)
        finally:
            _here.shares = False

    return sharing


def _like_zipfile(copies: Copies) -> types.ModuleType:
    """Return a module like `zipfile` whose archives share their copies."""

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


PAUSE = 0.15  # seconds that the emulator waits before the first step of an execution, and nowhere else


def without_pause() -> types.ModuleType:
    """Return a module like `time` whose ``sleep`` ignores `PAUSE` seconds."""

    def sleep(seconds: float) -> None:
        if seconds != PAUSE:
            time.sleep(seconds)

    module = types.ModuleType("time")
    module.__dict__.update(vars(time) | {"sleep": sleep})
    return module


def fast_tostring(tostring: Callable[..., str]) -> Callable[..., str]:
    """Wrap ``tostring``: write text without namespaces faster.

    The standard library first searches all elements for namespaces. S3's answers have only the one attribute of the
    root.
    """

    def quickly(root: Element, encoding: str = "us-ascii", **more: object) -> str:
        pieces: list[str] = []
        if encoding != "unicode" or more or not _write(root, pieces):
            return tostring(root, encoding=encoding, **more)
        return "".join(pieces)

    return quickly


def _write(element: Element, pieces: list[str]) -> bool:
    """Append the element's XML to ``pieces``. Return False when it has namespaces."""
    tag = element.tag
    if not isinstance(tag, str) or tag.startswith("{"):
        return False
    attributes = "".join(f' {name}="{_quoted(value)}"' for name, value in element.attrib.items())
    if any(name.startswith("{") for name in element.attrib):
        return False
    text = _escaped(element.text) if element.text else ""
    if len(element):
        pieces.append(f"<{tag}{attributes}>{text}")
        if not all(_write(child, pieces) for child in element):
            return False
        pieces.append(f"</{tag}>")
    else:
        pieces.append(f"<{tag}{attributes}>{text}</{tag}>" if text else f"<{tag}{attributes} />")
    if element.tail:
        pieces.append(_escaped(element.tail))
    return True


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quoted(text: str) -> str:
    text = _escaped(text).replace('"', "&quot;")
    return text.replace("\r", "&#13;").replace("\n", "&#10;").replace("\t", "&#09;")
