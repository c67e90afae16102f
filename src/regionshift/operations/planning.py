"""What a change would do, before it does it: the engine's preview and our findings as one `Plan`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from regionshift.engine.engine import RunRecord
from regionshift.engine.events import ResourceStep
from regionshift.operations.environment import Environment
from regionshift.operations.value_changes import value_changes
from regionshift.report.values import Change, Finding, Plan

LOSS = "data-loss"
"""The code of a finding: what holds data would go."""
BUCKET = "aws:s3/bucket:Bucket"
_DESTRUCTIVE = frozenset({"delete", "replace"})
# Types that hold what cannot be made again from the settings.
DATA_HOLDERS = frozenset(
    {
        "aws:s3/bucket:Bucket",
        "aws:kms/key:Key",
        "aws:secretsmanager/secret:Secret",
        "aws:ssm/parameter:Parameter",
    }
)


def make_plan(
    environment: Environment,
    record: RunRecord,
    findings: Sequence[Finding],
    *,
    allow_data_loss: bool = False,
    given_up: Collection[str] = (),
) -> Plan:
    """The preview in ``record`` and ``findings`` as one value; loss of data is an error unless allowed.

    ``given_up`` are regions that are to go whatever they hold.
    """
    own = [step for step in record.outcomes if not step.type.startswith(("pulumi:", "regionshift:"))]
    told = (_change(step) for step in own if step.changes)
    changes = tuple(sorted(told, key=lambda change: change.urn))  # the engine works in any order
    return Plan(
        environment=environment.name,
        regions=environment.regions,
        changes=changes,
        findings=(*findings, *_losses(own, allowed=allow_data_loss, given_up=given_up)),
        unchanged=sum(step.op == "same" for step in own),
        outputs_differ=record.outputs_differ,
    )


def _change(step: ResourceStep) -> Change:
    values = () if step.op in ("create", "delete") else value_changes(step)
    properties = step.replaced_by or step.changed
    return Change(step.op, step.type, step.name, step.region, step.urn, properties, values)


def doomed_buckets(record: RunRecord) -> tuple[tuple[str, str], ...]:
    """The buckets, as (region, name), that the previewed change deletes or replaces."""
    gone = [step for step in record.outcomes if step.type == BUCKET and step.op in _DESTRUCTIVE]
    return tuple(
        sorted({(step.region or "", str(step.old["bucket"])) for step in gone if "bucket" in step.old})
    )


def _losses(steps: Sequence[ResourceStep], *, allowed: bool, given_up: Collection[str]) -> list[Finding]:
    lost = [step for step in steps if step.type in DATA_HOLDERS and step.op in _DESTRUCTIVE]
    return [_loss(step, allowed=allowed or step.region in given_up) for step in lost]


def _loss(step: ResourceStep, *, allowed: bool) -> Finding:
    return Finding(
        code=LOSS,
        severity="warning" if allowed else "error",
        message=f"{step.name} ({step.type}) would be deleted or replaced, with what it holds",
        region=step.region,
        remedy=(
            "allowed by --allow-data-loss" if allowed else "give --allow-data-loss if that is what you want"
        ),
    )
