"""The embedded AWS asks policies about whole keys of objects; whether it still needs our help for it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.local.iam_gaps import of_whole_keys, over_lines

REGION = "eu-west-1"


@pytest.fixture
def bucket(clients: Clients) -> str:
    name = f"gap-{uuid.uuid4().hex}"
    clients.get("s3", REGION).create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return name


@pytest.mark.parametrize(
    ("pattern", "may", "may_not"),
    [
        ("data/*", ("data/", "data//a", "data/a\nb", "data/a\n"), ("data", "/data/a")),
        ("/*", ("/", "//", "/a"), ("a",)),
        ("a//b", ("a//b",), ("a/b", "a///b")),
        ("a", ("a",), ("a/", "a\n")),
    ],
)
def test_a_key_is_asked_about_with_all_its_characters(
    user: Callable[..., Clients],
    bucket: str,
    pattern: str,
    may: tuple[str, ...],
    may_not: tuple[str, ...],
) -> None:
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/{pattern}"}
    s3 = user(allow).get("s3", REGION)
    for key in may:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
        s3.copy_object(
            Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key}, MetadataDirective="REPLACE"
        )
        s3.delete_object(Bucket=bucket, Key=key)
    for key in may_not:
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"x")


def test_what_is_simulated_goes_by_context_and_boundary_of_every_resource(clients: Clients) -> None:
    iam, name = clients.get("iam", REGION), f"n{uuid.uuid4().hex[:8]}"
    here = {"StringEquals": {"aws:RequestedRegion": REGION, "aws:RequestTag/Project": "x"}}
    statements = [
        {"Effect": "Allow", "Action": "sns:*", "Resource": "*", "Condition": here},
        {"Effect": "Allow", "Action": "sqs:*", "Resource": "arn:aws:sqs:*:*:mine"},
    ]
    limit = {"Effect": "Allow", "Action": ["sns:CreateTopic", "sqs:*"], "Resource": "*"}
    boundary = iam.create_policy(PolicyName=name, PolicyDocument=document(limit))["Policy"]["Arn"]
    trust = document()
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, PermissionsBoundary=boundary)[
        "Role"
    ]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))

    def said(actions: list[str], resources: list[str], **told: str) -> list[tuple[str, list[str]]]:
        found = iam.simulate_principal_policy(
            PolicySourceArn=role["Arn"],
            ActionNames=actions,
            ResourceArns=resources,
            ContextEntries=[
                {
                    "ContextKeyName": f"aws:{key.replace('_', '/')}",
                    "ContextKeyType": "string",
                    "ContextKeyValues": [value],
                }
                for key, value in told.items()
            ],
        )
        return [(each["EvalDecision"], each["MissingContextValues"]) for each in found["EvaluationResults"]]

    topics = ["sns:CreateTopic", "sns:DeleteTopic"]
    both = {"RequestedRegion": REGION, "RequestTag_Project": "x"}
    assert said(topics, ["*"], **both) == [("allowed", []), ("implicitDeny", [])]
    assert said(topics[:1], ["*"], **{**both, "RequestedRegion": "us-east-1"}) == [("implicitDeny", [])]
    assert said(topics[:1], ["*"], RequestedRegion=REGION) == [("implicitDeny", ["aws:RequestTag/Project"])]
    queues = [f"arn:aws:sqs:{REGION}:123456789012:{each}" for each in ("mine", "yours")]
    assert said(["sqs:SendMessage"], queues) == [("allowed", []), ("implicitDeny", [])]


def document(*statements: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_the_emulator_still_needs_it() -> None:
    """On the emulator as its authors ship it; when this fails, that part of `local/iam_gaps.py` can go."""
    actions = pytest.importorskip("ministack.core.iam_actions")
    evaluator = pytest.importorskip("ministack.core.iam_evaluator")
    asked = ("s3", "PUT", "/b/data/", {}, b"", {}, REGION, "123456789012")
    assert actions.extract_resource_arn(*asked) == "arn:aws:s3:::b/data"
    assert of_whole_keys(actions.extract_resource_arn, path=2)(*asked) == "arn:aws:s3:::b/data/"
    assert actions._s3_action("DELETE", "/b//", {}) == "DeleteBucket"
    assert not evaluator._fnmatch_compile("a*", False).match("a\nb")
    assert over_lines(evaluator._fnmatch_compile)("a*", False).match("a\nb")
    iam = pytest.importorskip("ministack.services.iam")
    context = {"ContextEntries.member.1.ContextKeyName": "aws:RequestedRegion", "ResourceArns.member.2": "b"}
    assert iam._extract_simulate_params({"ActionNames.member.1": ["a:b"], **context}) == (["a:b"], "*")
