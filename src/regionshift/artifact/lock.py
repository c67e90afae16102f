"""The installed distributions in the artifact: their versions and contents.

``function.lock`` has a line for each distribution: ``<name>==<version> sha256:<digest>``. The digest covers only the
files in the artifact, so it is the same for each platform's wheel. After an upgrade of a dependency,
``python -m regionshift.artifact`` writes the lock again.

The artifact has only Python sources, their data and the licences. Compiled extensions are left out, so that one zip
runs on both architectures and all runtimes: without them, wrapt uses its Python code.
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
    """The files of a distribution that go into the artifact: below one of ``roots``, without ``leave_out``."""

    name: str
    roots: tuple[str, ...]
    leave_out: re.Pattern[str] = _NOTHING

    def takes(self, path: str) -> bool:
        """Whether ``path`` of the distribution's RECORD goes into the artifact."""
        if _LICENCE.fullmatch(path):
            return True
        return path.startswith(self.roots) and path.endswith(_TAKEN) and not self.leave_out.match(path)


@dataclass(frozen=True)
class Installed:
    """An installed distribution: its version, and its files for the artifact by path."""

    version: str
    files: Mapping[str, bytes]


def installed(selection: DistributionPart) -> Installed:
    """Read the files of ``selection``, and check them by the hashes in RECORD.

    Raises:
        ArtifactError: the distribution is not installed, has no RECORD, or a file was changed.
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
            f"{selection.name} {found.version} has no list of its files.", remedy=_reinstall(selection.name)
        )
    return Installed(found.version, {path.as_posix(): _checked(path, found, selection) for path in taken})


def tree_digest(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 (hex) over paths and contents."""
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
            f"{path} of {selection.name} {found.version} was changed since it was installed.",
            remedy=_reinstall(selection.name),
        )
    return content


def _reinstall(name: str) -> str:
    return f"Install it again: pip install --force-reinstall {name}, at the version in the lock file."


LOCK = Path(__file__).with_name("function.lock")
_LINE = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>\S+) sha256:(?P<digest>[0-9a-f]{64})")

# Without boto3 and botocore: Lambda's Python runtimes have them (Lambda Developer Guide, "Building Lambda functions
# with Python", "Runtime-included SDK versions"). Of Powertools only the parts that logger, tracer and parameters
# import, which are a fifth of it. A test imports the artifact in an empty interpreter.
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
    """Return the locked distributions by name."""
    lines = path.read_text(encoding="utf-8").splitlines()
    matches = [_LINE.fullmatch(line) for line in lines]
    return {match["name"]: Locked(match["version"], match["digest"]) for match in matches if match}


def lock_text() -> str:
    """Return the lock of the installed distributions."""
    lines = ["# Written by python -m regionshift.artifact"]
    for selection in SELECTIONS:
        found = installed(selection)
        lines.append(f"{selection.name}=={found.version} sha256:{tree_digest(found.files)}")
    return "\n".join(lines) + "\n"
