"""What an account and an environment's pipeline need before the first `up`: planned, made, and taken down again.

The engine's state of it lies beside the caller until the bucket that it makes is there, and in that bucket from then
on: any machine finds it there. Its account's object is copied last and removed first, so that it alone says where the
state is, whenever a command is killed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed, code_of, told_plainly
from regionshift.aws.resource_finders import FINDS, NAMED, Look
from regionshift.carriers.s3.undoing import empty_bucket
from regionshift.engine.engine import Engine, Program
from regionshift.engine.events import ResourceStep
from regionshift.errors import Refused
from regionshift.iam.findings import RULES
from regionshift.infrastructure.bootstrap import (
    AUDIENCE,
    DEPLOYER_MEANT,
    DEPLOYER_ON_EVERYTHING,
    MADE,
    Imports,
    issuer_host,
)
from regionshift.infrastructure.operator_rights import reaches_beyond
from regionshift.infrastructure.policies.statement import WITHOUT_RESOURCE
from regionshift.infrastructure.site import MANAGED_BY
from regionshift.journal.store import StateStore
from regionshift.operations.broadening import allowed, growth_of, made_findings
from regionshift.operations.costs import cost_of
from regionshift.operations.planning import BUCKET, change_of, losses_of
from regionshift.operations.policy_findings import policy_findings
from regionshift.report.values import Change, Finding, Plan, PolicyFinding
from regionshift.settings.carry import Carry
from regionshift.settings.components import STATE_KEY_ALIAS, PipelineRole, boundary_arn, state_bucket
from regionshift.settings.config import Access, Application, MigrationConfig, Regions
from regionshift.settings.names import Identity

STATE_FOLDER = "bootstrap"
"""Of the bucket, and of ``.regionshift/``: where the state of all this lies."""
ENVIRONMENTS = "environments"
"""Of the bucket: where the states of environments are."""
_PROJECT, _STACK = "regionshift", "bootstrap"
_ONE_LAW = (
    ("us-east-1", "us-east-2", "us-west-2", "us-west-1"),
    ("eu-central-1", "eu-west-1", "eu-north-1", "eu-west-3", "eu-south-1", "eu-south-2"),
    ("ap-northeast-1", "ap-northeast-3"),
    ("cn-north-1", "cn-northwest-1"),
    ("us-gov-west-1", "us-gov-east-1"),
    ("us-iso-east-1", "us-iso-west-1"),
    ("us-isob-east-1", "us-isob-west-1"),
)
"""Regions of one country or of the European Union; first those that every account has (AWS Account Management Guide,
"Enable or disable AWS Regions in your account")."""
_STACKS = ".pulumi/stacks"
_KEY = "aws:kms/key:Key"
_ALIAS = "aws:kms/alias:Alias"
_ISSUER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"


def account_settings(config: MigrationConfig, region: str) -> MigrationConfig:
    """Settings for what the account has once, the same whichever environment's are at hand."""
    return config.model_copy(
        update={
            "project": _PROJECT,
            "environment": _STACK,
            "environment_suffix": "",
            "regions": Regions(primary=region),
            "access": Access(),
            "application": Application(),
            "carry": Carry(),
            "protect": False,
            "tags": {},
        }
    )


def default_region(config: MigrationConfig) -> str:
    """Where the bucket of states stands unless somebody says otherwise: near the primary, and not in the environment.

    With a region of the environment the state would be out of reach too. The primary, where none is in its country.
    """
    near = next((group for group in _ONE_LAW if config.regions.primary in group), ())
    return next((each for each in near if each not in config.all_regions), config.regions.primary)


def settings_after(config: MigrationConfig, region: str, *, keeps_state: bool = False) -> dict[str, str]:
    """What `bootstrap` gives the settings file, by dotted path; what stands there already is not named.

    Args:
        keeps_state: the environment was made already, with its state beside the settings, and would not be found.
    """
    found = {}
    if not config.state and not keeps_state:
        found["state"] = f"s3://{state_bucket(config.account)}/{ENVIRONMENTS}?region={region}"
        if config.state_secrets is None:
            found["state_secrets"] = f"awskms://{STATE_KEY_ALIAS}?region={region}"
    if config.access.boundary is None:
        found["access.boundary"] = boundary_arn(config)
    return found


