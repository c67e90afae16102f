"""The worker's role, tried: whatever an entry of ``carry`` names, the way back is not its to delete."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from recorder import config, release

from regionshift.aws.clients import AccessKey, Clients
from regionshift.infrastructure import carried
from regionshift.infrastructure.policies import worker as rights
from regionshift.infrastructure.policies.function import seal_statements
from regionshift.infrastructure.policies.statement import Statement, document
from regionshift.infrastructure.site import Site
from regionshift.local.emulator import LocalCloud
from regionshift.settings import components as named

pytestmark = pytest.mark.component

REGION = "eu-west-1"
# The whole deployment bucket.
SITE = Site(REGION, release(config(account="123456789012", carry={"s3": [{"prefix": ""}]})))
BUCKET = SITE.name(named.DEPLOYMENT_BUCKET)


@pytest.fixture(scope="module")
def worker(cloud: LocalCloud, clients: Clients) -> Iterator[Clients]:
    """Clients of a role with the worker's statements; the role trusts the account, so that a test can assume it."""
    clients.get("s3", REGION).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    clients.get("s3", REGION).put_bucket_versioning(
        Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
    )
    statements = [
        *rights.record_statements(carried.records(SITE), carried.RECORDS, SITE.config.account),
        *rights.object_statements(carried.objects(SITE)),
    ]
    yield assume(cloud, clients, "rights-worker", statements)


def assume(cloud: LocalCloud, clients: Clients, name: str, statements: list[Statement]) -> Clients:
    iam = clients.get("iam", REGION)
    principal = {"AWS": f"arn:aws:iam::{cloud.account}:root"}
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document(statements))
    given = clients.get("sts", REGION).assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    key = AccessKey(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)


@pytest.mark.parametrize(
    "key", ["migrations/m/before/00000000.jsonl", "migrations/.locks/a.json", "rollbacks/m/rollback.json"]
)
def test_no_version_of_a_record_is_deleted_though_the_whole_bucket_is_carried(
    key: str, worker: Clients
) -> None:
    s3 = worker.get("s3", REGION)
    version = s3.put_object(Bucket=BUCKET, Key=key, Body=b"{}")["VersionId"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version)
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"{}"
    s3.delete_object(Bucket=BUCKET, Key=key)  # a marker: the lease, the lock and the stop are given back


def test_what_is_carried_can_be_taken_back(worker: Clients) -> None:
    s3: Any = worker.get("s3", REGION)
    version = s3.put_object(Bucket=BUCKET, Key="docs/a", Body=b"x")["VersionId"]
    s3.delete_object(Bucket=BUCKET, Key="docs/a", VersionId=version)


PREFIXES = ("docs/", "images/2026/")


@pytest.fixture(scope="module")
def narrow(cloud: LocalCloud, clients: Clients, worker: Clients) -> Clients:
    """The same, where entries name prefixes of the deployment bucket; ``worker`` has made it."""
    del worker
    entries = [{"prefix": prefix} for prefix in PREFIXES]
    site = Site(REGION, release(config(account=cloud.account, carry={"s3": entries})))
    statements = [
        *rights.record_statements(carried.records(site), carried.RECORDS, site.config.account),
        *rights.object_statements(carried.objects(site)),
    ]
    return assume(cloud, clients, "rights-worker-narrow", statements)


@pytest.mark.parametrize("prefix", [*PREFIXES, "docs/below"])
def test_versions_of_what_is_named_are_listed(narrow: Clients, prefix: str) -> None:
    narrow.get("s3", REGION).list_object_versions(Bucket=BUCKET, Prefix=prefix)


