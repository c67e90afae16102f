"""Two regions with buckets, parameters and secrets for each test, and a way to look at all of it."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.carriers.batch import Batch
from regionshift.carriers.bounds import Bounds
from regionshift.carriers.carrier import DataLocation, Entry
from regionshift.carriers.migration import Migrations
from regionshift.carriers.records import MigrationRecords, RecordStore
from regionshift.carriers.s3.multipart import MultipartSizes
from regionshift.carriers.s3.objects import Objects
from regionshift.carriers.seals import Seals
from regionshift.carriers.secrets import Secrets
from regionshift.carriers.ssm import Parameters
from regionshift.carriers.transport import Response, S3Request, Transport
from regionshift.local.emulator import LocalCloud


class Anywhere(Bounds):
    """For tests of carriers, which have no settings."""

    def require(self, entries: Iterable[Entry], migration_id: str) -> None:
        """Everything is named."""


def seals_of(region: str, bucket: str) -> Seals:
    """Seals under a key that every process of a test knows."""
    return Seals(
        lambda message: hmac.digest(b"a key of tests", message, "sha256"),
        region,
        bucket,
        lambda: datetime.now(UTC),
    )


SOURCE, TARGET, ONWARD = "us-east-1", "eu-west-1", "us-west-2"


def make_transport(cloud: LocalCloud, **options: Any) -> Transport:
    """A transport of the embedded AWS's administrator."""
    credentials = ReadOnlyCredentials(cloud.access_key, cloud.secret_key, None)
    return Transport(
        lambda: credentials,
        lambda _: cloud.endpoint,
        cloud.account,
        ca_bundle=str(cloud.ca_bundle),
        **options,
    )


@dataclass
class World:
    """What a test works with. ``run`` makes its names its own."""

    cloud: LocalCloud
    clients: Clients
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:10])
    sizes: MultipartSizes = field(default_factory=MultipartSizes)

    def __post_init__(self) -> None:
        self._is_under_kms = False
        self.transport = make_transport(self.cloud, connections=8)
        self.records_bucket = self.bucket("records", TARGET)
        self.store = RecordStore(
            self.transport, TARGET, self.records_bucket, seals_of(TARGET, self.records_bucket)
        )
        self.carriers = {
            "s3": Objects(self.transport, self.sizes),
            "ssm": Parameters(self.clients.named),
            "secrets": Secrets(self.clients.named),
        }
        self.bounds = Anywhere(self.records_bucket, ())
        self.migrations = Migrations(self.store, self.carriers, self.bounds, lambda: datetime.now(UTC))

    def records(self, migration_id: str) -> MigrationRecords:
        """The records of one migration."""
        return MigrationRecords(self.store, migration_id)

    def batch(self, migration_id: str, number: int, has_time: Callable[[], bool]) -> Batch:
        """One batch of a migration."""
        return Batch(self.records(migration_id), self.carriers, self.bounds, number, has_time)

    def under_kms(self, *, checksums: bool = True) -> None:
        """Buckets that are made from here on encrypt with a key of KMS, so that an etag is no MD5 (S3 API Reference,
        "Object"); ``checksums``: objects have stored ones, as all newer ones have.
        """
        self._is_under_kms = True
        once = self.transport._once

        def without_checksums(request: S3Request) -> Response:
            response = once(request)
            kept = {name: text for name, text in response.headers.items() if "checksum" not in name}
            return replace(response, headers=kept)

        if not checksums:
            self.transport._once = without_checksums  # type: ignore[method-assign]

    def bucket(self, name: str, region: str, *, versioned: bool = True) -> str:
        """Make a bucket."""
        s3 = self.clients.get("s3", region)
        full = f"{name}-{self.run}"
        place: Any = (
            {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        )
        s3.create_bucket(Bucket=full, **place)
        if self._is_under_kms:
            rule: Any = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
            s3.put_bucket_encryption(Bucket=full, ServerSideEncryptionConfiguration={"Rules": [rule]})
        if versioned:
            s3.put_bucket_versioning(Bucket=full, VersioningConfiguration={"Status": "Enabled"})
        return full

    def replicate_onward(self, bucket: str, region: str = TARGET) -> str:
        """Let a bucket replicate all that is written to it into another, in ``ONWARD``; gives that one's name."""
        onward = self.bucket("onward", ONWARD)
        rule: Any = {
            "ID": "all",
            "Priority": 1,
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "DeleteMarkerReplication": {"Status": "Enabled"},
            "Destination": {"Bucket": f"arn:aws:s3:::{onward}"},
        }
        if self._is_under_kms:
            rule["SourceSelectionCriteria"] = {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
            key = self.clients.get("kms", ONWARD).create_key()["KeyMetadata"]["Arn"]
            rule["Destination"]["EncryptionConfiguration"] = {"ReplicaKmsKeyID": key}
        allow = {"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"}
        self.clients.get("s3", region).put_bucket_replication(
            Bucket=bucket,
            ReplicationConfiguration={"Role": self._role("s3.amazonaws.com", allow), "Rules": [rule]},
        )
        return onward

    def _role(self, service: str, statement: dict[str, Any]) -> str:
        """The ARN of a role of this test's that ``service`` takes."""
        iam, name = self.clients.get("iam", SOURCE), f"role-{self.run}"
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        trusted, document = (
            json.dumps({"Version": "2012-10-17", "Statement": [each]}) for each in (trust, statement)
        )
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted)
        iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=document)
        return iam.get_role(RoleName=name)["Role"]["Arn"]

    def versions(self, bucket: str, region: str = TARGET) -> list[tuple[str, str, bool, str]]:
        """Every version and marker: key, id, whether it is current, etag; in S3's order."""
        found = []
        pages = self.clients.get("s3", region).get_paginator("list_object_versions").paginate(Bucket=bucket)
        for page in pages:
            found += [
                (entry["Key"], entry["VersionId"], entry["IsLatest"], entry["ETag"])
                for entry in page.get("Versions", [])
            ]
            found += [
                (entry["Key"], entry["VersionId"], entry["IsLatest"], "marker")
                for entry in page.get("DeleteMarkers", [])
            ]
        return sorted(found)

    def all_records(self) -> str:
        """Every record of every migration, as one text; old versions too."""
        s3 = self.clients.get("s3", TARGET)
        bodies = [
            s3.get_object(Bucket=self.records_bucket, Key=key, VersionId=version)["Body"].read().decode()
            for key, version, _, etag in self.versions(self.records_bucket)
            if etag != "marker"
        ]
        return "\n".join(bodies)


