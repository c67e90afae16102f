"""Plan, create and delete what an account and an environment's pipeline need before the first `up`.

The engine's state of this lies on this machine until its bucket exists. From then on it lies in that bucket, where any
machine finds it. The object of the account is copied last and removed first. So it alone shows where the state is, also
after a kill.
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
    """Settings for the part that the account has once. They are the same for every environment."""
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
    """The default region of the bucket of states: near the primary, and not a region of the environment.

    With a lost region of the environment, the state would be lost too. The primary itself when its country has no other
    region.
    """
    near = next((group for group in _ONE_LAW if config.regions.primary in group), ())
    return next((each for each in near if each not in config.all_regions), config.regions.primary)


def settings_after(config: MigrationConfig, region: str, *, keeps_state: bool = False) -> dict[str, str]:
    """The values that `bootstrap` adds to the settings file, by dotted path. Existing values stay.

    Args:
        keeps_state: the environment exists, with its state beside the settings, so `state` must not change.
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
    """The settings with the ``values`` of :func:`settings_after`."""
    access = config.access.model_copy(
        update={"boundary": values.get("access.boundary", config.access.boundary)}
    )
    own = {path: value for path, value in values.items() if "." not in path}
    return config.model_copy(update={**own, "access": access})


@dataclass(frozen=True)
class BootstrapPart:
    """One of the two stacks: the account's, or that of an environment's pipeline.

    Args:
        config: the settings with its names and tags. region: its region, which never changes.
        program: makes the engine's program from the imports.
    """

    config: MigrationConfig
    region: str
    clients: Clients
    engine: Engine
    program: Callable[[Imports], Program]

    def look(self, step: ResourceStep) -> Look:
        """How to look for the resource of ``step``, and the tags that show that it is ours."""
        owner = {
            "Project": self.config.project,
            "Environment": self.config.suffix,
            "ManagedBy": MANAGED_BY,
            "Name": step.name,
        }
        return Look(self.clients, self.config.account, self.region, step.new, owner)


@dataclass(frozen=True)
class PartPlan:
    """The plan of one part.

    Args:
        steps: one a resource, also for resources that do not change.
        imports: {logical name: id} of the resources that it takes over first.
        is_whole: the part was complete before. Then a new resource may open access to existing ones.
    """

    steps: tuple[ResourceStep, ...]
    findings: tuple[Finding, ...] = ()
    imports: Imports = field(default_factory=dict)
    is_whole: bool = True

    @property
    def changes(self) -> tuple[Change, ...]:
        """The steps that change something, as the plan shows them."""
        found = map(change_of, (step for step in self.steps if step.changes))
        return tuple(sorted(found, key=lambda each: each.urn))

    @property
    def unchanged(self) -> int:
        """The number of resources that do not change."""
        return sum(step.op == "same" for step in self.steps)

    @property
    def may_open(self) -> tuple[ResourceStep, ...]:
        """The steps that may open access to existing resources."""
        return tuple(step for step in self.steps if self.is_whole or step.op not in ("create", "import"))


def plan_part(part: BootstrapPart, today: date, *, take_over: bool) -> PartPlan:
    """Preview one part. Changes nothing.

    An existing resource of ours comes from a killed run, and is taken over. Somebody else's is taken over with
    ``take_over``, and is an error without it.
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
    """Every fault of the policies of one part. Faults that a deployment needs are an info, one for each rule."""
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
    """The id of the existing resource in the place of ``step``, and whether it is ours; None when there is none."""
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
    """The id of the key with the alias."""
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
    """Apply the plan, and settle creations that a killed run left open.

    Raises:
        WorkFailed: something could not be made. The rest is in the state, and the next run continues from there.
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
    """Delete one part with its state, after emptying its bucket. Returns the number of deleted resources.

    Raises as :func:`require_own`. Then nothing is deleted.
    """
    resources = require_own(part)
    for each in resources:
        if each["type"] == BUCKET:
            _empty(part, str(each["id"]))
    part.engine.destroy(_nothing)
    part.engine.remove_stack()
    return len(resources)


