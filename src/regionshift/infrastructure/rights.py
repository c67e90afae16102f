"""The actions that the program needs, by resource type: to read, create, update and delete it.

The actions are those of AWS's Service Authorization Reference (the page of each service, "Actions defined by …").
Dependent actions stand beside them: `iam:PassRole`, the tagging of new resources, the key of encrypted data.
``tests/unit/infrastructure/test_rights.py`` compares the table with the reference, and with the actions that others saw
the plugin use. `operator_rights.py` has what the commands ask of AWS beside the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from types import MappingProxyType

from regionshift.infrastructure.site import Site
from regionshift.infrastructure.worker_rights import foreseen, worker_policies
from regionshift.settings import components as named
from regionshift.settings.components import Component
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import NameKind


@dataclass(frozen=True)
class Rights:
    """The actions of one resource type.

    Args:
        read: what the plugin asks after every step, and while it waits for one.
        on: the ARN of the resource, with ``{partition}``, ``{region}``, ``{account}`` and ``{name}``.
        kind: the kind of ``{name}``; None when AWS makes up the name.
        of_any: the actions that are asked before the name exists. They are about any resource of the type.
        tag: what adds, changes and removes tags of an existing resource.
        settings: further actions, by the setting that needs them.
    """

    create: tuple[str, ...]
    update: tuple[str, ...]
    delete: tuple[str, ...]
    on: str
    kind: NameKind | None = None
    of_any: frozenset[str] = frozenset()
    read: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    settings: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def of(self, op: str, *, retagged: bool = False) -> tuple[str, ...]:
        """Return the actions that one step of the engine needs. ``retagged``: an update changes tags."""
        match op:
            case "create" | "import":
                writes = self.create
            case "update":
                writes = (*self.update, *(self.tag if retagged else ()))
            case "replace":
                writes = (*self.create, *self.delete)
            case "delete":
                writes = self.delete
            case _:
                return ()
        return (*writes, *self.read)

    def reading(self, actions: str) -> Rights:
        """Return a copy with these reads: ``actions`` without the prefix of the service, separated by spaces."""
        service = self.on.split(":")[2]
        return replace(self, read=tuple(f"{service}:{each}" for each in actions.split()))

    def tagging(self, actions: str = "TagResource UntagResource") -> Rights:
        """Return a copy with the actions that change tags."""
        service = self.on.split(":")[2]
        return replace(self, tag=tuple(f"{service}:{each}" for each in actions.split()))

    def with_setting(self, path: str, *actions: str) -> Rights:
        """Return a copy with actions that are needed only with the setting ``path``."""
        return replace(self, settings=(*self.settings, (path, actions)))

    def by_settings(self, config: MigrationConfig) -> tuple[str, ...]:
        """Return the further actions that these settings need."""
        return tuple(
            action
            for path, actions in self.settings
            if reduce(getattr, path.split("."), config)
            for action in actions
        )

    def writes(self, config: MigrationConfig) -> tuple[str, ...]:
        """Return every action that creates, changes, tags or deletes it."""
        beside = (action for action in self.by_settings(config) if not _is_read(action))
        return (*self.create, *self.update, *self.delete, *self.tag, *beside)

    def reads(self, config: MigrationConfig) -> tuple[str, ...]:
        """Return every action that reads it."""
        return (*self.read, *filter(_is_read, self.by_settings(config)))


def _is_read(action: str) -> bool:
    return action.partition(":")[2].startswith(("Describe", "Get", "List"))


def has_resource(action: str) -> bool:
    """Return whether a policy can name the resource of ``action``. Other actions are allowed on ``*`` or not at all.

    Service Authorization Reference: the rows of the services' tables without a resource type.
    """
    if action.startswith("ec2:Describe"):
        return action == "ec2:DescribeVpcAttribute"
    return action not in _WITHOUT_RESOURCE


_WITHOUT_RESOURCE = frozenset(
    {
        "kms:ListAliases",
        "kms:ListKeys",
        "secretsmanager:ListSecrets",
        "sns:GetSubscriptionAttributes",
        "sns:SetSubscriptionAttributes",
        "sns:Unsubscribe",
        "ssm:DescribeParameters",
        "tag:GetResources",
    }
)

EITHER = frozenset(
    {
        "s3:GetBucketTagging",
        "s3:ListTagsForResource",
        "s3:PutBucketTagging",
        "s3:TagResource",
        "s3:UntagResource",
    }
)
"""The older and the newer actions on the tags of a bucket. The provider tries the other when one is refused
(hashicorp/terraform-provider-aws pull request 45251), so a single missing one is not reported."""

LOOKS: Mapping[str, str] = MappingProxyType(
    {
        "iam:GetPolicy": "aws:iam/policy:Policy",
        "kms:ListKeys": "aws:kms/key:Key",
        "lambda:ListTags": "aws:lambda/function:Function",
        "s3:GetBucketTagging": "aws:s3/bucket:Bucket",
        "secretsmanager:ListSecrets": "aws:secretsmanager/secret:Secret",
        "sns:ListSubscriptionsByTopic": "aws:sns/topic:Topic",
        "ssm:DescribeParameters": "aws:ssm/parameter:Parameter",
        "tag:GetResources": "",
    }
)
"""The actions that look for resources by name and tags, with the type of their ARN; "" for all types. The end of
`destroy` needs them, and the command after a killed run.

