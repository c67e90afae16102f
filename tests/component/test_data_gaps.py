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


def test_policies_are_listed_kept_and_taken_away(ssm: Any, name: str) -> None:
    def policies() -> list[Any]:
        only = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
        pages = ssm.get_paginator("describe_parameters").paginate(ParameterFilters=only)
        (found,) = pages.search("Parameters[]")
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


DEEPEST = "/gap" + "/l" * 14
BAD_PARAMETERS = {
    "a/b": "ValidationException",
    "//a": "ValidationException",
    "/a//b": "ValidationException",
    "/a/": "ValidationException",
    "/a b": "ValidationException",
    "/a@b": "ValidationException",
    "ssm-a": "ValidationException",
    "/AWS/a": "AccessDeniedException",
    f"{DEEPEST}/l": "HierarchyLevelLimitExceededException",
}


@pytest.mark.parametrize("bad", BAD_PARAMETERS)
def test_a_name_that_no_parameter_can_have_is_refused(ssm: Any, bad: str) -> None:
    with pytest.raises(ClientError, match=BAD_PARAMETERS[bad]):
        ssm.put_parameter(Name=bad, Value="x", Type="String")


def test_a_name_that_a_parameter_can_have_is_taken(ssm: Any, name: str) -> None:
    for good in (f"A_.-{name.rpartition('/')[2]}", DEEPEST, f"{name}/awsome"):
        ssm.put_parameter(Name=good, Value="x", Type="String")
        assert ssm.get_parameter(Name=f"{good}:1")["Parameter"]["Value"] == "x"
    with pytest.raises(ClientError, match="ValidationException"):
        ssm.get_parameter(Name="a/b")


def test_a_page_may_be_empty_before_the_last(ssm: Any, name: str) -> None:
    ssm.put_parameter(Name=f"{name}/a", Value="x", Type="String")
    for call, given in (
        ("get_parameters_by_path", {"Path": name}),
        (
            "describe_parameters",
            {"ParameterFilters": [{"Key": "Path", "Option": "OneLevel", "Values": [name]}]},
        ),
    ):
        first = getattr(ssm, call)(**given)
        assert (first["Parameters"], bool(first["NextToken"])) == ([], True)
        pages = ssm.get_paginator(call).paginate(**given)
        assert list(pages.search("Parameters[].Name")) == [f"{name}/a"]


@pytest.mark.parametrize("bad", ["a b", " a", "a*", "ü", "a\n"])
def test_a_name_that_no_secret_can_have_is_refused(clients: Clients, bad: str) -> None:
    vault = clients.get("secretsmanager", REGION)
    for ask in (
        lambda: vault.create_secret(Name=bad, SecretString="x"),
        lambda: vault.get_secret_value(SecretId=bad),
        lambda: vault.describe_secret(SecretId=bad),
        lambda: vault.put_secret_value(SecretId=bad, SecretString="x"),
    ):
        with pytest.raises(ClientError, match=r"ValidationException.*Invalid name"):
            ask()


def test_while_a_deletion_waits_the_name_is_taken(clients: Clients, name: str) -> None:
    vault = clients.get("secretsmanager", REGION)
    good = f"{name}/_+=.@-!"
    vault.create_secret(Name=good, SecretString="x")
    with pytest.raises(ClientError, match="ResourceExistsException"):
        vault.create_secret(Name=good, SecretString="y")
    vault.delete_secret(SecretId=good, RecoveryWindowInDays=7)
    for ask in (
        lambda: vault.create_secret(Name=good, SecretString="y"),
        lambda: vault.get_secret_value(SecretId=good),
        lambda: vault.put_secret_value(SecretId=good, SecretString="y"),
        lambda: vault.put_resource_policy(SecretId=good, ResourcePolicy='{"Statement": []}'),
    ):
        with pytest.raises(ClientError, match="InvalidRequestException"):
            ask()
    vault.restore_secret(SecretId=good)
    assert vault.get_secret_value(SecretId=good)["SecretString"] == "x"


def test_a_version_keeps_its_value(clients: Clients, name: str) -> None:
    vault, token = clients.get("secretsmanager", REGION), str(uuid.uuid4())
    vault.create_secret(Name=name, SecretString="x")
    vault.put_secret_value(SecretId=name, SecretString="y", ClientRequestToken=token)
    vault.put_secret_value(SecretId=name, SecretString="z")
    with pytest.raises(ClientError, match="ResourceExistsException"):
        vault.put_secret_value(SecretId=name, SecretString="other", ClientRequestToken=token)
    again = vault.put_secret_value(SecretId=name, SecretString="y", ClientRequestToken=token)
    assert (again["VersionId"], again["VersionStages"]) == (token, ["AWSPREVIOUS"])
    assert vault.get_secret_value(SecretId=name)["SecretString"] == "z"
    with pytest.raises(ClientError, match="InvalidRequestException"):
        vault.get_secret_value(SecretId=name, VersionId=token, VersionStage="AWSCURRENT")
    assert vault.get_secret_value(SecretId=name, VersionId=token)["SecretString"] == "y"


