"""Working as a role of the embedded AWS: its policies are in force, whomever it trusts."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.errors import InputError
from regionshift.local.emulator import LocalCloud, as_role

REGION = "eu-west-1"
FROM_A_PIPELINE = {
    "Effect": "Allow",
    "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"},
    "Action": "sts:AssumeRoleWithWebIdentity",
    "Condition": {"StringEquals": {"token.actions.githubusercontent.com:sub": "repo:o/r:environment:prod"}},
}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}


def make(clients: Clients, **more: Any) -> str:
    """A role of nobody's but a pipeline's."""
    name = f"role-{uuid.uuid4().hex[:8]}"
    trust = document(FROM_A_PIPELINE)
    clients.get("iam", REGION).create_role(RoleName=name, AssumeRolePolicyDocument=trust, **more)
    return name


def of(cloud: LocalCloud) -> Clients:
    return Clients(key=cloud.key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)


def test_inline_and_managed_policies_and_conditions_are_in_force(cloud: LocalCloud, clients: Clients) -> None:
    iam, name = clients.get("iam", REGION), make(clients)
    here = {"StringEquals": {"aws:RequestedRegion": REGION}}
    inline = document(allow("sqs:ListQueues", Condition=here))
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=inline)
    managed = iam.create_policy(PolicyName=name, PolicyDocument=document(allow("sns:ListTopics")))["Policy"]
    iam.attach_role_policy(RoleName=name, PolicyArn=managed["Arn"])
    arn = iam.get_role(RoleName=name)["Role"]["Arn"]
    for named in (name, arn):
        role = of(as_role(cloud, named))
        told = role.call(REGION, "sts", "get_caller_identity")["Arn"]
        assert told == f"arn:aws:sts::{cloud.account}:assumed-role/{name}/regionshift"
        role.call(REGION, "sqs", "list_queues")
        role.call(REGION, "sns", "list_topics")
        for region, service, operation in (
            ("us-east-1", "sqs", "list_queues"),
            (REGION, "ssm", "describe_parameters"),
        ):
            with pytest.raises(AwsFailed, match="not authorized"):
                role.call(region, service, operation)


def test_what_the_boundary_leaves_out_nothing_allows(cloud: LocalCloud, clients: Clients) -> None:
    iam = clients.get("iam", REGION)
    limit = iam.create_policy(
        PolicyName=f"limit-{uuid.uuid4().hex[:8]}", PolicyDocument=document(allow("sqs:*"))
    )
    name = make(clients, PermissionsBoundary=limit["Policy"]["Arn"])
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=document(allow("*")))
    role = of(as_role(cloud, name))
    role.call(REGION, "sqs", "list_queues")
    with pytest.raises(AwsFailed, match="not authorized"):
        role.call(REGION, "sns", "list_topics")


def test_a_role_that_is_not_there_is_named(cloud: LocalCloud, clients: Clients) -> None:
    name = make(clients)
    for wrong in ("nobody", "arn:aws:iam::123456789012:role/nobody", "not a name", f"other/{name}"):
        with pytest.raises(InputError, match="has no role") as caught:
            as_role(cloud, wrong)
        assert wrong in caught.value.message
        assert caught.value.where == "REGIONSHIFT_LOCAL_ROLE"


def test_the_emulator_still_needs_it(cloud: LocalCloud) -> None:
    """On the emulator as its authors ship it, the administrator is asked what the role trusts."""
    evaluator = pytest.importorskip("ministack.core.iam_evaluator")
    administrator = f"arn:aws:iam::{cloud.account}:user/regionshift-admin"
    assert not evaluator.evaluate_trust_policy(document(FROM_A_PIPELINE), administrator)
