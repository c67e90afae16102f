"""The permissions boundary of the roles that the program makes: the most that any of them may ever do.

What no statement here allows, no role of the environment can do, whoever writes its policies (IAM User Guide,
"Permissions boundaries for IAM entities"). So whoever may create roles only with this boundary cannot make one that
does more: it names what the environment is made of and what `carry` names, in whatever region, and nothing else that
holds data. Keys of the environment are known by their tags; that others decrypt what they are not named for bounds what
lies under them.

A region in a name is the one that the request is made in, and of a bucket a pattern of its form. So another region, or
another entry of `carry`, asks for the boundary anew, as for the policies of the pipeline's roles.
"""

from __future__ import annotations

from collections.abc import Iterator

from regionshift.infrastructure import carried
from regionshift.infrastructure.policies.function import METRIC_NAMESPACE, SEE_BUCKET
from regionshift.infrastructure.policies.packing import length
from regionshift.infrastructure.policies.services import READ_SOURCE, WRITE_REPLICAS
from regionshift.infrastructure.policies.statement import (
    READ_OBJECTS,
    USE_KEY,
    WITHOUT_RESOURCE,
    WRITE_OBJECTS,
    Condition,
    Statement,
    allow,
    deny,
)
from regionshift.infrastructure.policies.worker import (
    CREATE_SECRET,
    READ_PARAMETERS,
    WRITE_PARAMETERS,
    WRITE_SECRET,
)
from regionshift.infrastructure.reach import Reach, joined, once
from regionshift.settings import components as named
from regionshift.settings.config import MigrationConfig
from regionshift.settings.quotas import MANAGED_POLICY
from regionshift.settings.state_url import parse_state_url

_KEY_USERS = ("s3", "secretsmanager", "sns", "sqs", "ssm")
_SEE_KEYS = ("kms:DescribeKey", "kms:GenerateMac", "kms:GetKeyRotationStatus")
_COUNTS = "cloudwatch:PutMetricData"
_ON_S3 = sorted({*SEE_BUCKET, *READ_OBJECTS, *WRITE_OBJECTS, *READ_SOURCE, *WRITE_REPLICAS})
_ON_VALUES = ("secretsmanager:GetSecretValue", *WRITE_SECRET)
_ON_OWN = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
    "lambda:InvokeFunction",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "secretsmanager:GetSecretValue",
    "sns:GetTopicAttributes",
    "sns:Publish",
    "sqs:SendMessage",
    "ssm:GetParameter",
    "states:DescribeExecution",
    "states:StartExecution",
    "states:StopExecution",
)
_SEE = "secretsmanager:DescribeSecret"
_ON_SECRETS = sorted({*_ON_VALUES, *CREATE_SECRET, _SEE})


def boundary_statements(config: MigrationConfig) -> list[Statement]:
    """What roles of the environment may do at most, in every region, and what is refused whatever else allows it.

    Refused is said outright, because what a bucket's or role's own policy gives to a session by its name is not
    bounded by what is merely not allowed here (the same page, "Evaluating effective permissions with boundaries").
    """
    return _fitting(config)[0]


def names_what_is_carried(config: MigrationConfig) -> bool:
    """Whether the boundary has room for what `carry` names; else it lets all data of those kinds be reached."""
    return _fitting(config)[1]


def _fitting(config: MigrationConfig) -> tuple[list[Statement], bool]:
    """The narrowest statements that a managed policy takes, and whether they name what is carried.

    A role has one boundary, so there are no more characters than of one policy.
    """
    for narrow in (3, 2, 1, 0):
        found = list(_Bounds(config, narrow).statements())
        if length(found) <= MANAGED_POLICY.most:
            break
    return found, narrow > 0