def test_versions_without_labels_are_listed_when_asked_for(clients: Clients, name: str) -> None:
    vault = clients.get("secretsmanager", REGION)
    first = vault.create_secret(Name=name, SecretString="x")["VersionId"]
    vault.put_secret_value(SecretId=name, SecretString="y", VersionStages=["mine"])
    second = next(
        each["VersionId"]
        for each in vault.list_secret_version_ids(SecretId=name)["Versions"]
        if each["VersionStages"] == ["mine"]
    )
    vault.update_secret_version_stage(SecretId=name, VersionStage="mine", RemoveFromVersionId=second)

    def listed(**given: Any) -> set[str]:
        answer = vault.list_secret_version_ids(SecretId=name, **given)
        return {each["VersionId"] for each in answer["Versions"]}

    assert listed() == {first}
    assert listed(IncludeDeprecated=True) == {first, second}


def test_secrets_are_filtered_by_how_their_names_and_tags_begin(clients: Clients, name: str) -> None:
    vault = clients.get("secretsmanager", REGION)
    for end, tag in (("ab", "Team"), ("Ab", "team"), ("b/ab", "x-Team")):
        vault.create_secret(
            Name=f"{name}/{end}", Description=f"Of {end}", Tags=[{"Key": tag, "Value": "data"}]
        )

    def found(*filters: Any) -> list[str]:
        named: Any = {"Key": "name", "Values": [name]}
        pages = vault.get_paginator("list_secrets").paginate(Filters=[named, *filters])
        return sorted(each.removeprefix(f"{name}/") for each in pages.search("SecretList[].Name"))

    assert found() == ["Ab", "ab", "b/ab"]
    assert found({"Key": "name", "Values": [f"{name}/a", f"{name}/b"]}) == ["ab", "b/ab"]
    assert found({"Key": "name", "Values": [f"!{name}/a"]}) == ["Ab", "b/ab"]
    assert found({"Key": "tag-key", "Values": ["Te"]}) == ["ab"]
    assert found({"Key": "description", "Values": ["of a"]}) == ["Ab", "ab"]
    assert found({"Key": "name", "Values": ["ab"]}) == []


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
    for bad in ("a/b", f"/{name}", f"{DEEPEST}/l"):
        assert ssm._put_parameter({"Name": bad, "Value": "x", "Type": "String"})[0] == 200
    assert json.loads(ssm._get_parameters_by_path({"Path": "/", "Recursive": True})[2])["Parameters"]


def test_deleting_at_once_what_is_gone_is_no_error(clients: Clients, name: str) -> None:
    vault = clients.get("secretsmanager", REGION)
    vault.create_secret(Name=name, SecretString="x")
    for _ in range(2):
        assert vault.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)["Name"] == name
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        vault.delete_secret(SecretId=name)


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
    assert vault._create_secret({"Name": "a b"})[0] == 200
    assert vault._delete_secret({"SecretId": "nobody", "ForceDeleteWithoutRecovery": True})[0] == 400
    assert vault._filter_secret_names([name], [{"Key": "name", "Values": [name[1:].upper()]}]) == [name]
    again = {"SecretId": name, "ClientRequestToken": version, "SecretString": "other"}
    assert vault._put_secret_value(again)[0] == 200
    mixed = {"SecretId": name, "VersionId": version, "VersionStage": "none"}
    assert vault._get_secret_value(mixed)[0] == 200
    vault._secrets[name]["Versions"]["unlabelled"] = {"Stages": [], "CreatedDate": 0}
    assert "unlabelled" in str(vault._list_secret_version_ids({"SecretId": name})[2])
    vault._delete_secret({"SecretId": name})
    assert b"ResourceExistsException" in vault._create_secret({"Name": name})[2]
    assert vault._put_resource_policy({"SecretId": name})[0] == 200
    vault._restore_secret({"SecretId": name})
    asked = json.dumps({"SecretId": name}).encode()
    vault._tag_resource({"SecretId": name, "Tags": [{"Key": "app", "Value": "shop"}]})
    actions = pytest.importorskip("ministack.core.iam_actions")
    assert not actions.request_tag_context("secretsmanager", "secretsmanager:GetSecretValue", asked, {})
