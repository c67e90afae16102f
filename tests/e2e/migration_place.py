"""A settings file with something to carry, its environment up, and an older one's data beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planted_values import planted
from regionshift.aws.clients import AccessKey, Clients
from regionshift.local import emulator
from service_models import record

ACCOUNT, SOURCE, TARGET = "123456789012", "us-east-1", "eu-west-1"
SETTINGS = f"""
project: carrier
environment: e2e
account: "{ACCOUNT}"
target: local
regions: {{primary: {SOURCE}, secondaries: [{TARGET}]}}
network: {{vpc_cidr: 10.0.0.0/16}}
carry:
  s3:
    - {{bucket: "old-media-{{region}}", exclude: ["*.tmp"]}}
  ssm:
    - {{path: /old, rewrite: {{arns: true}}}}
  secrets:
    - {{name: old/}}
"""
VALUE = planted("carried")
STRANGE = "pics/ü 日本 +&%=?#[x]*'\"\\/"


@dataclass(frozen=True)
class Place:
    """A settings file, its environment, its administrator's clients, and the embedded AWS's process."""

    folder: Path
    clients: Clients
    emulator: int

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """The command in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "regionshift", *arguments],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The command in a process group of its own, not waited for."""
        return subprocess.Popen(
            [sys.executable, "-m", "regionshift", *arguments],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def carrying(self, carry: str) -> str:
        """Another settings file of the same environment that names other things to carry."""
        text = SETTINGS[: SETTINGS.index("carry:")] + f"carry: {carry}\n"
        (self.folder / "other.yaml").write_text(text, encoding="utf-8")
        return "other.yaml"

    def json(self, *arguments: str) -> tuple[int, Any]:
        code, out, err = self.run(*arguments, "--json", "--yes")
        assert out, err
        return code, json.loads(out)

    def migrate(self, *arguments: str) -> tuple[int, Any]:
        return self.json("migrate", "--from", SOURCE, "--to", TARGET, *arguments)

    def put(self, region: str, key: str, body: bytes, **more: Any) -> None:
        self.clients.get("s3", region).put_object(Bucket=f"old-media-{region}", Key=key, Body=body, **more)

    def target(self) -> dict[str, Any]:
        """Everything that readers see at the target, and every version that is there."""
        s3, bucket = self.clients.get("s3", TARGET), f"old-media-{TARGET}"
        ssm, vault = self.clients.get("ssm", TARGET), self.clients.get("secretsmanager", TARGET)
        keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        listed = s3.list_object_versions(Bucket=bucket)
        parameters = ssm.get_paginator("describe_parameters").paginate().search("Parameters[].Name")
        names = [name for name in parameters if name.startswith("/old/")]
        listed_secrets = vault.get_paginator("list_secrets").paginate().search("SecretList[].Name")
        secrets = [name for name in listed_secrets if name.startswith("old/")]
        return {
            "objects": {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys},
            "versions": sorted(one["VersionId"] for one in listed.get("Versions", [])),
            "markers": sorted(one["VersionId"] for one in listed.get("DeleteMarkers", [])),
            "parameters": {
                name: ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
                for name in names
            },
            "secrets": {name: vault.get_secret_value(SecretId=name)["SecretString"] for name in secrets},
        }


@contextmanager
def migration_place(folder: Path) -> Iterator[Place]:
    """The environment up in ``folder``, an older one's data beside it at the source, some of it at the target too."""
    (folder / "regionshift.yaml").write_text(SETTINGS, encoding="utf-8")
    state = folder / ".regionshift" / "cloud"
    record(state)
    cloud = emulator.up(state, ACCOUNT)
    try:
        key = AccessKey(cloud.access_key, cloud.secret_key)
        clients = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
        made = Place(folder, clients, cloud.pid)
        code, _, err = made.run("up", "--yes")
        assert code == 0, err
        seed(made)
        yield made
    finally:
        emulator.down(state, wipe=True)


def seed(place: Place) -> None:
    for region in (SOURCE, TARGET):
        s3 = place.clients.get("s3", region)
        where: Any = {} if region == SOURCE else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=f"old-media-{region}", **where)
        s3.put_bucket_versioning(Bucket=f"old-media-{region}", VersioningConfiguration={"Status": "Enabled"})
    plain = place.clients.get("s3", SOURCE)
    plain.create_bucket(Bucket=f"plain-{SOURCE}")
    locked = place.clients.get("s3", TARGET)
    where = {"LocationConstraint": TARGET}
    locked.create_bucket(
        Bucket="locked-away", CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True
    )
    for number in range(120):
        place.put(SOURCE, f"docs/{number:03d}", b"x" * number, Metadata={"n": str(number)}, Tagging="a=b")
    place.put(SOURCE, STRANGE, b"strange", CacheControl="max-age=60")
    place.put(SOURCE, "folder/", b"")
    place.put(SOURCE, "left.tmp", b"left")
    place.put(TARGET, "docs/007", b"before")
    ssm = place.clients.get("ssm", SOURCE)
    ssm.put_parameter(Name="/old/topic", Value=f"arn:aws:sns:{SOURCE}:{ACCOUNT}:orders", Type="String")
    ssm.put_parameter(Name="/old/password", Value=VALUE, Type="SecureString")
    vault = place.clients.get("secretsmanager", SOURCE)
    vault.create_secret(Name="old/key", SecretString=VALUE)
    rules: Any = {"ScheduleExpression": "rate(9 days)"}
    vault.rotate_secret(SecretId="old/key", RotationRules=rules, RotateImmediately=False)


def records(place: Place) -> str:
    """Every record of the target, as one text."""
    s3, bucket = place.clients.get("s3", TARGET), f"carrier-deployment-{TARGET}-e2e-{ACCOUNT}"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="migrations/")
    keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
    return "\n".join(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys)
