"""What the caller may not do is found before the first change, by identities that policies apply to."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import AccessKey, Clients
from regionshift.engine.engine import RunRecord
from regionshift.engine.events import ResourceStep
from regionshift.infrastructure.operator_rights import operator_policies
from regionshift.infrastructure.rights import RIGHTS, types_of
from regionshift.local.emulator import LocalCloud
from regionshift.local.provider.handlers import BY_TOKEN
from regionshift.operations.account import look_at
from regionshift.operations.destroy import propose_destroy
from regionshift.operations.environment import Environment
from regionshift.operations.permissions import operator_findings, permission_findings
from regionshift.operations.preflight import plan_findings
from regionshift.operations.up import PlanRefused
from regionshift.settings.components import PipelineRole

pytestmark = pytest.mark.component
ACCOUNT, PRIMARY, SECONDARY = "123456789012", "eu-north-1", "eu-west-3"
ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
KEY, BUCKET, ROLE = "aws:kms/key:Key", "aws:s3/bucket:Bucket", "aws:iam/role:Role"
As = Callable[..., Environment]


@pytest.fixture
def environment(environment_of: Callable[..., Environment]) -> Environment:
    return environment_of(project="flight", regions={"primary": PRIMARY, "secondaries": [SECONDARY]})


@pytest.fixture
def as_user(environment: Environment, clients: Clients, cloud: LocalCloud) -> Iterator[As]:
    """The environment as somebody with just these statements sees it."""
    iam = clients.get("iam", PRIMARY)
    made: list[tuple[str, str]] = []

    def user(*statements: dict[str, Any]) -> Environment:
        name = f"operator-{uuid.uuid4().hex[:8]}"
        iam.create_user(UserName=name)
        document = json.dumps({"Version": "2012-10-17", "Statement": [*statements, *_ASKING]})
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        made.append((name, key["AccessKeyId"]))
        own = AccessKey(key["AccessKeyId"], key["SecretAccessKey"])
        return replace(
            environment, clients=Clients(key=own, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
        )

    yield user
    for name, key_id in made:
        iam.delete_access_key(UserName=name, AccessKeyId=key_id)
        iam.delete_user_policy(UserName=name, PolicyName="own")
        iam.delete_user(UserName=name)


_ASKING = ({"Effect": "Allow", "Action": ["iam:SimulatePrincipalPolicy", "iam:GetRole"], "Resource": "*"},)


def step(kind: str, region: str, op: str = "create") -> ResourceStep:
    return ResourceStep(op, f"urn:pulumi:dev::flight::{kind}::thing-{region}", kind, region)


EVERYTHING = [step(kind, region) for kind in RIGHTS for region in (PRIMARY, SECONDARY)]


def test_every_type_of_the_program_has_its_rights() -> None:
    of_bootstrap = {"aws:iam/openIdConnectProvider:OpenIdConnectProvider"}  # of no environment
    assert RIGHTS.keys() == BY_TOKEN.keys() - of_bootstrap
    actions = {a for rights in RIGHTS.values() for a in (*rights.create, *rights.update, *rights.delete)}
    assert all(re.fullmatch(r"[a-z0-9]+:[A-Z][A-Za-z0-9]+", action) for action in actions)


def test_who_may_do_everything_is_told_nothing_in_one_question_a_region(as_user: As) -> None:
    environment = as_user(ALL)
    asked: list[str] = []
    inner = environment.clients.named

    def named(service: str, region: str) -> Any:
        asked.append(f"{service} {region}")
        return inner(service, region)

    environment.clients.named = named  # type: ignore[method-assign]
    assert permission_findings(environment, EVERYTHING) == []
    # Roles are IAM's own, whose calls are of the region of its control plane.
    assert sorted(each for each in asked if each.startswith("iam")) == [
        f"iam {PRIMARY}",
        f"iam {PRIMARY}",
        f"iam {SECONDARY}",
    ]
    asked.clear()
    assert permission_findings(environment, [step(KEY, PRIMARY, "same")]) == []
    assert asked == []


def test_a_question_that_iam_finds_too_mixed_is_asked_in_parts(as_user: As) -> None:
    """IAM API Reference, SimulatePrincipalPolicy: InvalidInput, seen for actions of S3 beside those of others."""
    environment = as_user(ALL, {"Effect": "Deny", "Action": ["kms:CreateKey"], "Resource": "*"})
    inner = environment.clients.named

    def named(service: str, region: str) -> Any:
        client = inner(service, region)
        if service == "iam":
            client.meta.events.register("provide-client-params.iam.SimulatePrincipalPolicy", refuse_mixed)
        return client

    def refuse_mixed(params: dict[str, Any], **_: object) -> None:
        if len({action.partition(":")[0] == "s3" for action in params["ActionNames"]}) > 1:
            why = "actions require different authorization information"
            raise ClientError({"Error": {"Code": "InvalidInput", "Message": why}}, "SimulatePrincipalPolicy")

    environment.clients.named = named  # type: ignore[method-assign]
    found = permission_findings(environment, EVERYTHING)
    assert {(each.code, each.severity, each.region) for each in found} == {
        ("permission", "error", PRIMARY),
        ("permission", "error", SECONDARY),
    }
    assert all("kms:CreateKey" in each.message for each in found)


def test_what_is_asked_before_there_is_a_state_machine_is_about_any(as_user: As) -> None:
    machine, validate = "aws:sfn/stateMachine:StateMachine", "states:ValidateStateMachineDefinition"
    but = {"Effect": "Allow", "NotAction": validate, "Resource": "*"}
    one = {
        "Effect": "Allow",
        "Action": validate,
        "Resource": f"arn:aws:states:*:{ACCOUNT}:stateMachine:flight*",
    }
    for op in ("create", "update"):
        (finding,) = permission_findings(as_user(but, one), [step(machine, PRIMARY, op)])
        assert (finding.code, finding.severity) == ("permission", "error")
        assert validate in finding.message and "stateMachine:*" in (finding.remedy or "")
    of_any = {**one, "Resource": f"arn:aws:states:*:{ACCOUNT}:stateMachine:*"}
    assert permission_findings(as_user(but, of_any), [step(machine, PRIMARY)]) == []


def test_the_private_name_of_an_endpoint_is_about_its_zone(as_user: As) -> None:
    but = {"Effect": "Allow", "NotAction": "route53:*", "Resource": "*"}
    zones = {"Effect": "Allow", "Action": "route53:*", "Resource": "arn:aws:route53:::hostedzone/*"}
    endpoint = [step("aws:ec2/vpcEndpoint:VpcEndpoint", PRIMARY)]
    for statements, found in (((but, zones), 0), ((but,), 1)):
        environment = as_user(*statements)
        network = environment.config.network.model_copy(update={"function_in_vpc": True})
        inside = replace(environment, config=environment.config.model_copy(update={"network": network}))
        assert len(permission_findings(inside, endpoint)) == found


def test_who_may_write_but_not_read_is_told(as_user: As) -> None:
    blind = {"Effect": "Deny", "Action": ["kms:DescribeKey", "ec2:DescribeVpcs"], "Resource": "*"}
    steps = [step(KEY, PRIMARY, "update"), step("aws:ec2/vpc:Vpc", PRIMARY, "delete")]
    found = permission_findings(as_user(ALL, blind), steps)
    assert {(each.severity, "kms:DescribeKey" in each.message) for each in found} == {
        ("error", True),
        ("error", False),
    }


def test_a_list_is_asked_about_everything_and_a_key_about_itself(as_user: As) -> None:
    """What has no resource is allowed on ``*`` only; a secure parameter is written through the key."""
    but = {"Effect": "Allow", "NotAction": ["ec2:Describe*", "kms:Encrypt"], "Resource": "*"}
    narrow = {
        "Effect": "Allow",
        "Action": ["ec2:Describe*", "kms:Encrypt"],
        "Resource": [f"arn:aws:ec2:*:{ACCOUNT}:vpc/*", f"arn:aws:kms:{PRIMARY}:{ACCOUNT}:key/*"],
    }
    found = permission_findings(
        as_user(but, narrow), [step("aws:ec2/vpc:Vpc", PRIMARY), step("aws:ssm/parameter:Parameter", PRIMARY)]
    )
    (lists,) = found
    assert "ec2:DescribeVpcs" in lists.message
    assert "on *" in (lists.remedy or "")


_MADE = "11111111-2222-4333-8444-555555555555"
_MADE_ARN = f"arn:aws:kms:{PRIMARY}:{ACCOUNT}:key/{_MADE}"


def test_the_key_that_the_state_knows_is_the_one_that_is_asked_about(as_user: As) -> None:
    """A right on just this key is enough; without the key in the state its use is doubted, not refused."""
    uses = ["kms:Encrypt", "kms:Decrypt"]
    but = {"Effect": "Allow", "NotAction": uses, "Resource": "*"}
    parameter, key = step("aws:ssm/parameter:Parameter", PRIMARY), step(KEY, PRIMARY, "update")

    def told(arn: str, *known: str, steps: Any = (parameter,)) -> set[tuple[str, bool]]:
        environment = as_user(but, {"Effect": "Allow", "Action": uses, "Resource": arn})
        state = [
            {"type": KEY, "urn": key.urn, "outputs": {"arn": each, "keyUsage": "ENCRYPT_DECRYPT"}}
            for each in known
        ]
        sealing = {"arn": f"{_MADE_ARN[:-1]}0", "keyUsage": "GENERATE_VERIFY_MAC"}
        state += [{"type": KEY, "urn": f"{key.urn}-records", "outputs": sealing}]
        engine = cast(Any, SimpleNamespace(resources=lambda: state))
        found = permission_findings(replace(environment, engine=engine), list(steps))
        return {(each.severity, _MADE_ARN in (each.remedy or "")) for each in found}

    assert told(_MADE_ARN, _MADE_ARN) == set()
    assert told(f"{_MADE_ARN[:-1]}6", _MADE_ARN) == {("error", True)}
    assert told(_MADE_ARN) == {("warning", False)}


def test_who_may_change_only_keys_that_stand_may_do_so(as_user: As) -> None:
    but = {"Effect": "Allow", "NotAction": "kms:PutKeyPolicy", "Resource": "*"}
    environment = as_user(but, {"Effect": "Allow", "Action": "kms:PutKeyPolicy", "Resource": _MADE_ARN})
    update = step(KEY, PRIMARY, "update")
    state = [{"type": KEY, "urn": update.urn, "outputs": {"arn": _MADE_ARN}}]
    engine = cast(Any, SimpleNamespace(resources=lambda: state))
    # `doctor` names none of them.
    for each in (update, replace(update, urn="")):
        assert permission_findings(replace(environment, engine=engine), [each]) == []


def test_who_may_not_look_for_what_is_left_is_warned(as_user: As) -> None:
    blind = {"Effect": "Deny", "Action": ["tag:GetResources", "iam:GetPolicy"], "Resource": "*"}
    found = permission_findings(as_user(ALL, blind), [step(BUCKET, PRIMARY)])
    assert {each.severity for each in found} == {"warning"}
    said = " ".join(each.message for each in found)
    assert "tag:GetResources" in said and "iam:GetPolicy" in said


def test_who_may_not_delete_all_of_it_destroys_nothing(as_user: As) -> None:
    state = [
        {"type": kind, "urn": step(kind, PRIMARY).urn, "inputs": {"region": PRIMARY}}
        for kind in (BUCKET, ROLE)
    ]
    engine = cast(Any, SimpleNamespace(resources=lambda: state))
    blind = {"Effect": "Deny", "Action": ["iam:DeleteRole", "tag:GetResources"], "Resource": "*"}
    with pytest.raises(PlanRefused) as refused:
        propose_destroy(replace(as_user(ALL, blind), engine=engine))
    assert ["iam:DeleteRole" in each.message for each in refused.value.findings] == [True]
    may = propose_destroy(replace(as_user(ALL), engine=engine))
    assert (len(may.changes), may.findings) == (2, ())


def test_a_missing_permission_names_action_type_and_region(as_user: As) -> None:
    no_keys = {"Effect": "Deny", "Action": ["kms:CreateKey"], "Resource": "*"}
    environment = as_user(ALL, no_keys)
    with pytest.raises(environment.clients.get("kms", PRIMARY).exceptions.ClientError, match="AccessDenied"):
        environment.clients.get("kms", PRIMARY).create_key()  # what AWS itself says to them
    steps = [step(KEY, PRIMARY), step(KEY, SECONDARY, "update"), step(BUCKET, PRIMARY)]
    (finding,) = permission_findings(environment, steps)
    assert (finding.code, finding.severity, finding.region) == ("permission", "error", PRIMARY)
    assert "kms:CreateKey" in finding.message
    assert KEY in finding.message
    assert "operator-" in finding.message
    assert finding.remedy
    assert finding in plan_findings(environment, RunRecord(planned=steps))


def test_a_region_that_is_closed_to_somebody_is_named(as_user: As) -> None:
    only_here = {
        "Effect": "Deny",
        "Action": ["sns:CreateTopic"],
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:RequestedRegion": PRIMARY}},
    }
    topic = "aws:sns/topic:Topic"
    found = permission_findings(as_user(ALL, only_here), [step(topic, PRIMARY), step(topic, SECONDARY)])
    assert [(each.severity, each.region) for each in found] == [("error", SECONDARY)]


def test_rights_on_what_the_environment_names_are_enough(as_user: As) -> None:
    own = {
        "Effect": "Allow",
        "Action": [
            "s3:CreateBucket",
            "iam:CreateRole",
            "iam:TagRole",
            "lambda:UpdateFunction*",
            "iam:PassRole",
            "s3:Get*",
            "s3:ListBucket",
            "iam:Get*",
            "iam:List*",
            "lambda:Get*",
            "lambda:List*",
            "sns:List*",
        ],
        "Resource": [
            "arn:aws:s3:::flight-*",
            f"arn:aws:iam::{ACCOUNT}:role/flight-*",
            f"arn:aws:iam::{ACCOUNT}:policy/flight-*",
            f"arn:aws:lambda:*:{ACCOUNT}:function:flight-*",
            f"arn:aws:sns:*:{ACCOUNT}:flight-*",
        ],
    }
    lists = ["kms:ListKeys", "secretsmanager:ListSecrets", "ssm:DescribeParameters", "tag:GetResources"]
    environment = as_user(own, {"Effect": "Allow", "Action": lists, "Resource": "*"})
    function = step("aws:lambda/function:Function", PRIMARY, "update")
    assert permission_findings(environment, [step(BUCKET, PRIMARY), step(ROLE, SECONDARY), function]) == []
    (lacking,) = permission_findings(environment, [step(BUCKET, PRIMARY, "delete")])
    assert "s3:DeleteBucket" in lacking.message


def test_a_role_is_asked_for_by_its_own_arn(
    environment: Environment, clients: Clients, cloud: LocalCloud
) -> None:
    iam, name = clients.get("iam", PRIMARY), f"deployer-{uuid.uuid4().hex[:8]}"
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    role = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]
    no_keys = {"Effect": "Deny", "Action": "kms:CreateKey", "Resource": "*"}
    iam.put_role_policy(
        RoleName=name,
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [ALL, no_keys]}),
    )
    given = clients.get("sts", PRIMARY).assume_role(RoleArn=role["Arn"], RoleSessionName="shift")[
        "Credentials"
    ]
    key = AccessKey(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    own = replace(environment, clients=Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle))
    (finding,) = permission_findings(own, [step(KEY, PRIMARY), step(BUCKET, PRIMARY)])
    assert f"role/{name} may not kms:CreateKey" in finding.message


@pytest.fixture
def pipeline(
    environment: Environment, clients: Clients, cloud: LocalCloud
) -> Iterator[dict[PipelineRole, Environment]]:
    """The environment as each role of a pipeline sees it, which has just the policies that are printed for it."""
    access = environment.config.access.model_copy(
        update={"boundary": f"arn:aws:iam::{ACCOUNT}:policy/boundary"}
    )
    config = environment.config.model_copy(update={"access": access})
    iam = clients.get("iam", PRIMARY)
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    made: list[tuple[str, str]] = []
    seen: dict[PipelineRole, Environment] = {}
    try:
        for role in (PipelineRole.PREVIEW, PipelineRole.DEPLOY):
            name = role.role_name(config)
            document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
            arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
            for each in operator_policies(config, role):
                policy = iam.create_policy(PolicyName=each.name, PolicyDocument=each.document)["Policy"][
                    "Arn"
                ]
                iam.attach_role_policy(RoleName=name, PolicyArn=policy)
                made.append((name, policy))
            given = clients.get("sts", PRIMARY).assume_role(RoleArn=arn, RoleSessionName="job")["Credentials"]
            key = AccessKey(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
            own = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
            seen[role] = replace(environment, config=config, clients=own)
        yield seen
    finally:
        for name, policy in made:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy)
            iam.delete_policy(PolicyArn=policy)
        for name in {name for name, _ in made}:
            iam.delete_role(RoleName=name)


def test_the_policies_that_are_printed_are_all_that_is_asked_for(
    pipeline: dict[PipelineRole, Environment], clients: Clients
) -> None:
    """With nothing undecided: what only a request of its kind says is told to IAM, as to whom a role goes.

    Who only previews is told the same: asked is what the deploying role may do.
    """
    config = pipeline[PipelineRole.DEPLOY].config
    steps = [
        replace(step(kind, region, op), changed=("tags.IsPrimary",))
        for region in (PRIMARY, SECONDARY)
        for kind in types_of(config, PRIMARY)
        for op in ("create", "update", "delete")
    ]
    assert [permission_findings(each, steps) for each in pipeline.values()] == [[], []]
    iam, deploying = clients.get("iam", PRIMARY), PipelineRole.DEPLOY.role_name(config)
    attached = iam.get_paginator("list_attached_role_policies").paginate(RoleName=deploying)
    for policy in list(attached.search("AttachedPolicies[].PolicyArn")):
        iam.detach_role_policy(RoleName=deploying, PolicyArn=policy)
        lacking = permission_findings(pipeline[PipelineRole.PREVIEW], steps)
        iam.attach_role_policy(RoleName=deploying, PolicyArn=policy)
        assert any(f"role/{deploying} may not" in each.message for each in lacking), policy


def test_who_previews_for_an_operator_is_not_shut_out(pipeline: dict[PipelineRole, Environment]) -> None:
    previewing = pipeline[PipelineRole.PREVIEW]
    access = previewing.config.access.model_copy(
        update={"operators": (PipelineRole.DEPLOY.arn(previewing.config),)}
    )
    assert (
        operator_findings(replace(previewing, config=previewing.config.model_copy(update={"access": access})))
        == []
    )


def test_who_previews_need_not_write_under_the_key_of_the_state(
    pipeline: dict[PipelineRole, Environment], clients: Clients
) -> None:
    previewing = pipeline[PipelineRole.PREVIEW]
    key = clients.get("kms", PRIMARY).create_key()["KeyMetadata"]["KeyId"]
    secrets = {"state_secrets": f"awskms:///{key}?region={PRIMARY}"}
    config = previewing.config.model_copy(update=secrets)
    iam, name = clients.get("iam", PRIMARY), PipelineRole.PREVIEW.role_name(config)
    sees = {"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "*"}

    def found() -> list[str]:
        seen = look_at(replace(previewing, config=config), up=[PRIMARY, SECONDARY])
        return [each.message for each in seen.findings if each.code == "state-key"]

    iam.put_role_policy(
        RoleName=name,
        PolicyName="sees",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [sees]}),
    )
    try:
        assert found() == []
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="sees")
    assert len(found()) == 1


def test_root_cannot_be_asked_for_and_stops_nothing(environment: Environment, cloud: LocalCloud) -> None:
    key = AccessKey(ACCOUNT, "x")
    own = replace(environment, clients=Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle))
    (finding,) = permission_findings(own, [step(KEY, PRIMARY)])
    assert (finding.code, finding.severity) == ("permission-unknown", "info")
    assert ":root" in finding.message


def test_who_may_not_ask_is_told_so_once_and_goes_on(as_user: As) -> None:
    no_asking = {"Effect": "Deny", "Action": "iam:SimulatePrincipalPolicy", "Resource": "*"}
    (finding,) = permission_findings(as_user(ALL, no_asking), EVERYTHING)
    assert (finding.code, finding.severity) == ("permission-unknown", "info")
    assert "SimulatePrincipalPolicy" in finding.message


def test_whoever_would_be_shut_out_is_told_before(as_user: As) -> None:
    environment = as_user(ALL)
    arn = environment.clients.get("sts", PRIMARY).get_caller_identity()["Arn"]

    def told(*operators: str) -> list[str]:
        access = environment.config.access.model_copy(update={"operators": operators})
        config = environment.config.model_copy(update={"access": access})
        return [each.message for each in operator_findings(replace(environment, config=config))]

    assert told() == told(arn) == told("arn:aws:iam::*:user/operator-*") == []
    (shut_out,) = told("arn:aws:iam::123456789012:role/others", arn[:-1])
    assert arn in shut_out
