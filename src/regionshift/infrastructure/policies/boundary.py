"""The permissions boundary of the roles that the program makes: the most that any of them may ever do.

What no statement here allows, no role of the environment can do, whoever writes its policies (IAM User Guide,
"Permissions boundaries for IAM entities"). So whoever may create roles only with this boundary cannot make one that
does more. It is wider than the roles' own policies: it names services and the account, not the paths of `carry`, so
that neither another entry nor another region asks for another boundary. Only the accounts of buckets and keys that
are another's are named, as `carry` names them.
"""

from __future__ import annotations

from regionshift.infrastructure.policies.function import METRIC_NAMESPACE
from regionshift.infrastructure.policies.statement import WITHOUT_RESOURCE, Statement, allow, deny
from regionshift.infrastructure.site import Site
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import normalize_name
from regionshift.settings.state_url import parse_state_url

_KEY_USERS = ("s3", "secretsmanager", "sns", "sqs", "ssm")
_COUNTS = "cloudwatch:PutMetricData"
_LONGEST_PREFIX = 50
"""Characters of a project's name that every name of it begins with: longer names end in a hash (`settings.names`)."""


def boundary_statements(config: MigrationConfig) -> list[Statement]:
    """What roles of the environment may do at most, in every region, and what is refused whatever else allows it.

    Refused is said outright, because what a bucket's or role's own policy gives to a session by its name is not
    bounded by what is merely not allowed here (the same page, "Evaluating effective permissions with boundaries").
    """
    site = Site.by_settings(config, config.regions.primary)
    return [
        *_on_data(site),
        *_on_own(site),
        allow(
            "WithoutResource",
            sorted(WITHOUT_RESOURCE.keys() - {_COUNTS}),
            ["*"],
        ),
        allow(
            "Count",
            [_COUNTS],
            ["*"],
            condition={"StringEquals": {"cloudwatch:namespace": METRIC_NAMESPACE}},
        ),
        deny("NoIdentities", ["iam:*", "organizations:*", "sts:AssumeRole"], ["*"]),
        *_without_state(site),
    ]


def _on_data(site: Site) -> list[Statement]:
    """Objects, parameters and secrets, and the keys that they are under, these through their services alone."""
    partition, own = site.partition, site.config.account
    accounts = [own, *sorted(_accounts(site.config) - {own})]
    return [
        allow(
            "Objects",
            [
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:DeleteObjectVersion",
                "s3:GetBucketObjectLockConfiguration",
                "s3:GetBucketPublicAccessBlock",
                "s3:GetBucketVersioning",
                "s3:GetEncryptionConfiguration",
                "s3:GetLifecycleConfiguration",
                "s3:GetObject",
                "s3:GetObjectTagging",
                "s3:GetObjectVersion",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionTagging",
                "s3:GetReplicationConfiguration",
                "s3:ListBucket",
                "s3:ListBucketMultipartUploads",
                "s3:ListBucketVersions",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
                "s3:PutObjectTagging",
                "s3:PutObjectVersionTagging",
                "s3:ReplicateDelete",
                "s3:ReplicateObject",
                "s3:ReplicateTags",
            ],
            [f"arn:{partition}:s3:::*"],
            condition={"StringEquals": {"aws:ResourceAccount": accounts}},
        ),
        allow(
            "KeysOfData",
            ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
            [f"arn:{partition}:kms:*:{account}:key/*" for account in accounts],
            condition={"StringLike": {"kms:ViaService": site.service_hosts(*_KEY_USERS, everywhere=True)}},
        ),
        allow(
            "OwnKeys",
            ["kms:DescribeKey", "kms:GenerateMac", "kms:GetKeyRotationStatus"],
            [site.arn_in("kms", "*", "key/*")],
        ),
        allow(
            "Parameters",
            [
                "ssm:AddTagsToResource",
                "ssm:DeleteParameter",
                "ssm:GetParameter",
                "ssm:ListTagsForResource",
                "ssm:PutParameter",
                "ssm:RemoveTagsFromResource",
            ],
            [site.arn_in("ssm", "*", "parameter/*")],
        ),
        allow(
            "Secrets",
            [
                "secretsmanager:CreateSecret",
                "secretsmanager:DeleteSecret",
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetSecretValue",
                "secretsmanager:PutSecretValue",
                "secretsmanager:TagResource",
                "secretsmanager:UntagResource",
                "secretsmanager:UpdateSecret",
                "secretsmanager:UpdateSecretVersionStage",
            ],
            [site.arn_in("secretsmanager", "*", "secret:*")],
        ),
    ]


def _on_own(site: Site) -> list[Statement]:
    """What the project's own functions, machines, topics, queues, logs and interfaces are used for."""
    named = f"{normalize_name(site.config.project)[:_LONGEST_PREFIX]}*"
    return [
        allow("Functions", ["lambda:InvokeFunction"], [site.arn_in("lambda", "*", f"function:{named}")]),
        allow(
            "Machines",
            ["states:DescribeExecution", "states:StartExecution", "states:StopExecution"],
            [site.arn_in("states", "*", f"{kind}:{named}") for kind in ("stateMachine", "execution")],
        ),
        allow("Topics", ["sns:GetTopicAttributes", "sns:Publish"], [site.arn_in("sns", "*", named)]),
        allow("DeadLetters", ["sqs:SendMessage"], [site.arn_in("sqs", "*", named)]),
        allow(
            "Logs",
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [site.arn_in("logs", "*", "log-group:*")],
        ),
        allow(
            "Interfaces",
            [
                "ec2:AssignPrivateIpAddresses",
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:UnassignPrivateIpAddresses",
            ],
            [site.arn_in("ec2", "*", "*")],
        ),
    ]


def _without_state(site: Site) -> list[Statement]:
    """The state is the command's alone."""
    bucket = parse_state_url(site.config.state).bucket
    state = f"arn:{site.partition}:s3:::{bucket}"
    return [deny("NoState", ["s3:*"], [state, f"{state}/*"])] if bucket else []


def _accounts(config: MigrationConfig) -> set[str]:
    """Accounts that `carry` names beside the environment's own: of buckets, and of keys by their ARNs."""
    entries = [entry for _, entry in config.carry.entries]
    keys = [entry.kms_key.split(":") for entry in entries if entry.kms_key]
    return {end.account for entry in entries for end in entry.ends if end.account} | {
        key[4] for key in keys if key[0] == "arn"
    }
