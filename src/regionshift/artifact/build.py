"""Put the artifact together and keep it under its digest."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from regionshift.artifact.archive import pack
from regionshift.artifact.distributions import DistributionPart, Installed, installed, tree_digest
from regionshift.artifact.lock import SELECTIONS, read_lock
from regionshift.artifact.own_code import own_files
from regionshift.artifact.problems import ArtifactError
from regionshift.settings.release import Artifact


def build(cache_dir: Path) -> Artifact:
    """The function's zip, ``function-<digest>.zip`` in ``cache_dir``; the same input gives the same bytes.

    A file that is already there is used when its bytes are right, else written anew.

    Raises:
        ArtifactError: a dependency is missing, is not at its locked version, or was changed.
    """
    content = pack(collect())
    digest = hashlib.sha256(content).hexdigest()
    path = cache_dir / f"function-{digest}.zip"
    if not _holds(path, digest):
        _write(path, content)
    return Artifact(path, digest)


def collect() -> dict[str, bytes]:
    """Everything in the zip, by path.

    Raises:
        ArtifactError: as of ``build``.
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
            f"{selection.name} {found.version} is installed, the function is locked to {version}.",
            remedy=f"pip install {selection.name}=={version}",
        )
    if tree_digest(found.files) != digest:
        raise ArtifactError(
            f"{selection.name} {version} is installed with other contents than the function is locked to.",
            remedy=f"pip install --force-reinstall {selection.name}=={version}",
        )


def _holds(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _write(path: Path, content: bytes) -> None:
    """Under another name first: who builds at the same time, or is killed, leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
