"""Two regions that are up on the embedded AWS, the real command run in this process, and what may befall its steps.

A step's fate comes after its real effect: it fails, or the process is killed before it could write that it is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from regionshift.aws.clients import Clients
from regionshift.cli.app import app
from regionshift.cli.failure import run
from regionshift.cli.opening import opened
from regionshift.cli.options import Choices
from regionshift.errors import WorkFailed
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.operations.moving.promoting import Promotion
from regionshift.runs.state import RunStep

FIRST, SECOND = "eu-west-1", "us-east-1"
ACCOUNT = "123456789012"
SETTINGS = f"""\
# Comments stay where they are.
project: steps
environment: dev
account: "{ACCOUNT}"
target: local
regions:
  primary: {FIRST}   # written here
  secondaries: [{SECOND}]
network: {{vpc_cidr: 10.0.0.0/16, flow_logs: false}}
"""


class Killed(BaseException):
    """kill -9: nothing after it is done, and nothing is written any more."""


@dataclass
class Fates:
    """What befalls each step, once, by its name: ``fails`` or ``killed after`` its effect, ``killed before`` it, or
    ``Ctrl-C`` where no engine runs that could be told to stop."""

    left: dict[str, str] = field(default_factory=dict)
    met: list[str] = field(default_factory=list)

    @contextmanager
    def around(self, step: str) -> Iterator[None]:
        fate = self.left.pop(step, "")
        if fate:
            self.met.append(f"{step} {fate}")
        if fate == "killed before":
            raise Killed
        if fate == "Ctrl-C":
            raise KeyboardInterrupt
        yield
        if fate == "killed after":
            raise Killed
        if fate == "fails":
            raise WorkFailed(f"{step} was to fail")


@dataclass(frozen=True)
class Look:
    """What a change of primary changes, as AWS and the file have it."""

    settings: bytes
    rules: Mapping[str, list[str]]
    data: Mapping[str, list[tuple[str, str, bool]]]
    fences: list[str]


@dataclass(frozen=True)
class Site:
    """The settings file, and the clients of an administrator."""

    file: Path
    clients: Clients
    fates: Fates

    def run(self, *arguments: str) -> int:
        """The command's exit code. Raises Killed."""
        return run(app, [*arguments, "--config", str(self.file)])

    def runs_until_killed(self, *arguments: str) -> None:
        with pytest.raises(Killed):
            self.run(*arguments)

    def open_runs(self) -> list[str]:
        """The runs of the journal that never said how they ended."""
        state = open_state((self.file.parent / ".regionshift/state").as_uri())
        return [view.run_id for view in Journal(state, "steps.dev", lambda: datetime.now(UTC)).unfinished()]

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        """The environment's, as a command has it that is about to be killed."""
        with opened(Choices(self.file, endpoint=os.environ["REGIONSHIFT_ENDPOINT"])) as wired:
            yield wired.journal

    @property
    def primary(self) -> str:
        return FIRST if f"primary: {FIRST}" in self.file.read_text() else SECOND

    @property
    def secondary(self) -> str:
        return SECOND if self.primary == FIRST else FIRST

    def put(self, region: str, key: str) -> None:
        """An object that is replicated, if the region replicates."""
        self.clients.get("s3", region).put_object(Bucket=bucket(region), Key=key, Body=key.encode())

    def put_that_replication_misses(self, key: str) -> None:
        s3 = self.clients.get("s3", self.primary)
        rules = s3.get_bucket_replication(Bucket=bucket(self.primary))["ReplicationConfiguration"]
        s3.delete_bucket_replication(Bucket=bucket(self.primary))
        self.put(self.primary, key)
        s3.put_bucket_replication(Bucket=bucket(self.primary), ReplicationConfiguration=rules)

    def has(self, region: str, key: str) -> bool:
        return any(found == key for found, _, _ in self._data(region))

    def look(self) -> Look:
        return Look(
            self.file.read_bytes(),
            {region: self._rules(region) for region in (FIRST, SECOND)},
            {region: self._data(region) for region in (FIRST, SECOND)},
            self._fences(),
        )

    def require_whole(self) -> None:
        """The new primary replicates into the other one, and the other way round nothing does."""
        rules = self.look().rules
        assert len(rules[self.primary]) == 1 and bucket(self.secondary) in rules[self.primary][0]
        assert rules[self.secondary] == []

    def _rules(self, region: str) -> list[str]:
        s3 = self.clients.get("s3", region)
        try:
            found: Any = s3.get_bucket_replication(Bucket=bucket(region))
        except s3.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "ReplicationConfigurationNotFoundError"
            return []
        return [rule["Destination"]["Bucket"] for rule in found["ReplicationConfiguration"]["Rules"]]

    def _data(self, region: str) -> list[tuple[str, str, bool]]:
        """Every version and delete marker of what people put there, by key."""
        found = self.clients.get("s3", region).list_object_versions(Bucket=bucket(region), Prefix="data/")
        return sorted(
            (each["Key"], each["VersionId"], name == "DeleteMarkers")
            for name in ("Versions", "DeleteMarkers")
            for each in found.get(name, [])  # type: ignore[attr-defined]
        )

    def roles(self, region: str) -> list[str]:
        """The environment's roles that belong to ``region``."""
        pages = self.clients.get("iam", FIRST).get_paginator("list_roles").paginate()
        names = [role["RoleName"] for page in pages for role in page["Roles"]]
        return sorted(name for name in names if name.startswith("steps-") and region in name)

    def _fences(self) -> list[str]:
        iam = self.clients.get("iam", FIRST)
        roles = [*self.roles(FIRST), *self.roles(SECOND)]
        pages = iam.get_paginator("list_role_policies")
        return [r for r in roles if "regionshift-fence" in pages.paginate(RoleName=r).search("PolicyNames[]")]


def bucket(region: str) -> str:
    return f"steps-deployment-{region}-dev-{ACCOUNT}"


def befalling(fates: Fates, patch: pytest.MonkeyPatch) -> None:
    """Let ``fates`` befall the steps of every change of primary in this process."""
    do, take_back = Promotion.do, Promotion.take_back

    def done(self: Promotion, step: RunStep, *, doubt: bool) -> Any:
        with fates.around(step.name):
            return do(self, step, doubt=doubt)

    def taken_back(self: Promotion, step: RunStep, began: frozenset[str]) -> Any:
        with fates.around(step.name):
            return take_back(self, step, began)

    patch.setattr(Promotion, "do", done)
    patch.setattr(Promotion, "take_back", taken_back)
