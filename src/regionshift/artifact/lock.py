"""Which installed distributions go into the artifact, at which version and with which contents.

``function.lock`` has a line a distribution: ``<name>==<version> sha256:<digest of what is taken>``. The digest is
over the files we take, so it is the same for every platform's wheel. When a dependency is raised on purpose,
``python -m regionshift.artifact`` writes the lock anew from what is installed.

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
from pathlib import Path

from regionshift.errors import WorkFailed


class ArtifactError(WorkFailed):
    """The artifact cannot be built from what is installed; the remedy says what to install."""

    error_id = "RS-ENGINE-005"


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
    """Read what ``selection`` takes, checked against the hashes that it was installed with.

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


LOCK = Path(__file__).with_name("function.lock")
_LINE = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>\S+) sha256:(?P<digest>[0-9a-f]{64})")

# Not boto3 and botocore: Lambda's Python runtimes ship them (Lambda Developer Guide, "Building Lambda
# functions with Python", "Runtime-included SDK versions").
# Of Powertools only what logger, tracer and parameters import: the rest, above all the event handler with its
# web pages, is four fifths of it. A test imports the artifact in an empty interpreter.
SELECTIONS = (
    DistributionPart(
        "aws-lambda-powertools",
        ("aws_lambda_powertools/",),
        leave_out=re.compile(
            r"aws_lambda_powertools/(event_handler/|metrics/provider/datadog/"
            r"|utilities/(?!__init__\.py|parameters/|jmespath_utils/|typing/))"
        ),
    ),
    DistributionPart("aws-xray-sdk", ("aws_xray_sdk/",)),
    DistributionPart("jmespath", ("jmespath/",)),
    DistributionPart("typing-extensions", ("typing_extensions.py",)),
    DistributionPart("wrapt", ("wrapt/",)),
)


@dataclass(frozen=True)
class Locked:
    """One line of the lock."""

    version: str
    digest: str


def read_lock(path: Path = LOCK) -> Mapping[str, Locked]:
    """The locked distributions by name."""
    lines = path.read_text(encoding="utf-8").splitlines()
    matches = [_LINE.fullmatch(line) for line in lines]
    return {match["name"]: Locked(match["version"], match["digest"]) for match in matches if match}


def lock_text() -> str:
    """The lock of what is installed."""
    lines = ["# Written by python -m regionshift.artifact"]
    for selection in SELECTIONS:
        found = installed(selection)
        lines.append(f"{selection.name}=={found.version} sha256:{tree_digest(found.files)}")
    return "\n".join(lines) + "\n"
