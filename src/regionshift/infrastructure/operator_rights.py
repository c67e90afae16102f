"""What a pipeline's roles may do: just what the commands need on one environment, from its settings alone.

Three roles: ``preview`` reads (`preview`, `status`, `diff`, `drift`, `doctor`, the plan of a `promote`), ``operate``
works on data (`migrate`, its `rollback`, `validate`, `status`), ``deploy`` does everything. What the engine needs of
each resource type is the table in `rights.py`; what the commands ask of AWS themselves stands here, beside the resource
that they ask it of.

What has a name is named (`reach.py`); in which regions a request may be made at all says ``aws:RequestedRegion``. What
AWS names (parts of networks, keys) is known by its tags.

The policies are those of the settings as they stand. A feature or region that is new in the settings needs them made
anew before its `up`; one that is taken out, after it.
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
    """A statement, and in a sentence why the role needs it."""

    statement: Statement
    why: str


@dataclass(frozen=True)
class ManagedPolicy:
    """One managed policy of a role."""

    name: str
    statements: tuple[ExplainedStatement, ...]

    @property
    def document(self) -> str:
        """What ``aws iam create-policy --policy-document`` takes."""
        statements = [each.statement for each in self.statements]
        return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)


def operator_policies(config: MigrationConfig, role: PipelineRole) -> tuple[ManagedPolicy, ...]:
    """The policies of a role for one environment: of 6,144 characters at most each, as few as that takes.

    Where that would be more than a role takes (`settings.quotas.MANAGED_POLICIES`), regions are named by one pattern
    for all of them, and so are names that were shortened.
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
    """In what way the policies of a role let it reach beyond its environment, and what to do; mostly none."""
    found = []
    if role == DEPLOY and config.access.boundary is None:
        found.append(
            (
                "Without `access.boundary` whoever has this role can give the environment's roles every right of the"
                " account, and use them",
                "`regionshift bootstrap` makes a boundary",
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
                    "`carry` names more than a permissions boundary has room for: through a role of the environment"
                    " this role reaches all data of the kinds that are carried",
                    "shorten `carry`",
                )
            )
    if shared := sorted({name.rpartition(":")[2] for name in named if SHORTENED in name}):
        found.append(
            (
                "Names of this environment are shortened, and there is room for what they begin with alone: another"
                f" environment of the project with shortened names is reached too, such as by {shared[0]}",
                "shorten the names of project and environment",
            )
        )
    return found


def statements_of(
    config: MigrationConfig, role: PipelineRole, *, by_form: bool = True
) -> list[ExplainedStatement]:
    """Every statement of a role, before they are packed into policies; each Sid once.

    Args:
        by_form: regions in names are patterns of their own forms (``??-west-?``); else one pattern for all.
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
        actions: by the role that has it. look: why roles have it that only look; as ``why`` when that says it all.
    """

    sid: str
    why: str
    actions: Mapping[PipelineRole, Iterable[str]]
    resources: Sequence[str]
    condition: Condition | None = None
    look: str = ""

    def reason(self, role: PipelineRole) -> str:
        """Why this role has it."""
        return self.why if role == DEPLOY else self.look or self.why


