"""Whether the caller may do what a preview would do, asked of IAM before the first change.

For the preview role of a pipeline, the rights of the pipeline's deploy role are checked.

One question a region asks about all actions at once. Only refused actions are asked again, each with the ARN that it
would use; the ARN of the region's key is in the engine's state. When IAM cannot decide without the whole request, a
finding says so, and the work goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed, told_plainly
from regionshift.engine.events import ResourceStep
from regionshift.infrastructure.rights import EITHER, LOOKS, PASSED, RIGHTS, Rights, has_resource
from regionshift.infrastructure.site import default_tags
from regionshift.operations.environment import Environment
from regionshift.report.values import Finding, Severity
from regionshift.settings.components import WORKER_CARRY_POLICIES, PipelineRole, every_name
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import NameKind
from regionshift.settings.regions import PARTITIONS, partition_of, service_host

_AT_ONCE = 8
_ALLOWED = "allowed"
_MIXED = "InvalidInput"
_KEY_TYPE = "aws:kms/key:Key"
_ROLE, _KEY = RIGHTS["aws:iam/role:Role"], RIGHTS[_KEY_TYPE]
# That of an interface endpoint's private name, which is its service's.
_ZONE = Rights((), (), (), "arn:{partition}:route53:::hostedzone/*")
_LOOK = "the look for what is left"


@dataclass(frozen=True)
class _Need:
    """One action that steps of one type in one region need, and the ARN that it would use.

    ``severity``: of a refusal. It is a warning when no planned step needs the action, or ``arn`` is made up.
    ``said``: condition keys, with values, that such a request has besides those of every request.
    """

    region: str
    type: str
    action: str
    arn: str
    severity: Severity = "error"
    said: tuple[tuple[str, str], ...] = ()


@dataclass
class _Answer:
    """What IAM refused, and what it could not decide."""

    refused: set[_Need] = field(default_factory=set)
    undecided: set[_Need] = field(default_factory=set)


def permission_findings(
    environment: Environment, steps: Sequence[ResourceStep], *, has_state: bool = True
) -> list[Finding]:
    """An error for each type that the caller may not work on, an info when IAM does not answer.

    A warning for actions that only the search for leftovers needs, and for a key that the state does not know.

    Makes no call when nothing changes.

    Args:
        has_state: the engine's state can be read.
    """
    needs = _needs(environment, steps, has_state)
    if not needs:
        return []
    try:
        principal = _who_deploys(environment)
        if principal.endswith(":root"):
            return [_unknown(f"the caller is {principal}, whose permissions IAM does not simulate")]
        answer = _asked(environment, principal, needs)
    except AwsFailed as error:
        return [_unknown(f"it cannot be asked what the caller may do: {error.message}")]
    return [*_told(answer.refused, principal), *_doubts(answer.undecided, principal)]


def operator_findings(environment: Environment) -> list[Finding]:
    """An error when `access.operators` would shut the caller out of the environment's buckets."""
    operators = environment.config.access.operators
    if not operators:
        return []
    named = f"name the caller in access.operators: {', '.join(operators)}"
    try:
        caller = _who_deploys(environment)
    except AwsFailed as error:
        why = f"it cannot be told whether the caller is one of access.operators: {error.message}"
        return [Finding("operators", "error", why, None, "allow iam:GetRole on the caller's own role")]
    if any(fnmatchcase(caller, pattern) for pattern in operators):
        return []
    return [Finding("operators", "error", f"{caller} is none of access.operators", None, named)]


def _needs(environment: Environment, steps: Iterable[ResourceStep], has_state: bool) -> set[_Need]:
    config = environment.config
    names: dict[tuple[str, NameKind], str] = {}
    for each in every_name(config):
        names.setdefault((each.region, each.kind), each.name)

    def arn_of(about: Rights, action: str, region: str, kind: str = "") -> str:
        if not has_resource(action):
            return "*"
        name = names.get((region, about.kind), "") if about.kind else ""
        if action == "iam:PassRole" and kind in PASSED:
            name = PASSED[kind].roles[0].name(config.names, region)
        name = "*" if action in about.of_any else name
        return about.on.format(
            name=name, partition=partition_of(region), region=region, account=config.account
        )

    changing = [(each, each.region) for each in steps if each.changes and each.type in RIGHTS and each.region]
    wanted = [(step, region, action) for step, region in changing for action in _actions(step, config)]
    keys = (
        _keys(environment) if has_state and any(action.startswith("kms:") for _, _, action in wanted) else []
    )
    found = set()
    for step, region, action in wanted:
        about = _about(action, step.type)
        need = _Need(region, step.type, action, arn_of(about, action, region, step.type))
        need = replace(need, said=_said(step, action, region, config))
        if about is _KEY and need.arn != "*":
            own = step.type == _KEY_TYPE
            known = [
                key.arn
                for key in keys
                if key.region == region and (step.urn in ("", key.urn) if own else key.encrypts)
            ]
            # A new key is not known yet. The caller may be allowed to use a key that is not known.
            need = replace(need, severity="error" if own or known else "warning")
            found |= {replace(need, arn=arn) for arn in known or (need.arn,)}
        else:
            found.add(need)
    for region in {region for _, region in changing}:
        for action, kind in LOOKS.items():
            arn = arn_of(RIGHTS[kind], action, region) if kind else "*"
            found.add(_Need(region, _LOOK, action, arn, "warning"))
    return found