def with_values(config: MigrationConfig, values: Mapping[str, str]) -> MigrationConfig:
    """The settings as they are with ``values`` of :func:`settings_after` in them."""
    access = config.access.model_copy(
        update={"boundary": values.get("access.boundary", config.access.boundary)}
    )
    own = {path: value for path, value in values.items() if "." not in path}
    return config.model_copy(update={**own, "access": access})


@dataclass(frozen=True)
class BootstrapPart:
    """One of the two stacks: what the account has, or what an environment's pipeline has.

    Args:
        config: settings of whose names and tags it is. region: where it lies, however the settings change.
        program: what the engine runs, by what it takes over.
    """

    config: MigrationConfig
    region: str
    clients: Clients
    engine: Engine
    program: Callable[[Imports], Program]

    def look(self, step: ResourceStep) -> Look:
        """How what ``step`` makes is looked for, and by which tags it is ours."""
        owner = {
            "Project": self.config.project,
            "Environment": self.config.suffix,
            "ManagedBy": MANAGED_BY,
            "Name": step.name,
        }
        return Look(self.clients, self.config.account, self.region, step.new, owner)


@dataclass(frozen=True)
class PartPlan:
    """What one part would do.

    Args:
        steps: one a resource, those that stay as they are too.
        imports: {logical name: id} of what it takes over first.
        is_whole: all of it was made before. What is made anew then may open something in what stands.
    """

    steps: tuple[ResourceStep, ...]
    findings: tuple[Finding, ...] = ()
    imports: Imports = field(default_factory=dict)
    is_whole: bool = True

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every step that changes something, as it is shown."""
        found = map(change_of, (step for step in self.steps if step.changes))
        return tuple(sorted(found, key=lambda each: each.urn))

    @property
    def unchanged(self) -> int:
        """How many resources stay as they are."""
        return sum(step.op == "same" for step in self.steps)

    @property
    def may_open(self) -> tuple[ResourceStep, ...]:
        """The steps that may open something in what stands."""
        return tuple(step for step in self.steps if self.is_whole or step.op not in ("create", "import"))


def plan_part(part: BootstrapPart, today: date, *, take_over: bool) -> PartPlan:
    """Preview one part. What stands already and is ours was made by a run that was killed: it is taken over.

    So is what is somebody else's, with ``take_over``; without it that is an error. Changes nothing.
    """
    record = part.engine.preview(part.program({}))
    imports: dict[str, str] = {}
    findings = []
    for step in (each for each in record.outcomes if each.op == "create"):
        if (found := _standing(part, step)) is None:
            continue
        identity, is_ours = found
        if is_ours or take_over:
            imports[step.name] = identity
        findings.append(_finding(part, step, identity, is_ours, take_over))
    if imports:
        record = part.engine.preview(part.program(imports))
    is_whole = bool(part.engine.outputs().get(MADE))
    steps = tuple(step for step in record.outcomes if step.type.startswith("aws:"))
    findings += _policy_findings(part.config, steps, today)
    findings += made_findings(steps, (part.region,) if is_whole else ())
    return PartPlan(steps, tuple(findings), imports, is_whole)


def _policy_findings(
    config: MigrationConfig, steps: Sequence[ResourceStep], today: date
) -> list[PolicyFinding]:
    """Every fault of the policies of one part; those that deploying cannot do without are told as info, once a rule."""
    on_everything = (*WITHOUT_RESOURCE, *DEPLOYER_ON_EVERYTHING)
    found = policy_findings(config, steps, today, is_whole=False, on_everything=on_everything)
    left, meant = list[PolicyFinding](), dict[str, list[PolicyFinding]]()
    for each in found:
        is_meant = each.code in DEPLOYER_MEANT and each.document.startswith(f"{PipelineRole.DEPLOY}-")
        (meant.setdefault(each.code, []) if is_meant else left).append(each)
    for code, of_rule in meant.items():
        statements = ", ".join(dict.fromkeys(each.statement for each in of_rule))
        said = f"the deploying role, {statements}: {RULES[code].title}, as it is meant: {DEPLOYER_MEANT[code]} ({code})"
        left.append(replace(of_rule[0], severity="info", message=said, region=None))
    return left


def _finding(
    part: BootstrapPart, step: ResourceStep, identity: str, is_ours: bool, take_over: bool
) -> Finding:
    kind = step.type.rpartition(":")[2]
    if is_ours:
        said, remedy = f"{kind} {identity} was made by a run that did not end: it is taken over", "nothing"
        return Finding("recovered", "info", said, part.region, remedy)
    if take_over:
        said = f"{kind} {identity} is taken over as it is, and then made what it should be"
        return Finding("take-over", "warning", said, part.region, "allowed by --take-over")
    said = f"{kind} {identity} exists, and regionshift bootstrap did not make it"
    remedy = (
        "look whose it is; --take-over makes it this command's, which changes it and may delete it some day"
    )
    return Finding("exists", "error", said, part.region, remedy)


def _standing(part: BootstrapPart, step: ResourceStep) -> tuple[str, bool] | None:
    """The id of what is there in the place of what ``step`` makes, and whether it is ours; None for nothing."""
    look = part.look(step)
    if step.type in NAMED:
        with told_plainly(part.region):
            found = NAMED[step.type](look)
        return (found[0], look.is_ours(found[1])) if found else None
    if step.type == _KEY:
        with told_plainly(part.region):
            ours = next(FINDS[_KEY](look), None)
        if ours is not None:
            return ours, True
        key = _aliased(part)
        return (key, False) if key else None
    if step.type == _ALIAS:
        return (STATE_KEY_ALIAS, _owns_alias(part)) if _aliased(part) else None
    return None


def _aliased(part: BootstrapPart) -> str | None:
    """The id of the key that has the alias now."""
    try:
        found = part.clients.call(part.region, "kms", "describe_key", KeyId=STATE_KEY_ALIAS)
    except AwsFailed as error:
        if error.code == "NotFoundException":
            return None
        raise
    return str(found["KeyMetadata"]["KeyId"])


def _owns_alias(part: BootstrapPart) -> bool:
    key = _aliased(part)
    tags = part.clients.call(part.region, "kms", "list_resource_tags", KeyId=key)["Tags"]
    return {"TagKey": "Project", "TagValue": _PROJECT} in tags


def apply_part(part: BootstrapPart, plan: PartPlan) -> None:
    """Do what was planned; what was left open by a run that was killed is settled.

    Raises:
        WorkFailed: something could not be made; what was made is in the state, and the next run goes on from there.
    """
    if not plan.changes:
        return
    if plan.imports:
        part.engine.up(part.program(plan.imports), checkpoints=True)
    part.engine.up(part.program({}), checkpoints=True)
    if part.engine.pending():
        known = {str(each["urn"]) for each in part.engine.resources() if each.get("id")}
        part.engine.settle_pending({}, known)


def destroy_part(part: BootstrapPart) -> int:
    """Delete one part with its state, its bucket emptied first; gives how many resources went.

    Raises as :func:`require_own`; nothing is deleted then.
    """
    resources = require_own(part)
    for each in resources:
        if each["type"] == BUCKET:
            _empty(part, str(each["id"]))
    part.engine.destroy(_nothing)
    part.engine.remove_stack()
    return len(resources)


def require_own(part: BootstrapPart) -> list[dict[str, Any]]:
    """What the state knows, all of which may go. Whoever writes the state could name anything there.

    Raises:
        Refused: something of it that has a name and tags is not ours; what has none is a part of such a thing.
    """
    resources = [each for each in part.engine.resources() if str(each["type"]).startswith("aws:")]
    for each in resources:
        if each["type"] in NAMED:
            _require_ours(part, each)
    return resources


def _require_ours(part: BootstrapPart, resource: Mapping[str, Any]) -> None:
    owner = {"Project": part.config.project, "Environment": part.config.suffix, "ManagedBy": MANAGED_BY}
    look = Look(part.clients, part.config.account, part.region, resource.get("inputs") or {}, owner)
    with told_plainly(part.region):
        found = NAMED[str(resource["type"])](look)
    if found is not None and (found[0] != resource["id"] or not look.is_ours(found[1])):
        raise Refused(
            f"The state names {resource['id']}, which has no tags of this bootstrap: nothing was deleted.",
            where=str(resource["id"]),
            remedy="look whose it is; if it is not yours, take it out of the state: pulumi state delete",
            error_id="RS-ENVIRONMENT-005",
        )


def _empty(part: BootstrapPart, bucket: str) -> None:
    try:
        empty_bucket(part.clients.get("s3", part.region), bucket)
    except ClientError as error:
        if code_of(error) != "NoSuchBucket":
            raise


def _nothing() -> None:
    """The program of what has nothing in it."""


def doomed(part: BootstrapPart) -> PartPlan:
    """What :func:`destroy_part` would delete. Raises as :func:`require_own`."""
    return PartPlan(tuple(_step("delete", part, each) for each in require_own(part)))


def kept(part: BootstrapPart) -> PartPlan:
    """A part that stays as it is."""
    resources = (each for each in part.engine.resources() if str(each["type"]).startswith("aws:"))
    return PartPlan(tuple(_step("same", part, each) for each in resources))


def _step(op: str, part: BootstrapPart, resource: Mapping[str, Any]) -> ResourceStep:
    inputs = resource.get("inputs") or {}
    return ResourceStep(op, str(resource["urn"]), str(resource["type"]), part.region, old=inputs)


def plan_of(
    config: MigrationConfig,
    region: str,
    parts: Sequence[PartPlan],
    findings: Sequence[Finding] = (),
    allow_broadening: Collection[str] = (),
) -> Plan:
    """The plans of both parts as one, to be shown; ``findings`` before theirs.

    Args:
        allow_broadening: ids of what more may be opened in what was made before; anything else is an error.
    """
    opened = [each for part in parts for each in growth_of(part.may_open, (region,), (region,))]
    growth, broadening = allowed(opened, allow_broadening)
    steps = [step for part in parts for step in part.steps]
    return Plan(
        f"bootstrap of {config.project} {config.suffix}",
        (region,),
        tuple(change for part in parts for change in part.changes),
        (*findings, *(finding for part in parts for finding in part.findings), *broadening),
        unchanged=sum(part.unchanged for part in parts),
        growth=growth,
        losses=losses_of(steps),
        cost=cost_of(steps),
    )


def reach_findings(config: MigrationConfig) -> list[Finding]:
    """A warning for each way in which the pipeline's roles reach beyond their environment."""
    if not config.pipeline.repository:
        return []
    roles: dict[tuple[str, str], list[str]] = {}
    for role in PipelineRole:
        for each in reaches_beyond(config, role):
            roles.setdefault(each, []).append(role.value)
    return [
        Finding("reach", "warning", f"{said} (roles: {', '.join(which)})", None, remedy)
        for (said, remedy), which in roles.items()
    ]