Lambda tells a function's tags only to callers that have lambda:ListTags (Lambda API Reference, "GetFunction").
"""


_HERE = "{region}:{account}"
_SOME = "0123456789abcdef0"  # an id of the form that AWS makes


def _bucket(put: str, *, delete: str | None = None, also: tuple[str, ...] = ()) -> Rights:
    """Return the rights on a part of a bucket's configuration. Mostly the same action sets and removes it."""
    puts = (f"s3:{put}", *also)
    made = Rights(puts, puts, (f"s3:{delete or put}",), "arn:{partition}:s3:::{name}", NameKind.BUCKET)
    return made.reading(put.replace("Put", "Get"))


_EC2_TAGS = ("ec2:CreateTags", "ec2:DeleteTags")


def _ec2(
    resource: str, prefix: str, create: str, update: tuple[str, ...], delete: tuple[str, ...], read: str
) -> Rights:
    made = tuple(f"ec2:{each}" for each in create.split())
    return Rights(
        (*made, "ec2:CreateTags"),
        tuple(f"ec2:{each}" for each in update),
        tuple(f"ec2:{each}" for each in delete),
        f"arn:{{partition}}:ec2:{_HERE}:{resource}/{prefix}-{_SOME}",
        tag=_EC2_TAGS,
    ).reading(read)


def _rule(way: str) -> Rights:
    return _ec2(
        "security-group",
        "sg",
        f"AuthorizeSecurityGroup{way}",
        ("ModifySecurityGroupRules",),
        (f"RevokeSecurityGroup{way}",),
        "DescribeSecurityGroupRules",
    )


def _of_service(
    service: str,
    resource: str,
    kind: NameKind,
    create: str,
    update: str,
    delete: str,
    also: tuple[str, ...] = (),
) -> Rights:
    """Return the rights on a type whose actions belong to one service. ``also``: needed to create and to update."""
    made, changed, gone = (
        tuple(f"{service}:{each}" for each in words.split()) for words in (create, update, delete)
    )
    where = "" if service == "iam" else "{region}"
    where += ":{account}"
    return Rights(
        (*made, *also), (*changed, *also), gone, f"arn:{{partition}}:{service}:{where}:{resource}", kind
    )


_KEY = f"arn:{{partition}}:kms:{_HERE}:key/00000000-0000-0000-0000-000000000000"
_PASS = ("iam:PassRole",)
# Reading and writing encrypted data needs its key (KMS Developer Guide, "How AWS services use AWS KMS").
# A parameter of the advanced tier has its own data key (Systems Manager User Guide, "AWS KMS encryption for AWS
# Systems Manager Parameter Store SecureString parameters").
_SECURE_STRING = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
_SECRET = ("kms:Decrypt", "kms:GenerateDataKey")
# The provider asks before each create and update (hashicorp/terraform-provider-aws issue 39472).
_VALIDATE = "states:ValidateStateMachineDefinition"

