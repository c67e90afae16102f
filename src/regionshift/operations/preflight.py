"""The conditions before the first change. Each one that is not met becomes a finding with its remedy."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regionshift.aws.errors import AwsFailed, told_plainly
from regionshift.aws.guard import who_asks
from regionshift.engine.engine import RunRecord
from regionshift.errors import InputError, RegionshiftError
from regionshift.iam.documents import Policy, parse
from regionshift.iam.growth import opened
from regionshift.infrastructure.boundary import boundary_statements
from regionshift.infrastructure.policies.statement import document
from regionshift.operations.collisions import collision_findings
from regionshift.operations.environment import Environment
from regionshift.operations.leftovers import secrets_of
from regionshift.operations.ownership import ownership_findings
from regionshift.operations.permissions import operator_findings, permission_findings
from regionshift.operations.policy_findings import policy_findings, size_findings, too_large_findings
from regionshift.operations.room import Disk, quota_findings, room_findings
from regionshift.operations.usable_keys import UNKNOWN, key_findings
from regionshift.report.values import Finding
from regionshift.settings.components import boundary_arn, name_problems
from regionshift.settings.state_url import parse_key_url, parse_state_url

# One plugin process serves one provider, and there is one provider a region (measured: 170 to 430 MB each).
PLUGIN_MEMORY_MB = 430
DOWN = "region-down"
"""The code of a finding: the region does not answer."""
REFUSES = "region"
"""The code of a finding: the region answers, and refuses these credentials."""
NOT_ANSWERING = (DOWN, REFUSES)


# The code of a finding on the release, by the place that the error names.
_CODES = {"application.secrets": "secret", "network.zones": "zones"}
_ARTIFACT = "artifact"
_FOLDER = "folder"
PREVENTS_PLAN = (*NOT_ANSWERING, *_CODES.values(), _ARTIFACT, _FOLDER)
"""The codes of findings with which no plan can be made."""


@dataclass(frozen=True)
class Machine:
    """This machine.

    Args:
        free_memory_mb: free memory in MB; None when it is not known.
        plugin_missing: whether the AWS plugin must still be fetched.
        engine_problem: why no engine can run; None when one can.
        disks: where a run writes. folder: of the settings, where the engine works.
    """

    free_memory_mb: int | None
    plugin_missing: bool = False
    engine_problem: RegionshiftError | None = None
    disks: tuple[Disk, ...] = ()
    folder: Path = Path()


def preflight(
    environment: Environment, machine: Machine, regions: Sequence[Finding] | None = None
) -> list[Finding]:
    """Every finding before the plan. An empty list means that there is no obstacle.

    Changes nothing. Makes its calls in parallel, as it runs before every `up`.

    Args:
        regions: from `region_findings`, if it was called already. Regions that do not answer are not asked again.
    """
    down = {each.region for each in regions or () if each.code in NOT_ANSWERING}
    answering = [region for region in environment.regions if region not in down]
    parts: Sequence[Callable[[], list[Finding]]] = (
        lambda: _names(environment),
        lambda: size_findings(environment.config),
        lambda: _engine(machine),
        lambda: _folder(machine),
        lambda: room_findings(machine.disks, len(environment.config.all_regions)),
        lambda: list(region_findings(environment) if regions is None else regions),
        lambda: _release(environment),
        lambda: _memory(environment, machine),
        lambda: _plugin(environment, machine),
        lambda: _pending_secrets(environment, answering),
        lambda: _state_region(environment),
        lambda: _state_key(environment),
        lambda: operator_findings(environment),
        lambda: _boundary(environment),
        lambda: key_findings(environment.clients, environment.config, answering),
    )
    with ThreadPoolExecutor(max_workers=len(parts)) as pool:
        findings = [finding for found in pool.map(lambda part: part(), parts) for finding in found]
    # A region that refuses or does not answer is reported once, and not looked at.
    told: dict[str | None, Finding] = {}
    for each in findings:
        if each.code in NOT_ANSWERING:
            told.setdefault(each.region, each)
    return [
        each
        for each in findings
        if each is told.get(each.region)
        or each.code not in (*NOT_ANSWERING, UNKNOWN)
        or each.region not in told
    ]


def plan_findings(environment: Environment, record: RunRecord) -> list[Finding]:
    """The obstacles of the preview ``record``: taken names, resources of others, quotas, policies, permissions.

    Asks AWS only about resources that are created or deleted, so nothing when nothing changes.
    """
    steps = [step for step in record.outcomes if not step.region or step.region in environment.regions]
    return [
        *collision_findings(environment, steps),
        # A region that the settings no longer name is deleted, not left out.
        *ownership_findings(
            environment, [each for each in record.outcomes if each.region not in environment.scope.uncalled]
        ),
        *quota_findings(environment, steps),
        *policy_findings(
            environment.config, steps, environment.now().date(), is_whole=not environment.scope.uncalled
        ),
        *too_large_findings(steps),
        *permission_findings(environment, steps),
    ]


def _engine(machine: Machine) -> list[Finding]:
    problem = machine.engine_problem
    if problem is None:
        return []
    remedy = problem.remedy or "run `make tools`, or put a Pulumi CLI that fits on the PATH"
    return [Finding("engine", "error", problem.message, None, remedy, is_input=True)]


def _folder(machine: Machine) -> list[Finding]:
    """The folder must be UTF-8, as the engine sends it to its plugins (protocol buffers, Language Guide, string)."""
    try:
        os.fsencode(machine.folder).decode()
    except UnicodeDecodeError:
        message = f"the engine cannot work in {machine.folder}: that name is not UTF-8"
        remedy = "rename the folder, or copy it with its .regionshift to another one"
        return [Finding(_FOLDER, "error", message, None, remedy, is_input=True)]
    return []


def _names(environment: Environment) -> list[Finding]:
    return [
        Finding(
            "name",
            "error",
            f"{problem.name} {problem.problem}",
            problem.region,
            "change project or environment",
            is_input=True,
        )
        for problem in name_problems(environment.config)
    ]


def region_findings(environment: Environment, *, tolerate: bool = True) -> list[Finding]:
    """An error for each region that refuses these credentials, as one that the account has not enabled does.

    A region that does not answer in time, or with an error of its own, is DOWN. That is a warning while no more than
    `deployment.failure_tolerance` are down, and always an error without ``tolerate``.
    """
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = dict(zip(environment.regions, pool.map(_ask(environment), environment.regions), strict=True))
    wrong = {region: error for region, error in found.items() if error is not None}
    down = [region for region, error in wrong.items() if _is_outside(error)]
    tolerance = environment.config.deployment.failure_tolerance if tolerate else 0
    tolerated = len(down) <= tolerance and set(down) < found.keys()
    return [
        _down(region, error.message, tolerated=tolerated) if region in down else _refuses(region, error)
        for region, error in wrong.items()
    ]


def without_down(environment: Environment, *, tolerate: bool) -> tuple[Environment, list[Finding]]:
    """The environment without the regions that are down, as far as that is tolerated; and `region_findings`.

    ``tolerate``: see `region_findings`.
    """
    findings = region_findings(environment, tolerate=tolerate)
    return environment.without(down=down_of(findings)), findings


def down_of(findings: Sequence[Finding]) -> list[str]:
    """The regions in `region_findings` that are down, as far as that is tolerated."""
    return [
        each.region for each in findings if each.code == DOWN and each.severity == "warning" and each.region
    ]


def _ask(environment: Environment) -> Callable[[str], RegionshiftError | None]:
    def ask(region: str) -> RegionshiftError | None:
        try:
            who_asks(environment.clients, region)
        except RegionshiftError as error:
            return error
        return None

    return ask


def _is_outside(error: RegionshiftError) -> bool:
    return isinstance(error, AwsFailed) and error.is_outside


def _down(region: str, why: str, *, tolerated: bool) -> Finding:
    said = f"{region} does not answer: {why}"
    if tolerated:
        remedy = "it gets no call and is marked; run `regionshift up` again when it is back"
        return Finding(DOWN, "warning", f"{said}; it is left out", region, remedy)
    remedy = (
        f"if it is the region: --skip-region {region} leaves it out, as does deployment.failure_tolerance;"
        " else look at the network of this machine and the region's name"
    )
    return Finding(DOWN, "error", said, region, remedy)


def _refuses(region: str, error: RegionshiftError) -> Finding:
    remedy = error.remedy or "enable the region for the account, or take it out of `regions`"
    return Finding(REFUSES, "error", f"{region} refuses: {error.message}", region, remedy)


def _release(environment: Environment) -> list[Finding]:
    """Findings on the parts of a release: the artifact, the values of secrets, enough zones."""
    try:
        silent = [each for each in environment.regions if each not in environment.release().zones]
    except RegionshiftError as error:
        code = _CODES.get(error.where or "", _ARTIFACT)
        remedy = error.remedy or f"fix what {error.where or 'the message'} names"
        given = isinstance(error, InputError)
        return [Finding(code, "error", error.message, None, remedy, is_input=given)]
    said = "its availability zones could not be asked for"
    return [_down(region, said, tolerated=False) for region in silent]


def _boundary(environment: Environment) -> list[Finding]:
    """Return an error when the permissions boundary does not exist, or is narrower than these settings need.

    AWS creates no role with a boundary that does not exist (IAM API Reference, "CreateRole", NoSuchEntity). Only the
    boundary of `bootstrap` is read: what another one should allow, its owner knows.
    """
    config, clients, region = environment.config, environment.clients, environment.regions[0]
    arn = config.access.boundary
    if arn is None:
        return []
    try:
        policy = clients.call(region, "iam", "get_policy", PolicyArn=arn)["Policy"]
        if arn != boundary_arn(config):
            return []
        version = {"PolicyArn": arn, "VersionId": policy["DefaultVersionId"]}
        found = clients.call(region, "iam", "get_policy_version", **version)["PolicyVersion"]["Document"]
    except AwsFailed as error:
        if error.code == "NoSuchEntity":
            said = f"the policy {arn} of access.boundary does not exist"
            remedy = "`regionshift bootstrap` makes it; or name another one in access.boundary"
            return [Finding("boundary", "error", said, None, remedy)]
        said = f"the policy {arn} of access.boundary cannot be read: {error.message}"
        remedy = error.remedy or f"allow iam:GetPolicy and iam:GetPolicyVersion on {arn}"
        return [Finding("boundary-unknown", "warning", said, None, remedy)]
    lacking = opened([_allowed(found)], [_allowed(document(boundary_statements(config)))])
    if not lacking:
        return []
    first = lacking[0]
    lacks = (
        first.resources[0] if first.aspect == "resource" else f"{first.actions[0]} on {first.resources[0]}"
    )
    said = f"the permissions boundary {arn} is too narrow for these settings: it does not cover {lacks}"
    remedy = "run `regionshift bootstrap` with an administrator's credentials, then this command again"
    return [Finding("boundary", "error", said, None, remedy)]


def _allowed(text: str | Mapping[str, Any]) -> Policy:
    return Policy(tuple(each for each in parse(text) if each.effect == "Allow"))


def _memory(environment: Environment, machine: Machine) -> list[Finding]:
    if environment.config.target != "aws":
        return []  # the local provider runs in this process, for all regions
    needed = PLUGIN_MEMORY_MB * len(environment.regions)
    if machine.free_memory_mb is None or needed <= machine.free_memory_mb:
        return []
    message = (
        f"{len(environment.regions)} provider processes may need {needed} MB, "
        f"{machine.free_memory_mb} MB are free"
    )
    return [Finding("memory", "warning", message, None, "run on a larger machine, or with fewer regions")]


def _plugin(environment: Environment, machine: Machine) -> list[Finding]:
    if environment.config.target != "aws" or not machine.plugin_missing:
        return []
    remedy = "install it beforehand with `pulumi plugin install resource aws` where the network is closed"
    return [Finding("plugin", "info", "the engine will first download its AWS plugin", None, remedy)]


def _pending_secrets(environment: Environment, regions: Sequence[str]) -> list[Finding]:
    """An error for each secret that waits for its deletion: on AWS its name cannot be used until then.

    Secrets Manager API Reference, CreateSecret, InvalidRequestException. The provider of the embedded AWS restores such
    secrets by itself. The ordinary plugin cannot.
    """
    config = environment.config
    if config.target != "aws" or config.application.store != "secretsmanager":
        return []
    found: list[Finding] = []
    for region in regions:
        try:
            with told_plainly(region, "secrets"):
                found += _pending_in(environment, region)
        except AwsFailed as error:
            remedy = error.remedy or "run the command again when the region answers"
            message = f"it cannot be seen whether secrets wait for their deletion: {error.message}"
            found.append(Finding("pending-secret-unknown", "warning", message, region, remedy))
    return found


def _pending_in(environment: Environment, region: str) -> list[Finding]:
    return [
        Finding(
            "pending-secret",
            "error",
            f"the secret {secret['Name']} waits for its deletion, and its name is taken until then",
            region,
            f"aws secretsmanager delete-secret --force-delete-without-recovery --region {region} "
            f"--secret-id {secret['Name']}   (then run the command again)",
        )
        for secret in secrets_of(environment.clients, environment.config, region)
        if "DeletedDate" in secret
    ]


def _state_region(environment: Environment) -> list[Finding]:
    """A warning when the state, or its key, is in a region of the environment, and would be lost with the region."""
    config = environment.config
    places = [
        ("the state", _bucket_region(environment)),
        ("the state's key", _key_region(config.state_secrets)),
    ]
    return [
        Finding(
            "state-region",
            "warning",
            f"{what} lies in a region of this environment: with the region it would be out of reach too",
            region,
            "keep it in a region that the environment does not use",
        )
        for what, region in places
        if region in config.all_regions
    ]


# S3 API Reference, GetBucketLocation: no constraint means us-east-1, and EU is what old buckets in Ireland say.
_OLD_PLACES = {"EU": "eu-west-1"}


def _bucket_region(environment: Environment) -> str | None:
    state = parse_state_url(environment.config.state)
    if not state.bucket or state.region:
        return state.region
    for region in environment.regions:
        try:
            answer = environment.clients.impatient.call(
                region, "s3", "get_bucket_location", Bucket=state.bucket
            )
        except AwsFailed as error:
            if not error.is_outside:
                return None  # the caller may use the bucket, but need not be allowed to ask for its region
        else:
            place = str(answer.get("LocationConstraint") or "us-east-1")
            return _OLD_PLACES.get(place, place)
    return None  # no region answers: another finding says so


def _key_region(provider: str | None) -> str | None:
    key = parse_key_url(provider)
    return key.region if key else None


def _state_key(environment: Environment) -> list[Finding]:
    """A warning when a shared state has its key on one machine: only that machine could decrypt its secrets."""
    config = environment.config
    if not parse_state_url(config.state).is_shared or parse_key_url(config.state_secrets) is not None:
        return []
    return [
        Finding(
            "state-key",
            "warning",
            "only this machine can continue a change or roll one back: the key of the state's secrets is in its"
            " .regionshift/state.key",
            None,
            "keep a copy of that file; for new environments set `state_secrets: awskms://…`",
        )
    ]
