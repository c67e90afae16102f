"""The emulator's replication, repaired; and whether it still needs to be."""

from __future__ import annotations

import contextlib
import datetime
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from regionshift.aws.clients import AccessKey, Clients
from regionshift.infrastructure.policies.services import ReplicationEnd, replication_statements
from regionshift.local import process
from regionshift.local.certificates import ensure_certificates
from regionshift.local.replication_gaps import by_destination
from regionshift.local.state import StateFolder

ACCOUNT = "123456789012"
HOME, NEAR, FAR = "eu-central-1", "eu-west-1", "us-west-2"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/replication"


@dataclass(frozen=True)
class Buckets:
    """One source and two destinations, versioned, new for each test."""

    clients: Clients
    source: str
    near: str
    far: str

    def replicate(self, *rules: dict[str, Any], but: str = "") -> None:
        """Replicate by the program's own role for these buckets, ``but`` for one action that it lacks."""
        ends = [
            ReplicationEnd(region, f"arn:aws:s3:::{name}", key_of(self.clients, region))
            for region, name in ((HOME, self.source), (NEAR, self.near), (FAR, self.far))
        ]
        statements = [
            {**each, "Action": [action for action in each["Action"] if action != but]}
            for each in replication_statements(ends[0], ends[1:], ACCOUNT)
        ]
        document = {
            "Version": "2012-10-17",
            "Statement": [each for each in statements if each["Action"]],
        }
        make_role(self.clients, document)
        replicate(self.clients, HOME, self.source, *rules)

    def put(self, key: str, **more: Any) -> str:
        return self.clients.get("s3", HOME).put_object(Bucket=self.source, Key=key, Body=b"x", **more)[
            "VersionId"
        ]

    def head(self, bucket: str, key: str) -> Any:
        return self.clients.get("s3", HOME).head_object(Bucket=bucket, Key=key)

    def keys(self, bucket: str) -> list[str]:
        listing = self.clients.get("s3", HOME).list_objects_v2(Bucket=bucket)
        return [one["Key"] for one in listing.get("Contents", [])]

    def markers(self, bucket: str) -> list[str]:
        listing = self.clients.get("s3", HOME).list_object_versions(Bucket=bucket)
        return [one["Key"] for one in listing.get("DeleteMarkers", [])]


def make_role(clients: Clients, document: dict[str, Any]) -> None:
    iam, name = clients.get("iam", HOME), ROLE.rpartition("/")[2]
    trust = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(document))


def key_of(clients: Clients, region: str) -> str:
    """The key of these tests in ``region``."""
    kms, alias = clients.get("kms", region), "alias/replication-gaps"
    try:
        return kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"]
    except kms.exceptions.NotFoundException:
        made = kms.create_key()["KeyMetadata"]
        kms.create_alias(AliasName=alias, TargetKeyId=made["KeyId"])
        return made["Arn"]


def rule(
    bucket: str, priority: int, *, prefix: str = "", markers: bool = True, **more: Any
) -> dict[str, Any]:
    destination = {"Bucket": f"arn:aws:s3:::{bucket}", **more.pop("destination", {})}
    return {
        "ID": f"rule-{priority}",
        "Priority": priority,
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "DeleteMarkerReplication": {"Status": "Enabled" if markers else "Disabled"},
        "Destination": destination,
        **more,
    }


def replicate(clients: Clients, region: str, bucket: str, *rules: dict[str, Any]) -> None:
    configuration = {"Role": ROLE, "Rules": list(rules)}
    clients.call(
        region, "s3", "put_bucket_replication", Bucket=bucket, ReplicationConfiguration=configuration
    )


def make_buckets(clients: Clients) -> Buckets:
    mark = uuid.uuid4().hex[:8]
    names = {region: f"replication-{region}-{mark}" for region in (HOME, NEAR, FAR)}
    for region, name in names.items():
        s3 = clients.get("s3", region)
        s3.create_bucket(
            Bucket=name,
            CreateBucketConfiguration={"LocationConstraint": region},  # type: ignore[typeddict-item]
        )
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return Buckets(clients, names[HOME], names[NEAR], names[FAR])