RIGHTS: Mapping[str, Rights] = MappingProxyType(
    {
        "aws:kms/key:Key": Rights(
            ("kms:CreateKey", "kms:PutKeyPolicy", "kms:TagResource", "kms:EnableKeyRotation"),
            ("kms:PutKeyPolicy",),
            ("kms:ScheduleKeyDeletion",),
            _KEY,
        )
        .reading("DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags")
        .tagging(),
        "aws:kms/alias:Alias": _of_service(
            "kms", "{name}", NameKind.KEY_ALIAS, "CreateAlias", "UpdateAlias", "DeleteAlias"
        ).reading("ListAliases"),
        # Since version 6.23.0 the provider sends tags with CreateBucket. Where a partition lacks the newer actions, it
        # uses the older ones (hashicorp/terraform-provider-aws pull request 45251, issue 45784), as `LOOKS` does.
        "aws:s3/bucket:Bucket": Rights(
            ("s3:CreateBucket", "s3:TagResource"),
            (),
            ("s3:DeleteBucket",),
            "arn:{partition}:s3:::{name}",
            NameKind.BUCKET,
        )
        .reading(
            "GetAccelerateConfiguration GetBucketAcl GetBucketCORS GetBucketLogging "
            "GetBucketObjectLockConfiguration GetBucketPolicy GetBucketRequestPayment GetBucketTagging "
            "GetBucketVersioning GetBucketWebsite GetEncryptionConfiguration "
            "GetLifecycleConfiguration GetReplicationConfiguration ListBucket ListTagsForResource"
        )
        .tagging("PutBucketTagging TagResource UntagResource"),
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _bucket(
            "PutLifecycleConfiguration"
        ),
        "aws:s3/bucketLogging:BucketLogging": _bucket("PutBucketLogging"),
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _bucket("PutBucketOwnershipControls"),
        "aws:s3/bucketPolicy:BucketPolicy": _bucket("PutBucketPolicy", delete="DeleteBucketPolicy"),
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _bucket("PutBucketPublicAccessBlock"),
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig": _bucket(
            "PutReplicationConfiguration", also=_PASS
        ),
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _bucket(
            "PutEncryptionConfiguration"
        ),
        "aws:s3/bucketVersioning:BucketVersioning": _bucket("PutBucketVersioning"),
        "aws:iam/role:Role": _of_service(
            "iam",
            "role/{name}",
            NameKind.ROLE,
            "CreateRole TagRole",
            "UpdateAssumeRolePolicy UpdateRoleDescription",
            "DeleteRole",
        )
        .reading("GetRole ListAttachedRolePolicies ListInstanceProfilesForRole ListRolePolicies")
        .tagging("TagRole UntagRole")
        .with_setting("access.boundary", "iam:PutRolePermissionsBoundary"),
        "aws:iam/rolePolicy:RolePolicy": _of_service(
            "iam", "role/{name}", NameKind.ROLE, "PutRolePolicy", "PutRolePolicy", "DeleteRolePolicy"
        ).reading("GetRolePolicy"),
        "aws:iam/policy:Policy": _of_service(
            "iam",
            "policy/{name}",
            NameKind.POLICY,
            "CreatePolicy TagPolicy",
            "CreatePolicyVersion DeletePolicyVersion",
            "DeletePolicy DeletePolicyVersion",
        )
        .reading("GetPolicy GetPolicyVersion ListPolicyVersions")
        .tagging("TagPolicy UntagPolicy"),
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _of_service(
            "iam", "role/{name}", NameKind.ROLE, "AttachRolePolicy", "", "DetachRolePolicy"
        ).reading("ListAttachedRolePolicies"),
        "aws:lambda/function:Function": _of_service(
            "lambda",
            "function:{name}",
            NameKind.FUNCTION,
            "CreateFunction TagResource",
            "UpdateFunctionCode UpdateFunctionConfiguration",
            "DeleteFunction",
            _PASS,
        )
        # GetFunction tells tags only to whom lambda:ListTags allows it (Lambda API Reference, "GetFunction").
        .reading("GetFunction GetFunctionCodeSigningConfig ListTags ListVersionsByFunction")
        .tagging()
        .with_setting(
            "function.reserved_concurrency",
            "lambda:DeleteFunctionConcurrency",
            "lambda:PutFunctionConcurrency",
        )
        # Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC", user permissions.
        .with_setting(
            "network.function_in_vpc",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
        ),
        "aws:ec2/vpc:Vpc": _ec2(
            "vpc",
            "vpc",
            "CreateVpc ModifyVpcAttribute",
            ("ModifyVpcAttribute",),
            ("DeleteVpc",),
            "DescribeVpcs DescribeVpcAttribute DescribeNetworkAcls DescribeRouteTables DescribeSecurityGroups",
        ),
        "aws:ec2/subnet:Subnet": _ec2(
            "subnet",
            "subnet",
            "CreateSubnet",
            ("ModifySubnetAttribute",),
            ("DeleteSubnet",),
            "DescribeSubnets DescribeNetworkInterfaces",
        ),
        "aws:ec2/routeTable:RouteTable": _ec2(
            "route-table",
            "rtb",
            "CreateRouteTable",
            (),
            ("DeleteRouteTable",),
            "DescribeRouteTables",
        ),
        "aws:ec2/routeTableAssociation:RouteTableAssociation": Rights(
            ("ec2:AssociateRouteTable",),
            ("ec2:ReplaceRouteTableAssociation",),
            ("ec2:DisassociateRouteTable",),
            f"arn:{{partition}}:ec2:{_HERE}:route-table/rtb-{_SOME}",
        ).reading("DescribeRouteTables DescribeSubnets"),
        "aws:ec2/vpcEndpoint:VpcEndpoint": _ec2(
            "vpc-endpoint",
            "vpce",
            "CreateVpcEndpoint",
            ("ModifyVpcEndpoint",),
            ("DeleteVpcEndpoints",),
            "DescribePrefixLists DescribeSecurityGroups DescribeSubnets DescribeVpcEndpoints",
        )
        # For an interface endpoint with private DNS (Service Authorization Reference, Amazon EC2, CreateVpcEndpoint).
        .with_setting("network.function_in_vpc", "route53:AssociateVPCWithHostedZone"),
        "aws:ec2/securityGroup:SecurityGroup": _ec2(
            "security-group",
            "sg",
            "CreateSecurityGroup RevokeSecurityGroupEgress",
            (),
            ("DeleteSecurityGroup",),
            "DescribeNetworkInterfaces DescribeSecurityGroups",
        ),
        # The VPC's own group is only emptied. It stays when the resource is deleted.
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _ec2(
            "security-group",
            "sg",
            "RevokeSecurityGroupIngress RevokeSecurityGroupEgress",
            ("RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"),
            (),
            "DescribeSecurityGroups",
        ),
        "aws:ec2/flowLog:FlowLog": Rights(
            ("ec2:CreateFlowLogs", "ec2:CreateTags", *_PASS),
            (),
            ("ec2:DeleteFlowLogs",),
            f"arn:{{partition}}:ec2:{_HERE}:vpc-flow-log/fl-{_SOME}",
            tag=_EC2_TAGS,
        ).reading("DescribeFlowLogs"),
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule("Ingress"),
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _rule("Egress"),
        "aws:cloudwatch/logGroup:LogGroup": _of_service(
            "logs",
            "log-group:{name}",
            NameKind.LOG_GROUP,
            "CreateLogGroup PutRetentionPolicy TagResource",
            "PutRetentionPolicy",
            "DeleteLogGroup",
        )
        .reading("DescribeLogGroups ListTagsForResource")
        .tagging(),
        "aws:cloudwatch/metricAlarm:MetricAlarm": _of_service(
            "cloudwatch",
            "alarm:{name}",
            NameKind.ALARM,
            "PutMetricAlarm TagResource",
            "PutMetricAlarm",
            "DeleteAlarms",
        )
        .reading("DescribeAlarms ListTagsForResource")
        .tagging(),
        "aws:cloudwatch/dashboard:Dashboard": Rights(
            ("cloudwatch:PutDashboard",),
            ("cloudwatch:PutDashboard",),
            ("cloudwatch:DeleteDashboards",),
            "arn:{partition}:cloudwatch::{account}:dashboard/{name}",
            NameKind.DASHBOARD,
        ).reading("GetDashboard"),
        "aws:sns/topic:Topic": _of_service(
            "sns",
            "{name}",
            NameKind.TOPIC,
            "CreateTopic TagResource",
            "SetTopicAttributes",
            "DeleteTopic",
        )
        .reading("GetTopicAttributes ListTagsForResource")
        .tagging(),
        "aws:sns/topicPolicy:TopicPolicy": _of_service(
            "sns", "{name}", NameKind.TOPIC, "SetTopicAttributes", "SetTopicAttributes", "SetTopicAttributes"
        ).reading("GetTopicAttributes"),
        "aws:sns/topicSubscription:TopicSubscription": _of_service(
            "sns", "{name}", NameKind.TOPIC, "Subscribe", "SetSubscriptionAttributes", "Unsubscribe"
        ).reading("GetSubscriptionAttributes"),
        "aws:sqs/queue:Queue": _of_service(
            "sqs",
            "{name}",
            NameKind.QUEUE,
            "CreateQueue TagQueue",
            "SetQueueAttributes",
            "DeleteQueue",
        )
        .reading("GetQueueAttributes GetQueueUrl ListQueueTags")
        .tagging("TagQueue UntagQueue"),
        "aws:sqs/queuePolicy:QueuePolicy": _of_service(
            "sqs", "{name}", NameKind.QUEUE, "SetQueueAttributes", "SetQueueAttributes", "SetQueueAttributes"
        ).reading("GetQueueAttributes ListQueueTags"),
        "aws:ssm/parameter:Parameter": _of_service(
            "ssm",
            "parameter{name}",
            NameKind.PARAMETER,
            "PutParameter AddTagsToResource",
            "PutParameter",
            "DeleteParameter",
            _SECURE_STRING,
        )
        .reading("DescribeParameters GetParameter GetParameters ListTagsForResource")
        .tagging("AddTagsToResource RemoveTagsFromResource"),
        "aws:secretsmanager/secret:Secret": _of_service(
            "secretsmanager",
            "secret:{name}-AbCdEf",
            NameKind.SECRET,
            "CreateSecret TagResource",
            "UpdateSecret",
            "DeleteSecret",
        )
        .reading("DescribeSecret GetResourcePolicy")
        .tagging(),
        "aws:secretsmanager/secretVersion:SecretVersion": _of_service(
            "secretsmanager",
            "secret:{name}-AbCdEf",
            NameKind.SECRET,
            "PutSecretValue",
            "PutSecretValue",
            # Deleting a version also removes its label.
            "UpdateSecretVersionStage",
            _SECRET,
        ).reading("GetSecretValue"),
        "aws:sfn/stateMachine:StateMachine": replace(
            _of_service(
                "states",
                "stateMachine:{name}",
                NameKind.STATE_MACHINE,
                "CreateStateMachine TagResource",
                "UpdateStateMachine",
                "DeleteStateMachine",
                (*_PASS, _VALIDATE),
            ),
            of_any=frozenset({_VALIDATE}),
        )
        .reading("DescribeStateMachine ListStateMachineVersions ListTagsForResource")
        .tagging(),
    }
)


