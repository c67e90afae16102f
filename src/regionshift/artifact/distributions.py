"""Files of an installed distribution, checked against the hashes that it was installed with.

Only Python sources, the data they read and the licences are taken. Compiled extensions are left out so that
one zip runs on both architectures and every runtime: wrapt falls back to its own Python code without them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution

from regionshift.artifact.problems import ArtifactError

_TAKEN = (".py", ".json")
_LICENCE = re.compile(r"[^/]+\.dist-info/(.*/)?(LICEN[CS]E|NOTICE|COPYING)[^/]*", re.IGNORECASE)
_NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True)
class DistributionPart:
    """What is taken of a distribution: paths that begin with one of ``roots``, not those of ``leave_out``."""

    name: str
    roots: tuple[str, ...]
    leave_out: re.Pattern[str] = _NOTHING

    def takes(self, path: str) -> bool:
        """Whether ``path``, as the distribution's RECORD has it, belongs into the artifact."""
        if _LICENCE.fullmatch(path):
            return True
        return path.startswith(self.roots) and path.endswith(_TAKEN) and not self.leave_out.match(path)


@dataclass(frozen=True)
class Installed:
    """A distribution as it is installed: its version, and the contents taken of it by path."""

    version: str
    files: Mapping[str, bytes]


def installed(selection: DistributionPart) -> Installed:
    """Read what ``selection`` takes.

    Raises:
        ArtifactError: the distribution is not installed, has no RECORD, or a file is not what was installed.
    """
    try:
        found = distribution(selection.name)
    except PackageNotFoundError as problem:
        raise ArtifactError(
            f"{selection.name} is not installed.", remedy=_reinstall(selection.name)
        ) from problem
    taken = [path for path in found.files or () if selection.takes(path.as_posix())]
    if not taken:
        raise ArtifactError(
            f"{selection.name} {found.version} does not say what it installed.",
            remedy=_reinstall(selection.name),
        )
    return Installed(found.version, {path.as_posix(): _checked(path, found, selection) for path in taken})


def tree_digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 (hex) over paths and contents."""
    lines = [f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _checked(path: PackagePath, found: Distribution, selection: DistributionPart) -> bytes:
    try:
        content = path.read_binary()
    except OSError as problem:
        raise ArtifactError(
            f"{path} of {selection.name} {found.version} cannot be read.", remedy=_reinstall(selection.name)
        ) from problem
    # RECORD: urlsafe base64 without padding (Binary distribution format, "Signed wheel files").
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    if path.hash is None or path.hash.mode != "sha256" or path.hash.value != digest:
        raise ArtifactError(
            f"{path} of {selection.name} {found.version} is not the file that was installed.",
            remedy=_reinstall(selection.name),
        )
    return content


def _reinstall(name: str) -> str:
    return f"Install it again: pip install --force-reinstall {name}, at the version in the lock file."
