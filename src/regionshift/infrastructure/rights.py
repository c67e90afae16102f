"""What whoever runs the program must be allowed, by resource type: the writes of create, update and delete.

Actions are those of AWS's Service Authorization Reference (the page of each service, "Actions defined by …"),
with the dependent ones (`iam:PassRole`, the tagging of what is created) named beside them. Left out is what depends
on more than the type: reads, what only some settings need (`lambda:PutFunctionConcurrency`), the tagging of what
stands, and the tagging of buckets, for which there are two actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from regionshift.settings.names import NameKind


@dataclass(frozen=True)
class Rights:
    """The writes of one resource type.

    Args:
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

    def of(self, op: str) -> tuple[str, ...]:
        """The actions that one step of the engine needs."""
        match op:
            case "create" | "import":
                return self.create
            case "update":
                return self.update
            case "replace":
                return (*self.create, *self.delete)
            case "delete":
                return self.delete
        return ()


_HERE = "{region}:{account}"
_SOME = "0123456789abcdef0"  # an id of the form that AWS makes


def _bucket(put: str, *, delete: str | None = None, also: tuple[str, ...] = ()) -> Rights:
    """A part of a bucket's configuration; most are taken away by the same action that sets them."""
    puts = (f"s3:{put}", *also)
    return Rights(puts, puts, (f"s3:{delete or put}",), "arn:{partition}:s3:::{name}", NameKind.BUCKET)


def _ec2(resource: str, prefix: str, create: str, update: tuple[str, ...], delete: tuple[str, ...]) -> Rights:
    tags = ("ec2:CreateTags",)
    made = tuple(f"ec2:{each}" for each in create.split())
    return Rights(
        (*made, *tags),
        tuple(f"ec2:{each}" for each in update) or tags,
        tuple(f"ec2:{each}" for each in delete),
        f"arn:{{partition}}:ec2:{_HERE}:{resource}/{prefix}-{_SOME}",
    )