def require_own(part: BootstrapPart) -> list[dict[str, Any]]:
    """The resources in the state, after a check that they are ours: the state could name anything.

    Raises:
        Refused: a resource with a name and tags is not ours. Resources without them are parts of such a resource.
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
    """A program without resources."""


def doomed(part: BootstrapPart) -> PartPlan:
    """The plan of :func:`destroy_part`. Raises as :func:`require_own`."""
    return PartPlan(tuple(_step("delete", part, each) for each in require_own(part)))


def kept(part: BootstrapPart) -> PartPlan:
    """The plan of a part that does not change."""
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
    """The plans of both parts as one, with ``findings`` first.

    Args:
        allow_broadening: ids of access that may be opened in existing parts. Any other is an error.
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
    """A warning for each right of the pipeline's roles outside their environment."""
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
    """A warning for an environment from before the bucket: its state is not moved."""
    if not keeps_state:
        return []
    said = f"{config.project} {config.suffix} was made with its state beside the settings, and keeps it there"
    remedy = "nothing on this machine; for a pipeline destroy it, run bootstrap again, and create it again"
    return [Finding("state", "warning", said, None, remedy)]


# The issuer


def issuer_of(clients: Clients, config: MigrationConfig, region: str) -> tuple[str, Mapping[str, str]] | None:
    """The issuer of the pipeline's tokens in the account: its ARN and its tags."""
    inputs = {"url": f"https://{issuer_host(config)}"}
    with told_plainly(region):
        return NAMED[_ISSUER](Look(clients, config.account, region, inputs, {}))


def known_issuers(engine: Engine) -> list[str]:
    """The hosts of the issuers in the state."""
    found = (each for each in engine.resources() if each["type"] == _ISSUER)
    return [str(each["inputs"]["url"]).removeprefix("https://") for each in found]


def issuer_findings(clients: Clients, region: str, arn: str) -> list[Finding]:
    """A finding on somebody else's issuer. It is used as it is, if it accepts tokens for our audience."""
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
    # S3 API Reference, "GetBucketLocation": null means us-east-1, and EU means eu-west-1.
    return {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}.get(
        found.get("LocationConstraint"), found.get("LocationConstraint")
    )


def state_object(identity: Identity) -> str:
    """The object of one part's state, under the URL of the state."""
    return f"{identity.engine_folder}/{_STACKS}/{identity.engine_project}/{identity.stack}.json"


def move_state(source: StateStore, target: StateStore, last: str) -> None:
    """Move the whole state from ``source`` to ``target``. After the copy of ``last``, ``target`` has it.

    Then the objects in ``source`` are removed. After a kill it can be done again.
    """
    keys = _state_keys(source)
    for key in sorted(keys, key=lambda each: each == last):
        kept = source.get(key)
        if kept is not None:
            target.put(key, kept.body)
    source.delete([last])
    source.delete(key for key in keys if key != last)


def _state_keys(store: StateStore) -> list[str]:
    """The keys of the state, without locks, and without the engine's notes on local files (``.attrs``)."""
    return [key for key in store.keys("engine") if "/locks/" not in key and not key.endswith(".attrs")]


def other_pipelines(store: StateStore, account: Identity, own: Identity) -> list[str]:
    """The other environments with a pipeline in the state, as PROJECT ENVIRONMENT."""
    known = {state_object(account), state_object(own)}
    folder = f"{account.engine_folder}/{_STACKS}"
    found = (key for key in store.keys(folder) if key.endswith(".json") and key not in known)
    return sorted(" ".join(key.removesuffix(".json").split("/")[-2:]) for key in found)


@dataclass(frozen=True)
class BucketContents:
    """The content of the bucket, without the state of `bootstrap`.

    Args:
        standing: environments with a state there. has_past: there are records of deleted environments.
        others: names of anything else.
    """

    standing: tuple[str, ...]
    has_past: bool
    others: tuple[str, ...]


def held_in(part: BootstrapPart, store: StateStore) -> BucketContents:
    """The content of the bucket of the account's ``part``. ``store``: the states of environments in it."""
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
    """Raises Refused while the bucket holds anything that `bootstrap` must not delete."""
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
