"""The rights of a pipeline's roles: only what the commands need on one environment, derived from its settings alone.

There are three roles. ``preview`` reads (`preview`, `status`, `diff`, `drift`, `doctor`, the plan of a `promote`).
``operate`` works on data (`migrate`, its `rollback`, `validate`, `status`). ``deploy`` does everything. The table in
`rights.py` says what the engine needs for each resource type. This file adds what the commands themselves ask of AWS,
beside the resource that they ask about.

The statements name each resource that has a name (`reach.py`), and ``aws:RequestedRegion`` limits the regions of
requests. Parts of networks and keys, which AWS names itself, are known by their tags.

The policies follow the current settings. Update them before the `up` that adds a feature or region, and after the `up`
that removes one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from regionshift.carriers.records import OWNED, PROBES
from regionshift.infrastructure import carried
from regionshift.infrastructure.boundary import boundary_statements, names_what_is_carried
from regionshift.infrastructure.policies.packing import packed
from regionshift.infrastructure.policies.statement import (
    READ_OBJECTS,
    USE_KEY,
    WRITE_OBJECTS,
    Condition,
    Statement,
    allow,
    within,
)
from regionshift.infrastructure.reach import ANY_REGION, SHORTENED, Reach, joined, once
from regionshift.infrastructure.rights import PASSED, has_resource
from regionshift.settings import components as named
from regionshift.settings.components import PipelineRole
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import NameKind
from regionshift.settings.quotas import MANAGED_POLICIES, MANAGED_POLICY
from regionshift.settings.regions import PARTITIONS, service_host
from regionshift.settings.state_url import (
    KEY_CONTEXT,
    SHARED_SCOPE,
    key_name,
    parse_key_url,
    parse_state_url,
)

PREVIEW, DEPLOY, OPERATE = PipelineRole.PREVIEW, PipelineRole.DEPLOY, PipelineRole.OPERATE


@dataclass(frozen=True)
class ExplainedStatement:
    """A statement, and a sentence that says why the role needs it."""

    statement: Statement
    why: str


@dataclass(frozen=True)
class ManagedPolicy:
    """One managed policy of a role."""

    name: str
    statements: tuple[ExplainedStatement, ...]

    @property
    def document(self) -> str:
        """The argument of ``aws iam create-policy --policy-document``."""
        statements = [each.statement for each in self.statements]
        return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)


def operator_policies(config: MigrationConfig, role: PipelineRole) -> tuple[ManagedPolicy, ...]:
    """Return the policies of a role for one environment, as few as possible, each of at most 6,144 characters.

    If a role cannot have that many (`settings.quotas.MANAGED_POLICIES`), one pattern stands for all regions, and
    shortened names share patterns too.
    """
    for by_form in (True, False):
        rows = statements_of(config, role, by_form=by_form)
        parts = packed([each.statement for each in rows], MANAGED_POLICY.most)
        if len(parts) <= MANAGED_POLICIES.most:
            break
    why = {each.statement["Sid"]: each.why for each in rows}
    return tuple(
        ManagedPolicy(
            config.names.pipeline(f"{role}-{number}"),
            tuple(ExplainedStatement(statement, why[statement["Sid"]]) for statement in part),
        )
        for number, part in enumerate(parts, start=1)
    )


def reaches_beyond(config: MigrationConfig, role: PipelineRole) -> list[tuple[str, str]]:
    """Return how the policies of a role reach beyond its environment, each with a remedy. Mostly there is nothing."""
    found = []
    if role == DEPLOY and config.access.boundary is None:
        found.append(
            (
                "Without `access.boundary`, a person with this role can give the environment's roles every right in the"
                " account, and use them",
                "`regionshift bootstrap` creates a boundary",
            )
        )
    named = [
        resource
        for policy in operator_policies(config, role)
        for each in policy.statements
        for resource in each.statement["Resource"]
    ]
    if role == DEPLOY and config.access.boundary is not None:
        named += [resource for each in boundary_statements(config) for resource in each["Resource"]]
        if not names_what_is_carried(config):
            found.append(
                (
                    "`carry` names more than fits into a permissions boundary: through a role of the environment,"
                    " this role reaches all data of the kinds that are carried",
                    "shorten `carry`",
                )
            )
    if shared := sorted({name.rpartition(":")[2] for name in named if SHORTENED in name}):
        found.append(
            (
                "Names of this environment are shortened, and the policies have room only for their beginning: they"
                f" also reach another environment of the project with shortened names, such as by {shared[0]}",
                "shorten the names of project and environment",
            )
        )
    return found


def statements_of(
    config: MigrationConfig, role: PipelineRole, *, by_form: bool = True
) -> list[ExplainedStatement]:
    """Return every statement of a role, before they are packed into policies. Each Sid occurs once.

    Args:
        by_form: each region in a name becomes the pattern of its own form (``??-west-?``). Otherwise one pattern stands
            for all.
    """
    reach = Reach(config, by_form)
    return [
        ExplainedStatement(allow(row.sid, actions, row.resources, condition=row.condition), row.reason(role))
        for service in _SERVICES
        for row in service(reach)
        if row.resources and (actions := sorted({*row.actions.get(role, ())}))
    ]


@dataclass(frozen=True)
class _Row:
    """One statement.

    Args:
        actions: by role.
        look: why the reading roles have the statement; left out where ``why`` holds for them too.
    """

    sid: str
    why: str
    actions: Mapping[PipelineRole, Iterable[str]]
    resources: Sequence[str]
    condition: Condition | None = None
    look: str = ""

    def reason(self, role: PipelineRole) -> str:
        """Return why this role has the statement."""
        return self.why if role == DEPLOY else self.look or self.why


def _each(roles: Iterable[PipelineRole], actions: Iterable[str]) -> dict[PipelineRole, tuple[str, ...]]:
    """Return the same actions for several roles."""
    return dict.fromkeys(roles, tuple(actions))


def _without(actions: Iterable[str], *others: str) -> list[str]:
    return [action for action in actions if action not in others]


def _of(service: str, actions: Iterable[str]) -> list[str]:
    return [action for action in actions if action.startswith(f"{service}:")]


def _named(service: str, actions: str) -> list[str]:
    return [f"{service}:{each}" for each in actions.split()]


def _buckets(reach: Reach) -> Iterator[_Row]:
    own = reach.buckets(named.DEPLOYMENT_BUCKET, named.LOG_BUCKET) + reach.created_buckets
    deployment = reach.buckets(named.DEPLOYMENT_BUCKET)
    reads = _of("s3", reach.reads("s3/"))
    listing = _named("s3", "ListBucket ListBucketVersions")
    yield _Row(
        "MakeBuckets",
        "Creates the environment's buckets with their tags. A bucket that does not exist yet has no owner to check.",
        {DEPLOY: _named("s3", "CreateBucket TagResource")},
        own,
        reach.here,
    )
    yield _Row(
        "Buckets",
        "Sets and reads the configuration of the buckets, and lists their objects.",
        {
            DEPLOY: _without(
                [
                    *_of("s3", reach.writes("s3/")),
                    # Replication is removed before a bucket is emptied, whatever the settings say.
                    "s3:PutReplicationConfiguration",
                    *reads,
                    *listing,
                    "s3:ListBucketMultipartUploads",
                ],
                "s3:CreateBucket",
            ),
            PREVIEW: [*reads, *listing],
            OPERATE: [*listing, *_CHECKS_OF_BUCKETS],
        },
        own,
        reach.owned,
        look="Reads the configuration of the buckets, and lists their objects.",
    )
    yield _Row(
        "Objects",
        "A change of primary copies, checks and undoes objects of the deployment bucket. Records and probes are there"
        " too, and `destroy` empties it.",
        {DEPLOY: [*READ_OBJECTS, *WRITE_OBJECTS]},
        [f"{bucket}/*" for bucket in deployment],
        reach.owned,
    )
    yield _Row(
        "EmptyBuckets",
        "`destroy` empties the other buckets before it deletes them.",
        {DEPLOY: _named("s3", "AbortMultipartUpload DeleteObject DeleteObjectVersion")},
        [f"{bucket}/*" for bucket in own if bucket not in deployment],
        reach.owned,
    )
    yield _Row(
        "Records",
        "The records of migrations say how each went, and how to undo it.",
        {PREVIEW: ["s3:GetObject"], OPERATE: _named("s3", "DeleteObject GetObject PutObject")},
        [f"{bucket}/{folder}*" for bucket in deployment for folder in OWNED],
        reach.owned,
    )
    yield _Row(
        "Probes",
        "`validate` and `migrate` measure replication with an object that they put and delete with its versions.",
        {OPERATE: _named("s3", "DeleteObject DeleteObjectVersion GetObject PutObject")},
        [f"{bucket}/{PROBES}*" for bucket in deployment],
        reach.owned,
    )


_CHECKS_OF_BUCKETS = _named(
    "s3",
    "GetBucketLogging GetBucketOwnershipControls GetBucketPolicy GetBucketPublicAccessBlock GetBucketVersioning"
    " GetEncryptionConfiguration GetLifecycleConfiguration",
)


def _keys(reach: Reach) -> Iterator[_Row]:
    every = [reach.arn("kms", "key/*")]
    reads = _without(reach.reads("kms/"), "kms:ListAliases")
    aliases = _of("kms", reach.writes("kms/alias"))
    # A new key has no alias and no tags yet. A key with an alias or other tags cannot be touched.
    new: Condition = {
        "StringEqualsIfExists": reach.tags("aws:ResourceTag"),
        "Null": {"kms:ResourceAliases": "true"},
    }
    yield _Row(
        "MakeKeys",
        "Creates the regions' keys with the environment's tags. AWS allows this only without a named key (KMS"
        " Developer Guide, 'Controlling access to tags').",
        {DEPLOY: _named("kms", "CreateKey TagResource")},
        ["*"],
        joined(reach.as_ours, new),
    )
    yield _Row(
        "NewKeyPolicies",
        "AWS creates a key only for callers that may change its policy later (KMS API Reference, CreateKey).",
        {DEPLOY: ["kms:PutKeyPolicy"]},
        every,
        joined(reach.here, new),
    )
    yield _Row(
        "Keys",
        "Manages the environment's keys, which are known by their tags, and schedules their deletion.",
        {
            DEPLOY: [*_without(_of("kms", reach.writes("kms/")), "kms:CreateKey"), *reads],
            PREVIEW: reads,
            OPERATE: _named("kms", "DescribeKey GetKeyRotationStatus"),
        },
        every,
        reach.ours,
        look="Checks that the environment's keys, which are known by their tags, can be used and are rotated.",
    )
    yield _Row(
        "Aliases",
        "Gives the keys their names.",
        {DEPLOY: aliases},
        reach.arns("kms", "{}", reach.names(named.KEY, named.RECORDS_KEY)),
        reach.here,
    )
    yield _Row(
        "UseKeys",
        "Data that is written and read through other services is under the environment's keys.",
        {
            DEPLOY: USE_KEY,
            PREVIEW: ["kms:Decrypt"],
            OPERATE: _named("kms", "Decrypt GenerateDataKey"),
        },
        every,
        joined(reach.ours, reach.through("s3", "secretsmanager", "sns", "ssm")),
    )
    yield _Row(
        "SealRecords",
        "Regionshift acts only on records with a valid seal, and seals those that it writes.",
        _each(PipelineRole, ["kms:GenerateMac"]),
        every,
        reach.ours,
    )


def _other_keys(reach: Reach) -> Iterator[_Row]:
    config = reach.config
    arns, aliases = reach.carried_keys
    see = _each(PipelineRole, ["kms:DescribeKey"])
    yield _Row("CarriedKeys", "Checks beforehand that a key that `carry` names can be used.", see, arns)
    yield _Row(
        "CarriedKeysByAlias",
        "Checks the keys that `carry` names by an alias.",
        see,
        [reach.arn("kms", "key/*")] if aliases else [],
        joined(reach.here, {"ForAnyValue:StringLike": {"kms:ResourceAliases": aliases}}),
    )
    services = carried.services(config)
    sources = ["secretsmanager"] if _secret_sources(config) else []
    through = {DEPLOY: once([*services, *sources]), OPERATE: services, PREVIEW: sources}
    for role, used in through.items():
        yield _Row(
            "ReadWithKeys",
            "The data that `carry` or application.secrets names may have keys of its own, whose ids the settings do"
            " not name. The keys' own policies limit this too.",
            {role: ["kms:Decrypt"]},
            [reach.arn("kms", "key/*")] if used else [],
            joined(reach.here, reach.through(*used)),
        )


def _roles(reach: Reach) -> Iterator[_Row]:
    roles = [each for each in named.COMPONENTS if each.kind is NameKind.ROLE]
    arns = reach.arns("iam", "role/{}", reach.names(*roles), "")
    managed = bool(reach.writes("iam/policy:"))
    writes = _of("iam", reach.writes("iam/role"))
    bound = (
        "iam:CreateRole",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
        "iam:UpdateAssumeRolePolicy",
    )
    attach = ("iam:AttachRolePolicy", "iam:DetachRolePolicy")
    policies = reach.arns("iam", "policy/{}", _policies(reach), "")
    yield _Row(
        "MakeRoles",
        "Creates the environment's roles, and sets their rights and who may assume them"
        + (", only under the permissions boundary." if reach.boundary else "."),
        {DEPLOY: [action for action in bound if action in writes]},
        arns,
        reach.boundary,
    )
    yield _Row(
        "Roles",
        "Changes, deletes and reads the roles.",
        {
            DEPLOY: [*_without(writes, *bound, *attach, "iam:PassRole"), *reach.reads("iam/role")],
            PREVIEW: reach.reads("iam/role"),
        },
        arns,
        look="Reads the roles, which `drift` compares with the state.",
    )
    yield _Row(
        "AttachPolicies",
        "Attaches the worker's managed policies, for rights that do not fit into its inline policies, and no others.",
        {DEPLOY: [action for action in attach if action in writes]},
        arns,
        joined(reach.boundary, {"ArnLike": {"iam:PolicyARN": policies}}),
    )
    yield _Row(
        "Policies",
        "Creates and changes those policies, and checks whether one is left.",
        {
            DEPLOY: [*_of("iam", reach.writes("iam/policy:")), *reach.reads("iam/policy:"), "iam:GetPolicy"],
            PREVIEW: reach.reads("iam/policy:") if managed else [],
        },
        policies,
        look="Reads the managed policies, which `drift` compares with the state.",
    )
    yield _Row(
        "Boundary",
        "Checks before a change that the permissions boundary exists, and allows what the settings need.",
        _each((DEPLOY, PREVIEW), _named("iam", "GetPolicy GetPolicyVersion")),
        [reach.config.access.boundary] if reach.config.access.boundary else [],
    )
    for kind, passed in PASSED.items():
        service = passed.service.partition(".")[0]
        yield _Row(
            f"PassTo{service.title().replace('-', '')}",
            f"Passes to {passed.service} the roles that are made for it; no other service gets them.",
            {DEPLOY: ["iam:PassRole"] if reach.writes(kind.removeprefix("aws:")) else []},
            reach.arns("iam", "role/{}", reach.names(*passed.roles), ""),
            {"StringEquals": {"iam:PassedToService": passed.service}},
        )
    yield _Row(
        "OwnRights",
        "Asks IAM before a change whether the deploying role may make it, and whose credentials these are.",
        _each((PREVIEW, DEPLOY), _named("iam", "GetRole SimulatePrincipalPolicy")),
        [role.arn(reach.config) for role in (PREVIEW, DEPLOY)],
    )


def _policies(reach: Reach) -> list[str]:
    first = named.WORKER_CARRY_POLICIES[0]
    names = {region: first.name(reach.config.names, region) for region in reach.regions}
    numbered = (first.part, first.part.removesuffix("1") + "*")
    return reach.alike({region: name.replace(*numbered) for region, name in names.items()})


def _network(reach: Reach) -> Iterator[_Row]:
    kinds = ("ec2/", "vpc/")
    writes = _of("ec2", reach.writes(*kinds))
    made = [each for each in writes if each.startswith(("ec2:Create", "ec2:AuthorizeSecurityGroup"))]
    made, attribute = _without(made, "ec2:CreateTags"), "ec2:DescribeVpcAttribute"
    parts = ["vpc", "subnet", "route-table", "vpc-endpoint", "security-group"]
    parts += ["security-group-rule"] if any("Authorize" in each for each in made) else []
    parts += ["vpc-flow-log"] if "ec2:CreateFlowLogs" in made else []
    new = [part for part in parts if part != "security-group" or "ec2:CreateSecurityGroup" in made]
    yield _Row(
        "MakeNetworks",
        "Creates the parts of the VPCs, each with the environment's tags.",
        {DEPLOY: made},
        [reach.arn("ec2", f"{part}/*") for part in new],
        reach.as_ours,
    )
    yield _Row(
        "TagNewNetworks",
        "Puts those tags on them, only as they are created.",
        {DEPLOY: ["ec2:CreateTags"]},
        [reach.arn("ec2", f"{part}/*") for part in new],
        joined(
            reach.as_ours,
            {"StringEquals": {"ec2:CreateAction": [each.removeprefix("ec2:") for each in made]}},
        ),
    )
    yield _Row(
        "Networks",
        "Connects, changes and deletes the parts that have the environment's tags.",
        {DEPLOY: _without(writes, "ec2:CreateVpc")},
        [reach.arn("ec2", f"{part}/*") for part in parts],
        reach.ours,
    )
    yield _Row(
        "ClaimDefaultGroup",
        "Tags the default security group of a VPC, which AWS creates without tags, and only while it has none.",
        {DEPLOY: ["ec2:CreateTags"]},
        [reach.arn("ec2", "security-group/*")],
        joined(
            reach.as_ours,
            {
                "StringLike": {"aws:RequestTag/Name": "default-security-group-*"},
                "Null": {"aws:ResourceTag/Project": "true"},
            },
        ),
    )
    yield _Row(
        "PrivateNames",
        "Connects interface endpoints with the private names of the services.",
        {DEPLOY: _of("route53", reach.writes(*kinds))},
        [f"arn:{reach.partition}:route53:::hostedzone/*"],
        {
            "ForAllValues:StringLike": {
                "route53:VPCs": [f"VPCId=vpc-*,VPCRegion={each}" for each in reach.regions]
            }
        },
    )
    yield _Row(
        "SeeVpcs",
        "Reads attributes of the environment's VPCs. AWS can limit no other read of networks.",
        _each((PREVIEW, DEPLOY), [attribute]),
        [reach.arn("ec2", "vpc/*")],
        reach.ours,
    )
    see = _without(reach.reads(*kinds), attribute)
    see += _named("ec2", "DescribeAvailabilityZones DescribeRegions")
    yield _Row(
        "SeeNetworks",
        "Lists parts of networks. AWS limits these lists only by region.",
        {
            DEPLOY: [*see, *(each for each in reach.reads("lambda/") if each.startswith("ec2:"))],
            PREVIEW: see,
            OPERATE: _named("ec2", "DescribeSecurityGroups DescribeSubnets DescribeVpcs"),
        },
        ["*"],
        reach.here,
    )


def _functions(reach: Reach) -> Iterator[_Row]:
    reads = _of("lambda", reach.reads("lambda/"))
    check = "lambda:GetFunctionConfiguration"
    yield _Row(
        "Functions",
        "Creates, changes and deletes the function and the worker, and reads their settings.",
        {
            DEPLOY: [*_of("lambda", reach.writes("lambda/")), *reads, check],
            PREVIEW: reads,
            OPERATE: [check],
        },
        reach.arns("lambda", "function:{}", reach.names(named.FUNCTION, named.WORKER)),
        reach.here,
        look="Reads the settings of the function and the worker.",
    )
    yield _Row(
        "CallFunction",
        "`validate` and the bake after a wave call the function.",
        _each((DEPLOY, OPERATE), ["lambda:InvokeFunction"]),
        reach.arns("lambda", "function:{}", reach.names(named.FUNCTION)),
        reach.here,
    )


def _logs(reach: Reach) -> Iterator[_Row]:
    functions = [
        reach.config.names.function_log_group(name) for name in reach.names(named.FUNCTION, named.WORKER)
    ]
    # Tags need the ARN of the group alone, everything else the ARN with its contents (CloudWatch Logs User Guide,
    # "Overview of managing access permissions", "Resources and operations").
    held = [f"{name}{end}" for name in functions for end in ("", ":*")]
    under = named.STATE_MACHINE_LOG_GROUP.under
    reads = _without(reach.reads("cloudwatch/logGroup"), "logs:DescribeLogGroups")
    yield _Row(
        "LogGroups",
        "Creates the log groups, sets their retention, and deletes them.",
        {DEPLOY: [*_of("logs", reach.writes("cloudwatch/logGroup")), *reads], PREVIEW: reads},
        reach.arns(
            "logs", "log-group:{}", [*reach.own_paths, *(f"{under}{path}" for path in reach.own_paths), *held]
        ),
        reach.here,
        look="Reads the tags of the log groups.",
    )


def _monitoring(reach: Reach) -> Iterator[_Row]:
    reads = _without(reach.reads("cloudwatch/metricAlarm"), "cloudwatch:DescribeAlarms")
    yield _Row(
        "Alarms",
        "Creates, changes and deletes the environment's alarms.",
        {DEPLOY: [*reach.writes("cloudwatch/metricAlarm"), *reads], PREVIEW: reads},
        reach.arns("cloudwatch", "alarm:{}", _alarms(reach)),
        reach.here,
        look="Reads the tags of the environment's alarms.",
    )
    yield _Row(
        "SeeAlarms",
        "A bake watches alarms, also those of deployment.alarms. `validate` and `status` say which are red.",
        _each(PipelineRole, ["cloudwatch:DescribeAlarms"]),
        [reach.arn("cloudwatch", "alarm:*")],
        reach.watched,
    )
    dashboards = [each for each in named.COMPONENTS if each.kind is NameKind.DASHBOARD]
    reads = reach.reads("cloudwatch/dashboard")
    yield _Row(
        "Dashboards",
        "Creates, changes and deletes the dashboards.",
        {DEPLOY: [*reach.writes("cloudwatch/dashboard"), *reads], PREVIEW: reads},
        reach.arns("cloudwatch", "dashboard/{}", reach.names(*dashboards), ""),
        reach.here,
        look="Reads the dashboards.",
    )


def _alarms(reach: Reach) -> list[str]:
    fixed = [each for each in named.COMPONENTS if each.kind is NameKind.ALARM]
    pairs = ((here, there) for here in reach.regions for there in reach.regions if here != there)
    failed = (
        reach.in_form(name.replace(there, ANY_REGION, 1), here) if there in name else name
        for here, there in pairs
        for name in [named.replication_failed_alarm(there).name(reach.config.names, here)]
    )
    return once([*reach.names(*fixed), *failed])


def _messages(reach: Reach) -> Iterator[_Row]:
    writes = [each for each in reach.writes("sns/") if has_resource(each) and each.startswith("sns:")]
    reads = [each for each in reach.reads("sns/") if has_resource(each)]
    yield _Row(
        "Topics",
        "Creates, changes and deletes the topics of deployments and alarms.",
        {
            DEPLOY: [*writes, *reads, "sns:ListSubscriptionsByTopic"],
            PREVIEW: reads,
            OPERATE: ["sns:GetTopicAttributes"],
        },
        reach.arns("sns", "{}", reach.names(named.DEPLOYMENT_TOPIC, named.ALARM_TOPIC)),
        reach.here,
        look="Reads the settings of the topics.",
    )
    yield _Row(
        "Subscriptions",
        "Manages subscriptions. SNS limits this only by region.",
        {
            DEPLOY: [
                each for each in (*reach.writes("sns/"), *reach.reads("sns/")) if not has_resource(each)
            ],
            PREVIEW: [each for each in reach.reads("sns/") if not has_resource(each)],
        },
        ["*"],
        reach.here,
    )
    yield _Row(
        "TellTopic",
        "Publishes the news of runs to the deployment topic. `validate` sends a test message.",
        _each((DEPLOY, OPERATE), ["sns:Publish"]),
        reach.arns("sns", "{}", reach.names(named.DEPLOYMENT_TOPIC)),
        reach.here,
    )
    reads = reach.reads("sqs/")
    yield _Row(
        "Queues",
        "Creates, changes and deletes the queues of dead letters.",
        {DEPLOY: [*_of("sqs", reach.writes("sqs/")), *reads], PREVIEW: reads},
        reach.arns("sqs", "{}", reach.names(named.DEAD_LETTERS)),
        reach.here,
        look="Reads the settings of the queues of dead letters.",
    )


def _configuration(reach: Reach) -> Iterator[_Row]:
    reads = _of("ssm", _without(reach.reads("ssm/"), "ssm:DescribeParameters"))
    yield _Row(
        "Parameters",
        "Writes the configuration and the application's secrets as parameters under the environment's own paths.",
        {DEPLOY: [*_of("ssm", reach.writes("ssm/")), *reads], PREVIEW: reads},
        reach.arns("ssm", "parameter{}", reach.own_paths),
        reach.here,
        look="Reads the parameters under the environment's own paths, also the values, which `drift` compares.",
    )
    reads = reach.reads("secretsmanager/")
    yield _Row(
        "Secrets",
        "Writes the configuration and the application's secrets to Secrets Manager, under the environment's own names.",
        {
            DEPLOY: [*_of("secretsmanager", reach.writes("secretsmanager/")), *reads],
            PREVIEW: reads,
            OPERATE: ["secretsmanager:DescribeSecret"] if reads else [],
        },
        reach.arns("secretsmanager", "secret:{}", (path.removeprefix("/") for path in reach.own_paths)),
        reach.here,
        look="Reads the secrets under the environment's own names, also the values where `drift` compares them.",
    )
    yield _Row(
        "SecretSources",
        "Reads the secrets that application.secrets names, for a release. `promote` checks that they exist.",
        _each((PREVIEW, DEPLOY), _named("secretsmanager", "DescribeSecret GetSecretValue")),
        _secret_sources(reach.config, reach),
        reach.here,
    )


def _secret_sources(config: MigrationConfig, reach: Reach | None = None) -> list[str]:
    """Return ARN patterns of the secrets that values come from. Without ``reach``, return their names as in the
    settings.
    """
    found = once(source.secret for source in config.application.secrets.values() if source.secret)
    if reach is None:
        return found
    # Secrets Manager adds a dash and six characters to a name (User Guide, "What's in a Secrets Manager secret?").
    return [
        pattern
        for name in found
        for pattern in (
            [name] if name.startswith("arn:") else reach.arns("secretsmanager", "secret:{}-??????", [name])
        )
    ]


def _state_machines(reach: Reach) -> Iterator[_Row]:
    machines = reach.names(named.STATE_MACHINE)
    reads = reach.reads("sfn/")
    yield _Row(
        "StateMachines",
        "Creates, changes and deletes the state machines that run migrations.",
        {DEPLOY: [*_without(_of("states", reach.writes("sfn/")), *_LISTS), *reads], PREVIEW: reads},
        reach.arns("states", "stateMachine:{}", machines),
        reach.here,
        look="Reads the settings of the state machines.",
    )
    yield _Row(
        "StartMigrations",
        "Starts migrations and rollbacks, which are executions of the state machine.",
        _each((DEPLOY, OPERATE), ["states:StartExecution"]),
        reach.arns("states", "stateMachine:{}", machines),
        reach.here,
    )
    yield _Row(
        "FollowMigrations",
        "Follows an execution to its end, and stops one that is rolled back.",
        _each((DEPLOY, OPERATE), _named("states", "DescribeExecution StopExecution")),
        reach.arns("states", "execution:{}:*", machines),
        reach.here,
    )


def _carried(reach: Reach) -> Iterator[_Row]:
    """Yield the rights to what a plan of a migration and `status --verify` read, with the rights of the caller."""
    both = (DEPLOY, OPERATE)
    for number, (account, (buckets, objects)) in enumerate(sorted(reach.carried_buckets.items())):
        where = joined(reach.here, within(account))
        yield _Row(
            f"CarriedBuckets{number or ''}",
            "A plan reads the configuration of the buckets of `carry.s3` and lists them.",
            {
                **_each(both, [*_SEE_CARRIED, *_named("s3", "GetBucketOwnershipControls ListBucket")]),
                PREVIEW: _SEE_CARRIED,
            },
            buckets,
            where,
        )
        yield _Row(
            f"CarriedObjects{number or ''}",
            "A plan compares their objects under the named prefixes, and `status --verify` checks them again.",
            _each(both, _COMPARE_OBJECTS),
            objects,
            where,
        )
    yield _Row(
        "CarriedParameters",
        "A plan compares the parameters of `carry.ssm`, also their values where they are rewritten.",
        _each(both, _named("ssm", "GetParameter ListTagsForResource")),
        reach.arns("ssm", "parameter{}*", reach.carried_paths),
        reach.here,
    )
    tagged = reach.carried_tags
    read = _named("secretsmanager", "GetResourcePolicy GetSecretValue")
    see = _each(PipelineRole, ["secretsmanager:DescribeSecret"])
    own = reach.arns("secretsmanager", "secret:{}*", reach.carried_secrets)
    yield _Row(
        "SeeSecrets",
        "Reads names and settings of the secrets of `carry.secrets`, no values. A secret that does not exist yet at the"
        " target has no tags to check.",
        see,
        [reach.arn("secretsmanager", "secret:*")] if tagged else own,
        reach.here,
    )
    yield _Row(
        "CarriedSecrets",
        "A plan compares the values of the secrets that `carry` names.",
        _each(both, read),
        own,
        reach.here,
    )
    for number, tags in enumerate(tagged):
        wanted: dict[str, str | list[str]] = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
        yield _Row(
            f"TaggedSecrets{number or ''}",
            "A plan compares the values of the secrets that `carry` selects by tags, which they must have.",
            _each(both, read),
            [reach.arn("secretsmanager", "secret:*")],
            joined(reach.here, {"StringEquals": wanted}),
        )


# Objects are always read by version, which needs the rights on versions (S3 API Reference, "GetObject", "Permissions").
# A plan also reports ACL, legal hold and retention, which a migration does not carry.
_COMPARE_OBJECTS = _named(
    "s3",
    "GetObjectLegalHold GetObjectRetention GetObjectVersion GetObjectVersionAcl GetObjectVersionTagging",
)
_SEE_CARRIED = _named(
    "s3",
    "GetBucketObjectLockConfiguration GetBucketVersioning GetEncryptionConfiguration GetLifecycleConfiguration"
    " GetReplicationConfiguration ListBucketVersions",
)


def _lists(reach: Reach) -> Iterator[_Row]:
    config, home = reach.config, PARTITIONS[reach.partition].iam_region
    by_ssm = config.application.store == "ssm"
    metrics = _named("cloudwatch", "GetMetricData GetMetricStatistics")
    names = {
        "ssm:DescribeParameters": by_ssm or bool(config.carry.ssm),
        "secretsmanager:ListSecrets": not by_ssm or bool(config.carry.secrets),
    }
    yield _Row(
        "Lists",
        "Lists names, tags and figures, no values: the resources with a name or tag, the measurements of alarms, the"
        " number of functions that may run. AWS limits these lists only by region.",
        {
            DEPLOY: [*_LISTS, *names, *metrics],
            # The replication delay: for `status`, and for `promote --source-lost --plan-only`.
            PREVIEW: [
                # The number of functions that may run is read where some are reserved.
                *(
                    _LISTS
                    if config.function.reserved_concurrency
                    else _without(_LISTS, "lambda:GetAccountSettings")
                ),
                *(each for each, is_used in names.items() if is_used),
                *metrics,
            ],
            OPERATE: [
                *(each for each, is_used in names.items() if is_used),
                "cloudwatch:GetMetricData",
                "lambda:GetAccountSettings",
                "logs:DescribeLogGroups",
            ],
        },
        ["*"],
        reach.here,
    )
    at_home: Condition = {"StringEquals": {"aws:RequestedRegion": once([*reach.regions, home])}}
    yield _Row(
        "Room",
        "Reads what is in use, to refuse a change that the account's quotas have no room for.",
        _each((PREVIEW, DEPLOY), ["iam:GetAccountSummary", "s3:ListAllMyBuckets"]),
        ["*"],
        at_home,
    )
    yield _Row(
        "Quotas",
        "Reads the quotas of VPCs, gateway endpoints and buckets.",
        _each((PREVIEW, DEPLOY), ["servicequotas:GetServiceQuota"]),
        reach.arns("servicequotas", "{}", ("s3/L-DC2B2D3D", "vpc/L-1B52E74A", "vpc/L-F678F1CE")),
        at_home,
    )


_LISTS = (
    "kms:ListAliases",
    "kms:ListKeys",
    "lambda:GetAccountSettings",
    "logs:DescribeLogGroups",
    # The provider validates a definition while it plans.
    "states:ValidateStateMachineDefinition",
    "tag:GetResources",
)


def _state(reach: Reach) -> Iterator[_Row]:
    """Yield the rights to this environment's state, journal and lock under the state URL, and to no other
    environment's.
    """
    config, url = reach.config, parse_state_url(reach.config.state)
    bucket = [f"arn:{reach.partition}:s3:::{url.bucket}"] if url.bucket else []
    yield _Row(
        "FindState",
        "S3 reports a missing part of the state only to callers that may list its bucket.",
        _each(PipelineRole, _named("s3", "ListBucket" if url.region else "GetBucketLocation ListBucket")),
        bucket,
    )
    paths = state_paths(config)
    yield _Row(
        "ReadState",
        "Reads the state, journal, releases and lock of this environment.",
        _each(PipelineRole, ["s3:GetObject"]),
        [f"{each}/{path}" for each in bucket for path in paths.read],
    )
    for role, sid, why in (
        (DEPLOY, "WriteState", "A deployment writes all of them, and `destroy` deletes them."),
        (OPERATE, "WriteJournal", "A migration holds the lock and writes its events."),
        (PREVIEW, "HoldLock", "A preview holds the lock, and writes nothing else."),
    ):
        yield _Row(
            sid,
            why,
            # A lock is released by writing it (`journal.lock`): only the deploy role deletes anything.
            {role: _named("s3", "DeleteObject PutObject" if role is DEPLOY else "PutObject")},
            [f"{each}/{path}" for each in bucket for path in paths.write[role]],
        )
    if bucket:
        region = url.region or config.regions.primary
        through: Condition = {
            "StringEquals": {"kms:ViaService": service_host("s3", region)},
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": [*bucket, f"{bucket[0]}/*"]},
        }
        yield _Row(
            "StateUnderKey",
            "Uses the key of the state's bucket, if it has one, for that bucket alone.",
            _each(PipelineRole, _named("kms", "Decrypt GenerateDataKey")),
            [reach.arn("kms", "key/*", region)],
            through,
        )
    key = parse_key_url(config.state_secrets)
    if key is not None:
        region = key.region or config.regions.primary
        alias = key.key[key.key.index("alias/") :] if "alias/" in key.key else ""
        of_id = key.key if key.key.startswith("arn:") else reach.arn("kms", f"key/{key.key}", region)
        of_key = [reach.arn("kms", "key/*", region) if alias else of_id]
        context = f"kms:EncryptionContext:{KEY_CONTEXT}"
        has_alias: Condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}} if alias else {}
        yield _Row(
            "StateKey",
            "Secrets in the state and the seals of releases and runs are under this key, in an encryption context that"
            " names the environment. The engine uses no context.",
            # The state has the data keys under it from the first deployment on.
            {
                **_each(PipelineRole, _named("kms", "Decrypt DescribeKey")),
                DEPLOY: _named("kms", "Decrypt DescribeKey Encrypt GenerateDataKey"),
            },
            of_key,
            joined(has_alias, {"StringEqualsIfExists": {context: config.identity.scope}}),
        )
        yield _Row(
            "StateKeyOfBefore",
            "Opens what an older version wrote, when all environments of the state shared one key.",
            _each(PipelineRole, ["kms:Decrypt"]),
            of_key,
            joined(has_alias, {"StringEquals": {context: SHARED_SCOPE}}),
        )


@dataclass(frozen=True)
class StatePaths:
    """Where an environment keeps its state in the bucket of the state URL, as patterns of object keys."""

    read: tuple[str, ...]
    write: Mapping[PipelineRole, tuple[str, ...]]


def state_paths(config: MigrationConfig) -> StatePaths:
    """Return the paths of journal, releases and engine.

    For the engine see Pulumi, ``pkg/backend/diy/store.go``. The preview role writes no checkpoint, because the next
    deployment would trust it. So the person who creates the roles also creates the empty state, by running a preview.
    """
    own = config.identity
    begins = f"{prefix}/" if (prefix := getattr(parse_state_url(config.state), "prefix", "")) else ""
    stack = f"{own.engine_project}/{own.stack}"
    engine = f"{begins}{own.engine_folder}/.pulumi"
    lock = f"{begins}locks/{own.scope}.*"
    journal = f"{begins}journal/{own.scope}/*"
    whole = (
        lock,
        f"{engine}/locks/organization/{stack}/*",
        journal,
        *(f"{begins}{folder}/{own.scope}/*" for folder in ("artifacts", "releases")),
        *(f"{begins}{folder}/{own.scope}.json" for folder in ("aside", "identity", "zones")),
        f"{begins}{key_name(own.scope)}",
        f"{engine}/meta.yaml",
        f"{engine}/stacks/{stack}.*",
        f"{engine}/history/{stack}/*",
        f"{engine}/backups/{stack}/*",
        f"{engine}/journal/{stack}/*",
    )
    # Where older versions kept an environment of AWS (`journal.identity`), and the key that all environments shared.
    older = (f"{begins}engine/.pulumi/stacks/{stack}.json", f"{begins}{key_name(SHARED_SCOPE)}")
    write = {DEPLOY: whole, OPERATE: (lock, journal), PREVIEW: (lock,)}
    return StatePaths((*whole, *older), write)


_SERVICES: tuple[Callable[[Reach], Iterator[_Row]], ...] = (
    _state,
    _roles,
    _keys,
    _other_keys,
    _network,
    _buckets,
    _functions,
    _state_machines,
    _configuration,
    _messages,
    _logs,
    _monitoring,
    _carried,
    _lists,
)
