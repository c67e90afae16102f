"""The place of the benchmarks: an embedded AWS with an environment in two regions, and buckets to copy between.

All contenders use roles with limited policies, as on AWS, because the embedded AWS is faster for an administrator. Its
objects are in a file system in memory, if there is one: each copy writes two files, and the speed of a disk changes
within seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from botocore.credentials import ReadOnlyCredentials

from regionshift.aws.clients import AccessKey, Clients
from regionshift.carriers.carrier import DataLocation
from regionshift.local import emulator
from regionshift.local.emulator import LocalCloud

IN_MEMORY = Path("/dev/shm")
MEGABYTE = 1024**2
PREFIX = "0/"
"""The target prefix of the other tools. Migrations have ``1/``, ``2/``, and each level is a folder on disk."""

_ROLE = "bench-contender"
_MAY = [
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:GetBucket*",
    "s3:GetLifecycleConfiguration",
    "s3:GetObject*",
    "s3:PutObject*",
    "s3:DeleteObject*",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "s3:ListBucketMultipartUploads",
]
ACCOUNT, SOURCE, TARGET = "123456789012", "us-east-1", "eu-west-1"
_COMMAND = str(Path(sys.executable).parent / "regionshift")


@dataclass(frozen=True)
class Case:
    """A number of objects of one size (bytes), the last ``large`` of them of 1 MB, and their versions in the source."""

    name: str
    objects: int
    size: int
    source: str = ""
    large: int = 0
    versions: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass
class Arena:
    """A running cloud, and buckets that are created when needed. ``endpoint`` can be a proxy of the cloud."""

    folder: Path
    cloud: LocalCloud
    endpoint: str = ""

    def __post_init__(self) -> None:
        self.endpoint = self.endpoint or self.cloud.endpoint
        key = AccessKey(self.cloud.access_key, self.cloud.secret_key)
        self.clients = Clients(key=key, endpoint=self.cloud.endpoint, ca_bundle=self.cloud.ca_bundle)
        self.contender = self._contender()

    def _contender(self) -> ReadOnlyCredentials:
        """Return the credentials of all contenders: a role that may copy between the arena's buckets."""
        iam, name = self.clients.get("iam", SOURCE), _ROLE
        trusted = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "sts:AssumeRole",
        }
        rights = {
            "Effect": "Allow",
            "Action": _MAY,
            "Resource": ["arn:aws:s3:::bench-*", "arn:aws:s3:::bench-*/*"],
        }
        with suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(
                RoleName=name, AssumeRolePolicyDocument=_policy(trusted), MaxSessionDuration=43200
            )
        iam.put_role_policy(RoleName=name, PolicyName="copy", PolicyDocument=_policy(rights))
        made = self.clients.get("sts", SOURCE).assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}", RoleSessionName="bench", DurationSeconds=43200
        )["Credentials"]
        return ReadOnlyCredentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])

    def bucket(self, region: str, name: str = "") -> str:
        """Create a versioned bucket."""
        s3 = self.clients.get("s3", region)
        name = name or f"bench-{uuid.uuid4().hex[:12]}"
        place: Any = (
            {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        )
        s3.create_bucket(Bucket=name, **place)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def seed(self, case: Case) -> Case:
        """Fill the source bucket of a case. All objects of a size have the same random content."""
        source = self.bucket(SOURCE, case.source)
        s3, small, large = self.clients.get("s3", SOURCE), os.urandom(case.size), os.urandom(MEGABYTE)

        def put(number: int) -> tuple[str, str]:
            key = f"data/{number % 10}/{number:06d}"
            content = small if number < case.objects - case.large else large
            return key, s3.put_object(Bucket=source, Key=key, Body=content)["VersionId"]

        with ThreadPoolExecutor(8) as pool:
            versions = dict(pool.map(put, range(case.objects)))
        return replace(case, source=source, versions=versions)

    def discard(self, bucket: str) -> None:
        """Empty a bucket, because the embedded AWS keeps contents in memory."""
        s3 = self.clients.get("s3", TARGET)
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            doomed: Any = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
            if doomed:
                s3.delete_objects(Bucket=bucket, Delete={"Objects": doomed, "Quiet": True})

    @contextmanager
    def swept(self) -> Iterator[None]:
        """Empty the buckets that the block created, at its end.

        For each listing of versions, the embedded AWS reads all objects. So the objects of one contender would slow
        down the next.
        """
        known = self._buckets()
        yield
        for bucket in self._buckets() - known:
            self.discard(bucket)

    def _buckets(self) -> set[str]:
        return {bucket["Name"] for bucket in self.clients.get("s3", SOURCE).list_buckets()["Buckets"]}

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment variables for AWS tools, without the user's own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RCLONE_"))}
        return {
            **kept,
            "AWS_ACCESS_KEY_ID": self.contender.access_key,
            "AWS_SECRET_ACCESS_KEY": self.contender.secret_key,
            "AWS_SESSION_TOKEN": self.contender.token,
            "AWS_CA_BUNDLE": str(self.cloud.ca_bundle),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": TARGET,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def arena(folder: Path) -> Iterator[Arena]:
    """Run an embedded AWS in ``folder`` during the block."""
    state = folder / ".regionshift/cloud"
    try:
        yield Arena(folder, emulator.up(state, ACCOUNT))
    finally:
        emulator.down(state, wipe=True)


@dataclass
class Targets:
    """The targets of a case: one bucket, which the environment's settings name, and a new prefix each time.

    More buckets would make the worker's policy longer, which the embedded AWS reads for each request.
    """

    case: Case
    bucket: str
    taken: int = 0

    def take(self) -> DataLocation:
        """Return a new place."""
        self.taken += 1
        return DataLocation(TARGET, self.bucket, f"{self.taken}/")


def stand_up(arena: Arena, cases: list[Case]) -> dict[str, Targets]:
    """Create an environment in two regions that may carry the source of each case to its own bucket."""
    made = {case.name: Targets(case, arena.bucket(TARGET, f"{case.source}-target")) for case in cases}
    settings = {
        "project": "bench",
        "environment": "dev",
        "account": ACCOUNT,
        "target": "local",
        "regions": {"primary": SOURCE, "secondaries": [TARGET]},
        "network": {"vpc_cidr": "10.0.0.0/16"},
        "carry": {"s3": [{"bucket": case.source, "target_bucket": made[case.name].bucket} for case in cases]},
    }
    (arena.folder / "regionshift.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    run([_COMMAND, "up", "--yes", "--no-validate"], arena.folder)
    return made


def run(command: list[str], folder: Path, env: dict[str, str] | None = None) -> None:
    """Run a command.

    Raises:
        SystemExit: it failed, with its output.
    """
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


Run = Callable[[], None]
"""A run to measure."""
