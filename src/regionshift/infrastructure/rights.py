"""What whoever runs the program must be allowed, by resource type: to read, create, update and delete it.

Actions are those of AWS's Service Authorization Reference (the page of each service, "Actions defined by …"),
with the dependent ones (`iam:PassRole`, the tagging of what is created, the key of what is encrypted) named beside
them. Left out is what depends on more than the type: what only some settings need
(`lambda:PutFunctionConcurrency`), the tagging of what stands, and the tagging of buckets, for which there are two
actions. ``tests/unit/infrastructure/test_rights.py`` holds the table against the calls of the plugin that were seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from regionshift.settings.names import NameKind


@dataclass(frozen=True)
class Rights:
    """The actions of one resource type.

    Args:
        read: what the plugin asks after every step, and while it waits for one.
        on: the ARN that they are about, with ``{partition}``, ``{region}``, ``{account}`` and ``{name}``.
        kind: what ``{name}`` is the name of; None when AWS makes the name up.
        of_any: those of the actions that are asked before there is a name: they are about any.
    """

    create: tuple[str, ...]
    update: tuple[str, ...]
    delete: tuple[str, ...]
    on: str
    kind: NameKind | None = None
    of_any: frozenset[str] = frozenset()
    read: tuple[str, ...] = ()

    def of(self, op: str) -> tuple[str, ...]:
        """The actions that one step of the engine needs."""
        match op:
            case "create" | "import":
                writes = self.create
            case "update":
                writes = self.update
            case "replace":
                writes = (*self.create, *self.delete)
            case "delete":
                writes = self.delete
            case _:
                return ()
        return (*writes, *self.read)

    def reading(self, actions: str) -> Rights:
        """The same with reads of the service: ``actions`` without their prefix, apart by spaces."""
        service = self.on.split(":")[2]
        return replace(self, read=tuple(f"{service}:{each}" for each in actions.split()))


def has_resource(action: str) -> bool:
    """Whether a policy can name what ``action`` is about; others it allows on ``*`` or not at all.

    Service Authorization Reference: the rows of the services' tables without a resource type.
    """
    return action not in _WITHOUT_RESOURCE and not action.startswith("ec2:Describe")


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
"""By action, the type whose ARN it is about; "" for all types. What the looks by name and tags ask beside the types
that stand: at the end of `destroy`, and after a run that was killed.

Lambda tells a function's tags only to whom lambda:ListTags allows it (Lambda API Reference, "GetFunction").
"""


_HERE = "{region}:{account}"
_SOME = "0123456789abcdef0"  # an id of the form that AWS makes


def _bucket(put: str, *, delete: str | None = None, also: tuple[str, ...] = ()) -> Rights:
    """A part of a bucket's configuration; most are taken away by the same action that sets them."""
    puts = (f"s3:{put}", *also)
    made = Rights(puts, puts, (f"s3:{delete or put}",), "arn:{partition}:s3:::{name}", NameKind.BUCKET)
    return made.reading(put.replace("Put", "Get"))


