"""Names of everything that the environment creates, and AWS's limits for them.

A name is ``<project>-<component>-<region>-<environment>``, lower case, of letters, digits and dashes;
a bucket's name also ends in the account id because bucket names are global. A name that would be too
long keeps a readable head, and ends in ``--`` and a hash of the whole name. So two long names stay different, and
none equals a shorter name.

The dash that joins the parts may also be in a part, so two environments could get one name. For example, project
``a`` with environment ``worker-us-east-1-c`` and project ``a-worker-us-east-1`` with environment ``c`` would share
the name of their workers. The last region in a name separates the parts, unless the environment's name contains a
region. Such an environment's names end in ``--`` and a hash of project and environment, which no plain name has.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

_NOT_ALLOWED = re.compile(r"[^a-z0-9]+")
HASH_LENGTH = 8
_DASHED = r"[a-z0-9]+(-+[a-z0-9]+)*"
_PATH = r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*"
_PARAMETER_ARN = "arn:aws-us-gov:ssm:{}:000000000000:parameter"
# Every region's code is so, also of a region that AWS opens tomorrow.
_REGION_CODE = re.compile(
    r"(?:^|-)[a-z]{2,4}-(?:[a-z]+-)?(?:north|south)?(?:east|west|central|north|south)-\d+(?:-|$)"
)


_GROUPS_OF_SERVICES = ("/aws/lambda/", "/aws/vendedlogs/")


class NameKind(Enum):
    """A kind of name: what it is called, the fewest and the most characters AWS accepts, which, and what no name
    begins with because AWS keeps it for itself.

    The page that says so stands beside each. The label makes the values differ: an ``Enum`` would otherwise take
    two kinds with one limit for the same kind.
    """

    # S3 User Guide, "General purpose bucket naming rules"
    BUCKET = ("bucket", 3, 63, _DASHED, "xn--", "sthree-", "amzn-s3-demo-")
    ROLE = ("role", 1, 64)  # IAM User Guide, "IAM and AWS STS quotas"
    ROLE_POLICY = ("role policy", 1, 128)  # IAM User Guide, "IAM and AWS STS quotas"
    POLICY = ("managed policy", 1, 128)  # IAM User Guide, "IAM and AWS STS quotas"
    FUNCTION = ("function", 1, 64)  # Lambda API Reference, CreateFunction, FunctionName
    TOPIC = ("topic", 1, 256)  # SNS API Reference, CreateTopic, Name
    QUEUE = ("queue", 1, 80)  # SQS API Reference, CreateQueue, QueueName
    LOG_GROUP = ("log group", 1, 512, _PATH, "/aws/")  # CloudWatch Logs API Reference, CreateLogGroup
    ALARM = ("alarm", 1, 255)  # CloudWatch API Reference, PutMetricAlarm, AlarmName
    DASHBOARD = ("dashboard", 1, 255)  # CloudWatch API Reference, PutDashboard, DashboardName
    # KMS API Reference, CreateAlias, AliasName (with ``alias/``)
    KEY_ALIAS = ("key alias", 7, 256, r"alias/[a-z0-9-]+")
    PARAMETER = (
        "parameter",
        1,
        1011,
        _PATH,
        "/aws",
        "/ssm",
    )  # SSM API Reference, PutParameter, Name (with its ARN)
    SECRET = ("secret", 1, 512, _PATH)  # Secrets Manager API Reference, CreateSecret, Name
    STATE_MACHINE = ("state machine", 1, 80)  # Step Functions API Reference, CreateStateMachine, name
    SECURITY_GROUP = (
        "security group",
        1,
        255,
        _DASHED,
        "sg-",
    )  # EC2 API Reference, CreateSecurityGroup, GroupName

    def __init__(
        self, label: str, shortest: int, limit: int, characters: str = _DASHED, *reserved: str
    ) -> None:
        self.label, self.shortest, self.limit = label, shortest, limit
        self.characters, self.reserved = characters, reserved

    def faults(self, name: str, region: str) -> Iterator[str]:
        """Why AWS would refuse ``name`` in ``region``, one reason at a time."""
        # SSM counts the ARN's beginning as part of the 1,011 characters.
        length = len(name) + (len(_PARAMETER_ARN.format(region)) if self is NameKind.PARAMETER else 0)
        if not self.shortest <= length <= self.limit:
            yield f"has {length} characters; a {self.label} has {self.shortest} to {self.limit}"
        if not re.fullmatch(self.characters, name):
            yield f"has characters that a {self.label} may not have"
        is_services = self is NameKind.LOG_GROUP and name.startswith(_GROUPS_OF_SERVICES)
        for reserved in self.reserved:
            if name.startswith(reserved) and not is_services:
                yield f"begins with {reserved}, which AWS keeps for itself"


def normalize_name(text: str) -> str:
    """Lower case, every run of other characters one dash, no dash at either end."""
    return _NOT_ALLOWED.sub("-", text.lower()).strip("-")


def shorten(name: str, limit: int) -> str:
    """``name`` itself when it fits in ``limit`` characters, else its head, two dashes and a hash of the whole."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:HASH_LENGTH]
    head = name[: limit - HASH_LENGTH - 2].rstrip("-")
    return f"{head}--{digest}"