class _Bounds:
    """The statements. Of several services one has all that needs no condition: an action fits its own resources alone.

    Args:
        narrow: 3, everything by its name. 2: names that were shortened share a pattern. 1: so do regions in the names
            of buckets that are carried. 0: what is carried has no names.
    """

    def __init__(self, config: MigrationConfig, narrow: int) -> None:
        self.config = config
        together = narrow < 3
        # A bucket's region is not always that of the request: a copy reads its source through its target's.
        self.placed = Reach(config, True, together=together)
        self.carried = Reach(config, narrow > 1, together=together)
        self.here = Reach(config, True, together=together, asked=True)
        self.by_name = narrow > 0

    def statements(self) -> Iterator[Statement]:
        yield allow("Own", _ON_OWN, self._own())
        yield self._objects()
        yield from self._keys()
        yield from self._carried()
        yield allow("WithoutResource", sorted(WITHOUT_RESOURCE.keys() - {_COUNTS}), ["*"])
        yield allow(
            "Count", [_COUNTS], ["*"], condition={"StringEquals": {"cloudwatch:namespace": METRIC_NAMESPACE}}
        )
        yield deny("NoIdentities", ["iam:*", "organizations:*", "sts:AssumeRole"], ["*"])
        # The state is the command's alone.
        if bucket := parse_state_url(self.config.state).bucket:
            state = f"arn:{self.here.partition}:s3:::{bucket}"
            yield deny("NoState", ["s3:*"], [state, f"{state}/*"])

    def _own(self) -> list[str]:
        """The environment's functions, machines, topics, queues, logs and configuration."""
        here, names = self.here, self.config.names
        secret = here.names(named.DEPLOYMENT_CONFIG_SECRET)
        functions = (names.function_log_group(each) for each in here.names(named.FUNCTION, named.WORKER))
        groups = [group for each in functions for group in (each, f"{each}:*")]
        groups += here.alike({region: names.parameter("*", region) for region in here.regions})
        return [
            *here.arns("lambda", "function:{}", here.names(named.WORKER)),
            *(
                arn
                for form in ("stateMachine:{}", "execution:{}:*", "execution:{}/*")
                for arn in here.arns("states", form, here.names(named.STATE_MACHINE))
            ),
            *here.arns("sns", "{}", here.names(named.DEPLOYMENT_TOPIC)),
            *here.arns("sqs", "{}", here.names(named.DEAD_LETTERS)),
            *here.arns("ssm", "parameter{}", here.names(named.DEPLOYMENT_CONFIG_PARAMETER)),
            *here.arns("secretsmanager", "secret:{}-??????", secret),
            *here.arns("logs", "log-group:{}", groups),
            # Lambda's, which have no name before they are there (`statement.EVERY_OF_A_TYPE`).
            here.arn("ec2", "*"),
        ]

    def _objects(self) -> Statement:
        own, theirs = self.placed.buckets(named.DEPLOYMENT_BUCKET), self.carried.carried_buckets
        found = [arn for bucket in own for arn in (bucket, f"{bucket}/*")]
        # An entry without a bucket means the deployment bucket.
        known = {*own, *self.carried.buckets(named.DEPLOYMENT_BUCKET)}
        found += [
            arn
            for both in theirs.values()
            for arns in both
            for arn in arns
            if arn.partition("/")[0] not in known
        ]
        if theirs and not self.by_name:
            found = [f"arn:{self.here.partition}:s3:::*"]
        accounts = [self.config.account, *sorted(theirs.keys() - {self.config.account})]
        return allow(
            "Objects", _ON_S3, once(found), condition={"StringEquals": {"aws:ResourceAccount": accounts}}
        )

    def _keys(self) -> Iterator[Statement]:
        """Keys are used through their services alone; the environment's own not where there is no room to say so."""
        every, (arns, aliases) = [self.here.arn("kms", "key/*")], self.carried.carried_keys
        ours: Condition = {"StringEquals": self.here.tags("aws:ResourceTag")}
        services = carried.services(self.config)
        carrying = self.here.through(*services)
        if not self.by_name:
            theirs = (f"{arn.rpartition(':')[0]}:key/*" for arn in arns)
            yield allow("OwnKeys", [*_SEE_KEYS, *USE_KEY], every, condition=ours)
            if services:
                yield allow("CarriedKeys", USE_KEY, once([*every, *theirs]), condition=carrying)
            return
        yield allow("OwnKeys", _SEE_KEYS, every, condition=ours)
        yield allow("UseOwnKeys", USE_KEY, every, condition=joined(ours, self.here.through(*_KEY_USERS)))
        if services:
            # What is carried lies under keys in its own region, whose ids the settings do not name.
            yield allow("ReadWithKeys", ["kms:Decrypt"], every, condition=carrying)
        if arns:
            yield allow("CarriedKeys", USE_KEY, arns, condition=carrying)
        if aliases:
            having: Condition = {"ForAnyValue:StringLike": {"kms:ResourceAliases": aliases}}
            yield allow("CarriedKeysByAlias", USE_KEY, every, condition=joined(carrying, having))

    def _carried(self) -> Iterator[Statement]:
        """Parameters and secrets that `carry` names."""
        here = self.here
        paths, secrets, tags = here.carried_paths, here.carried_secrets, here.carried_tags
        every_secret = here.arn("secretsmanager", "secret:*")
        if not self.by_name:
            paths, secrets, tags = paths and ["/"], [""] if secrets or tags else [], []
        named_so = [
            *here.arns("ssm", "parameter{}*", paths),
            *here.arns("secretsmanager", "secret:{}*", secrets),
        ]
        actions = [
            *((*READ_PARAMETERS, *WRITE_PARAMETERS) if paths else ()),
            *(_ON_SECRETS if secrets else ()),
        ]
        if named_so:
            yield allow("Carried", actions, named_so)
        for number, wanted in enumerate(tags):
            having: dict[str, str | list[str]] = {
                f"secretsmanager:ResourceTag/{name}": value for name, value in wanted.items()
            }
            yield allow(
                f"TaggedSecrets{number}", _ON_VALUES, [every_secret], condition={"StringEquals": having}
            )
            given: dict[str, str | list[str]] = {
                f"aws:RequestTag/{name}": value for name, value in wanted.items()
            }
            yield allow(
                f"MakeTaggedSecrets{number}",
                CREATE_SECRET,
                [every_secret],
                # Whoever tags a secret that is there names it: with these tags it would become the worker's.
                condition={"StringEquals": given, "Null": {"secretsmanager:SecretId": "true"}},
            )
        if tags:
            # One that is not there yet has no tags to ask for.
            yield allow("SeeSecrets", [_SEE], [every_secret])