@pytest.fixture
def buckets(clients: Clients) -> Buckets:
    return make_buckets(clients)


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Buckets]:
    """The same on the emulator as its authors ship it."""
    folder = StateFolder(tmp_path)
    folder.make()
    certificates = ensure_certificates(folder.tls, datetime.datetime.now(datetime.UTC))
    port = process.free_port()
    running = process.start(folder, certificates, ACCOUNT, port, module="ministack")
    endpoint = f"https://{process.LOOPBACK}:{port}"
    yield make_buckets(
        Clients(key=AccessKey(ACCOUNT, "root"), endpoint=endpoint, ca_bundle=certificates.authority)
    )
    running.kill()
    running.wait()


def test_every_destination_gets_the_object(buckets: Buckets) -> None:
    buckets.replicate(rule(buckets.near, 1), rule(buckets.far, 2))
    version = buckets.put("a", Tagging="kind=plain")
    assert buckets.head(buckets.source, "a")["ReplicationStatus"] == "COMPLETED"
    for bucket in (buckets.near, buckets.far):
        head = buckets.head(bucket, "a")
        assert (head["ReplicationStatus"], head["VersionId"]) == ("REPLICA", version)
        tags = buckets.clients.get("s3", HOME).get_object_tagging(Bucket=bucket, Key="a")["TagSet"]
        assert tags == [{"Key": "kind", "Value": "plain"}]


def test_every_destination_gets_copies_and_multipart_uploads(buckets: Buckets) -> None:
    buckets.replicate(rule(buckets.near, 1), rule(buckets.far, 2))
    s3 = buckets.clients.get("s3", HOME)
    buckets.put("a")
    s3.copy_object(Bucket=buckets.source, Key="b", CopySource={"Bucket": buckets.source, "Key": "a"})
    upload = s3.create_multipart_upload(Bucket=buckets.source, Key="c")["UploadId"]
    part = s3.upload_part(Bucket=buckets.source, Key="c", UploadId=upload, PartNumber=1, Body=b"part")
    s3.complete_multipart_upload(
        Bucket=buckets.source,
        Key="c",
        UploadId=upload,
        MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]},
    )
    assert buckets.keys(buckets.near) == buckets.keys(buckets.far) == ["a", "b", "c"]


def test_every_destination_gets_the_delete_marker_that_asks_for_it(buckets: Buckets) -> None:
    buckets.replicate(rule(buckets.near, 1), rule(buckets.far, 2, markers=False))
    s3 = buckets.clients.get("s3", HOME)
    for key in ("one", "many"):
        buckets.put(key)
    s3.delete_object(Bucket=buckets.source, Key="one")
    s3.delete_objects(Bucket=buckets.source, Delete={"Objects": [{"Key": "many"}]})
    assert buckets.markers(buckets.near) == ["many", "one"]
    assert buckets.markers(buckets.far) == []


def test_a_deleted_version_stays_in_the_destinations(buckets: Buckets) -> None:
    buckets.replicate(rule(buckets.near, 1), rule(buckets.far, 2))
    version = buckets.put("a")
    buckets.clients.get("s3", HOME).delete_object(Bucket=buckets.source, Key="a", VersionId=version)
    assert buckets.keys(buckets.source) == []
    assert buckets.keys(buckets.near) == buckets.keys(buckets.far) == ["a"]


def test_each_rule_keeps_to_its_filter(buckets: Buckets) -> None:
    buckets.replicate(rule(buckets.near, 1, prefix="near/"), rule(buckets.far, 2, prefix="far/"))
    for key in ("near/a", "far/a", "neither"):
        buckets.put(key)
    assert buckets.keys(buckets.near) == ["near/a"]
    assert buckets.keys(buckets.far) == ["far/a"]
    assert "ReplicationStatus" not in buckets.head(buckets.source, "neither")


def test_replicas_do_not_go_on(buckets: Buckets) -> None:
    buckets.replicate(rule(buckets.near, 1), rule(buckets.far, 2))
    replicate(buckets.clients, NEAR, buckets.near, rule(buckets.source, 1), rule(buckets.far, 2))
    buckets.put("a")
    versions = buckets.clients.get("s3", HOME).list_object_versions(Bucket=buckets.far)["Versions"]
    assert len(versions) == 1
    assert len(buckets.clients.get("s3", HOME).list_object_versions(Bucket=buckets.source)["Versions"]) == 1


