"""Which distributions go into the artifact, at which version and with which contents.

``function.lock`` has a line a distribution: ``<name>==<version> sha256:<digest of what is taken>``. The
digest is over the files we take, so it is the same for every platform's wheel. When a dependency is raised
on purpose, ``python -m regionshift.artifact`` writes the lock anew from what is installed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from regionshift.artifact.distributions import DistributionPart, installed, tree_digest

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
