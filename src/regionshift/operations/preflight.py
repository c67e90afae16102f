"""What must be so before the first change: each thing that is not becomes a finding with its remedy."""

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


# What is wrong with the release, by where the error says it is.
_CODES = {"application.secrets": "secret", "network.zones": "zones"}
_ARTIFACT = "artifact"
_FOLDER = "folder"
PREVENTS_PLAN = (*NOT_ANSWERING, *_CODES.values(), _ARTIFACT, _FOLDER)
"""The codes of findings with which no plan can be made."""


@dataclass(frozen=True)
class Machine:
    """What this machine offers.

    Args:
        free_memory_mb: memory that is free, in MB; None when the system does not tell.
        plugin_missing: whether the AWS plugin must still be fetched.
        engine_problem: why no engine can be run; None when one can.
        disks: where a run writes. folder: where the settings are, and the engine works.
    """

    free_memory_mb: int | None
    plugin_missing: bool = False
    engine_problem: RegionshiftError | None = None
    disks: tuple[Disk, ...] = ()
    folder: Path = Path()


def preflight(
    environment: Environment, machine: Machine, regions: Sequence[Finding] | None = None
) -> list[Finding]:
    """Every finding there is before the plan; an empty list means that nothing stands in the way.

    Changes nothing. Its calls are made side by side, for it runs before every `up`.

    Args:
        regions: what `region_findings` found, when it was asked already; who does not answer is asked no more.
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
    # Nothing can be seen in a region that refuses or does not answer, which is told once.
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
    """What stands in the way of what the preview in ``record`` would do: names taken, what is not ours, quotas,
    policies, permissions.

    Asks AWS only about what is to be made or to go, so nothing when nothing changes.
    """
    steps = [step for step in record.outcomes if not step.region or step.region in environment.regions]
    return [
        *collision_findings(environment, steps),
        # A region that the settings no longer name is about to go, and not left out.
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
    """The engine tells its plugins where it works, as text (protocol buffers, Language Guide, string: UTF-8)."""
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
    """Each region must answer these credentials; a region that is not enabled for the account refuses.

    One that does not answer at all, in time or but with an error of its own, is DOWN: a warning while there are
    no more of them than `deployment.failure_tolerance`, and never when nothing can be left out (``tolerate``).
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
    """The same without the regions that do not answer, as far as that is tolerated; and what each answered.

    ``tolerate`` as `region_findings` has it.
    """
    findings = region_findings(environment, tolerate=tolerate)
    return environment.without(down=down_of(findings)), findings


def down_of(findings: Sequence[Finding]) -> list[str]:
    """The regions among `region_findings` that are down, as far as that is tolerated."""
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
    """What a release is made of must be there: the artifact, the values of secrets, zones enough."""
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
        return []  # the local provider is a part of this process, for all regions together
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
    """On AWS nothing can be made under the name of a secret that waits for its deletion.

    Secrets Manager API Reference, CreateSecret, InvalidRequestException. The embedded AWS's provider takes such
    secrets back by itself; the ordinary plugin cannot.
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
    """When the state, or the key of its secrets, is lost with a region, nothing can be mended from elsewhere."""
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
                return None  # whoever may use the bucket need not be allowed to ask where it is
        else:
            place = str(answer.get("LocationConstraint") or "us-east-1")
            return _OLD_PLACES.get(place, place)
    return None  # no region answers, which is a finding of its own


def _key_region(provider: str | None) -> str | None:
    key = parse_key_url(provider)
    return key.region if key else None


def _state_key(environment: Environment) -> list[Finding]:
    """Who shares the state must be able to open its secrets, or only the machine that made it can go on."""
    config = environment.config
    if not parse_state_url(config.state).is_shared or parse_key_url(config.state_secrets) is not None:
        return []
    return [
        Finding(
            "state-key",
            "warning",
            "only this machine can go on with a change or take one back: the key of the state's secrets is in its"
            " .regionshift/state.key",
            None,
            "keep a copy of that file; for new environments set `state_secrets: awskms://…`",
        )
    ]
