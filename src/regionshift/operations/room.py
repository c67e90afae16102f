"""Room: in the account's quotas for what a change adds, and on this machine's disks for a run.

A disk that fills in the middle of a run stops it half way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.engine.events import ResourceStep
from regionshift.operations.environment import Environment
from regionshift.report.values import Finding

_VPC = "aws:ec2/vpc:Vpc"
_FUNCTION = "aws:lambda/function:Function"
# Service Quotas' code of "VPCs per Region" (VPC User Guide, "Amazon VPC quotas").
_VPCS_PER_REGION = "L-F678F1CE"
# Lambda Developer Guide, "Configuring reserved concurrency": so much always stays for all other functions.
UNRESERVED = 100
_Ask = Callable[[Clients, str, int], Iterator[Finding]]


def quota_findings(environment: Environment, steps: Sequence[ResourceStep]) -> list[Finding]:
    """An error for each quota that the change would break. Asks only in regions where something is added.

    Args:
        steps: one a resource (`final_steps`). A VPC that is replaced stands beside the new one for a while.
    """
    added = ("create", "replace")
    vpcs = Counter(step.region or "" for step in steps if step.type == _VPC and step.op in added)
    reserved: Counter[str] = Counter()
    for step in steps:
        if step.type == _FUNCTION and step.changes:
            reserved[step.region or ""] += _reserved(step.new) - _reserved(step.old)
    clients = environment.clients
    # Nobody but AWS itself keeps Service Quotas.
    asks: list[tuple[_Ask, str, int]] = [
        (_ask_vpcs, region, n) for region, n in vpcs.items() if environment.config.target == "aws"
    ]
    asks += [(_ask_concurrency, region, n) for region, n in reserved.items() if n > 0]
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = pool.map(lambda ask: list(ask[0](clients, ask[1], ask[2])), asks)
        return list(chain.from_iterable(found))


def vpc_finding(region: str, there: int, new: int, limit: int) -> Finding | None:
    """Too many VPCs: ``there`` are ``there``, ``new`` are to be made, ``limit`` may be."""
    if there + new <= limit:
        return None
    message = f"{there} VPCs stand, {new} more are to be made, and the quota is {limit}"
    remedy = f"ask for more in Service Quotas (vpc, {_VPCS_PER_REGION}), or delete one that is not needed"
    return Finding("quota", "error", message, region, remedy)


def concurrency_finding(region: str, unreserved: int, wanted: int) -> Finding | None:
    """Too much reserved: of ``unreserved`` executions ``wanted`` are to be reserved, and 100 must stay."""
    if unreserved - wanted >= UNRESERVED:
        return None
    room = max(unreserved - UNRESERVED, 0)
    message = f"{wanted} concurrent executions are to be reserved, and {room} can be"
    remedy = "lower function.reserved_concurrency or leave it out, or ask for more in Service Quotas (lambda)"
    return Finding("quota", "error", message, region, remedy)


def _ask_vpcs(clients: Clients, region: str, new: int) -> Iterator[Finding]:
    try:
        answer = clients.call(
            region, "service-quotas", "get_service_quota", ServiceCode="vpc", QuotaCode=_VPCS_PER_REGION
        )
        pages = clients.get("ec2", region).get_paginator("describe_vpcs").paginate()
        there = sum(len(page["Vpcs"]) for page in pages)
    except (AwsFailed, ClientError, BotoCoreError) as error:
        yield _unknown(region, "VPCs", error)
        return
    if finding := vpc_finding(region, there, new, int(answer["Quota"]["Value"])):
        yield finding


def _ask_concurrency(clients: Clients, region: str, wanted: int) -> Iterator[Finding]:
    try:
        limits = clients.get("lambda", region).get_account_settings()["AccountLimit"]
    except (ClientError, BotoCoreError) as error:
        yield _unknown(region, "concurrent executions", error)
        return
    if finding := concurrency_finding(region, limits["UnreservedConcurrentExecutions"], wanted):
        yield finding


def _unknown(region: str, of: str, error: Exception) -> Finding:
    remedy = "look at Service Quotas by hand, or allow servicequotas:GetServiceQuota and the list it is of"
    return Finding("quota-unknown", "info", f"the quota of {of} cannot be read: {error}", region, remedy)


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
"""What is reckoned is needed twice over: a run that goes back writes as much again."""


@dataclass(frozen=True)
class Disk:
    """Where something is to be written.

    Args:
        use: ``state``, ``work`` (what is for the time of a run) or ``cloud`` (the embedded AWS).
        path: the folder, or what there is of its path. device: which disk it is. free: bytes.
    """

    use: str
    path: str
    device: int
    free: int


def needed(use: str, regions: int) -> int:
    """The most bytes that a run over ``regions`` regions writes for ``use``."""
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