def holds_region(name: str) -> bool:
    """Whether a region's code is a part of a normalized name, as in ``worker-us-east-1-c``."""
    return _REGION_CODE.search(name) is not None


@dataclass(frozen=True)
class Names:
    """Gives every name of one environment. Pure: the same values give the same names."""

    project: str
    environment: str
    account: str

    def get_resource_name(self, component: str, region: str, kind: NameKind = NameKind.FUNCTION) -> str:
        """``<project>-<component>-<region>-<environment>``, no longer than ``kind`` allows."""
        return shorten(self._whole(component, region), kind.limit)

    def bucket(self, component: str, region: str) -> str:
        """A bucket's name; the account id stays readable at the end even when the head is shortened."""
        limit = NameKind.BUCKET.limit - len(self.account) - 1
        return f"{shorten(self._whole(component, region), limit)}-{self.account}"

    def environment_path(self, region: str) -> str:
        """``/<project>/<environment>/<region>``, under which the region's parameters, secrets and log groups stand."""
        return "/" + "/".join(normalize_name(part) for part in (self.project, self.environment, region))

    def parameter(self, name: str, region: str) -> str:
        """The full path of one parameter or log group of the environment."""
        return f"{self.environment_path(region)}/{name}"

    def secret(self, name: str, region: str) -> str:
        """A secret's name: the parameter's path without the leading slash."""
        return self.parameter(name, region).removeprefix("/")

    def function_log_group(self, function: str) -> str:
        """Where Lambda writes unless told otherwise: ``/aws/lambda/<function>``."""
        return f"/aws/lambda/{function}"

    def key_alias(self, region: str) -> str:
        """The alias of the region's key, with the ``alias/`` that KMS wants."""
        return self.alias("key", region)

    def alias(self, component: str, region: str) -> str:
        """A key alias with the ``alias/`` that KMS counts as part of its length."""
        prefix = "alias/"
        return prefix + shorten(self._whole(component, region), NameKind.KEY_ALIAS.limit - len(prefix))

    def pipeline(self, part: str) -> str:
        """A role, policy or GitHub environment of the pipeline: ``<project>.<environment>.<part>``, in no region.

        No other name has a dot, so it is nobody else's, and no pattern of the environment's own names means it.
        """
        parts = (normalize_name(self.project), normalize_name(self.environment), part)
        return shorten(".".join(parts), NameKind.ROLE.limit)

    def _whole(self, component: str, region: str) -> str:
        parts = (self.project, component, region, self.environment)
        name = "-".join(normalize_name(part) for part in parts)
        project, environment = normalize_name(self.project), normalize_name(self.environment)
        if not holds_region(environment):
            return name
        return f"{name}--{hashlib.sha256(f'{project}/{environment}'.encode()).hexdigest()[:HASH_LENGTH]}"


# A folder's name has 255 characters at most on the file systems in use; the engine takes 100 for a stack's.
_LONGEST_PART = 80


@dataclass(frozen=True)
class Identity:
    """An environment as the settings write it: project, environment (the suffix if there is one), target, account."""

    project: str
    environment: str
    target: str
    account: str

    @property
    def scope(self) -> str:
        """What keeps this environment apart from others under one state URL.

        A normalized name holds no dot, so different names have different scopes. Every account of AWS has its own;
        the embedded AWS of a folder has one account.
        """
        own = f"{self.engine_project}.{self.stack}"
        return own if self.target == "local" else f"{own}.{self.target}-{self.account}"

    @property
    def engine_project(self) -> str:
        """The engine's name for the project."""
        return _engine_part(self.project)

    @property
    def stack(self) -> str:
        """The engine's name for it."""
        return _engine_part(self.environment)

    @property
    def engine_folder(self) -> str:
        """Where the engine's state lies under the state URL."""
        return "engine" if self.target == "local" else f"engine/{self.target}-{self.account}"

    def __str__(self) -> str:
        return f'project "{self.project}", environment "{self.environment}", {self.target}, account {self.account}'


def _engine_part(text: str) -> str:
    return shorten(normalize_name(text), _LONGEST_PART)
