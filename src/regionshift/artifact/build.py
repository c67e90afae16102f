"""Build the artifact and store it under its digest."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import regionshift
from regionshift.artifact.lock import (
    SELECTIONS,
    ArtifactError,
    DistributionPart,
    Installed,
    installed,
    read_lock,
    tree_digest,
)
from regionshift.settings.release import Artifact

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_READABLE_FILE = 0o100644 << 16


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the zip of ``files`` (contents by path, with forward slashes). Only names and contents change its bytes.

    Entries are sorted, have the earliest date of the format, and are readable by everyone, because Lambda runs as
    another user. They are not compressed: zlib and zlib-ng, which some Pythons use, give different bytes, and so a
    different digest and a needless deployment. The size is no problem: Lambda accepts 50 MB directly and 250 MB
    unpacked (Lambda Developer Guide, "Lambda quotas").
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, date_time=_FIRST_DAY)
            entry.create_system = _UNIX
            entry.external_attr = _READABLE_FILE
            archive.writestr(entry, files[path], compress_type=zipfile.ZIP_STORED)
    return buffer.getvalue()


# Our packages that run in Lambda: with boto3 and Powertools, without pydantic and Pulumi.
PACKAGES = ("carriers", "function")
_MODULES = (
    "__init__.py",
    "errors.py",
    "logs.py",
    "waiting.py",
    "settings/__init__.py",
    "settings/quotas.py",
    "settings/regions.py",
)

# Lambda calls migration_handler.handler; the code itself is in regionshift.function.
ENTRIES = ("migration_handler", "migration_worker")
_ENTRY = '''"""The entry of Lambda."""

from regionshift.function.{name} import handler

__all__ = ["handler"]
'''


def own_files() -> dict[str, bytes]:
    """Return our own files of the artifact, by path in the zip."""
    root = Path(regionshift.__file__).parent
    sources = [root / name for name in _MODULES]
    for package in PACKAGES:
        sources += (root / package).rglob("*.py")
    files = {f"regionshift/{source.relative_to(root).as_posix()}": source.read_bytes() for source in sources}
    return files | {f"{name}.py": _ENTRY.format(name=name).encode() for name in ENTRIES}


def build(cache_dir: Path) -> Artifact:
    """Build the function's zip, ``function-<digest>.zip`` in ``cache_dir``.

    An existing file is used when its bytes are right, else replaced.

    Raises:
        ArtifactError: a dependency is missing, has another version than the lock, or was changed.
    """
    content = pack(collect())
    digest = hashlib.sha256(content).hexdigest()
    path = cache_dir / f"function-{digest}.zip"
    if not _holds(path, digest):
        _write(path, content)
    return Artifact(path, digest)


def collect() -> dict[str, bytes]:
    """Return all files of the zip, by path.

    Raises:
        ArtifactError: see ``build``.
    """
    files: dict[str, bytes] = {}
    locked = read_lock()
    for selection in SELECTIONS:
        found = installed(selection)
        _compare(selection, found, locked[selection.name].version, locked[selection.name].digest)
        files.update(found.files)
    return files | own_files()


def _compare(selection: DistributionPart, found: Installed, version: str, digest: str) -> None:
    if found.version != version:
        raise ArtifactError(
            f"{selection.name} {found.version} is installed, but the function is locked to {version}.",
            remedy=f"pip install {selection.name}=={version}",
        )
    if tree_digest(found.files) != digest:
        raise ArtifactError(
            f"The installed files of {selection.name} {version} differ from those in the function's lock.",
            remedy=f"pip install --force-reinstall {selection.name}=={version}",
        )


def _holds(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _write(path: Path, content: bytes) -> None:
    """Write under another name first, so that no half file remains after a kill or beside another build."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