def _ec2(
    resource: str, prefix: str, create: str, update: tuple[str, ...], delete: tuple[str, ...], read: str
) -> Rights:
    tags = ("ec2:CreateTags",)
    made = tuple(f"ec2:{each}" for each in create.split())
    return Rights(
        (*made, *tags),
        tuple(f"ec2:{each}" for each in update) or tags,
        tuple(f"ec2:{each}" for each in delete),
        f"arn:{{partition}}:ec2:{_HERE}:{resource}/{prefix}-{_SOME}",
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


def _named(
    service: str,
    resource: str,
    kind: NameKind,
    create: str,
    update: str,
    delete: str,
    also: tuple[str, ...] = (),
) -> Rights:
    """A type whose actions are of one service; ``also`` is needed to create and to update."""
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
# Whoever writes and reads what is encrypted uses its key (KMS Developer Guide, "How AWS services use AWS KMS").
_SECURE_STRING = ("kms:Decrypt", "kms:Encrypt")
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
        ).reading("DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags"),
        "aws:kms/alias:Alias": _named(
            "kms", "{name}", NameKind.KEY_ALIAS, "CreateAlias", "UpdateAlias", "DeleteAlias"
        ).reading("ListAliases"),
        "aws:s3/bucket:Bucket": Rights(
            ("s3:CreateBucket",),
            (),
            ("s3:DeleteBucket",),
            "arn:{partition}:s3:::{name}",
            NameKind.BUCKET,
        ).reading(
            "GetAccelerateConfiguration GetBucketAcl GetBucketCORS GetBucketLogging "
            "GetBucketObjectLockConfiguration GetBucketPolicy GetBucketRequestPayment "
            "GetBucketVersioning GetBucketWebsite GetEncryptionConfiguration "
            "GetLifecycleConfiguration GetReplicationConfiguration ListBucket"
        ),
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
        "aws:iam/role:Role": _named(
            "iam",
            "role/{name}",
            NameKind.ROLE,
            "CreateRole TagRole",
            "UpdateAssumeRolePolicy UpdateRole",
            "DeleteRole",
        ).reading("GetRole ListAttachedRolePolicies ListInstanceProfilesForRole ListRolePolicies"),
        "aws:iam/rolePolicy:RolePolicy": _named(
            "iam", "role/{name}", NameKind.ROLE, "PutRolePolicy", "PutRolePolicy", "DeleteRolePolicy"
        ).reading("GetRolePolicy"),
        "aws:iam/policy:Policy": _named(
            "iam",
            "policy/{name}",
            NameKind.POLICY,
            "CreatePolicy TagPolicy",
            "CreatePolicyVersion DeletePolicyVersion",
            "DeletePolicy DeletePolicyVersion",
        ).reading("GetPolicy GetPolicyVersion ListPolicyVersions"),
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _named(
            "iam", "role/{name}", NameKind.ROLE, "AttachRolePolicy", "", "DetachRolePolicy"
        ).reading("ListAttachedRolePolicies"),
        "aws:lambda/function:Function": _named(
            "lambda",
            "function:{name}",
            NameKind.FUNCTION,
            "CreateFunction TagResource",
            "UpdateFunctionCode UpdateFunctionConfiguration",
            "DeleteFunction",
            _PASS,
        ).reading("GetFunction GetFunctionCodeSigningConfig ListVersionsByFunction"),
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
        ),
        "aws:ec2/securityGroup:SecurityGroup": _ec2(
            "security-group",
            "sg",
            "CreateSecurityGroup RevokeSecurityGroupEgress",
            (),
            ("DeleteSecurityGroup",),
            "DescribeNetworkInterfaces DescribeSecurityGroups",
        ),
        # The VPC's own group is only emptied, and stays when the resource goes.
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
            ("ec2:CreateTags",),
            ("ec2:DeleteFlowLogs",),
            f"arn:{{partition}}:ec2:{_HERE}:vpc-flow-log/fl-{_SOME}",
        ).reading("DescribeFlowLogs"),
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule("Ingress"),
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _rule("Egress"),
        "aws:cloudwatch/logGroup:LogGroup": _named(
            "logs",
            "log-group:{name}",
            NameKind.LOG_GROUP,
            "CreateLogGroup PutRetentionPolicy TagResource",
            "PutRetentionPolicy",
            "DeleteLogGroup",
        ).reading("DescribeLogGroups ListTagsForResource"),
        "aws:cloudwatch/metricAlarm:MetricAlarm": _named(
            "cloudwatch",
            "alarm:{name}",
            NameKind.ALARM,
            "PutMetricAlarm TagResource",
            "PutMetricAlarm",
            "DeleteAlarms",
        ).reading("DescribeAlarms ListTagsForResource"),
        "aws:cloudwatch/dashboard:Dashboard": Rights(
            ("cloudwatch:PutDashboard",),
            ("cloudwatch:PutDashboard",),
            ("cloudwatch:DeleteDashboards",),
            "arn:{partition}:cloudwatch::{account}:dashboard/{name}",
            NameKind.DASHBOARD,
        ).reading("GetDashboard"),
        "aws:sns/topic:Topic": _named(
            "sns",
            "{name}",
            NameKind.TOPIC,
            "CreateTopic TagResource",
            "SetTopicAttributes",
            "DeleteTopic",
        ).reading("GetTopicAttributes ListTagsForResource"),
        "aws:sns/topicPolicy:TopicPolicy": _named(
            "sns", "{name}", NameKind.TOPIC, "SetTopicAttributes", "SetTopicAttributes", "SetTopicAttributes"
        ).reading("GetTopicAttributes"),
        "aws:sns/topicSubscription:TopicSubscription": _named(
            "sns", "{name}", NameKind.TOPIC, "Subscribe", "SetSubscriptionAttributes", "Unsubscribe"
        ).reading("GetSubscriptionAttributes"),
        "aws:sqs/queue:Queue": _named(
            "sqs",
            "{name}",
            NameKind.QUEUE,
            "CreateQueue TagQueue",
            "SetQueueAttributes",
            "DeleteQueue",
        ).reading("GetQueueAttributes GetQueueUrl ListQueueTags"),
        "aws:sqs/queuePolicy:QueuePolicy": _named(
            "sqs", "{name}", NameKind.QUEUE, "SetQueueAttributes", "SetQueueAttributes", "SetQueueAttributes"
        ).reading("GetQueueAttributes ListQueueTags"),
        "aws:ssm/parameter:Parameter": _named(
            "ssm",
            "parameter{name}",
            NameKind.PARAMETER,
            "PutParameter AddTagsToResource",
            "PutParameter",
            "DeleteParameter",
            _SECURE_STRING,
        ).reading("DescribeParameters GetParameter GetParameters ListTagsForResource"),
        "aws:secretsmanager/secret:Secret": _named(
            "secretsmanager",
            "secret:{name}-AbCdEf",
            NameKind.SECRET,
            "CreateSecret TagResource",
            "UpdateSecret",
            "DeleteSecret",
        ).reading("DescribeSecret GetResourcePolicy"),
        "aws:secretsmanager/secretVersion:SecretVersion": _named(
            "secretsmanager",
            "secret:{name}-AbCdEf",
            NameKind.SECRET,
            "PutSecretValue",
            "PutSecretValue",
            "",
            _SECRET,
        ).reading("GetSecretValue"),
        "aws:sfn/stateMachine:StateMachine": replace(
            _named(
                "states",
                "stateMachine:{name}",
                NameKind.STATE_MACHINE,
                "CreateStateMachine TagResource",
                "UpdateStateMachine",
                "DeleteStateMachine",
                (*_PASS, _VALIDATE),
            ),
            of_any=frozenset({_VALIDATE}),
        ).reading("DescribeStateMachine ListTagsForResource"),
    }
)
