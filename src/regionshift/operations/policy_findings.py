"""Faults in the policies of a plan by the rules of `iam.findings`, and documents too large for AWS.

Every policy of the plan is judged, also unchanged ones. A policy that the engine does not know yet, because it names a
resource that is not made, is judged by the next plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType

from regionshift.engine.events import NOT_YET, ResourceStep, masked
from regionshift.iam.actions import fits
from regionshift.iam.documents import Policy, PolicyKind, Unreadable
from regionshift.iam.findings import RULES, Exceptions, Fault, Placed, faults
from regionshift.infrastructure.policies.statement import EVERY_OF_A_TYPE, WITHOUT_RESOURCE
from regionshift.infrastructure.sizes import documents, measured
from regionshift.operations.policy_documents import PolicyDocument, policy_documents
from regionshift.report.values import Finding, PolicyFinding
from regionshift.settings.config import MigrationConfig, Waiver

_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_SHUT = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_REGION = "{region}"
_BUCKET = "aws:s3/bucket:Bucket"
_BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
# A policy of an endpoint gives nothing, and bounds what goes through it (AWS PrivateLink Guide, "Control access to VPC
# endpoints using endpoint policies").
_GIVES_NOTHING = ("aws:ec2/vpcEndpoint:VpcEndpoint",)
_LONGEST_WAIVER = timedelta(days=366)
_SETTINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "worker-carry-keys-": ("carry", "s3"),
        "worker-objects-": ("carry", "s3"),
        "worker-parameters-": ("carry", "ssm"),
        "worker-secrets-": ("carry", "secrets"),
        "worker-": ("carry",),
        "carried-": ("carry", "s3"),
        "deployment-bucket-policy-": ("access", "operators"),
        "function-": ("function",),
    }
)
"""What of the settings a policy comes from, by how the name of its resource begins; the first that fits."""


def size_findings(config: MigrationConfig) -> list[Finding]:
    """An error for each document that would be larger than AWS accepts, by the settings alone."""
    return [
        Finding("size", "error", each.problem, each.region, each.shorten, is_input=True)
        for each in documents(config)
        if each.is_too_large
    ]


def too_large_findings(steps: Sequence[ResourceStep]) -> list[Finding]:
    """An error for each changed document that would be larger than AWS accepts.

    Args:
        steps: one a resource (`final_steps`).
    """
    return [
        Finding("size", "error", f"{step.name}: {fault}", step.region, "shorten what it is made of")
        for step in steps
        if step.changes and step.op != "delete"
        for fault in _too_large(step)
    ]


def _too_large(step: ResourceStep) -> Iterator[str]:
    for quota, size in measured(step.type, step.new):
        if size > quota.most:
            yield f"{quota.of}: {size:,} {quota.unit}, and {quota.most:,} fit ({quota.page})"


def policy_findings(
    config: MigrationConfig,
    steps: Sequence[ResourceStep],
    today: date,
    *,
    is_whole: bool = True,
    on_everything: Collection[str] = WITHOUT_RESOURCE,
) -> list[PolicyFinding]:
    """Every fault of every policy of the plan, once for all regions where it is the same; and faults of waivers.

    A waived fault is an info.

    Args:
        steps: one a resource (`final_steps`).
        today: in UTC. A waiver counts until the end of its last day, and not at all when that is more than a year away.
        is_whole: no part of the environment is left out, so an unused waiver is a fault.
        on_everything: actions that may be allowed on every resource.
    """
    held = [each for each in policy_documents(steps) if each.stays and each.new is not None]
    held = [each for each in held if each.step.type not in _GIVES_NOTHING]
    found = [
        *faults(_placed(config, held, steps), config.account, Exceptions(on_everything, EVERY_OF_A_TYPE)),
        *(
            Fault(RULES["RS-DOCUMENT-001"], each.step.name, each.step.region, "", str(each.new))
            for each in held
            if isinstance(each.new, Unreadable) and not _is_pending(each.step)
        ),
        *_of_buckets(steps),
    ]
    by_waiver: dict[Waiver | None, list[Fault]] = {waiver: [] for waiver in config.waivers}
    for fault in found:
        waiver = next((one for one in config.waivers if _covers(one, fault) and _counts(one, today)), None)
        by_waiver.setdefault(waiver, []).append(fault)
    # So may what is not known yet.
    is_whole = is_whole and not any(_is_pending(each.step) for each in held)
    return [
        *(finding for waiver, of_it in by_waiver.items() for finding in _told(config, of_it, waiver)),
        *_of_waivers(config, found, today, is_whole=is_whole),
    ]


def _placed(
    config: MigrationConfig, held: Sequence[PolicyDocument], steps: Sequence[ResourceStep]
) -> list[Placed]:
    boundaries = {_last(step.new.get("permissionsBoundary")) for step in steps} | {
        _last(config.access.boundary)
    }
    boundaries -= {""}
    policies: dict[str, list[str]] = {}
    for each in held:
        policies.setdefault(each.subject, []).append(f"policy/{each.step.new.get('name')}")
    return [
        Placed(
            each.step.name,
            each.kind,
            each.step.type.split(":")[1].split("/")[0],
            each.step.region,
            each.new,
            principal=each.subject if each.kind == PolicyKind.IDENTITY else "",
            own=(f"role/{each.subject}", *policies[each.subject]),
            is_boundary=each.step.new.get("name") in boundaries,
        )
        for each in held
        if isinstance(each.new, Policy)
    ]


def _last(arn: object) -> str:
    return str(arn or "").rpartition("/")[2]


def _is_pending(step: ResourceStep) -> bool:
    """Whether its policy is known only after another resource is made."""
    return NOT_YET in (masked(step.new.get(name)) for name in ("policy", "assumeRolePolicy", "policyArn"))


def _of_buckets(steps: Sequence[ResourceStep]) -> Iterator[Fault]:
    """Faults of buckets that lack a protection."""
    stay = [step for step in steps if step.op != "delete"]
    blocked = {
        str(step.new.get("bucket")) for step in stay if step.type == _BLOCK and all(map(step.new.get, _SHUT))
    }
    have_policy = {str(step.new.get("bucket")) for step in stay if step.type == _BUCKET_POLICY}
    for step in (each for each in stay if each.type == _BUCKET):
        name = str(step.new.get("bucket"))
        if name not in blocked:
            yield Fault(RULES["RS-DATA-003"], step.name, step.region, "", name)
        if name not in have_policy and not step.new.get("policy"):
            yield Fault(RULES["RS-DATA-002"], step.name, step.region, "", f"{name} has no policy")


def _covers(waiver: Waiver, fault: Fault) -> bool:
    return waiver.id == fault.rule.id and fits(waiver.of, fault.document)


def _counts(waiver: Waiver, today: date) -> bool:
    return today <= waiver.until <= today + _LONGEST_WAIVER


def _told(config: MigrationConfig, found: Sequence[Fault], waiver: Waiver | None) -> Iterator[PolicyFinding]:
    """One finding for faults that differ only in the region."""
    alike: dict[tuple[str, ...], list[Fault]] = {}
    for fault in found:
        texts = (
            each.replace(fault.region or " ", _REGION)
            for each in (fault.document, fault.statement, fault.detail)
        )
        alike.setdefault((fault.rule.id, *texts), []).append(fault)
    for (code, document, statement, _), each in alike.items():
        rule, first = RULES[code], each[0]
        regions = tuple(dict.fromkeys(fault.region for fault in each if fault.region))
        is_one = len(regions) < 2
        name = first.document if is_one else document
        where = "" if is_one else f", alike in {len(regions)} regions ({', '.join(regions)})"
        waived = f"until {waiver.until}: {waiver.reason}" if waiver else ""
        place = ", ".join(filter(None, (name, first.statement)))
        said = f"{place}{where}: {_lower(rule.title)}: {first.detail} ({code})"
        yield PolicyFinding(
            code,
            "info" if waiver else rule.severity,
            f"{said}; waived {waived}" if waiver else said,
            first.region if is_one else None,
            rule.remedy,
            document=document,
            statement=statement,
            regions=regions,
            setting=("waivers", config.waivers.index(waiver)) if waiver else _setting(document),
            waived=waived,
        )


def _of_waivers(
    config: MigrationConfig, found: Sequence[Fault], today: date, *, is_whole: bool
) -> Iterator[PolicyFinding]:
    for place, waiver in enumerate(config.waivers):
        is_known = waiver.id in RULES
        why = "no policy of the plan has that fault" if is_known else "there is no such rule"
        if today > waiver.until:
            code, said = "RS-WAIVER-001", f"the waiver ended on {waiver.until}"
        elif not _counts(waiver, today):
            code, said = "RS-WAIVER-003", f"the waiver would end on {waiver.until}, in more than a year"
        elif not is_known or (is_whole and not any(_covers(waiver, fault) for fault in found)):
            code, said = "RS-WAIVER-002", f"the waiver is about nothing: {why}"
        else:
            continue
        rule, name = RULES[code], f"waivers[{place}]"
        message = f"{name}, {waiver.id} of {waiver.of}: {said} ({code})"
        yield PolicyFinding(
            code, rule.severity, message, None, rule.remedy, document=name, setting=("waivers", place)
        )


def _lower(title: str) -> str:
    return title[0].lower() + title[1:]


def _setting(document: str) -> tuple[str, ...]:
    return next((path for begins, path in _SETTINGS.items() if document.startswith(begins)), ("project",))