def state_findings(config: MigrationConfig, *, keeps_state: bool) -> list[Finding]:
    """Of an environment that was made before the bucket, and whose state nobody moves for it."""
    if not keeps_state:
        return []
    said = f"{config.project} {config.suffix} was made with its state beside the settings, and keeps it there"
    remedy = "nothing on this machine; for a pipeline destroy it, run bootstrap again, and make it anew"
    return [Finding("state", "warning", said, None, remedy)]


# The issuer


def issuer_of(clients: Clients, config: MigrationConfig, region: str) -> tuple[str, Mapping[str, str]] | None:
    """The issuer of the pipeline's jobs as the account has it: its ARN and its tags."""
    inputs = {"url": f"https://{issuer_host(config)}"}
    with told_plainly(region):
        return NAMED[_ISSUER](Look(clients, config.account, region, inputs, {}))


def known_issuers(engine: Engine) -> list[str]:
    """The hosts of those that the state has."""
    found = (each for each in engine.resources() if each["type"] == _ISSUER)
    return [str(each["inputs"]["url"]).removeprefix("https://") for each in found]


def issuer_findings(clients: Clients, region: str, arn: str) -> list[Finding]:
    """Of an issuer that somebody else made: it is used as it is, if it takes tokens for our audience."""
    found = clients.call(region, "iam", "get_open_id_connect_provider", OpenIDConnectProviderArn=arn)
    if AUDIENCE in found["ClientIDList"]:
        said = f"{arn} exists; it is used as it is, and stays whatever becomes of this"
        return [Finding("issuer", "info", said, None, "nothing; --take-over would make it this command's")]
    said = f"{arn} exists, and takes no tokens for {AUDIENCE}"
    remedy = (
        f"aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {arn}"
        f" --client-id {AUDIENCE}, or --take-over"
    )
    return [Finding("issuer", "error", said, None, remedy)]