@pytest.mark.parametrize("prefix", ["", "doc", "state/", "images/", "migrations/m/", "rollbacks/"])
def test_versions_of_nothing_else_are_listed(narrow: Clients, prefix: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        narrow.get("s3", REGION).list_object_versions(Bucket=BUCKET, Prefix=prefix)


def test_the_role_itself_reaches_no_bucket_that_is_not_named(clients: Clients, worker: Clients) -> None:
    """Whatever the worker's own bounds say."""
    clients.get("s3", REGION).create_bucket(
        Bucket="private-of-somebody", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    clients.get("s3", REGION).put_object(Bucket="private-of-somebody", Key="a", Body=b"x")
    s3 = worker.get("s3", REGION)
    for attempt in (
        lambda: s3.get_object(Bucket="private-of-somebody", Key="a"),
        lambda: s3.list_objects_v2(Bucket="private-of-somebody"),
        lambda: s3.put_object(Bucket="private-of-somebody", Key="b", Body=b"x"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            attempt()


def test_only_who_was_given_it_can_seal_a_record(
    cloud: LocalCloud, clients: Clients, worker: Clients
) -> None:
    """To write in the bucket, with all rights on S3, makes no seal; the statement of worker and function does."""
    del cloud
    kms = clients.get("kms", REGION)
    key = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["Arn"]
    worker.get("s3", REGION).put_object(Bucket=BUCKET, Key="migrations/m/metadata.json", Body=b"{}")
    asked: Any = {"KeyId": key, "Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}
    with pytest.raises(ClientError, match="AccessDenied"):
        worker.get("kms", REGION).generate_mac(**asked)

    clients.get("iam", REGION).put_role_policy(
        RoleName="rights-worker", PolicyName="seals", PolicyDocument=document(seal_statements(key))
    )
    assert worker.get("kms", REGION).generate_mac(**asked)["Mac"] == kms.generate_mac(**asked)["Mac"]
    with pytest.raises(ClientError, match="AccessDenied"):
        worker.get("kms", REGION).get_key_policy(KeyId=key, PolicyName="default")


@pytest.fixture(scope="module")
def reader(cloud: LocalCloud, clients: Clients) -> Clients:
    """A role that reads as the worker does what is named by patterns: parameters, secrets and objects."""
    carry = {
        "s3": [{"bucket": f"{cloud.account}-{{region}}-data", "prefix": "a/"}],
        "ssm": [{"path": "/rights/shop"}, {"path": "/rights/of-{region}"}],
        "secrets": [{"name": "rights/shop"}],
    }
    regions = {"primary": REGION, "secondaries": ["us-west-1", "us-west-2"]}
    site = Site.by_settings(config(account=cloud.account, regions=regions, carry=carry), REGION)
    found = [each(site, True) for each in carried.RIGHTS.values()]
    return assume(
        cloud,
        clients,
        "rights-reader",
        [statement for each in found if each for statement in each.statements(**each.reach)],
    )


@pytest.mark.parametrize(
    ("region", "name", "allowed"),
    [
        ("us-west-2", "/rights/shop/a", True),
        (REGION, "/rights/shop/a", True),
        ("us-west-2", "/rights/of-us-west-2/a", True),
        ("ap-south-1", "/rights/shop/a", False),
        ("us-west-2", "/rights/shops/a", False),
        ("us-west-2", "/rights/of-eu-central-1/a", False),
    ],
)
def test_parameters_are_read_in_regions_of_the_environment_alone(
    clients: Clients, reader: Clients, region: str, name: str, allowed: bool
) -> None:
    clients.get("ssm", region).put_parameter(Name=name, Value="x", Type="String", Overwrite=True)
    if allowed:
        assert reader.get("ssm", region).get_parameter(Name=name)["Parameter"]["Value"] == "x"
        return
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.get("ssm", region).get_parameter(Name=name)


@pytest.mark.parametrize(
    ("region", "name", "allowed"),
    [
        ("us-west-1", "rights/shop-a", True),
        ("ap-south-1", "rights/shop-a", False),
        ("us-west-1", "other", False),
    ],
)
def test_secrets_are_read_in_regions_of_the_environment_alone(
    clients: Clients, reader: Clients, region: str, name: str, allowed: bool
) -> None:
    clients.get("secretsmanager", region).create_secret(Name=name, SecretString="x")
    if allowed:
        assert reader.get("secretsmanager", region).get_secret_value(SecretId=name)["SecretString"] == "x"
        return
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.get("secretsmanager", region).get_secret_value(SecretId=name)


@pytest.mark.parametrize(
    ("bucket", "key", "allowed"),
    [
        ("us-west-2-data", "a/x", True),
        ("us-west-2-data", "b/x", False),
        ("us-west-2-more-data", "a/x", False),
        ("us-west-secret-data", "a/x", False),
    ],
)
def test_a_pattern_of_buckets_reaches_those_named_by_a_region_alone(
    cloud: LocalCloud, clients: Clients, reader: Clients, bucket: str, key: str, allowed: bool
) -> None:
    name = f"{cloud.account}-{bucket}"
    s3: Any = clients.get("s3", "us-east-1")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key=key, Body=b"x")
    if allowed:
        assert reader.get("s3", "us-east-1").get_object(Bucket=name, Key=key)["Body"].read() == b"x"
        return
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.get("s3", "us-east-1").get_object(Bucket=name, Key=key)