def test_one_lost_destination_fails_the_source_and_spares_the_other(buckets: Buckets) -> None:
    buckets.replicate(rule(buckets.near, 1), rule(buckets.far, 2))
    buckets.clients.get("s3", FAR).delete_bucket(Bucket=buckets.far)
    buckets.put("a")
    assert buckets.head(buckets.source, "a")["ReplicationStatus"] == "FAILED"
    assert buckets.keys(buckets.near) == ["a"]


def under_keys(buckets: Buckets, but: str = "") -> None:
    """Put a secret into the source, from where one of two rules replicates what is under a key."""
    encryption = {"ReplicaKmsKeyID": key_of(buckets.clients, NEAR)}
    admits: dict[str, Any] = {"SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}}}
    near = rule(buckets.near, 1, destination={"EncryptionConfiguration": encryption}, **admits)
    buckets.replicate(near, rule(buckets.far, 2), but=but)
    key = key_of(buckets.clients, HOME)
    buckets.put(
        "secret", ServerSideEncryption="aws:kms", SSEKMSKeyId=key, BucketKeyEnabled=True, Tagging="a=b"
    )


def test_encrypted_objects_need_a_rule_that_admits_them(buckets: Buckets) -> None:
    under_keys(buckets)
    near, source = (buckets.head(bucket, "secret") for bucket in (buckets.near, buckets.source))
    assert near["SSEKMSKeyId"] == key_of(buckets.clients, NEAR)
    assert source["SSEKMSKeyId"] == key_of(buckets.clients, HOME)
    assert near["ETag"] != source["ETag"]
    assert source["ReplicationStatus"] == "COMPLETED"
    assert buckets.keys(buckets.far) == []


@pytest.mark.parametrize(
    "lacks",
    [
        "s3:GetObjectVersionForReplication",
        "s3:ReplicateObject",
        "s3:ReplicateTags",
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
    ],
)
def test_a_role_that_lacks_a_right_replicates_nothing(buckets: Buckets, lacks: str) -> None:
    under_keys(buckets, but=lacks)
    assert buckets.head(buckets.source, "secret")["ReplicationStatus"] == "FAILED"
    assert buckets.keys(buckets.near) == []


def test_a_role_must_be_there_and_may_be_kept_from_deleting(buckets: Buckets) -> None:
    buckets.replicate(rule(buckets.near, 1), but="s3:ReplicateDelete")
    buckets.put("a")
    buckets.clients.get("s3", HOME).delete_object(Bucket=buckets.source, Key="a")
    assert (buckets.keys(buckets.near), buckets.markers(buckets.near)) == (["a"], [])
    buckets.clients.get("iam", HOME).delete_role_policy(RoleName="replication", PolicyName="inline")
    buckets.clients.get("iam", HOME).delete_role(RoleName="replication")
    buckets.put("b")
    assert buckets.head(buckets.source, "b")["ReplicationStatus"] == "FAILED"


def test_replicas_follow_the_tags_of_their_source(buckets: Buckets) -> None:
    buckets.replicate(rule(buckets.near, 1), rule(buckets.far, 2))
    s3 = buckets.clients.get("s3", HOME)
    buckets.put("a", Tagging="kind=first")
    later = [{"Key": "kind", "Value": "later"}]
    s3.put_object_tagging(Bucket=buckets.source, Key="a", Tagging={"TagSet": later})  # type: ignore[typeddict-item]
    for bucket in (buckets.near, buckets.far):
        assert s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"] == later
    s3.delete_object_tagging(Bucket=buckets.source, Key="a")
    assert s3.get_object_tagging(Bucket=buckets.far, Key="a")["TagSet"] == []


def test_of_two_rules_for_one_destination_the_higher_priority_counts() -> None:
    low, high, other = rule("one", 1), rule("one", 7), rule("two", 3)
    assert by_destination([low, high, other]) == [high, other]


def test_the_emulator_still_stops_at_the_first_rule(bare: Buckets) -> None:
    """When this fails, the part of `replication_gaps.py` that the emulator now does may go."""
    bare.replicate(rule(bare.near, 1), rule(bare.far, 2))
    version = bare.put("a")
    bare.clients.get("s3", HOME).delete_object(Bucket=bare.source, Key="a")
    listings = {
        bucket: bare.clients.get("s3", HOME).list_object_versions(Bucket=bucket)
        for bucket in (bare.near, bare.far)
    }
    found = {bucket: len(listing.get("Versions", [])) for bucket, listing in listings.items()}
    assert sorted(found.values()) == [0, 1], json.dumps(found)
    assert version not in str(listings)
