"""The table of rights against the actions that the plugin was seen to ask, type by type.

``plugin_actions.json`` has them for each type of the program: ``steps`` are those of plan, apply, modify and destroy,
``attributes`` those that a setting of the resource adds. It was taken from Pike (github.com/JamesWoolfenden/pike,
``src/mapping/aws``), whose authors found them for the Terraform provider that the Pulumi plugin is made of, over
several of its versions.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from regionshift.aws import resource_finders
from regionshift.infrastructure.rights import LOOKS, RIGHTS
from regionshift.operations import leftovers

SEEN: dict[str, dict[str, object]] = json.loads(
    (Path(__file__).parent / "plugin_actions.json").read_text(encoding="utf-8")
)
# Patterns of ``<type> <action>``, and why the program's deployer need not be asked about them.
LEFT_OUT = {
    r".* ec2:DescribeAccountAttributes": "asked by versions that still told EC2-Classic apart",
    r"Bucket s3:(GetObject|GetObjectAcl|PutObject\w*)": "objects are not the bucket's resource",
    r"Bucket s3:PutBucketObjectLockConfiguration": "no object lock is set",
    r"BucketLifecycleConfiguration s3:(Get|Put)BucketLogging": "another resource of the recording",
    r"DefaultSecurityGroup ec2:AuthorizeSecurityGroup\w+": "the program's has no rules",
    r"SecurityGroup ec2:(Authorize|Revoke)SecurityGroup\w+": "rules are resources of their own",
    r"FlowLog logs:CreateLogDelivery": "only for flow logs to S3 or Firehose (VPC User Guide, 'Flow logs')",
    r"Function kms:\w+": "its variables are under Lambda's own key",
    r"Function (lambda:GetCodeSigningConfig|s3:\w+)": "code is neither signed nor taken from a bucket",
    r"Key kms:(UpdateKeyDescription|DisableKey|EnableKey)": "the description is fixed and the key always enabled",
    r"LogGroup logs:(ListTagsLogGroup|TagLogGroup|UntagLogGroup)": "the API that logs:TagResource replaced",
    r"LogGroup logs:(Associate|Disassociate)KmsKey": "the key is given as the group is made, and stays",
    r"LogGroup logs:DeleteRetentionPolicy": "a group always has a retention",
    r"Role iam:((Attach|Detach)RolePolicy|(Get|Put|Delete)RolePolicy)": "policies are resources of their own",
    r"Role iam:DeleteRolePermissionsBoundary": "who is bound by a boundary must not take it away",
    r"Secret kms:\w+": "the value is the SecretVersion's",
    r"Secret secretsmanager:(ReplicateSecretToRegions|RemoveRegionsFromReplication)": "the program replicates none",
    r"StateMachine (s3:GetObject|kms:\w+)": "the definition is inline and under AWS's own key",
    r"Subnet ec2:(Associate|Disassociate)SubnetCidrBlock": "only IPv6 blocks are associated",
    r"Topic sns:(Get|Put)DataProtectionPolicy": "no data protection policy is set",
    r"Vpc ec2:ModifyVpcTenancy": "the tenancy is never changed",
    r"VpcEndpoint (vpc-lattice:\w+|vpce:AllowMultiRegion)": "only for service networks and other regions' services",
}


def asked(row: dict[str, object]) -> set[str]:
    steps, attributes = row["steps"], row["attributes"]
    assert isinstance(steps, list)
    assert isinstance(attributes, dict)
    return {*steps, *(action for actions in attributes.values() for action in actions)}


def missing(kind: str) -> list[str]:
    """What was seen of a type and is not in the table. IAM does not tell cases apart."""
    rights, name = RIGHTS[kind], kind.rpartition(":")[2]
    beside = (action for _, actions in rights.settings for action in actions)
    every = (*rights.create, *rights.update, *rights.delete, *rights.tag, *rights.read, *beside)
    ours = {action.lower() for action in every}
    return [f"{name} {action}" for action in sorted(asked(SEEN[kind])) if action.lower() not in ours]


def test_every_type_of_the_program_was_seen() -> None:
    assert SEEN.keys() == RIGHTS.keys()


@pytest.mark.parametrize("kind", sorted(SEEN))
def test_every_action_that_was_seen_is_asked_for_or_left_out_for_a_reason(kind: str) -> None:
    left = [each for each in missing(kind) if not any(re.fullmatch(pattern, each) for pattern in LEFT_OUT)]
    assert left == []


def test_no_reason_is_left_over() -> None:
    all_missing = [each for kind in SEEN for each in missing(kind)]
    assert [p for p in LEFT_OUT if not any(re.fullmatch(p, each) for each in all_missing)] == []


# Operations whose action has another name (Service Authorization Reference, Amazon S3).
OTHERWISE = {"s3:HeadBucket": "s3:ListBucket", "s3:GetBucketReplication": "s3:GetReplicationConfiguration"}
PREFIXES = {"resourcegroupstaggingapi": "tag", "stepfunctions": "states"}
SERVICES = (
    "cloudwatch ec2 iam kms lambda logs resourcegroupstaggingapi s3 secretsmanager sns sqs ssm stepfunctions"
)


def test_what_the_looks_ask_is_in_the_tables() -> None:
    """By the words of the two modules that are calls of a service; one that several have is held by one of them."""
    session, actions = botocore.session.get_session(), dict[str, set[str]]()
    for service in SERVICES.split():
        for operation in session.get_service_model(service).operation_names:
            action = f"{PREFIXES.get(service, service)}:{operation}"
            actions.setdefault(xform_name(operation), set()).add(OTHERWISE.get(action, action))
    nodes = [
        node
        for module in (resource_finders, leftovers)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
    ]
    words = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    words |= {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
    calls = words & actions.keys()
    assert {"get_resources", "describe_vpcs", "head_bucket", "get_policy"} <= calls
    asked = {*LOOKS, *(action for rights in RIGHTS.values() for action in rights.read)}
    # An issuer is the account's, not an environment's: `bootstrap` alone looks for it.
    assert [call for call in sorted(calls) if not actions[call] & asked] == ["get_open_id_connect_provider"]


def test_what_only_looks_ask_is_about_types_of_the_table() -> None:
    assert {*LOOKS.values()} - {""} <= RIGHTS.keys()