# The bucket, and where the state is


def region_of_bucket(clients: Clients, config: MigrationConfig) -> str | None:
    """The region of the account's bucket of states; None when there is none.

    Raises:
        Refused: a bucket of that name is another account's.
    """
    bucket = state_bucket(config.account)
    try:
        found = clients.call(
            config.regions.primary,
            "s3",
            "get_bucket_location",
            Bucket=bucket,
            ExpectedBucketOwner=config.account,
        )
    except AwsFailed as error:
        if error.code == "NoSuchBucket":
            return None
        if error.code == "AccessDenied":
            raise Refused(
                f"No permission to look at the bucket {bucket}: it is another account's, or a permission is missing.",
                where=bucket,
                remedy="allow s3:GetBucketLocation on it; if it is a stranger's, set `state` to a bucket of yours",
                error_id="RS-ENVIRONMENT-005",
            ) from error
        raise
    # S3 API Reference, "GetBucketLocation": of us-east-1 it tells nothing, of eu-west-1 sometimes EU.
    return {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}.get(
        found.get("LocationConstraint"), found.get("LocationConstraint")
    )


def state_object(identity: Identity) -> str:
    """Where the engine keeps the state of one part, under the URL of the state."""
    return f"{identity.engine_folder}/{_STACKS}/{identity.engine_project}/{identity.stack}.json"


