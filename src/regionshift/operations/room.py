"""Check that the account's quotas and this machine's disks have room for a change.

A full disk stops a run half way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.engine.events import ResourceStep
from regionshift.operations.environment import Environment
from regionshift.report.values import Finding
from regionshift.settings.regions import PARTITIONS, partition_of

# Lambda Developer Guide, "Configuring reserved concurrency": this many always stay for all other functions.
UNRESERVED = 100
_FUNCTION = "aws:lambda/function:Function"


@dataclass(frozen=True)
class AccountQuota:
    """A quota of the account that the program uses.

    Args:
        ask: returns the use in a region, and the limit.
        of_account: one quota for all regions, which the partition's region of global services knows.
        on_aws: only AWS itself knows it (Service Quotas, or an inventory).
    """

    name: str
    remedy: str
    ask: Callable[[Clients, str], tuple[int, int]]
    of_account: bool = False
    on_aws: bool = True


@dataclass(frozen=True)
class Room:
    """The need of a change for a quota: ``used`` and ``new`` of ``limit``. No region for a quota of the account."""

    quota: AccountQuota
    region: str | None
    used: int
    new: int
    limit: int

    @property
    def finding(self) -> Finding | None:
        """An error when it is not enough."""
        if self.used + self.new <= self.limit:
            return None
        message = f"{self.used} {self.quota.name} are in use, {self.new} more are needed, and the quota is {self.limit}"
        return Finding("quota", "error", message, self.region, self.quota.remedy)

    def __str__(self) -> str:
        return f"{self.region or 'account'}: {self.used} + {self.new} of {self.limit} {self.quota.name}"


def quota_findings(environment: Environment, steps: Sequence[ResourceStep]) -> list[Finding]:
    """An error for each quota that the change would exceed, an info for each that cannot be read."""
    found = [each if isinstance(each, Finding) else each.finding for each in rooms(environment, steps)]
    return [finding for finding in found if finding is not None]


def rooms(environment: Environment, steps: Sequence[ResourceStep]) -> list[Room | Finding]:
    """The need of the change for each quota, or why it is not known. Asks only where something is added.

    Args:
        steps: one a resource (`final_steps`). A replaced VPC exists beside the new one for a while.
    """
    wanted: Counter[tuple[AccountQuota, str]] = Counter()
    home = PARTITIONS[partition_of(environment.config.regions.primary)].iam_region
    for step in steps:
        for quota, number in _drawn(step):
            if environment.config.target == "aws" or not quota.on_aws:
                wanted[quota, home if quota.of_account else step.region or ""] += number

    def ask(need: tuple[tuple[AccountQuota, str], int]) -> Room | Finding:
        (quota, region), number = need
        place = None if quota.of_account else region
        try:
            used, limit = _used_and_limit(environment, quota, region)
        except (AwsFailed, ClientError, BotoCoreError) as error:
            remedy = (
                "look at Service Quotas by hand, or allow servicequotas:GetServiceQuota and the list it is of"
            )
            message = f"the quota of {quota.name} cannot be read: {error}"
            return Finding("quota-unknown", "info", message, place, remedy)
        return Room(quota, place, used, number, limit)

    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(ask, [(key, number) for key, number in wanted.items() if number > 0]))


def _used_and_limit(environment: Environment, quota: AccountQuota, region: str) -> tuple[int, int]:
    # A quota of the account is read through a region that may be called.
    is_left_out = region in environment.config.all_regions and region not in environment.regions
    return quota.ask(environment.clients, environment.regions[0] if is_left_out else region)


def _drawn(step: ResourceStep) -> Iterator[tuple[AccountQuota, int]]:
    """What one step adds to each quota."""
    if step.type == _FUNCTION and step.changes:
        yield CONCURRENCY, _reserved(step.new) - _reserved(step.old)
    if step.op in ("create", "replace"):
        match step.type:
            case "aws:ec2/vpc:Vpc":
                yield VPCS, 1
            case "aws:ec2/vpcEndpoint:VpcEndpoint" if step.new.get("vpcEndpointType") == "Gateway":
                yield GATEWAYS, 1
            case "aws:s3/bucket:Bucket":
                yield BUCKETS, 1
            case "aws:iam/role:Role":
                yield ROLES, 1
            case "aws:iam/policy:Policy":
                yield POLICIES, 1


def _limit(clients: Clients, region: str, service: str, code: str) -> int:
    answer = clients.call(region, "service-quotas", "get_service_quota", ServiceCode=service, QuotaCode=code)
    return int(answer["Quota"]["Value"])


def _count(clients: Clients, region: str, service: str, listing: str, path: str, **filters: object) -> int:
    pages = clients.named(service, region).get_paginator(listing).paginate(**filters)
    return sum(1 for _ in pages.search(path))


def _vpcs(clients: Clients, region: str) -> tuple[int, int]:
    return _count(clients, region, "ec2", "describe_vpcs", "Vpcs[]"), _limit(
        clients, region, "vpc", "L-F678F1CE"
    )


def _gateways(clients: Clients, region: str) -> tuple[int, int]:
    kind = [{"Name": "vpc-endpoint-type", "Values": ["Gateway"]}]
    used = _count(clients, region, "ec2", "describe_vpc_endpoints", "VpcEndpoints[]", Filters=kind)
    return used, _limit(clients, region, "vpc", "L-1B52E74A")


def _buckets(clients: Clients, region: str) -> tuple[int, int]:
    return _count(clients, region, "s3", "list_buckets", "Buckets[]"), _limit(
        clients, region, "s3", "L-DC2B2D3D"
    )


def _in_iam(what: str) -> Callable[[Clients, str], tuple[int, int]]:
    def ask(clients: Clients, region: str) -> tuple[int, int]:
        summary = clients.call(region, "iam", "get_account_summary")["SummaryMap"]
        return int(summary[what]), int(summary[f"{what}Quota"])

    return ask


def _concurrency(clients: Clients, region: str) -> tuple[int, int]:
    limits = clients.call(region, "lambda", "get_account_settings")["AccountLimit"]
    most = int(limits["ConcurrentExecutions"])
    return most - int(limits["UnreservedConcurrentExecutions"]), max(most - UNRESERVED, 0)


# Codes of Service Quotas, and what each counts: VPC User Guide, "Amazon VPC quotas"; AWS PrivateLink Guide, "AWS
# PrivateLink quotas"; S3 User Guide, "Bucket quotas"; IAM API Reference, GetAccountSummary. Of other quotas (elastic
# addresses, say) the program needs nothing, or far less than any account has.
VPCS = AccountQuota(
    "VPCs", "ask for more in Service Quotas (vpc, L-F678F1CE), or delete one that is not needed", _vpcs
)
GATEWAYS = AccountQuota("gateway endpoints", "ask for more in Service Quotas (vpc, L-1B52E74A)", _gateways)
BUCKETS = AccountQuota(
    "buckets", "ask for more in Service Quotas (s3, L-DC2B2D3D)", _buckets, of_account=True
)
ROLES = AccountQuota(
    "roles", "ask for more in Service Quotas (iam, L-FE177D64)", _in_iam("Roles"), of_account=True
)
POLICIES = AccountQuota(
    "managed policies",
    "ask for more in Service Quotas (iam, L-E95E4862), or shorten `carry`",
    _in_iam("Policies"),
    of_account=True,
)
CONCURRENCY = AccountQuota(
    "reserved concurrent executions",
    "lower function.reserved_concurrency or leave it out, or ask for more in Service Quotas (lambda)",
    _concurrency,
    on_aws=False,
)


def _reserved(inputs: object) -> int:
    number = inputs.get("reservedConcurrentExecutions") if isinstance(inputs, dict) else None
    return max(int(number), 0) if isinstance(number, int | float) else 0


_MB = 2**20
# Measured with two regions (156 resources): 4.6 KB of engine state a resource, of which the file backend keeps the
# newest, the one before, and the one that it writes; in the run's own folder its events, some five times the state.
_RESOURCES, _BYTES = 80, 4_600
_STATE = 3 * _RESOURCES * _BYTES
_EVENTS = 5 * _RESOURCES * _BYTES
_CLOUD = 2 * _MB
"""What the embedded AWS keeps of a region (0.9 MB), with the copy that it writes."""
_ARTIFACT = 3 * _MB
"""The function's zip, in the state and beside it, with the journal of a run."""
_SLACK = 2
"""The estimate is doubled: a run that goes back writes the same again."""


