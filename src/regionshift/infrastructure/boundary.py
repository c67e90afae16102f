"""The permissions boundary of the environment's roles: the most that any of them may ever do.

A role can do nothing that no statement here allows, whatever its policies say (IAM User Guide, "Permissions boundaries
for IAM entities"). So a caller that may create roles only with this boundary cannot create one that does more. The
boundary names the parts of the environment and what `carry` names, in every region, and nothing else that holds data.
The environment's keys are known by their tags. The keys of carried data have no known name: their own policies, and the
rights on the data, limit their use.

A region in a name is the region of the request; in the name of a bucket it is a pattern of its form. So a new region or
entry of `carry` needs a new boundary, and new policies of the pipeline's roles.
"""

from __future__ import annotations

from collections.abc import Iterator

from regionshift.infrastructure.carried import services as carried_services
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
    """Return the most that the environment's roles may do in every region, and what is always denied.

    Some actions are denied explicitly. A resource policy can give rights to a session by its name. An implicit deny of
    the boundary does not limit those (the same page, "Evaluating effective permissions with boundaries").
    """
    return _fitting(config)[0]


def names_what_is_carried(config: MigrationConfig) -> bool:
    """Return whether the boundary has room to name what `carry` names. Otherwise it allows all data of those kinds."""
    return _fitting(config)[1]


def _fitting(config: MigrationConfig) -> tuple[list[Statement], bool]:
    """Return the narrowest statements that fit into a managed policy, and whether they name what is carried.

    A role has one boundary, so there is room for one policy.
    """
    for narrow in (3, 2, 1, 0):
        found = list(_Bounds(config, narrow).statements())
        if length(found) <= MANAGED_POLICY.most:
            break
    return found, narrow > 0


class _Bounds:
    """The statements of the boundary. Statements without a condition are merged over several services: an action
    applies only to resources of its own service.

    Args:
        narrow: 3 names everything. With 2, shortened names share a pattern. With 1, the names of carried buckets have
            one pattern for all regions. With 0, carried data is not named.
    """

    def __init__(self, config: MigrationConfig, narrow: int) -> None:
        self.config = config
        together = narrow < 3
        # The region of a bucket is not always that of the request: a copy reads its source from the target's region.
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
        # Only the command itself may use the state.
        if bucket := parse_state_url(self.config.state).bucket:
            state = f"arn:{self.here.partition}:s3:::{bucket}"
            yield deny("NoState", ["s3:*"], [state, f"{state}/*"])

    def _own(self) -> list[str]:
        """Return the environment's functions, state machines, topics, queues, logs and configuration."""
        here, names = self.here, self.config.names
        secret = here.names(named.DEPLOYMENT_CONFIG_SECRET)
        functions = (names.function_log_group(each) for each in here.names(named.FUNCTION, named.WORKER))
        groups = [group for each in functions for group in (each, f"{each}:*")]
        groups += here.own_paths
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
            # Lambda's network interfaces have no known name before they exist (`statement.EVERY_OF_A_TYPE`).
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
        """Yield the statements on KMS keys.

        Each key may only be used through its service (kms:ViaService). Where the policy would grow too long, the
        environment's own keys lose this condition.
        """
        every, (arns, aliases) = [self.here.arn("kms", "key/*")], self.carried.carried_keys
        ours: Condition = {"StringEquals": self.here.tags("aws:ResourceTag")}
        services = carried_services(self.config)
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
        """Yield the statements on parameters and secrets that `carry` names."""
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
                # A request that tags an existing secret names it. With these tags the secret would become the worker's.
                condition={"StringEquals": given, "Null": {"secretsmanager:SecretId": "true"}},
            )
        if tags:
            # A secret that does not exist yet has no tags.
            yield allow("SeeSecrets", [_SEE], [every_secret])