class Lab(Protocol):
    """One kind of data under test."""

    entry: Entry

    def write(self, side: str, name: str, value: str) -> None:
        """Make an item, or give it another value, as anybody could."""

    def delete(self, side: str, name: str) -> None:
        """Delete an item, as anybody could."""

    def look(self, side: str) -> dict[str, Any]:
        """What readers see: {name: value and all that hangs on it}."""


@dataclass
class S3Lab:
    """Objects under a prefix."""

    world: World

    def __post_init__(self) -> None:
        self.source, self.target = self.world.bucket("from", SOURCE), self.world.bucket("to", TARGET)
        self.entry = Entry(
            "s3", DataLocation(SOURCE, self.source, "in/"), DataLocation(TARGET, self.target, "out/")
        )

    def write(self, side: str, name: str, value: str) -> None:
        s3, bucket, prefix = self._side(side)
        s3.put_object(
            Bucket=bucket,
            Key=prefix + name,
            Body=value.encode(),
            Metadata={"made-by": ascii(name)[1:6]},
            Tagging="team=data",
            CacheControl="max-age=60",
        )

    def delete(self, side: str, name: str) -> None:
        s3, bucket, prefix = self._side(side)
        s3.delete_object(Bucket=bucket, Key=prefix + name)

    def look(self, side: str) -> dict[str, Any]:
        s3, bucket, prefix = self._side(side)
        found = {}
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for entry in [entry for page in pages for entry in page.get("Contents", [])]:
            whole = s3.get_object(Bucket=bucket, Key=entry["Key"])
            tags = s3.get_object_tagging(Bucket=bucket, Key=entry["Key"])["TagSet"]
            found[entry["Key"].removeprefix(prefix)] = (
                whole["Body"].read(),
                whole["Metadata"],
                whole.get("CacheControl"),
                tags,
            )
        return found

    def _side(self, side: str) -> tuple[Any, str, str]:
        if side == "source":
            return self.world.clients.get("s3", SOURCE), self.source, "in/"
        return self.world.clients.get("s3", TARGET), self.target, "out/"


