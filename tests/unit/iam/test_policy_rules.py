"""Each rule fires on a document that breaks it and not on one that does not; and no statement hides another's fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from publish_settings import with_rules

from regionshift.iam.actions import expanded
from regionshift.iam.documents import PolicyKind, parse
from regionshift.iam.escalation import (
    BOUND_BY_BOUNDARY,
    CHANGES_PERMISSIONS,
    OF_STANDING_ROLE,
    PASS_ROLE,
    WITH_PASSED_ROLE,
)
from regionshift.iam.findings import RULES, Exceptions, Fault, Placed, faults
from regionshift.infrastructure.policies.statement import known_later

ACCOUNT = "111122223333"
OTHER = "999988887777"
ROOT = Path(__file__).resolve().parents[3]
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
OWN = f"{ROLE}/worker"
ANY_ROLE = f"{ROLE}/*"
Statement = dict[str, Any]


def placed(
    *statements: Statement, kind: str = "identity", service: str = "iam", name: str = "one", **more: Any
) -> Placed:
    document = parse({"Version": "2012-10-17", "Statement": list(statements)})
    of_role = (
        {"principal": "worker", "own": ("role/worker", "policy/worker-more")} if kind == "identity" else {}
    )
    return Placed(name, PolicyKind(kind), service, "eu-west-1", document, **{**of_role, **more})


def found(*documents: Placed, exceptions: Exceptions | None = None) -> set[str]:
    return {fault.rule.id for fault in faults(documents, ACCOUNT, exceptions or Exceptions())}


def allow(actions: str, resource: str | list[str] = "arn:aws:s3:::ours/*", **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": actions.split(), "Resource": resource, **more}


def trust(principal: Any, **conditions: Any) -> Statement:
    return {
        "Effect": "Allow",
        "Principal": principal,
        "Action": "sts:AssumeRole",
        **({"Condition": conditions} if conditions else {}),
    }


def let_in(principal: Any, action: str = "s3:GetObject", **conditions: Any) -> Statement:
    return {**trust(principal, **conditions), "Action": action, "Resource": "arn:aws:s3:::ours/*"}


def tls(*actions: str, **more: Any) -> Statement:
    condition = {"Bool": {"aws:SecureTransport": False}}
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(actions),
        "Resource": "*",
        "Condition": condition,
        **more,
    }


def passed_to(service: str) -> Statement:
    return {"StringEquals": {"iam:PassedToService": service}}


BOUND = {"StringEquals": {"iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/bounds"}}
GITHUB = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"}
AUD = {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}
SUB = "token.actions.githubusercontent.com:sub"
SOURCE = {"aws:SourceAccount": ACCOUNT}
OF_ALIAS = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/ours"}}
KEYS = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/*"

# (rule, kind, service of the resource, statements that break it, statements that do not)
CASES: list[tuple[str, str, str, list[list[Statement]], list[list[Statement]]]] = [
    (
        "RS-IAM-001",
        "identity",
        "iam",
        [[allow("s3:*")], [allow("*")], [allow("s3:GetObj?ct")], [allow("S3:get*")]],
        [[allow("s3:GetObject")], [{**allow("s3:*"), "Effect": "Deny"}]],
    ),
    (
        "RS-IAM-001",
        "resource",
        "s3",
        [[let_in({"AWS": OWN}, "s3:*")]],
        [[let_in({"AWS": OWN})], [tls("s3:*")]],
    ),
    (
        "RS-IAM-002",
        "identity",
        "iam",
        [
            [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:aws:s3:::ours"}],
            [{"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::ours/*"}],
        ],
        [[allow("s3:GetObject")], [{"Effect": "Deny", "NotAction": "s3:GetObject", "Resource": "*"}]],
    ),
    (
        "RS-IAM-003",
        "identity",
        "iam",
        [
            [allow("s3:GetObject", "*")],
            [allow("s3:GetObject", ["arn:aws:s3:::ours/*", "*"])],
            [allow("s3:GetObject", "arn:*")],
        ],
        # AWS has no resource type for these.
        [[allow("s3:GetObject")], [allow("xray:PutTraceSegments logs:DescribeLogGroups", "*")]],
    ),
    (
        "RS-IAM-004",
        "identity",
        "iam",
        [
            [allow("s3:PutObject", "arn:aws:s3:::*")],
            [allow("s3:PutObject", "arn:aws:s3*")],
            [allow("s3:PutObject", "arn:aws:s3:::*/uploads/*")],
            [allow("sqs:SendMessage", f"arn:aws:sqs:eu-west-1:{ACCOUNT}:*")],
        ],
        [
            [allow("s3:PutObject", "arn:aws:s3:::ours-*")],
            [
                allow(
                    "secretsmanager:PutSecretValue",
                    f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:*",
                    Condition={"StringEquals": {"secretsmanager:ResourceTag/App": "shop"}},
                )
            ],
        ],
    ),
    (
        "RS-IAM-005",
        "identity",
        "iam",
        [
            [allow("iam:PutRolePolicy", ANY_ROLE)],
            [allow("iam:PutRolePolicy", OWN)],
            [allow("iam:Put*", "*")],
            [allow("iam:PutRolePolicy", f"{ROLE}/w*")],
            [allow("iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/worker-more")],
            # The condition is about another key, or does not demand it.
            [allow("iam:UpdateAssumeRolePolicy", ANY_ROLE, Condition=BOUND)],
            [allow("iam:PutRolePolicy", ANY_ROLE, Condition={"StringEqualsIfExists": BOUND["StringEquals"]})],
            [{"Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "*"}],
        ],
        [
            [allow("iam:PutRolePolicy", f"{ROLE}/other")],
            [allow("iam:PutRolePolicy", ANY_ROLE, Condition=BOUND)],
            [allow("iam:GetRolePolicy", ANY_ROLE)],
        ],
    ),
    (
        "RS-IAM-006",
        "identity",
        "iam",
        [[allow("iam:PutRolePolicy", f"{ROLE}/shop-*")]],
        [[allow("iam:PutRolePolicy", f"{ROLE}/shop-*", Condition=BOUND)]],
    ),
    (
        "RS-IAM-007",
        "identity",
        "iam",
        [[allow(PASS_ROLE, ANY_ROLE)], [allow("iam:*", "*")]],
        [
            [allow(PASS_ROLE, f"{ROLE}/shop-*")],
            [allow(PASS_ROLE, ANY_ROLE, Condition=passed_to("lambda.amazonaws.com"))],
        ],
    ),
    (
        "RS-IAM-008",
        "identity",
        "iam",
        [
            [allow(PASS_ROLE, f"{ROLE}/shop-*")],
            [allow(PASS_ROLE, f"{ROLE}/shop-*", Condition=passed_to("*"))],
        ],
        [[allow(PASS_ROLE, f"{ROLE}/shop-*", Condition=passed_to("lambda.amazonaws.com"))]],
    ),
    (
        "RS-IAM-009",
        "identity",
        "iam",
        [
            [
                allow(PASS_ROLE, ANY_ROLE, Condition=passed_to("lambda.amazonaws.com")),
                allow("lambda:CreateFunction"),
            ]
        ],
        [[allow(PASS_ROLE, ANY_ROLE), allow("lambda:GetFunction")], [allow("lambda:CreateFunction")]],
    ),
    (
        "RS-IAM-010",
        "identity",
        "iam",
        [[allow(PASS_ROLE, f"{ROLE}/shop-*"), allow("ec2:Run*")]],
        [[allow(PASS_ROLE, f"{ROLE}/shop-*"), allow("glue:CreateJob")]],
    ),
    (
        "RS-IAM-011",
        "identity",
        "iam",
        [
            [allow("lambda:UpdateFunctionCode", f"arn:aws:lambda:*:{ACCOUNT}:function:*")],
            [allow("ssm:SendCommand", "*")],
        ],
        [
            [allow("lambda:UpdateFunctionCode", f"arn:aws:lambda:*:{ACCOUNT}:function:shop-*")],
            [allow("ec2:ModifyInstanceAttribute ec2:StartInstances", "*")],
        ],
    ),
    (
        "RS-IAM-012",
        "identity",
        "iam",
        [[allow("lambda:UpdateFunctionCode", f"arn:aws:lambda:*:{ACCOUNT}:function:shop-*")]],
        [[allow("lambda:InvokeFunction", f"arn:aws:lambda:*:{ACCOUNT}:function:shop-*")]],
    ),
    (
        "RS-IAM-013",
        "identity",
        "iam",
        [[allow("sts:AssumeRole", ANY_ROLE)], [allow("sts:*", "*")]],
        [[allow("sts:AssumeRole", f"{ROLE}/shop-*")], [allow("sts:GetCallerIdentity", "*")]],
    ),
    (
        "RS-IAM-014",
        "identity",
        "iam",
        [[allow("s3:PutBucketPolicy", "arn:aws:s3:::*")], [allow("logs:PutResourcePolicy", "*")]],
        [[allow("s3:PutBucketPolicy", "arn:aws:s3:::ours")]],
    ),
    (
        "RS-IAM-015",
        "identity",
        "iam",
        [[allow("s3:GetObjekt")], [allow("s4:GetObject")]],
        [[allow("S3:getobject")]],
    ),
    (
        "RS-ACCESS-001",
        "resource",
        "s3",
        [
            [let_in("*")],
            [let_in({"AWS": "*"})],
            [let_in({"AWS": ["*", OWN]})],
            [let_in("*", StringLike={"aws:SourceAccount": "*"})],
            [let_in("*", IpAddress={"aws:SourceIp": "0.0.0.0/0"})],
            [let_in("*", StringNotEquals={"aws:SourceVpce": "vpce-1"})],
            [let_in("*", StringEqualsIfExists={"aws:PrincipalOrgID": "o-1"})],
            [let_in("*", Bool={"aws:SecureTransport": "true"})],
        ],
        [
            [let_in({"AWS": OWN})],
            [let_in("*", StringEquals={"aws:PrincipalOrgID": "o-1"})],
            [let_in("*", IpAddress={"aws:SourceIp": "192.0.2.0/24"})],
            [tls("s3:*")],
        ],
    ),
    (
        "RS-ACCESS-002",
        "resource",
        "s3",
        [[{"Effect": "Allow", "NotPrincipal": {"AWS": OWN}, "Action": "s3:GetObject", "Resource": "*"}]],
        [[{"Effect": "Deny", "NotPrincipal": {"AWS": OWN}, "Action": "s3:GetObject", "Resource": "*"}]],
    ),
    (
        "RS-ACCESS-003",
        "resource",
        "sqs",
        [
            [let_in({"AWS": f"arn:aws:iam::{OTHER}:root"})],
            [let_in({"AWS": OTHER})],
            [let_in({"AWS": [OWN, f"arn:aws:iam::{OTHER}:role/theirs"]})],
            [let_in({"CanonicalUser": "ab" * 32})],
            [let_in("*", StringEquals={"aws:PrincipalAccount": OTHER})],
        ],
        [[let_in({"AWS": f"arn:aws:iam::{ACCOUNT}:root"})], [let_in({"AWS": ACCOUNT})]],
    ),
    (
        "RS-ACCESS-004",
        "trust",
        "iam",
        [
            [trust(GITHUB)],
            [trust(GITHUB, StringEquals=AUD)],
            [trust(GITHUB, StringEquals=AUD, StringLike={SUB: "*"})],
            [trust(GITHUB, StringEquals=AUD, StringLike={SUB: "repo:us/*:ref:refs/heads/main"})],
            [trust(GITHUB, StringEquals={SUB: "repo:us/ours:environment:prod"})],
        ],
        [
            [trust(GITHUB, StringEquals={**AUD, SUB: "repo:us/ours:environment:prod"})],
            [trust(GITHUB, StringEquals=AUD, StringLike={SUB: "repo:us/ours:ref:refs/heads/*"})],
            [
                trust(
                    {"Federated": f"arn:aws:iam::{ACCOUNT}:saml-provider/us"},
                    StringEquals={"SAML:aud": "https://signin.aws.amazon.com/saml"},
                )
            ],
        ],
    ),
    (
        "RS-ACCESS-005",
        "trust",
        "iam",
        [
            [trust({"Service": "lambda.amazonaws.com"})],
            [trust({"Service": ["ec2.amazonaws.com", "states.amazonaws.com"]})],
            [trust({"Service": "s3.amazonaws.com"}, ArnLike={"aws:SourceArn": "arn:aws:s3:::ours"})],
            [trust({"Service": "sns.amazonaws.com"}, ArnLike={"aws:SourceArn": "arn:aws:sns:*:*:*"})],
            [trust({"Service": "lambda.amazonaws.com"}, StringLike={"aws:SourceAccount": "1111*"})],
        ],
        [
            [trust({"Service": "lambda.amazonaws.com"}, StringEquals=SOURCE)],
            [trust({"Service": "ec2.amazonaws.com"})],
            [
                trust(
                    {"Service": "sns.amazonaws.com"}, ArnLike={"aws:SourceArn": f"arn:aws:sns:*:{ACCOUNT}:*"}
                )
            ],
        ],
    ),
    (
        "RS-ACCESS-005",
        "resource",
        "kms",
        [
            [let_in({"Service": "logs.cn-north-1.amazonaws.com.cn"}, "kms:Decrypt")],
            [
                let_in(
                    {"Service": "cloudwatch.amazonaws.com"},
                    "kms:Decrypt",
                    ArnLike={
                        "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/ours"
                    },
                )
            ],
        ],
        [
            [
                let_in(
                    {"Service": f"logs.{host}"},
                    "kms:Decrypt",
                    ArnLike={
                        "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/ours"
                    },
                )
                for host in (
                    "eu-west-1.amazonaws.com",
                    "cn-north-1.amazonaws.com.cn",
                    "us-iso-east-1.c2s.ic.gov",
                )
            ]
        ],
    ),
    (
        "RS-DATA-001",
        "identity",
        "iam",
        [
            [allow("s3:GetObject", "arn:aws:s3:::*")],
            [allow("kms:Decrypt", KEYS)],
            [allow("kms:Decrypt", KEYS, Condition={"StringLike": {"kms:ViaService": "*"}})],
            [allow("ssm:GetParameter", "arn:aws:ssm:*:*:parameter/*")],
        ],
        [
            [allow("s3:GetObject", "arn:aws:s3:::*-ours/*")],
            [allow("kms:Decrypt", KEYS, Condition=OF_ALIAS)],
            [allow("ssm:GetParameter", "arn:aws:ssm:*:*:parameter/shop/*")],
        ],
    ),
    (
        "RS-DATA-002",
        "resource",
        "s3",
        [
            [let_in({"AWS": OWN})],
            [tls("s3:GetObject")],
            [{**tls("s3:*"), "Principal": {"AWS": OWN}}],
            [
                {
                    **tls("s3:*"),
                    "Condition": {"Bool": {"aws:SecureTransport": "false", "aws:ViaAWSService": "false"}},
                }
            ],
        ],
        [[let_in({"AWS": OWN}), tls("s3:*")]],
    ),
    (
        "RS-DATA-002",
        "resource",
        "sns",
        [[tls("sns:Publish"), let_in({"AWS": OWN}, "sns:Subscribe")]],
        [[tls("sns:Publish"), let_in({"AWS": OWN}, "sns:Publish")]],
    ),
    ("RS-DATA-002", "resource", "kms", [], [[let_in({"AWS": OWN}, "kms:Decrypt")]]),
]


@pytest.mark.parametrize(
    ("rule", "kind", "service", "bad", "good"), CASES, ids=[f"{c[0]}-{c[2]}" for c in CASES]
)
def test_a_rule_fires_where_it_is_broken_and_only_there(
    rule: str, kind: str, service: str, bad: list[list[Statement]], good: list[list[Statement]]
) -> None:
    assert [each for each in bad if rule not in found(placed(*each, kind=kind, service=service))] == []
    assert [each for each in good if rule in found(placed(*each, kind=kind, service=service))] == []


def test_every_rule_about_documents_has_a_case() -> None:
    elsewhere = {
        "RS-IAM-016",
        "RS-DATA-003",
        "RS-DOCUMENT-001",
        "RS-WAIVER-001",
        "RS-WAIVER-002",
        "RS-WAIVER-003",
    }
    assert {case[0] for case in CASES if case[3] and case[4]} | elsewhere == set(RULES)


def test_a_boundary_gives_nothing_and_must_refuse_what_changes_permissions() -> None:
    everything = allow("*", "*")
    refused = {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}
    on_some = {**refused, "Resource": ANY_ROLE}
    for statements, wrong in (
        ([everything], True),
        ([everything, refused], False),
        ([everything, on_some], True),
    ):
        assert found(placed(*statements, is_boundary=True)) == ({"RS-IAM-016"} if wrong else set())


def test_what_is_still_to_be_made_is_named_as_anything_else_is() -> None:
    for resource in (known_later("bucket"), f"{known_later('bucket')}/*"):
        assert found(placed(allow("s3:GetObject", resource))) == found(placed(allow("s3:GetObject")))


def test_a_documented_exception_is_for_what_it_names_alone() -> None:
    action = "ec2:DeleteNetworkInterface"
    wide = placed(allow(action, f"arn:aws:ec2:eu-west-1:{ACCOUNT}:*/*"))
    everything = placed(allow(action, "*"))
    of_a_type, on_everything = Exceptions(of_a_type=(action,)), Exceptions(on_everything=(action,))
    assert (found(wide), found(everything)) == ({"RS-IAM-004"}, {"RS-IAM-003"})
    assert (found(wide, exceptions=of_a_type), found(everything, exceptions=of_a_type)) == (
        set(),
        {"RS-IAM-003"},
    )
    assert found(everything, exceptions=on_everything) == set()


# What leads to more rights by Rhino Security Labs' list, in its order.
RHINO = (
    "iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:PassRole ec2:RunInstances", "iam:CreateAccessKey",
    "iam:CreateLoginProfile", "iam:UpdateLoginProfile", "iam:AttachUserPolicy", "iam:AttachGroupPolicy",
    "iam:AttachRolePolicy", "iam:PutUserPolicy", "iam:PutGroupPolicy", "iam:PutRolePolicy", "iam:AddUserToGroup",
    "iam:UpdateAssumeRolePolicy sts:AssumeRole", "iam:PassRole lambda:CreateFunction lambda:InvokeFunction",
    "iam:PassRole lambda:CreateFunction lambda:AddPermission",
    "iam:PassRole lambda:CreateFunction lambda:CreateEventSourceMapping", "lambda:UpdateFunctionCode",
    "iam:PassRole glue:CreateDevEndpoint", "glue:UpdateDevEndpoint", "iam:PassRole cloudformation:CreateStack",
    "iam:PassRole datapipeline:CreatePipeline datapipeline:PutPipelineDefinition", "codestar:CreateProjectFromTemplate",
    "iam:PassRole codestar:CreateProject", "codestar:CreateProject codestar:AssociateTeamMember",
    "lambda:UpdateFunctionConfiguration",
    "iam:PassRole sagemaker:CreateNotebookInstance sagemaker:CreatePresignedNotebookInstanceUrl",
    "sagemaker:CreatePresignedNotebookInstanceUrl",
)  # fmt: skip
# What pathfinding.cloud has beside those.
PATHFINDING = (
    "iam:PassRole apprunner:CreateService", "apprunner:UpdateService",
    "iam:PassRole bedrock-agentcore:CreateCodeInterpreter bedrock-agentcore:StartCodeInterpreterSession"
    " bedrock-agentcore:InvokeCodeInterpreter",
    "bedrock-agentcore:StartCodeInterpreterSession bedrock-agentcore:InvokeCodeInterpreter",
    "cloudformation:UpdateStack", "iam:PassRole cloudformation:CreateStackSet cloudformation:CreateStackInstances",
    "iam:PassRole cloudformation:UpdateStackSet", "cloudformation:CreateChangeSet cloudformation:ExecuteChangeSet",
    "iam:PassRole codebuild:CreateProject codebuild:StartBuild", "codebuild:StartBuild", "codebuild:StartBuildBatch",
    "iam:PassRole codebuild:CreateProject codebuild:StartBuildBatch",
    "ec2-instance-connect:SendSSHPublicKey ec2:DescribeInstances",
    "ec2:ModifyInstanceAttribute ec2:StopInstances ec2:StartInstances", "iam:PassRole ec2:RequestSpotInstances",
    "ec2:CreateLaunchTemplateVersion ec2:ModifyLaunchTemplate",
    "iam:PassRole ecs:CreateCluster ecs:RegisterTaskDefinition ecs:CreateService",
    "iam:PassRole ecs:CreateCluster ecs:RegisterTaskDefinition ecs:RunTask",
    "iam:PassRole ecs:RegisterTaskDefinition ecs:CreateService",
    "iam:PassRole ecs:RegisterTaskDefinition ecs:StartTask",
    "iam:PassRole glue:CreateJob glue:StartJobRun", "iam:PassRole glue:CreateJob glue:CreateTrigger",
    "iam:PassRole glue:UpdateJob glue:StartJobRun", "iam:PassRole glue:UpdateJob glue:CreateTrigger",
    "iam:AttachRolePolicy sts:AssumeRole", "iam:AttachUserPolicy iam:CreateAccessKey",
    "iam:PassRole sagemaker:CreateTrainingJob", "iam:PassRole sagemaker:CreateProcessingJob",
    "sagemaker:CreateNotebookInstanceLifecycleConfig sagemaker:StopNotebookInstance sagemaker:UpdateNotebookInstance"
    " sagemaker:StartNotebookInstance",
    "ssm:StartSession", "ssm:SendCommand", "sts:AssumeRole",
)  # fmt: skip
# What only Prowler has.
PROWLER = (
    "iam:PassRole ecs:RunTask", "iam:PassRole autoscaling:CreateAutoScalingGroup autoscaling:CreateLaunchConfiguration",
    "iam:PassRole autoscaling:UpdateAutoScalingGroup autoscaling:CreateLaunchConfiguration",
    "ecs:ExecuteCommand ecs:DescribeTasks",
    "iam:PassRole ecs:StartTask ecs:RegisterContainerInstance ecs:DeregisterContainerInstance",
)  # fmt: skip
WAYS = {"RS-IAM-005", "RS-IAM-009", "RS-IAM-011", "RS-IAM-013"}


@pytest.mark.parametrize("way", sorted({*RHINO, *PATHFINDING, *PROWLER}))
def test_every_published_way_to_more_rights_is_an_error(way: str) -> None:
    assert found(placed(allow(way, "*"))) & WAYS
    # Whichever policies of the role they stand in.
    apart = [placed(allow(each, "*"), name=each) for each in way.split()]
    assert found(*apart) & WAYS


def test_the_tables_of_ways_name_actions_of_aws() -> None:
    named = {
        *CHANGES_PERMISSIONS,
        *(action for way in (*WITH_PASSED_ROLE, *OF_STANDING_ROLE) for action in way),
    }
    # Services that AWS ended, or an API that it never wrote about.
    gone = {each for each in named if each.startswith(("codestar:", "datapipeline:"))}
    assert [each for each in sorted(named - gone) if not expanded(each)] == []
    assert not BOUND_BY_BOUNDARY - set(CHANGES_PERMISSIONS)


_statements = st.sampled_from(
    [statement for case in CASES for group in (*case[3], *case[4]) for statement in group]
)


def _told(documents: list[Placed]) -> set[tuple[str, str, str]]:
    def key(fault: Fault) -> tuple[str, str, str]:
        return fault.rule.id, fault.document, fault.statement

    # What a whole document lacks may come with the statement.
    return {key(each) for each in faults(documents, ACCOUNT) if each.statement}


@given(
    st.lists(_statements, max_size=4),
    _statements,
    st.sampled_from(["identity", "trust", "resource"]),
    st.booleans(),
)
def test_a_statement_more_hides_no_fault_of_another(
    before: list[Statement], more: Statement, kind: str, elsewhere: bool
) -> None:
    def document(statements: list[Statement], name: str) -> Placed:
        plain = [
            {name: value for name, value in each.items() if kind != "identity" or "Principal" not in name}
            for each in statements
        ]
        return placed(*plain, kind=kind, service="s3", name=name)

    alone = [document(before, "one")]
    grown = [*alone, document([more], "two")] if elsewhere else [document([*before, more], "one")]
    assert _told(alone) <= _told(grown)


def test_the_page_of_rules_is_current() -> None:
    page = (ROOT / "docs/findings.md").read_text(encoding="utf-8")
    assert with_rules(page) == page, "run `python tools/publish_settings.py`"
