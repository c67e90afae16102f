"""Names of everything the environment makes, and the limits AWS puts on them.

A name is ``<project>-<component>-<region>-<environment>``, lower case, of letters, digits and dashes;
a bucket's name also ends in the account id because bucket names are global. A name that would be too
long keeps a readable head and ends in a hash of the whole, so two long names stay different.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import Enum

_NOT_ALLOWED = re.compile(r"[^a-z0-9]+")
_HASH_LENGTH = 8


class Kind(Enum):
    """A kind of name with the longest length AWS accepts, in characters; the page is named beside it."""

    BUCKET = 63  # S3 User Guide, "General purpose bucket naming rules": 3 to 63
    ROLE = 64  # IAM User Guide, "IAM and AWS STS quotas"
    ROLE_POLICY = 128  # IAM User Guide, "IAM and AWS STS quotas"
    FUNCTION = 64  # Lambda API Reference, CreateFunction, FunctionName
    TOPIC = 256  # SNS API Reference, CreateTopic, Name
    QUEUE = 80  # SQS API Reference, CreateQueue, QueueName
    LOG_GROUP = 512  # CloudWatch Logs API Reference, CreateLogGroup
    ALARM = 255  # CloudWatch API Reference, PutMetricAlarm, AlarmName
    DASHBOARD = 255  # CloudWatch API Reference, PutDashboard, DashboardName
    KEY_ALIAS = 256  # KMS API Reference, CreateAlias, AliasName
    PARAMETER = 1011  # SSM API Reference, PutParameter, Name (with its ARN prefix: 1,011)
    SECRET = 512  # Secrets Manager API Reference, CreateSecret, Name
    STATE_MACHINE = 80  # Step Functions API Reference, CreateStateMachine, name
    SECURITY_GROUP = 255  # EC2 API Reference, CreateSecurityGroup, GroupName
    TAG_VALUE = 256  # Tagging AWS Resources, "Tag naming limits and requirements"


_SHORTEST = {Kind.BUCKET: 3}


@dataclass(frozen=True)
class NameProblem:
    """One name that AWS would refuse, or that two things share."""

    name: str
    kind: Kind
    problem: str


def normalize_name(text: str) -> str:
    """Lower case, every run of other characters one dash, no dash at either end."""
    return _NOT_ALLOWED.sub("-", text.lower()).strip("-")


def shorten(name: str, limit: int) -> str:
    """``name`` itself when it fits in ``limit`` characters, else its head, a dash and a hash of the whole."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    head = name[: limit - _HASH_LENGTH - 1].rstrip("-")
    return f"{head}-{digest}"


@dataclass(frozen=True)
class Names:
    """Gives every name of one environment. Pure: the same values give the same names."""

    project: str
    environment: str
    account: str

    def get_resource_name(self, component: str, region: str, kind: Kind = Kind.FUNCTION) -> str:
        """``<project>-<component>-<region>-<environment>``, no longer than ``kind`` allows."""
        parts = (self.project, component, region, self.environment)
        return shorten("-".join(normalize_name(part) for part in parts), kind.value)

    def bucket(self, component: str, region: str) -> str:
        """A bucket's name; the account id stays readable at the end even when the head is shortened."""
        limit = Kind.BUCKET.value - len(self.account) - 1
        parts = (self.project, component, region, self.environment)
        return f"{shorten('-'.join(normalize_name(part) for part in parts), limit)}-{self.account}"

    def environment_path(self, region: str) -> str:
        """``/<project>/<environment>/<region>``, under which the region's parameters and secrets stand."""
        return "/" + "/".join(normalize_name(part) for part in (self.project, self.environment, region))

    def parameter(self, name: str, region: str) -> str:
        """The full path of one parameter of the environment."""
        return f"{self.environment_path(region)}/{name}"

    def secret(self, name: str, region: str) -> str:
        """A secret's name: the parameter's path without the leading slash."""
        return self.parameter(name, region).removeprefix("/")

    def function_log_group(self, function: str) -> str:
        """Where Lambda writes unless told otherwise: ``/aws/lambda/<function>``."""
        return f"/aws/lambda/{function}"

    def log_group(self, purpose: str, region: str) -> str:
        """A log group of our own: ``/<project>/<environment>/<region>/<purpose>``."""
        return f"{self.environment_path(region)}/{purpose}"

    def key_alias(self, region: str) -> str:
        """The alias of the region's key, with the ``alias/`` that KMS wants."""
        return "alias/" + self.get_resource_name("key", region, Kind.KEY_ALIAS)


def shortest(kind: Kind) -> int:
    """The fewest characters that AWS accepts for ``kind``."""
    return _SHORTEST.get(kind, 1)
