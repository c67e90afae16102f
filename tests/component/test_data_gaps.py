"""The embedded AWS keeps to AWS's limits of parameters and secrets; whether it still needs our help for it."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import AccessKey, Clients
from regionshift.local.data_gaps import LABELS
from regionshift.local.emulator import LocalCloud

REGION = "eu-west-1"
POLICY = {"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "2039-12-02T21:34:33.000Z"}}


@pytest.fixture
def ssm(clients: Clients) -> Any:
    return clients.get("ssm", REGION)


@pytest.fixture
def name() -> str:
    return f"/gap/{uuid.uuid4().hex}"


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ({"Type": "String"}, {"Type": "SecureString"}, "HierarchyTypeMismatchException"),
        (
            {"Type": "String", "Tier": "Advanced"},
            {"Type": "String", "Tier": "Standard"},
            "ValidationException",
        ),
        ({"Type": "String"}, {"Type": "String", "Policies": json.dumps([POLICY])}, "ValidationException"),
        ({"Type": "String"}, {"Type": "String", "DataType": "aws:ec2:image"}, "ValidationException"),
        ({"Type": "String"}, {"Type": "String", "Value": "x" * 4097}, "ValidationException"),
        ({"Type": "String"}, {"Type": "String", "AllowedPattern": "^y"}, "ParameterPatternMismatchException"),
    ],
)
def test_what_aws_refuses_is_refused(
    ssm: Any, name: str, first: dict[str, Any], second: dict[str, Any], code: str
) -> None:
    ssm.put_parameter(Name=name, Value="x", **first)
    with pytest.raises(ClientError, match=code):
        ssm.put_parameter(Name=name, Overwrite=True, **{"Value": "x", **second})
    assert ssm.get_parameter(Name=name)["Parameter"]["Version"] == 1


def test_an_object_older_than_versioning_is_copied_by_its_version(clients: Clients, name: str) -> None:
    s3, bucket = clients.get("s3", "us-east-1"), f"gap{name.rpartition('/')[2]}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a b", Body=b"x", Tagging="team=data")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    source: Any = {"Bucket": bucket, "Key": "a b", "VersionId": "null"}

    s3.copy_object(Bucket=bucket, Key="whole", CopySource=source)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    s3.upload_part_copy(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, CopySource=source)

    assert s3.get_object(Bucket=bucket, Key="whole")["Body"].read() == b"x"
    assert s3.get_object_tagging(Bucket=bucket, Key="whole")["TagSet"] == [{"Key": "team", "Value": "data"}]
    with pytest.raises(ClientError, match="NoSuchVersion"):
        s3.copy_object(Bucket=bucket, Key="no", CopySource={**source, "Key": "whole"})


def test_policies_are_listed_kept_and_taken_away(ssm: Any, name: str) -> None:
    def policies() -> list[Any]:
        found = ssm.describe_parameters(
            ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}]
        )["Parameters"][0]
        return [json.loads(each["PolicyText"]) for each in found.get("Policies", [])]

    ssm.put_parameter(Name=name, Value="x", Type="String", Tier="Advanced", Policies=json.dumps([POLICY]))
    assert policies() == [POLICY]
    ssm.put_parameter(Name=name, Value="y", Overwrite=True)
    assert policies() == [POLICY]
    ssm.put_parameter(Name=name, Value="z", Overwrite=True, Policies="[{}]")
    assert policies() == []


def test_a_secret_has_twenty_labels(clients: Clients, name: str) -> None:
    vault = clients.get("secretsmanager", REGION)
    version = vault.create_secret(Name=name, SecretString="x", KmsKeyId="alias/aws/secretsmanager")[
        "VersionId"
    ]
    assert "KmsKeyId" not in vault.describe_secret(SecretId=name)
    for number in range(LABELS - 2):
        vault.update_secret_version_stage(SecretId=name, VersionStage=str(number), MoveToVersionId=version)
    # The twentieth is AWSPREVIOUS.
    second = vault.put_secret_value(SecretId=name, SecretString="y")["VersionId"]
    with pytest.raises(ClientError, match="LimitExceededException"):
        vault.update_secret_version_stage(SecretId=name, VersionStage="more", MoveToVersionId=second)
    vault.put_secret_value(SecretId=name, SecretString="z")
    found = vault.describe_secret(SecretId=name)["VersionIdsToStages"]
    assert sum(map(len, found.values())) == LABELS


def test_a_secret_that_is_made_without_a_value_has_no_version(clients: Clients, name: str) -> None:
    vault = clients.get("secretsmanager", REGION)
    assert "VersionId" not in vault.create_secret(Name=name)
    assert not vault.describe_secret(SecretId=name).get("VersionIdsToStages")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        vault.get_secret_value(SecretId=name)
    version = vault.put_secret_value(SecretId=name, SecretString="x")["VersionId"]
    assert vault.describe_secret(SecretId=name)["VersionIdsToStages"] == {version: ["AWSCURRENT"]}


def test_policies_are_told_the_tags_of_a_secret(cloud: LocalCloud, clients: Clients, name: str) -> None:
    vault, iam = clients.get("secretsmanager", REGION), clients.get("iam", REGION)
    vault.create_secret(Name=name, SecretString="x", Tags=[{"Key": "App", "Value": "shop"}])
    user = f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    made = iam.create_access_key(UserName=user)["AccessKey"]
    key = AccessKey(made["AccessKeyId"], made["SecretAccessKey"])
    theirs = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle).get(
        "secretsmanager", REGION
    )
    for prefix in ("secretsmanager", "aws"):
        for value, may in (("shop", True), ("other", False)):
            allow = {
                "Effect": "Allow",
                "Action": "secretsmanager:GetSecretValue",
                "Resource": "*",
                "Condition": {"StringEquals": {f"{prefix}:ResourceTag/App": value}},
            }
            policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
            iam.put_user_policy(UserName=user, PolicyName="inline", PolicyDocument=policy)
            if may:
                assert theirs.get_secret_value(SecretId=name)["SecretString"] == "x"
            else:
                with pytest.raises(ClientError, match="AccessDenied"):
                    theirs.get_secret_value(SecretId=name)


def test_parameters_still_need_it(name: str) -> None:
    """On the emulator as its authors ship it; when this fails, the repair can go."""
    ssm = pytest.importorskip("ministack.services.ssm")
    first = {"Name": name, "Value": "x", "Type": "String", "Policies": json.dumps([POLICY])}
    assert ssm._put_parameter(first)[0] == 200
    assert (
        ssm._put_parameter({"Name": name, "Value": "x", "Type": "SecureString", "Overwrite": True})[0] == 200
    )


def test_secrets_still_need_it(name: str) -> None:
    """As above."""
    vault = pytest.importorskip("ministack.services.secretsmanager")
    made = vault._create_secret({"Name": name, "SecretString": "x", "KmsKeyId": "alias/aws/secretsmanager"})
    version = json.loads(made[2])["VersionId"]
    assert json.loads(vault._describe_secret({"SecretId": name})[2])["KmsKeyId"]
    assert "KmsKeyId" not in json.loads(vault._list_secrets({})[2])["SecretList"][0]
    for number in range(LABELS + 1):
        label = {"SecretId": name, "VersionStage": str(number), "MoveToVersionId": version}
        assert vault._update_secret_version_stage(label)[0] == 200
    assert "VersionId" in json.loads(vault._create_secret({"Name": f"{name}-empty"})[2])
    asked = json.dumps({"SecretId": name}).encode()
    vault._tag_resource({"SecretId": name, "Tags": [{"Key": "app", "Value": "shop"}]})
    actions = pytest.importorskip("ministack.core.iam_actions")
    assert not actions.request_tag_context("secretsmanager", "secretsmanager:GetSecretValue", asked, {})