@dataclass(frozen=True)
class Passed:
    """The roles of one resource type, and the service that gets them."""

    roles: tuple[Component, ...]
    service: str


PASSED: Mapping[str, Passed] = MappingProxyType(
    {
        "aws:ec2/flowLog:FlowLog": Passed((named.FLOW_LOGS_ROLE,), "vpc-flow-logs.amazonaws.com"),
        "aws:lambda/function:Function": Passed(
            (named.FUNCTION_ROLE, named.WORKER_ROLE), "lambda.amazonaws.com"
        ),
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig": Passed(
            (named.REPLICATION_ROLE,), "s3.amazonaws.com"
        ),
        "aws:sfn/stateMachine:StateMachine": Passed((named.STATE_MACHINE_ROLE,), "states.amazonaws.com"),
    }
)
"""The services are those of the roles' trust policies (IAM User Guide, "Grant a user permissions to pass a role")."""


def types_of(config: MigrationConfig, region: str) -> list[str]:
    """Return the types that the program creates in ``region``. Some exist only with a setting."""
    network, store = config.network, config.application.store
    site = Site.by_settings(config, region)
    has_managed = bool(worker_policies(site, foreseen(site)).managed)
    only_with = {
        "FlowLog": network.flow_logs,
        "Policy": has_managed,
        "RolePolicyAttachment": has_managed,
        "SecurityGroup": network.function_in_vpc,
        "SecurityGroupIngressRule": network.function_in_vpc,
        "SecurityGroupEgressRule": network.function_in_vpc,
        "Parameter": store == "ssm",
        "Secret": store == "secretsmanager",
        "SecretVersion": store == "secretsmanager",
        "TopicSubscription": bool(config.alerts.emails),
        "BucketReplicationConfig": region == config.regions.primary and bool(config.regions.secondaries),
    }
    return [kind for kind in RIGHTS if only_with.get(kind.rpartition(":")[2], True)]
