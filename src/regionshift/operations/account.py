"""What `doctor` reports about an account before anything is made: the caller, quotas, rights and the monthly cost.

An `up` checks quotas and rights against its plan. Here the settings replace the plan: the resources that a new region
would get, and those that a region that is up may have changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from regionshift.aws.errors import AwsFailed
from regionshift.engine.events import ResourceStep
from regionshift.infrastructure.rights import types_of
from regionshift.operations.collisions import looked_for
from regionshift.operations.costs import PRICES_OF, monthly_cost
from regionshift.operations.environment import Environment
from regionshift.operations.permissions import permission_findings, previews
from regionshift.operations.room import Room, rooms
from regionshift.report.values import Finding
from regionshift.settings.regions import partition_of
from regionshift.settings.state_url import parse_key_url


@dataclass(frozen=True)
class Account:
    """The facts that are shown, by name, and the findings."""

    facts: dict[str, object]
    findings: list[Finding]


def look_at(environment: Environment, up: Collection[str], *, has_state: bool = True) -> Account:
    """Look at the account of the credentials. Changes nothing.

    Args:
        up: regions that have a release.
        has_state: the engine's state can be read.
    """
    steps = list(_expected(environment, up))
    seen = rooms(environment, steps)
    short = (one if isinstance(one, Finding) else one.finding for one in seen)
    findings = [
        *(each for each in short if each),
        *permission_findings(environment, steps, has_state=has_state),
        *_state_key_findings(environment),
    ]
    if environment.config.target != "aws":
        return Account({}, findings)
    cost = monthly_cost(environment.config)
    facts: dict[str, object] = {
        "caller": _caller(environment),
        "partition": partition_of(environment.regions[0]),
        "opted_in": _opted_in(environment),
        "quotas": [str(room) for room in seen if isinstance(room, Room)],
        "cost_a_month": f"about {cost:.2f} US dollars, idle ({PRICES_OF})",
    }
    return Account(facts, findings)


def _caller(environment: Environment) -> str:
    try:
        return str(environment.clients.call(environment.regions[0], "sts", "get_caller_identity")["Arn"])
    except AwsFailed as error:  # the preflight says what to do about it
        return f"unknown: {error.message}"


def _state_key_findings(environment: Environment) -> list[Finding]:
    """An error when the key of the state's secrets cannot encrypt and decrypt, tried with a throw-away value.

    The preview role of a pipeline may not encrypt with it. For that role only the key's existence is checked.
    """
    key = parse_key_url(environment.config.state_secrets)
    if key is None:
        return []
    region = key.region or environment.config.regions.primary
    clients = environment.clients
    try:
        if previews(environment):  # this role only decrypts with the key
            clients.call(region, "kms", "describe_key", KeyId=key.key)
            return []
        clients.call(region, "kms", "encrypt", KeyId=key.key, Plaintext=b"doctor")
        made = clients.call(region, "kms", "generate_data_key", KeyId=key.key, KeySpec="AES_256")
        clients.call(region, "kms", "decrypt", KeyId=key.key, CiphertextBlob=made["CiphertextBlob"])
    except AwsFailed as error:
        why = f"the key of the state's secrets cannot be used: {error.message}"
        remedy = f"allow kms:Encrypt, kms:GenerateDataKey and kms:Decrypt on {key.key}"
        return [Finding("state-key", "error", why, region, error.remedy or remedy)]
    return []


def _opted_in(environment: Environment) -> list[str]:
    """The regions, and which of them the account has not enabled. Those also refuse calls, which the preflight reports.

    EC2 API Reference, DescribeRegions; Account Management Guide, "Enable or disable AWS Regions in your account".
    """
    regions = list(environment.regions)
    try:
        answer = environment.clients.call(
            regions[0], "ec2", "describe_regions", RegionNames=regions, AllRegions=True
        )
    except AwsFailed as error:
        return [f"unknown: {error.message}"]
    off = {each["RegionName"] for each in answer["Regions"] if each["OptInStatus"] == "not-opted-in"}
    return [f"{region} (not enabled)" if region in off else region for region in regions]


def _expected(environment: Environment, up: Collection[str]) -> Iterator[ResourceStep]:
    """One step for each resource type of a region by these settings, and for each name that counts against a quota."""
    config = environment.config
    named = looked_for(config, environment.regions)
    for region in environment.regions:
        if region in up:
            yield from (_step("update", kind, region) for kind in types_of(config, region))
            continue
        own = [each for each in named if each.region == region]
        yield from (_step("create", each.type, region) for each in own)
        counted = {each.type for each in own}
        yield from (_step("create", kind, region) for kind in types_of(config, region) if kind not in counted)
        yield ResourceStep(
            "create", "", "aws:ec2/vpcEndpoint:VpcEndpoint", region, new={"vpcEndpointType": "Gateway"}
        )
        yield ResourceStep(
            "create",
            "",
            "aws:lambda/function:Function",
            region,
            new={"reservedConcurrentExecutions": config.function.reserved_concurrency or 0},
        )


def _step(op: str, kind: str, region: str) -> ResourceStep:
    return ResourceStep(op, "", kind, region)