@dataclass(frozen=True)
class Disk:
    """A place where a run writes.

    Args:
        use: ``state``, ``work`` (files of one run) or ``cloud`` (the embedded AWS).
        path: the folder, or the existing part of its path. device: which disk it is. free: bytes.
    """

    use: str
    path: str
    device: int
    free: int


def needed(use: str, regions: int) -> int:
    """The most bytes that a run with ``regions`` regions writes for ``use``."""
    a_region = {"state": _STATE, "work": _EVENTS, "cloud": _CLOUD}[use]
    return _SLACK * (_ARTIFACT + regions * a_region)


def room_findings(disks: Sequence[Disk], regions: int) -> list[Finding]:
    """An error for each disk with less free space than a run may write to it."""
    by_device: defaultdict[int, list[Disk]] = defaultdict(list)
    for disk in disks:
        by_device[disk.device].append(disk)
    return [
        _disk_finding(there, want)
        for there in by_device.values()
        if (want := sum(needed(disk.use, regions) for disk in there)) > there[0].free
    ]


def _disk_finding(there: Sequence[Disk], want: int) -> Finding:
    free = there[0].free / _MB
    return Finding(
        "disk",
        "error",
        f"{there[0].path} has {free:.0f} MB of room left, and a run may need {want / _MB:.0f} MB there"
        f" ({', '.join(disk.use for disk in there)})",
        None,
        "make room on that disk, or name another place (`state:` in the settings)",
    )
