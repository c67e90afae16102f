"""Every document and safeguard that a plan's steps hold is found: before and after, and whose rights it is about."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import replace
from typing import Any

import pulumi_aws as aws
import pytest
from pulumi.runtime.rpc import UNKNOWN

from regionshift.engine.events import ResourceStep
from regionshift.iam.documents import Policy, PolicyKind, Unreadable
from regionshift.infrastructure.rights import RIGHTS
from regionshift.operations.policy_documents import HOLDERS, PolicyDocument, policy_documents, safeguards

REGION = "eu-west-1"
POLICY = "aws:iam/policy:Policy"
ROLE = "aws:iam/role:Role"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
INLINE = "aws:iam/rolePolicy:RolePolicy"
BUCKET = "aws:s3/bucket:Bucket"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
RULE = "securityGroupIngressRule"


def text(*actions: str) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]})


def step(
    kind: str,
    op: str,
    old: dict[str, Any] | None = None,
    new: dict[str, Any] | None = None,
    name: str = "one",
) -> ResourceStep:
    return ResourceStep(op, f"urn:{kind}::{name}-{REGION}", kind, REGION, old=old or {}, new=new or {})


def actions(found: object) -> object:
    if isinstance(found, Policy):
        return [action for statement in found for action in statement.actions.values]
    return str(found) if isinstance(found, Unreadable) else found


def told(*steps: ResourceStep) -> list[tuple[str, object, object]]:
    return [(each.subject, actions(each.old), actions(each.new)) for each in policy_documents(steps)]


@pytest.mark.parametrize(
    ("kind", "inputs", "subject"),
    [
        (INLINE, {"role": "worker", "policy": text("a:b")}, "worker"),
        ("aws:s3/bucketPolicy:BucketPolicy", {"bucket": "files", "policy": text("a:b")}, "files"),
        ("aws:sns/topicPolicy:TopicPolicy", {"arn": "arn:aws:sns:r:1:news", "policy": text("a:b")}, "news"),
        ("aws:sqs/queuePolicy:QueuePolicy", {"queueUrl": "https://x/1/dead", "policy": text("a:b")}, "dead"),
        ("aws:kms/key:Key", {"policy": text("a:b")}, "one-eu-west-1"),
        (ROLE, {"name": "worker", "assumeRolePolicy": text("a:b")}, "worker"),
        (POLICY, {"name": "own", "policy": text("a:b")}, "own"),
    ],
)
def test_a_document_is_told_with_whom_it_is_about(kind: str, inputs: dict[str, Any], subject: str) -> None:
    assert told(step(kind, "create", new=inputs)) == [(subject, None, ["a:b"])]
    assert told(step(kind, "delete", old=inputs)) == [(subject, ["a:b"], None)]
    assert told(step(kind, "same", old=inputs, new=inputs)) == [(subject, ["a:b"], ["a:b"])]


def test_a_managed_policy_is_each_roles_that_has_it() -> None:
    policy = step(
        POLICY, "update", {"name": "p", "policy": text("a:old")}, {"name": "p", "policy": text("a:new")}
    )
    arn = "arn:aws:iam::111122223333:policy/p"
    kept = {"role": "kept", "policyArn": arn}
    found = told(
        policy,
        step(ATTACHMENT, "same", kept, kept, "kept"),
        step(ATTACHMENT, "create", new={"role": "got", "policyArn": arn}, name="got"),
        step(ATTACHMENT, "delete", {"role": "lost", "policyArn": arn}, name="lost"),
    )
    assert found == [("got", None, ["a:new"]), ("kept", ["a:old"], ["a:new"]), ("lost", ["a:old"], None)]


def test_what_is_attached_and_is_of_no_plan_cannot_be_read() -> None:
    found = told(step(ATTACHMENT, "create", new={"role": "r", "policyArn": "arn:aws:iam::aws:policy/Admin"}))
    assert found == [("r", None, "what arn:aws:iam::aws:policy/Admin allows is not in this plan")]


def test_a_policy_that_is_still_to_be_made_is_of_the_only_role_that_waits_for_one() -> None:
    made = [
        step(POLICY, "create", new={"name": f"p{n}", "policy": text(f"a:{n}")}, name=f"p{n}") for n in (1, 2)
    ]
    waiting = [
        step(ATTACHMENT, "create", new={"role": "r", "policyArn": UNKNOWN}, name=f"a{n}") for n in (1, 2)
    ]
    assert told(*made, *waiting) == [("r", None, ["a:1"]), ("r", None, ["a:2"])]
    other = step(ATTACHMENT, "create", new={"role": "s", "policyArn": UNKNOWN}, name="a3")
    unknown = "it attaches what is still to be made"
    assert told(*made, waiting[0], other) == [
        ("p1", None, ["a:1"]), ("p2", None, ["a:2"]), ("r", None, unknown), ("s", None, unknown)
    ]  # fmt: skip


def test_policies_inside_a_role_are_its_own() -> None:
    trust = {"name": "r", "assumeRolePolicy": text("sts:AssumeRole")}
    inline = {"inlinePolicies": [{"name": "x", "policy": text("a:b")}], "managedPolicyArns": ["arn:x"]}
    found = told(step(ROLE, "update", trust, {**trust, **inline}))
    assert found[1:] == [("r", None, ["a:b"]), ("r", None, "what arn:x allows is not in this plan")]


def test_what_is_not_known_yet_says_so() -> None:
    assert told(step(INLINE, "create", new={"role": "r", "policy": UNKNOWN})) == [
        ("r", None, "it names what is still to be made")
    ]


def test_what_is_about_a_bucket_or_a_role_that_goes_does_not_stay() -> None:
    gone = [
        step(BUCKET, "delete", {"bucket": "files"}),
        step("aws:s3/bucketPolicy:BucketPolicy", "delete", {"bucket": "files", "policy": text("a:b")}),
        step(ROLE, "delete", {"name": "r", "assumeRolePolicy": text("a:b")}),
        step(INLINE, "delete", {"role": "r", "policy": text("a:b")}),
        step("aws:kms/key:Key", "delete", {"policy": text("a:b")}),
    ]
    assert [each.stays for each in policy_documents(gone)] == [False] * 4
    assert [each.stays for each in policy_documents([gone[1], gone[3]])] == [True, True]
    block = step(
        BLOCK,
        "delete",
        {"bucket": "files", "blockPublicAcls": True},
    )
    assert [each.is_opened for each in safeguards([block])] == [True]
    assert safeguards([gone[0], block]) == []


def test_what_has_the_name_of_what_goes_stays() -> None:
    role = {"name": "worker", "assumeRolePolicy": text("sts:AssumeRole")}
    got = step(INLINE, "create", new={"role": "worker", "name": "p", "policy": text("*:*")}, name="p")
    elsewhere = replace(step(ROLE, "delete", role), region="us-east-1")
    for goes in (
        step("aws:lambda/function:Function", "delete", {"name": "worker"}),
        step(POLICY, "delete", {"name": "worker"}),
        replace(step(BUCKET, "delete", {"bucket": "worker"}), region="us-east-1"),
    ):
        assert [each.stays for each in policy_documents([goes, got])] == [True]
    assert [each.stays for each in policy_documents([elsewhere, got])] == [False, False], "IAM has no regions"
    bucket = {"bucket": "files", "blockPublicAcls": True}
    gone = replace(step(BUCKET, "delete", bucket), region="us-east-1")
    assert [each.is_opened for each in safeguards([gone, step(BLOCK, "delete", bucket)])] == [True]


def test_what_goes_and_comes_back_under_another_urn_is_what_it_was() -> None:
    was = {"name": "r", "assumeRolePolicy": text("a:b"), "permissionsBoundary": "arn:b"}
    back = [
        step(ROLE, "delete", was),
        step(ROLE, "create", new={**was, "assumeRolePolicy": text("a:*")}, name="x"),
    ]
    for steps in (back, back[::-1]):
        assert told(*steps) == [("r", ["a:b"], ["a:*"])]
        assert [each.stays for each in policy_documents(steps)] == [True]
        assert not any(each.is_opened for each in safeguards(steps))
    without = step(ROLE, "create", new={"name": "r", "assumeRolePolicy": text("a:b")}, name="x")
    assert [each.is_opened for each in safeguards([back[0], without])] == [True]
    # The default of an endpoint without a policy lets in everything.
    endpoint = "aws:ec2/vpcEndpoint:VpcEndpoint"
    bare = replace(step(endpoint, "create", new={"vpcId": "v"}), urn=f"urn:other::one-{REGION}")
    assert told(step(endpoint, "delete", {"policy": text("a:b")}), bare) == [
        ("one-eu-west-1", ["a:b"], ["*"])
    ]
    block = {"bucket": "b", "blockPublicAcls": True}
    assert not any(
        each.is_opened
        for each in safeguards([step(BLOCK, "delete", block), step(BLOCK, "create", new=block, name="x")])
    )


@pytest.mark.parametrize("op", ["replace", "create"])
def test_a_managed_policy_that_is_made_anew_is_still_its_roles(op: str) -> None:
    was, now = {"name": "p", "policy": text("a:old")}, {"name": "p", "policy": text("a:*")}
    held = {"role": "r", "policyArn": "arn:aws:iam::111122223333:policy/p"}
    again = {"role": "r", "policyArn": UNKNOWN}
    policy = [step(POLICY, "replace", was, now)]
    attachment = [step(ATTACHMENT, "replace", held, again)]
    if op == "create":
        policy = [step(POLICY, "delete", was), step(POLICY, "create", new=now, name="x")]
        attachment = [step(ATTACHMENT, "delete", held), step(ATTACHMENT, "create", new=again, name="y")]
    assert told(*policy, *attachment) == [("r", ["a:old"], ["a:*"])]


def test_what_is_attached_and_made_by_no_policy_of_the_plan_is_not_known() -> None:
    unknown = "it attaches what is still to be made"
    assert told(step(ATTACHMENT, "create", new={"role": "r", "policyArn": UNKNOWN})) == [("r", None, unknown)]


def test_a_lambda_permission_is_a_statement_of_the_functions_policy() -> None:
    (found,) = policy_documents(
        [
            step(
                "aws:lambda/permission:Permission",
                "create",
                new={
                    "function": "f",
                    "action": "lambda:InvokeFunction",
                    "principal": "s3.amazonaws.com",
                    "sourceAccount": "111122223333",
                },
            )
        ]
    )
    assert isinstance(found.new, Policy)
    (statement,) = found.new
    assert (found.kind, found.subject) == (PolicyKind.RESOURCE, "f")
    assert statement.principals is not None
    assert statement.principals.values == ("Service:s3.amazonaws.com",)
    assert [str(each) for each in statement.conditions] == ["StringEquals aws:SourceAccount 111122223333"]


OPENINGS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (BLOCK, {"blockPublicAcls": True, "blockPublicPolicy": True}, {"blockPublicPolicy": True}),
    (BLOCK, {"restrictPublicBuckets": True}, {"restrictPublicBuckets": False}),
    (OWNERSHIP, {"rule": {"objectOwnership": "BucketOwnerEnforced"}}, {"rule": {"objectOwnership": "ObjectWriter"}}),
    ("aws:s3/bucketLogging:BucketLogging", {}, {"targetGrants": [{"permission": "READ"}]}),
    (ROLE, {"name": "r", "permissionsBoundary": "arn:b"}, {"name": "r"}),
    (ROLE, {"name": "r", "permissionsBoundary": "arn:b"}, {"name": "r", "permissionsBoundary": "arn:c"}),
    (BUCKET, {"bucket": "b"}, {"bucket": "b", "acl": "public-read"}),
    ("aws:lambda/function:Function", {"name": "f", "role": "arn:a"}, {"name": "f", "role": "arn:b"}),
    (f"aws:vpc/{RULE}:S{RULE[1:]}", {"cidrIpv4": "10.0.0.0/8"}, {"cidrIpv4": "0.0.0.0/0"}),
    ("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", {"ingress": []}, {"ingress": [{"protocol": "-1"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "shut", "wide"), OPENINGS)
def test_a_safeguard_that_is_lifted_is_opened_and_one_that_is_set_is_not(
    kind: str, shut: dict[str, Any], wide: dict[str, Any]
) -> None:
    assert any(each.is_opened for each in safeguards([step(kind, "update", shut, wide)]))
    assert not any(each.is_opened for each in safeguards([step(kind, "same", shut, shut)]))
    if (
        wide.get("permissionsBoundary") is None
        and kind not in ("aws:lambda/function:Function",)
        and "cidrIpv4" not in wide
    ):
        assert not any(each.is_opened for each in safeguards([step(kind, "update", wide, shut)]))


# Inputs of the program's types that are called like rights and open nothing, with the reason.
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
HARMLESS = {
    ("aws:ec2/subnet:Subnet", "map_public_ip_on_launch"): "an address and no way to it",
    ("aws:iam/policy:Policy", "delay_after_policy_creation_in_ms"): "a pause",
    ("aws:iam/role:Role", "force_detach_policies"): "how it is deleted",
    ("aws:iam/role:Role", "inline_policies"): "read beside the trust",
    ("aws:iam/role:Role", "managed_policy_arns"): "read beside the trust",
    ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "policy_arn"): "read beside the policies",
    (
        "aws:kms/key:Key",
        "bypass_policy_lockout_safety_check",
    ): "whether AWS looks if the policy shuts its writer out",
    ("aws:sns/topic:Topic", "archive_policy"): "how long messages are kept",
    ("aws:sns/topic:Topic", "delivery_policy"): "how often delivery is tried",
    ("aws:sqs/queue:Queue", "redrive_allow_policy"): "which queues may have it for their dead letters",
    ("aws:sqs/queue:Queue", "redrive_policy"): "where failed messages go",
    (SUBSCRIPTION, "delivery_policy"): "how often delivery is tried",
    (SUBSCRIPTION, "filter_policy"): "which messages",
    (SUBSCRIPTION, "filter_policy_scope"): "which messages",
    (SUBSCRIPTION, "redrive_policy"): "where failed messages go",
    (SUBSCRIPTION, "replay_policy"): "which messages",
}
_LIKE_RIGHTS = re.compile(r"polic|acl$|grants|public|boundary|ownership")


def test_every_input_of_the_programs_types_that_is_called_like_rights_is_looked_at() -> None:
    looked_at = {(kind, _snake(holder.holds)) for kind, holder in HOLDERS.items()}
    looked_at |= {(kind, _snake(name)) for kind, shut, wide in OPENINGS for name in (*shut, *wide)}
    looked_at |= {(BLOCK, "ignore_public_acls"), (BUCKET, "grants")}
    found = {(kind, name) for kind in RIGHTS for name in _inputs(kind) if _LIKE_RIGHTS.search(name)}
    assert found - looked_at - HARMLESS.keys() == set()
    assert found >= HARMLESS.keys()


def _inputs(kind: str) -> list[str]:
    module, _, name = kind.removeprefix("aws:").partition("/")
    module = {"lambda": "lambda_"}.get(module, module)
    made = getattr(getattr(aws, module), name.partition(":")[2])
    return list(inspect.signature(made._internal_init).parameters)


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def test_a_document_says_which_resource_holds_it() -> None:
    (found,) = policy_documents([step(POLICY, "create", new={"name": "own", "policy": text("a:b")})])
    assert isinstance(found, PolicyDocument)
    assert (found.step.region, found.step.name, found.kind) == (REGION, f"one-{REGION}", PolicyKind.IDENTITY)