def _actions(step: ResourceStep, config: MigrationConfig) -> list[str]:
    """The actions of a step, by the table. A deletion does not depend on today's settings."""
    rights = RIGHTS[step.type]
    retagged = any(path.startswith("tags") for path in step.changed)
    wanted = (
        *rights.of(step.op, retagged=retagged),
        *(rights.by_settings(config) if step.op != "delete" else ()),
    )
    return [action for action in wanted if action not in EITHER]


def _said(
    step: ResourceStep, action: str, region: str, config: MigrationConfig
) -> tuple[tuple[str, str], ...]:
    """Condition keys of these requests alone: the service that gets a role, or that uses a key."""
    service, kind = action.partition(":")[0], step.type
    if action == "iam:PassRole" and kind in PASSED:
        return (("iam:PassedToService", PASSED[kind].service),)
    if service == "kms" and kind != _KEY_TYPE and not kind.startswith("aws:kms/"):
        return (("kms:ViaService", service_host(RIGHTS[kind].on.split(":")[2], region)),)
    if service != "iam":
        return ()
    policy = step.new.get("policyArn") if kind.startswith("aws:iam/rolePolicyAttachment") else None
    own = f"arn:{partition_of(region)}:iam::{config.account}:policy/"
    attached = str(policy or own + WORKER_CARRY_POLICIES[0].name(config.names, region))
    bound = config.access.boundary
    return (
        ("iam:PolicyARN", attached),
        *((("iam:PermissionsBoundary", bound),) if bound else ()),
    )


@dataclass(frozen=True)
class _Key:
    """A key in the engine's state. ``encrypts``: it encrypts, and does not make MACs."""

    urn: str
    arn: str
    encrypts: bool

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]


def _keys(environment: Environment) -> list[_Key]:
    found = [
        (str(each["urn"]), each.get("outputs") or {})
        for each in environment.engine.resources()
        if each["type"] == _KEY_TYPE
    ]
    return [
        _Key(urn, str(told["arn"]), told.get("keyUsage") != "GENERATE_VERIFY_MAC")
        for urn, told in found
        if told.get("arn")
    ]


def _about(action: str, kind: str) -> Rights:
    """The row with the ARNs that the action uses. A role is passed, a key used and a zone joined for others."""
    if action == "iam:PassRole":
        return _ROLE
    if action.startswith("route53:"):
        return _ZONE
    return _KEY if action.startswith("kms:") and not kind.startswith("aws:kms/") else RIGHTS[kind]


def _who_deploys(environment: Environment) -> str:
    """The caller. For the preview role of a pipeline, which changes nothing, its deploy role."""
    caller = _principal(environment.clients, environment.regions[0])
    if caller == PipelineRole.PREVIEW.arn(environment.config):
        return PipelineRole.DEPLOY.arn(environment.config)
    return caller


def previews(environment: Environment) -> bool:
    """Whether the caller is the preview role of a pipeline. False when the caller cannot be looked up."""
    try:
        caller = _principal(environment.clients, environment.regions[0])
    except AwsFailed:
        return False
    return caller == PipelineRole.PREVIEW.arn(environment.config)


def _principal(clients: Clients, region: str) -> str:
    """The ARN of the user or role of the credentials. A role is named by its session, without its path."""
    arn = str(clients.call(region, "sts", "get_caller_identity")["Arn"])
    if ":assumed-role/" not in arn:
        return arn
    role = clients.call(region, "iam", "get_role", RoleName=arn.split("/")[1])["Role"]
    return str(role["Arn"])


@dataclass(frozen=True)
class _Question:
    """One question to IAM: whether ``needs`` are allowed in a region, on an ARN, with these condition keys."""

    place: str
    arn: str
    said: tuple[tuple[str, str], ...]
    needs: Collection[_Need]