def _rule(way: str) -> Rights:
    return _ec2(
        "security-group",
        "sg",
        f"AuthorizeSecurityGroup{way}",
        ("ModifySecurityGroupRules",),
        (f"RevokeSecurityGroup{way}",),
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
# The provider asks before each create and update (hashicorp/terraform-provider-aws issue 39472).
_VALIDATE = "states:ValidateStateMachineDefinition"

RIGHTS: Mapping[str, Rights] = MappingProxyType(
    {
        "aws:kms/key:Key": Rights(
            ("kms:CreateKey", "kms:PutKeyPolicy", "kms:TagResource", "kms:EnableKeyRotation"),
            ("kms:PutKeyPolicy",),
            ("kms:ScheduleKeyDeletion",),
            _KEY,
        ),
        "aws:kms/alias:Alias": _named(
            "kms", "{name}", NameKind.KEY_ALIAS, "CreateAlias", "UpdateAlias", "DeleteAlias"
        ),
        "aws:s3/bucket:Bucket": Rights(
            ("s3:CreateBucket",),
            (),
            ("s3:DeleteBucket",),
            "arn:{partition}:s3:::{name}",
            NameKind.BUCKET,
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
        ),
        "aws:iam/rolePolicy:RolePolicy": _named(
            "iam", "role/{name}", NameKind.ROLE, "PutRolePolicy", "PutRolePolicy", "DeleteRolePolicy"
        ),
        "aws:iam/policy:Policy": _named(
            "iam",
            "policy/{name}",
            NameKind.POLICY,
            "CreatePolicy TagPolicy",
            "CreatePolicyVersion DeletePolicyVersion",
            "DeletePolicy DeletePolicyVersion",
        ),
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _named(
            "iam", "role/{name}", NameKind.ROLE, "AttachRolePolicy", "", "DetachRolePolicy"
        ),
        "aws:lambda/function:Function": _named(
            "lambda",
            "function:{name}",
            NameKind.FUNCTION,
            "CreateFunction TagResource",
            "UpdateFunctionCode UpdateFunctionConfiguration",
            "DeleteFunction",
            _PASS,
        ),
        "aws:ec2/vpc:Vpc": _ec2(
            "vpc", "vpc", "CreateVpc ModifyVpcAttribute", ("ModifyVpcAttribute",), ("DeleteVpc",)
        ),
        "aws:ec2/subnet:Subnet": _ec2(
            "subnet", "subnet", "CreateSubnet", ("ModifySubnetAttribute",), ("DeleteSubnet",)
        ),
        "aws:ec2/routeTable:RouteTable": _ec2(
            "route-table", "rtb", "CreateRouteTable", (), ("DeleteRouteTable",)
        ),
        "aws:ec2/routeTableAssociation:RouteTableAssociation": Rights(
            ("ec2:AssociateRouteTable",),
            ("ec2:ReplaceRouteTableAssociation",),
            ("ec2:DisassociateRouteTable",),
            f"arn:{{partition}}:ec2:{_HERE}:route-table/rtb-{_SOME}",
        ),
        "aws:ec2/vpcEndpoint:VpcEndpoint": _ec2(
            "vpc-endpoint", "vpce", "CreateVpcEndpoint", ("ModifyVpcEndpoint",), ("DeleteVpcEndpoints",)
        ),
        "aws:ec2/securityGroup:SecurityGroup": _ec2(
            "security-group", "sg", "CreateSecurityGroup", (), ("DeleteSecurityGroup",)
        ),
        # The VPC's own group is only emptied, and stays when the resource goes.
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _ec2(
            "security-group",
            "sg",
            "RevokeSecurityGroupIngress RevokeSecurityGroupEgress",
            ("RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"),
            (),
        ),
        "aws:ec2/flowLog:FlowLog": Rights(
            ("ec2:CreateFlowLogs", "ec2:CreateTags", *_PASS),
            ("ec2:CreateTags",),
            ("ec2:DeleteFlowLogs",),
            f"arn:{{partition}}:ec2:{_HERE}:vpc-flow-log/fl-{_SOME}",
        ),
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule("Ingress"),
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _rule("Egress"),
        "aws:cloudwatch/logGroup:LogGroup": _named(
            "logs",
            "log-group:{name}",
            NameKind.LOG_GROUP,
            "CreateLogGroup PutRetentionPolicy TagResource",
            "PutRetentionPolicy",
            "DeleteLogGroup",
        ),
        "aws:cloudwatch/metricAlarm:MetricAlarm": _named(
            "cloudwatch",
            "alarm:{name}",
            NameKind.ALARM,
            "PutMetricAlarm TagResource",
            "PutMetricAlarm",
            "DeleteAlarms",
        ),
        "aws:cloudwatch/dashboard:Dashboard": Rights(
            ("cloudwatch:PutDashboard",),
            ("cloudwatch:PutDashboard",),
            ("cloudwatch:DeleteDashboards",),
            "arn:{partition}:cloudwatch::{account}:dashboard/{name}",
            NameKind.DASHBOARD,
        ),
        "aws:sns/topic:Topic": _named(
            "sns",
            "{name}",
            NameKind.TOPIC,
            "CreateTopic TagResource",
            "SetTopicAttributes",
            "DeleteTopic",
        ),
        "aws:sns/topicPolicy:TopicPolicy": _named(
            "sns", "{name}", NameKind.TOPIC, "SetTopicAttributes", "SetTopicAttributes", "SetTopicAttributes"
        ),
        "aws:sns/topicSubscription:TopicSubscription": _named(
            "sns", "{name}", NameKind.TOPIC, "Subscribe", "SetSubscriptionAttributes", "Unsubscribe"
        ),
        "aws:sqs/queue:Queue": _named(
            "sqs",
            "{name}",
            NameKind.QUEUE,
            "CreateQueue TagQueue",
            "SetQueueAttributes",
            "DeleteQueue",
        ),
        "aws:sqs/queuePolicy:QueuePolicy": _named(
            "sqs", "{name}", NameKind.QUEUE, "SetQueueAttributes", "SetQueueAttributes", "SetQueueAttributes"
        ),
        "aws:ssm/parameter:Parameter": _named(
            "ssm",
            "parameter{name}",
            NameKind.PARAMETER,
            "PutParameter AddTagsToResource",
            "PutParameter",
            "DeleteParameter",
        ),
        "aws:secretsmanager/secret:Secret": _named(
            "secretsmanager",
            "secret:{name}-AbCdEf",
            NameKind.SECRET,
            "CreateSecret TagResource",
            "UpdateSecret",
            "DeleteSecret",
        ),
        "aws:secretsmanager/secretVersion:SecretVersion": _named(
            "secretsmanager",
            "secret:{name}-AbCdEf",
            NameKind.SECRET,
            "PutSecretValue",
            "PutSecretValue",
            "",
        ),
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
        ),
    }
)