def move_state(source: StateStore, target: StateStore, last: str) -> None:
    """Copy the whole state, the object ``last`` at the end: from then on ``target`` is where it is.

    What is left in ``source`` means nothing any more, and is removed. Killed on the way it is done again.
    """
    keys = _state_keys(source)
    for key in sorted(keys, key=lambda each: each == last):
        kept = source.get(key)
        if kept is not None:
            target.put(key, kept.body)
    source.delete([last])
    source.delete(key for key in keys if key != last)


def _state_keys(store: StateStore) -> list[str]:
    """Its locks are those of who works on it here; what the engine says of a file (``.attrs``) is the file's alone."""
    return [key for key in store.keys("engine") if "/locks/" not in key and not key.endswith(".attrs")]


def other_pipelines(store: StateStore, account: Identity, own: Identity) -> list[str]:
    """Environments beside ``own`` whose pipelines the state knows, as PROJECT ENVIRONMENT."""
    known = {state_object(account), state_object(own)}
    folder = f"{account.engine_folder}/{_STACKS}"
    found = (key for key in store.keys(folder) if key.endswith(".json") and key not in known)
    return sorted(" ".join(key.removesuffix(".json").split("/")[-2:]) for key in found)


@dataclass(frozen=True)
class BucketContents:
    """What is in the bucket beside the state of `bootstrap`.

    Args:
        standing: environments that stand by their state there. has_past: something is left of some that are gone.
        others: what `bootstrap` knows nothing of.
    """

    standing: tuple[str, ...]
    has_past: bool
    others: tuple[str, ...]


def held_in(part: BootstrapPart, store: StateStore) -> BucketContents:
    """Look what the bucket of the account's ``part`` holds. ``store``: where environments have their states in it."""
    bucket, region, clients = state_bucket(part.config.account), part.region, part.clients
    identities = store.keys("identity")
    stacks = [key for key in store.keys("engine") if f"/{_STACKS}/" in f"/{key}" and key.endswith(".json")]
    standing = {key.rpartition("/")[2].removesuffix(".json") for key in (*identities, *stacks)}
    with told_plainly(region):
        pages = clients.get("s3", region).get_paginator("list_objects_v2")
        below = pages.paginate(Bucket=bucket, Prefix=f"{ENVIRONMENTS}/")
        has_past = any(page.get("Contents") for page in below)
        top = list(pages.paginate(Bucket=bucket, Delimiter="/"))
    names = [each["Prefix"].rstrip("/") for page in top for each in page.get("CommonPrefixes", ())]
    names += [each["Key"] for page in top for each in page.get("Contents", ())]
    others = sorted(set(names) - {STATE_FOLDER, ENVIRONMENTS})
    return BucketContents(tuple(sorted(standing)), has_past, tuple(others))


def require_free(held: BucketContents, *, allow_data_loss: bool) -> None:
    """Raises Refused while the bucket holds what is not `bootstrap`'s to delete."""
    if held.standing:
        raise Refused(
            f"The states of environments are in the bucket: {', '.join(held.standing)}.",
            where="state",
            remedy="destroy them first (`regionshift destroy`), or move their states elsewhere",
            error_id="RS-ENVIRONMENT-008",
        )
    if held.others:
        raise Refused(
            f"There is something in the bucket that regionshift did not put there: {', '.join(held.others[:5])}.",
            where="state",
            remedy="look whose it is, and move it",
            error_id="RS-ENVIRONMENT-008",
        )
    if held.has_past and not allow_data_loss:
        raise Refused(
            "Releases and journals of environments that are gone are in the bucket, and would go with it.",
            where="state",
            remedy="copy what you want to keep, then give --allow-data-loss",
            error_id="RS-ENVIRONMENT-006",
        )