def _each(roles: Iterable[PipelineRole], actions: Iterable[str]) -> dict[PipelineRole, tuple[str, ...]]:
    """The same actions for several roles."""
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
        "Makes the environment's buckets with their tags; a bucket that is not there yet has no owner to ask for.",
        {DEPLOY: _named("s3", "CreateBucket TagResource")},
        own,
        reach.here,
    )
    yield _Row(
        "Buckets",
        "Sets how the buckets are kept, reads it back, and lists what is in them.",
        {
            DEPLOY: _without(
                [
                    *_of("s3", reach.writes("s3/")),
                    # Taken away before a bucket is emptied, whether the settings have it or not.
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
        look="Reads how the buckets are kept, and lists what is in them.",
    )
    yield _Row(
        "Objects",
        "A change of primary copies, proves and takes back what the deployment bucket holds; records and probes lie"
        " there too, and `destroy` empties it.",
        {DEPLOY: [*READ_OBJECTS, *WRITE_OBJECTS]},
        [f"{bucket}/*" for bucket in deployment],
        reach.owned,
    )
    yield _Row(
        "EmptyBuckets",
        "`destroy` empties the other buckets before they go.",
        {DEPLOY: _named("s3", "AbortMultipartUpload DeleteObject DeleteObjectVersion")},
        [f"{bucket}/*" for bucket in own if bucket not in deployment],
        reach.owned,
    )
    yield _Row(
        "Records",
        "The records of migrations say how each stands and how it is taken back.",
        {PREVIEW: ["s3:GetObject"], OPERATE: _named("s3", "DeleteObject GetObject PutObject")},
        [f"{bucket}/{folder}*" for bucket in deployment for folder in OWNED],
        reach.owned,
    )
    yield _Row(
        "Probes",
        "`validate` and `migrate` measure replication by an object that they put and take away with its versions.",
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
    # A key that is made has no alias and no tags yet; what has an alias or other tags is left alone.
    new: Condition = {
        "StringEqualsIfExists": reach.tags("aws:ResourceTag"),
        "Null": {"kms:ResourceAliases": "true"},
    }
    yield _Row(
        "MakeKeys",
        "Makes the regions' keys with the environment's tags, which AWS allows only where no key is named (KMS"
        " Developer Guide, 'Controlling access to tags').",
        {DEPLOY: _named("kms", "CreateKey TagResource")},
        ["*"],
        joined(reach.as_ours, new),
    )
    yield _Row(
        "NewKeyPolicies",
        "Who makes a key must be allowed to change its policy later (KMS API Reference, CreateKey).",
        {DEPLOY: ["kms:PutKeyPolicy"]},
        every,
        joined(reach.here, new),
    )
    yield _Row(
        "Keys",
        "Looks after the environment's keys, which are known by their tags, and schedules their deletion.",
        {
            DEPLOY: [*_without(_of("kms", reach.writes("kms/")), "kms:CreateKey"), *reads],
            PREVIEW: reads,
            OPERATE: _named("kms", "DescribeKey GetKeyRotationStatus"),
        },
        every,
        reach.ours,
        look="Looks whether the environment's keys, which are known by their tags, can be used and turn.",
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
        "What is written and read through other services lies under the environment's keys.",
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
        "A record is acted on only when its seal is right, and who writes one seals it.",
        _each(PipelineRole, ["kms:GenerateMac"]),
        every,
        reach.ours,
    )


def _other_keys(reach: Reach) -> Iterator[_Row]:
    config = reach.config
    arns, aliases = reach.carried_keys
    see = _each(PipelineRole, ["kms:DescribeKey"])
    yield _Row("CarriedKeys", "Whether a key that `carry` names can be used is asked beforehand.", see, arns)
    yield _Row(
        "CarriedKeysByAlias",
        "The same of those that it names by an alias.",
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
            "What `carry` or application.secrets names may lie under keys of its own, whose ids the settings do not"
            " tell; the keys' own policies bound this too.",
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
        "Makes the environment's roles, and says what they may do and who may take them"
        + (", under the permissions boundary alone." if reach.boundary else "."),
        {DEPLOY: [action for action in bound if action in writes]},
        arns,
        reach.boundary,
    )
    yield _Row(
        "Roles",
        "Changes and deletes the roles, and reads them back.",
        {
            DEPLOY: [*_without(writes, *bound, *attach, "iam:PassRole"), *reach.reads("iam/role")],
            PREVIEW: reach.reads("iam/role"),
        },
        arns,
        look="Reads the roles, which `drift` compares with the state.",
    )
    yield _Row(
        "AttachPolicies",
        "What the worker may carry stands in managed policies where its inline ones have no room; no others are given.",
        {DEPLOY: [action for action in attach if action in writes]},
        arns,
        joined(reach.boundary, {"ArnLike": {"iam:PolicyARN": policies}}),
    )
    yield _Row(
        "Policies",
        "Makes and changes those policies, and looks whether one is left.",
        {
            DEPLOY: [*_of("iam", reach.writes("iam/policy:")), *reach.reads("iam/policy:"), "iam:GetPolicy"],
            PREVIEW: reach.reads("iam/policy:") if managed else [],
        },
        policies,
        look="Reads the managed policies, which `drift` compares with the state.",
    )
    yield _Row(
        "Boundary",
        "Looks before a change whether the permissions boundary exists, and allows what the settings need.",
        _each((DEPLOY, PREVIEW), _named("iam", "GetPolicy GetPolicyVersion")),
        [reach.config.access.boundary] if reach.config.access.boundary else [],
    )
    for kind, passed in PASSED.items():
        service = passed.service.partition(".")[0]
        yield _Row(
            f"PassTo{service.title().replace('-', '')}",
            f"Gives {passed.service} the roles that are made for it; no other service gets them.",
            {DEPLOY: ["iam:PassRole"] if reach.writes(kind.removeprefix("aws:")) else []},
            reach.arns("iam", "role/{}", reach.names(*passed.roles), ""),
            {"StringEquals": {"iam:PassedToService": passed.service}},
        )
    yield _Row(
        "OwnRights",
        "Before anything is changed IAM is asked whether who deploys may do it, and who these credentials are.",
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
        "Makes the parts of the VPCs, each with the environment's tags from the first.",
        {DEPLOY: made},
        [reach.arn("ec2", f"{part}/*") for part in new],
        reach.as_ours,
    )
    yield _Row(
        "TagNewNetworks",
        "Puts those tags on them, as they are made and not otherwise.",
        {DEPLOY: ["ec2:CreateTags"]},
        [reach.arn("ec2", f"{part}/*") for part in new],
        joined(
            reach.as_ours,
            {"StringEquals": {"ec2:CreateAction": [each.removeprefix("ec2:") for each in made]}},
        ),
    )
    yield _Row(
        "Networks",
        "Joins, changes and deletes what has the environment's tags.",
        {DEPLOY: _without(writes, "ec2:CreateVpc")},
        [reach.arn("ec2", f"{part}/*") for part in parts],
        reach.ours,
    )
    yield _Row(
        "ClaimDefaultGroup",
        "A VPC's default security group is there without tags: it gets the environment's, and only as one that has"
        " none yet.",
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
        "Interface endpoints answer under the services' own names.",
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
        "Of all that is read of networks this alone can be bound to the environment's.",
        _each((PREVIEW, DEPLOY), [attribute]),
        [reach.arn("ec2", "vpc/*")],
        reach.ours,
    )
    see = _without(reach.reads(*kinds), attribute)
    see += _named("ec2", "DescribeAvailabilityZones DescribeRegions")
    yield _Row(
        "SeeNetworks",
        "Lists of EC2 can be bound to regions and to nothing else.",
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
        "Makes, changes and deletes the function and the worker, and reads how they are set.",
        {
            DEPLOY: [*_of("lambda", reach.writes("lambda/")), *reads, check],
            PREVIEW: reads,
            OPERATE: [check],
        },
        reach.arns("lambda", "function:{}", reach.names(named.FUNCTION, named.WORKER)),
        reach.here,
        look="Reads how the function and the worker are set.",
    )
    yield _Row(
        "CallFunction",
        "`validate` and the bake after a wave ask the function itself.",
        _each((DEPLOY, OPERATE), ["lambda:InvokeFunction"]),
        reach.arns("lambda", "function:{}", reach.names(named.FUNCTION)),
        reach.here,
    )


def _logs(reach: Reach) -> Iterator[_Row]:
    paths = reach.alike({region: reach.config.names.parameter("*", region) for region in reach.regions})
    functions = [
        reach.config.names.function_log_group(name) for name in reach.names(named.FUNCTION, named.WORKER)
    ]
    # Tags are of the group without, all else of it with what it holds (CloudWatch Logs User Guide, "Overview of
    # managing access permissions", "Resources and operations").
    held = [f"{name}{end}" for name in functions for end in ("", ":*")]
    under = named.STATE_MACHINE_LOG_GROUP.under
    reads = _without(reach.reads("cloudwatch/logGroup"), "logs:DescribeLogGroups")
    yield _Row(
        "LogGroups",
        "Makes the log groups, sets how long they keep, and deletes them.",
        {DEPLOY: [*_of("logs", reach.writes("cloudwatch/logGroup")), *reads], PREVIEW: reads},
        reach.arns("logs", "log-group:{}", [*paths, *(f"{under}{path}" for path in paths), *held]),
        reach.here,
        look="Reads the tags of the log groups.",
    )


def _monitoring(reach: Reach) -> Iterator[_Row]:
    reads = _without(reach.reads("cloudwatch/metricAlarm"), "cloudwatch:DescribeAlarms")
    yield _Row(
        "Alarms",
        "Makes, changes and deletes the environment's alarms.",
        {DEPLOY: [*reach.writes("cloudwatch/metricAlarm"), *reads], PREVIEW: reads},
        reach.arns("cloudwatch", "alarm:{}", _alarms(reach)),
        reach.here,
        look="Reads the tags of the environment's alarms.",
    )
    yield _Row(
        "SeeAlarms",
        "A bake watches alarms, those of deployment.alarms too, and `validate` and `status` say which are red.",
        _each(PipelineRole, ["cloudwatch:DescribeAlarms"]),
        [reach.arn("cloudwatch", "alarm:*")],
        reach.watched,
    )
    dashboards = [each for each in named.COMPONENTS if each.kind is NameKind.DASHBOARD]
    reads = reach.reads("cloudwatch/dashboard")
    yield _Row(
        "Dashboards",
        "Makes, changes and deletes the dashboards.",
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
        "Makes, changes and deletes the topics of deployments and alarms.",
        {
            DEPLOY: [*writes, *reads, "sns:ListSubscriptionsByTopic"],
            PREVIEW: reads,
            OPERATE: ["sns:GetTopicAttributes"],
        },
        reach.arns("sns", "{}", reach.names(named.DEPLOYMENT_TOPIC, named.ALARM_TOPIC)),
        reach.here,
        look="Reads how the topics are set.",
    )
    yield _Row(
        "Subscriptions",
        "SNS lets subscriptions be bound to nothing but regions.",
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
        "Runs are told on the deployment topic, and `validate` sends a test message.",
        _each((DEPLOY, OPERATE), ["sns:Publish"]),
        reach.arns("sns", "{}", reach.names(named.DEPLOYMENT_TOPIC)),
        reach.here,
    )
    reads = reach.reads("sqs/")
    yield _Row(
        "Queues",
        "Makes, changes and deletes the queues of dead letters.",
        {DEPLOY: [*_of("sqs", reach.writes("sqs/")), *reads], PREVIEW: reads},
        reach.arns("sqs", "{}", reach.names(named.DEAD_LETTERS)),
        reach.here,
        look="Reads how the queues of dead letters are set.",
    )


def _configuration(reach: Reach) -> Iterator[_Row]:
    paths = reach.alike({r: reach.config.names.parameter("*", r) for r in reach.regions})
    reads = _of("ssm", _without(reach.reads("ssm/"), "ssm:DescribeParameters"))
    yield _Row(
        "Parameters",
        "Keeps the configuration and the application's secrets as parameters below the environment's own paths.",
        {DEPLOY: [*_of("ssm", reach.writes("ssm/")), *reads], PREVIEW: reads},
        reach.arns("ssm", "parameter{}", paths),
        reach.here,
        look="Reads the parameters below the environment's own paths, values too, which `drift` compares.",
    )
    reads = reach.reads("secretsmanager/")
    yield _Row(
        "Secrets",
        "Keeps the configuration and the application's secrets in Secrets Manager, below the environment's own names.",
        {
            DEPLOY: [*_of("secretsmanager", reach.writes("secretsmanager/")), *reads],
            PREVIEW: reads,
            OPERATE: ["secretsmanager:DescribeSecret"] if reads else [],
        },
        reach.arns("secretsmanager", "secret:{}", (path.removeprefix("/") for path in paths)),
        reach.here,
        look="Reads the secrets below the environment's own names, values too where `drift` compares them.",
    )
    yield _Row(
        "SecretSources",
        "The values of application.secrets that come from secrets are read for a release, and looked for by `promote`.",
        _each((PREVIEW, DEPLOY), _named("secretsmanager", "DescribeSecret GetSecretValue")),
        _secret_sources(reach.config, reach),
        reach.here,
    )


def _secret_sources(config: MigrationConfig, reach: Reach | None = None) -> list[str]:
    """ARN patterns of the secrets that values come from; without ``reach`` their names as the settings have them."""
    found = once(source.secret for source in config.application.secrets.values() if source.secret)
    if reach is None:
        return found
    # Behind a name Secrets Manager puts a dash and six characters (User Guide, "What's in a Secrets Manager secret?").
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
        "Makes, changes and deletes the state machines that run migrations.",
        {DEPLOY: [*_without(_of("states", reach.writes("sfn/")), *_LISTS), *reads], PREVIEW: reads},
        reach.arns("states", "stateMachine:{}", machines),
        reach.here,
        look="Reads how the state machines are set.",
    )
    yield _Row(
        "StartMigrations",
        "A migration and its way back are executions of the state machine.",
        _each((DEPLOY, OPERATE), ["states:StartExecution"]),
        reach.arns("states", "stateMachine:{}", machines),
        reach.here,
    )
    yield _Row(
        "FollowMigrations",
        "The command follows an execution to its end, and stops one that is taken back.",
        _each((DEPLOY, OPERATE), _named("states", "DescribeExecution StopExecution")),
        reach.arns("states", "execution:{}:*", machines),
        reach.here,
    )


def _carried(reach: Reach) -> Iterator[_Row]:
    """What a plan of a migration and `status --verify` read, with the rights of whoever runs the command."""
    both = (DEPLOY, OPERATE)
    for number, (account, (buckets, objects)) in enumerate(sorted(reach.carried_buckets.items())):
        where = joined(reach.here, within(account))
        yield _Row(
            f"CarriedBuckets{number or ''}",
            "A plan looks how the buckets of `carry.s3` are kept and lists them.",
            {
                **_each(both, [*_SEE_CARRIED, *_named("s3", "GetBucketOwnershipControls ListBucket")]),
                PREVIEW: _SEE_CARRIED,
            },
            buckets,
            where,
        )
        yield _Row(
            f"CarriedObjects{number or ''}",
            "It compares their objects below the prefixes that are named, and `status --verify` proves them again.",
            _each(both, _COMPARE_OBJECTS),
            objects,
            where,
        )
    yield _Row(
        "CarriedParameters",
        "A plan compares the parameters of `carry.ssm`, and their values where they are rewritten.",
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
        "Names and settings of the secrets of `carry.secrets`, no values. What is to be made at the target has no tags"
        " that it could be bound to.",
        see,
        [reach.arn("secretsmanager", "secret:*")] if tagged else own,
        reach.here,
    )
    yield _Row(
        "CarriedSecrets",
        "A plan compares the values of those that are named.",
        _each(both, read),
        own,
        reach.here,
    )
    for number, tags in enumerate(tagged):
        wanted: dict[str, str | list[str]] = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
        yield _Row(
            f"TaggedSecrets{number or ''}",
            "The same of those that it names by tags, which they must have.",
            _each(both, read),
            [reach.arn("secretsmanager", "secret:*")],
            joined(reach.here, {"StringEquals": wanted}),
        )


# Always by version, for which S3 asks the rights of versions (S3 API Reference, "GetObject", "Permissions"); ACL, legal
# hold and retention are what a plan says of objects that a migration does not carry.
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
        "AWS lets these be bound to regions and to nothing else. They tell names, tags and figures, no values: what"
        " stands under a name or a tag, what alarms measured, how many functions may run.",
        {
            DEPLOY: [*_LISTS, *names, *metrics],
            # How far replication is behind: `status`, and of a lost region `promote --source-lost --plan-only`.
            PREVIEW: [
                # How many functions may run is asked where some are to be kept for one.
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
        "A change that the account's quotas have no room for is refused beforehand, by what is in use.",
        _each((PREVIEW, DEPLOY), ["iam:GetAccountSummary", "s3:ListAllMyBuckets"]),
        ["*"],
        at_home,
    )
    yield _Row(
        "Quotas",
        "The same, by what the quotas of VPCs, gateway endpoints and buckets are.",
        _each((PREVIEW, DEPLOY), ["servicequotas:GetServiceQuota"]),
        reach.arns("servicequotas", "{}", ("s3/L-DC2B2D3D", "vpc/L-1B52E74A", "vpc/L-F678F1CE")),
        at_home,
    )


_LISTS = (
    "kms:ListAliases",
    "kms:ListKeys",
    "lambda:GetAccountSettings",
    "logs:DescribeLogGroups",
    # The provider has a definition validated while it plans.
    "states:ValidateStateMachineDefinition",
    "tag:GetResources",
)


def _state(reach: Reach) -> Iterator[_Row]:
    """State, journal and lock under the state URL; of what other environments keep there nothing."""
    config, url = reach.config, parse_state_url(reach.config.state)
    bucket = [f"arn:{reach.partition}:s3:::{url.bucket}"] if url.bucket else []
    yield _Row(
        "FindState",
        "S3 says that a part of the state is not there only to who may list its bucket.",
        _each(PipelineRole, _named("s3", "ListBucket" if url.region else "GetBucketLocation ListBucket")),
        bucket,
    )
    paths = state_paths(config)
    yield _Row(
        "ReadState",
        "State, journal, releases and lock of this environment.",
        _each(PipelineRole, ["s3:GetObject"]),
        [f"{each}/{path}" for each in bucket for path in paths.read],
    )
    for role, sid, why in (
        (DEPLOY, "WriteState", "A deployment writes all of them, and `destroy` takes them away."),
        (OPERATE, "WriteJournal", "A run of data holds the lock and writes its events."),
        (PREVIEW, "HoldLock", "A preview holds the lock, and writes nothing else."),
    ):
        yield _Row(
            sid,
            why,
            # Locks are given back by writing them (`journal.lock`): only who deploys takes anything away.
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
            "The bucket of the state may be under a key, which is used for that bucket alone.",
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
            "Secrets in the state and the seals of releases and runs are under this key, in a context that names the"
            " environment; the engine names none.",
            # The data keys under it lie in the state from the first deployment on.
            {
                **_each(PipelineRole, _named("kms", "Decrypt DescribeKey")),
                DEPLOY: _named("kms", "Decrypt DescribeKey Encrypt GenerateDataKey"),
            },
            of_key,
            joined(has_alias, {"StringEqualsIfExists": {context: config.identity.scope}}),
        )
        yield _Row(
            "StateKeyOfBefore",
            "What a version laid down under which all environments of the state had one key is opened still.",
            _each(PipelineRole, ["kms:Decrypt"]),
            of_key,
            joined(has_alias, {"StringEquals": {context: SHARED_SCOPE}}),
        )


@dataclass(frozen=True)
class StatePaths:
    """Where an environment keeps its state under the state URL's bucket, as patterns of keys."""

    read: tuple[str, ...]
    write: Mapping[PipelineRole, tuple[str, ...]]


def state_paths(config: MigrationConfig) -> StatePaths:
    """As the journal, the releases and the engine lay it out.

    The engine's: Pulumi, ``pkg/backend/diy/store.go``. A preview writes no checkpoint: what it makes up there the next
    deployment would believe. So who makes the roles lays the empty state down, by a preview of their own.
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
    # Where versions before kept an environment of AWS (`journal.identity`).
    # And the key that environments shared before each had its own.
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