def _asked(environment: Environment, principal: str, needs: Collection[_Need]) -> _Answer:
    places: dict[str, set[_Need]] = {}
    for need in needs:
        places.setdefault(_place(need), set()).add(need)
    answer = _Answer()

    def simulate(question: _Question) -> Mapping[str, Mapping[str, Any]]:
        actions = sorted({need.action for need in question.needs})
        context = _context(environment, question.place, question.said)
        return _simulated(environment, principal, question.place, actions, question.arn, context)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        first = [_Question(place, "*", (), wanted) for place, wanted in sorted(places.items())]
        again: list[_Question] = []
        for question, told in zip(first, pool.map(simulate, first), strict=True):
            left = {need for need in question.needs if not _is_allowed(told, need)}
            again += [
                _Question(question.place, arn, said, {n for n in left if (n.arn, n.said) == (arn, said)})
                for arn, said in sorted({(need.arn, need.said) for need in left})
            ]
        for question, said in zip(again, pool.map(simulate, again), strict=True):
            wanted = question.needs
            for need in wanted:
                if not _is_allowed(said, need):
                    lacks_context = said.get(need.action, {}).get("MissingContextValues")
                    (answer.undecided if lacks_context else answer.refused).add(need)
    return answer


def _place(need: _Need) -> str:
    # `aws:RequestedRegion` of IAM's own calls is its one region of the partition (IAM User Guide, "AWS global condition
    # context keys"). A role is passed to a service in the region of the service's call.
    if need.action.startswith("iam:") and need.action != "iam:PassRole":
        return PARTITIONS[partition_of(need.region)].iam_region
    return need.region


def _is_allowed(said: Mapping[str, Mapping[str, Any]], need: _Need) -> bool:
    return said.get(need.action, {}).get("EvalDecision") == _ALLOWED


def _simulated(
    environment: Environment,
    principal: str,
    region: str,
    actions: list[str],
    arn: str,
    context: list[dict[str, object]],
) -> dict[str, Mapping[str, Any]]:
    """IAM's answer by action. IAM API Reference, SimulatePrincipalPolicy: it only simulates.

    IAM refuses a question (InvalidInput) about actions that require different authorization information. Then each half
    of the actions is asked again.
    """
    # On AWS the same IAM answers everywhere. The embedded AWS takes the region from the request. A region that is
    # left out is not called, even for this.
    through = region if region in environment.regions else environment.regions[0]
    iam = environment.clients.named("iam", through)
    try:
        with told_plainly(region):
            pages = iam.get_paginator("simulate_principal_policy").paginate(
                PolicySourceArn=principal,
                ActionNames=actions,
                ResourceArns=[arn],
                ContextEntries=context,
            )
            return {each["EvalActionName"]: each for page in pages for each in page["EvaluationResults"]}
    except AwsFailed as error:
        if error.code != _MIXED or len(actions) == 1:
            raise
    half = len(actions) // 2
    parts = (
        _simulated(environment, principal, region, part, arn, context)
        for part in (actions[:half], actions[half:])
    )
    return {action: said for part in parts for action, said in part.items()}


def _context(
    environment: Environment, region: str, said: Iterable[tuple[str, str]]
) -> list[dict[str, object]]:
    """The condition keys that are known before the request. ``said``: those of requests of one kind."""
    own = default_tags(environment.config, region)
    known = {
        "aws:RequestedRegion": region,
        "aws:PrincipalAccount": environment.config.account,
        "aws:ResourceAccount": environment.config.account,
        **{f"aws:RequestTag/{key}": value for key, value in own.items()},
        **{f"aws:ResourceTag/{key}": value for key, value in own.items()},
        **dict(said),
    }
    entries: list[dict[str, object]] = [
        {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": [value]}
        for key, value in known.items()
    ]
    secure: dict[str, object] = {
        "ContextKeyName": "aws:SecureTransport",
        "ContextKeyType": "boolean",
        "ContextKeyValues": ["true"],
    }
    return [*entries, secure]


def _told(refused: Collection[_Need], principal: str) -> list[Finding]:
    return [
        Finding(
            "permission",
            severity,
            f"{_short(principal)} may not {', '.join(actions)}, which {kind} needs",
            region,
            f"allow it on {arn}, or use other credentials",
        )
        for (region, kind, arn, severity), actions in _grouped(refused).items()
    ]


def _doubts(undecided: Collection[_Need], principal: str) -> list[Finding]:
    if not undecided:
        return []
    actions = sorted({need.action for need in undecided})
    said = ", ".join(actions[:5]) + (f" and {len(actions) - 5} more" if len(actions) > 5 else "")
    return [_unknown(f"whether {_short(principal)} may {said} depends on what only the call itself says")]


def _grouped(needs: Collection[_Need]) -> dict[tuple[str, str, str, Severity], list[str]]:
    found: dict[tuple[str, str, str, Severity], list[str]] = {}
    for need in sorted(needs, key=lambda each: (each.region, each.type, each.action)):
        found.setdefault((need.region, need.type, need.arn, need.severity), []).append(need.action)
    return found


def _short(principal: str) -> str:
    return principal.rpartition(":")[2]


def _unknown(why: str) -> Finding:
    return Finding("permission-unknown", "info", why, None, "go on: AWS itself refuses what is not allowed")
