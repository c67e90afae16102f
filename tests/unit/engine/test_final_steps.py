"""One reading of what the engine tells: however often it tells of a resource, the resource counts once."""

from __future__ import annotations

import io
import json
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionshift.engine.engine import RunRecord
from regionshift.engine.events import ResourceStep, final_steps, region_of, step_of
from regionshift.operations.planning import BUCKET, doomed_buckets, make_plan
from regionshift.operations.policy_findings import policy_findings
from regionshift.report.live import CourseStep, CourseView
from regionshift.report.printer import Screen
from regionshift.settings.config import MigrationConfig

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
REGION = "eu-west-1"
SETTINGS = MigrationConfig.model_validate(
    {
        "project": "shop",
        "environment": "dev",
        "account": "012345678901",
        "regions": {"primary": REGION},
        "network": {"vpc_cidr": "10.0.0.0/16"},
    }
)
# What the engine tells of one resource, and what becomes of it (Pulumi 3.200, pkg/resource/deploy/step_generator.go).
TOLD = {
    ("create",): "create",
    ("same",): "same",
    ("update",): "update",
    ("delete",): "delete",
    ("refresh",): "refresh",
    ("refresh", "same"): "same",
    ("refresh", "update"): "update",
    ("refresh", "create"): "create",
    ("refresh", "delete"): "delete",
    ("create-replacement", "replace", "delete-replaced"): "replace",
    ("delete-replaced", "replace", "create-replacement"): "replace",
    ("refresh", "create-replacement", "replace", "delete-replaced"): "replace",
    ("refresh", "remove-pending-replace", "create"): "create",
    ("same", "delete"): "replace",
    ("delete", "delete-replaced"): "delete",
}
TOLD_OF_ONE = st.sampled_from(sorted(TOLD))


@pytest.mark.parametrize(
    ("was", "is_to_be", "op"), [(None, True, "update"), (True, None, "update"), (True, True, "same")]
)
def test_protection_alone_is_a_change_that_needs_the_engine(was: Any, is_to_be: Any, op: str) -> None:
    old, new = (SimpleNamespace(inputs={"name": "a"}, protect=each) for each in (was, is_to_be))
    told = SimpleNamespace(
        op=SimpleNamespace(value="same"),
        urn=f"urn:pulumi:dev::shop::{ROLE_POLICY}::a-{REGION}",
        type=ROLE_POLICY,
        old=old,
        new=new,
        detailed_diff=None,
        diffs=None,
        keys=None,
    )
    step = step_of(cast(Any, told))
    assert (step.op, step.changes) == (op, op == "update")
    assert step.changed == (("protect",) if op == "update" else ())


def _steps(ops: tuple[str, ...], name: str, kind: str, inputs: dict[str, Any]) -> list[ResourceStep]:
    urn = f"urn:pulumi:dev::shop::x${kind}::{name}-{REGION}"
    goes, comes = ("delete", "delete-replaced"), ("create", "create-replacement")
    return [
        ResourceStep(
            op, urn, kind, REGION, old={} if op in comes else inputs, new={} if op in goes else inputs
        )
        for op in ops
    ]


@given(st.lists(TOLD_OF_ONE, max_size=8), st.randoms(use_true_random=False))
def test_every_resource_has_one_end_whatever_is_told_between(ops: list[tuple[str, ...]], random: Any) -> None:
    queues = [_steps(told, f"r{n}", BUCKET, {"bucket": f"b{n}"}) for n, told in enumerate(ops)]
    wanted = {queue[0].urn: TOLD[told] for queue, told in zip(queues, ops, strict=True)}
    mixed: list[ResourceStep] = []
    while left := [queue for queue in queues if queue]:
        mixed.append(random.choice(left).pop(0))
    record = RunRecord(planned=mixed)
    assert {step.urn: step.op for step in record.outcomes} == wanted
    assert len(record.outcomes) == len(wanted)
    assert final_steps(record.outcomes) == record.outcomes
    unchanged = ("same", "refresh")
    changing = sorted(urn for urn, op in wanted.items() if op not in unchanged)
    plan = make_plan(cast(Any, SimpleNamespace(name="dev", regions=(REGION,))), record, [])
    assert [change.urn for change in plan.changes] == changing
    assert plan.unchanged == sum(op == "same" for op in wanted.values())
    lost = sum(op in ("delete", "replace") for op in wanted.values())
    assert len(plan.errors) == len(doomed_buckets(record)) == lost
    assert sum(sum(row.values()) for row in plan.counts().values()) == len(changing)


@pytest.mark.parametrize(
    "told", sorted(told for told, end in TOLD.items() if end not in ("delete", "same", "refresh"))
)
def test_a_policy_is_judged_once(told: tuple[str, ...]) -> None:
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::b"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    steps = _steps(told, "one", ROLE_POLICY, {"role": "worker", "policy": policy})
    found = policy_findings(SETTINGS, final_steps(steps), date(2026, 1, 1))
    assert [each.code for each in found] == ["RS-IAM-001"]


@given(TOLD_OF_ONE.filter(lambda told: TOLD[told] not in ("same", "refresh")))
def test_the_live_view_counts_a_replacement_once(told: tuple[str, ...]) -> None:
    view = CourseView(Screen(file=io.StringIO(), width=80), "up", lambda: 0.0, {REGION: 1})
    view.told(CourseStep("apply", "apply", (REGION,)), "before")
    for step in _steps(told, "r", BUCKET, {}):
        if step.changes:
            view.resource("started", REGION, step.urn, step.name)
            view.resource("done", REGION, step.urn, step.name)
    shown = io.StringIO()
    Screen(file=shown, width=80).print(view._render())
    assert "1 of 1 resources" in shown.getvalue()


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("function-role-us-east-1", "us-east-1"),
        ("replication-failed-to-us-east-1-eu-west-1", "eu-west-1"),
        ("function-to-endpoints-eu-west-1", "eu-west-1"),
        ("overview-dashboard", None),
    ],
)
def test_a_resource_stands_in_the_region_that_its_name_ends_in(name: str, region: str | None) -> None:
    assert region_of(f"urn:pulumi:dev::p::aws:x:X::{name}") == region