@dataclass
class SsmLab:
    """Parameters under a path."""

    world: World

    def __post_init__(self) -> None:
        path = f"/lab/{self.world.run}/"
        self.entry = Entry(
            "ssm", DataLocation(SOURCE, prefix=path), DataLocation(TARGET, prefix=f"{path}moved/")
        )

    def write(self, side: str, name: str, value: str) -> None:
        ssm, full = self._side(side), self._name(side, name)
        given: Any = {
            "Type": "SecureString" if name.startswith("k") else "String",
            "Description": f"of {name}",
        }
        ssm.put_parameter(Name=full, Value=value, Overwrite=True, **given)
        ssm.add_tags_to_resource(
            ResourceType="Parameter", ResourceId=full, Tags=[{"Key": "length", "Value": str(len(value))}]
        )

    def delete(self, side: str, name: str) -> None:
        self._side(side).delete_parameter(Name=self._name(side, name))

    def look(self, side: str) -> dict[str, Any]:
        ssm, prefix = self._side(side), self._name(side, "")
        found = {}
        filters: Any = [{"Key": "Name", "Option": "BeginsWith", "Values": [prefix]}]
        for page in ssm.get_paginator("describe_parameters").paginate(ParameterFilters=filters):
            for entry in page["Parameters"]:
                if side == "source" and "/moved/" in entry["Name"]:
                    continue
                value = ssm.get_parameter(Name=entry["Name"], WithDecryption=True)["Parameter"]["Value"]
                tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=entry["Name"])[
                    "TagList"
                ]
                found[entry["Name"].removeprefix(prefix)] = (
                    value,
                    entry["Type"],
                    entry.get("Tier"),
                    entry.get("Description"),
                    tags,
                )
        return found

    def _side(self, side: str) -> Any:
        return self.world.clients.get("ssm", SOURCE if side == "source" else TARGET)

    def _name(self, side: str, name: str) -> str:
        return (self.entry.source if side == "source" else self.entry.target).prefix + name


@dataclass
class SecretsLab:
    """Secrets whose names begin alike; values of names with ``b`` are binary."""

    world: World

    def __post_init__(self) -> None:
        prefix = f"lab/{self.world.run}/"
        self.entry = Entry(
            "secrets", DataLocation(SOURCE, prefix=prefix), DataLocation(TARGET, prefix=prefix)
        )

    def write(self, side: str, name: str, value: str) -> None:
        vault, full = self._side(side), self.entry.source.prefix + name
        given: Any = {"SecretBinary": value.encode()} if name.startswith("b") else {"SecretString": value}
        try:
            vault.put_secret_value(SecretId=full, **given)
        except ClientError:
            vault.create_secret(
                Name=full, Tags=[{"Key": "team", "Value": name}], Description=f"of {name}", **given
            )

    def delete(self, side: str, name: str) -> None:
        self._side(side).delete_secret(
            SecretId=self.entry.source.prefix + name, ForceDeleteWithoutRecovery=True
        )

    def look(self, side: str) -> dict[str, Any]:
        vault = self._side(side)
        found = {}
        for page in vault.get_paginator("list_secrets").paginate(
            Filters=[{"Key": "name", "Values": [self.entry.source.prefix]}]
        ):
            for entry in page["SecretList"]:
                whole = vault.get_secret_value(SecretId=entry["Name"])
                value = whole.get("SecretString") or base64.b64encode(whole["SecretBinary"]).decode()
                found[entry["Name"].removeprefix(self.entry.source.prefix)] = (
                    value,
                    entry.get("Description"),
                    json.dumps(entry.get("Tags")),
                )
        return found

    def _side(self, side: str) -> Any:
        return self.world.clients.get("secretsmanager", SOURCE if side == "source" else TARGET)


LABS: dict[str, Callable[[World], Lab]] = {"s3": S3Lab, "ssm": SsmLab, "secrets": SecretsLab}


def in_parallel(work: Callable[[Any], Any], items: Iterator[Any] | list[Any]) -> None:
    """Seed quickly."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, items))
