"""Who may write records and the command's own in a deployment bucket: the embedded AWS enforces the very policy."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import AccessKey, Clients
from regionshift.infrastructure.policies.resources import deployment_bucket_statements
from regionshift.infrastructure.policies.statement import allow, document
from regionshift.local.emulator import LocalCloud

pytestmark = pytest.mark.component
REGION = "eu-central-1"
RECORDS, OWN, FILES = "migrations/m-1/metadata.json", "state/lock.json", "uploads/a"
MAY: Mapping[str, set[str]] = {
    "worker": {RECORDS, FILES},
    "operator": {RECORDS, OWN, FILES},
    "application": {FILES},
}


@pytest.fixture(scope="module")
def bucket(clients: Clients) -> str:
    name = f"writers-{uuid.uuid4().hex[:10]}"
    clients.get("s3", REGION).create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return name


@pytest.fixture(scope="module")
def who(cloud: LocalCloud, clients: Clients, bucket: str) -> dict[str, Clients]:
    """Sessions of roles that may use every object of the bucket by their own rights; one has a path, as SSO's have."""
    iam, sts = clients.get("iam", REGION), clients.get("sts", REGION)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{cloud.account}:root"}}
    mine = allow("All", ["s3:*"], [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"])
    found, roles = {}, {}
    for name, path in (("worker", "/"), ("operator", "/sso/"), ("application", "/")):
        role = f"{name}-{uuid.uuid4().hex[:8]}"
        roles[name] = iam.create_role(
            RoleName=role,
            Path=path,
            AssumeRolePolicyDocument=document([{**trust, "Action": "sts:AssumeRole"}]),
        )["Role"]["Arn"]
        iam.put_role_policy(RoleName=role, PolicyName="all", PolicyDocument=document([mine]))
        given = sts.assume_role(RoleArn=roles[name], RoleSessionName="test")["Credentials"]
        key = AccessKey(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        found[name] = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
    statements = deployment_bucket_statements(
        f"arn:aws:s3:::{bucket}",
        [roles["worker"]],
        [f"arn:aws:iam::{cloud.account}:role/replication"],
        [f"arn:aws:iam::{cloud.account}:role/sso/operator-*", f"arn:aws:iam::{cloud.account}:user/*"],
    )
    clients.get("s3", REGION).put_bucket_policy(Bucket=bucket, Policy=document(statements))
    return found


@pytest.mark.parametrize("name", MAY)
@pytest.mark.parametrize("key", [RECORDS, "rollbacks/m-1.json", OWN, "artifacts/dev/1.zip", FILES])
def test_records_and_the_commands_own_keep_to_their_writers(
    name: str, key: str, who: dict[str, Clients], clients: Clients, bucket: str
) -> None:
    allowed = {each.partition("/")[0] for each in MAY[name]} | (
        {"rollbacks"} if RECORDS in MAY[name] else set()
    )
    allowed |= {"artifacts"} if OWN in MAY[name] else set()
    version = (
        clients.get("s3", REGION).put_object(Bucket=bucket, Key=key, Body=b"before").get("VersionId", "null")
    )
    s3 = who[name].get("s3", REGION)
    for write in (
        lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"forged"),
        lambda: s3.delete_object(Bucket=bucket, Key=key, VersionId=version),
        lambda: s3.delete_object(Bucket=bucket, Key=key),
    ):
        if key.partition("/")[0] in allowed:
            write()
        else:
            with pytest.raises(ClientError, match="AccessDenied"):
                write()
    if key.partition("/")[0] not in allowed:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"before"


def test_without_operators_nothing_more_is_refused() -> None:
    (statement,) = deployment_bucket_statements("arn:aws:s3:::b", ["r"], ["p"], [])
    assert statement["Sid"] == "TlsOnly"
