"""Which regions answer is asked before a change: what is down may be left out, what refuses is ours to mend."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.operations.environment import Environment
from regionshift.operations.preflight import Machine, down_of, preflight, region_findings

pytestmark = pytest.mark.component
FIRST, SECOND, THIRD = "eu-north-1", "eu-west-1", "ap-southeast-2"


@dataclass
class Partly:
    """The embedded AWS, of which some regions do not answer and some refuse."""

    clients: Clients
    down: set[str] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)
    called: list[str] = field(default_factory=list)

    @property
    def impatient(self) -> Partly:
        return self

    def call(self, region: str, service: str, operation: str, **more: Any) -> dict[str, Any]:
        self.called.append(region)
        if region in self.down:
            said = "Connect timeout on endpoint URL"
            raise AwsFailed(said, code="ConnectTimeoutError", where=region, remedy=None, is_outside=True)
        if region in self.refuses:
            raise AwsFailed("no (AccessDenied)", code="AccessDenied", where=region, remedy=None)
        return self.clients.call(region, service, operation, **more)


@pytest.fixture
def aws(clients: Clients) -> Partly:
    return Partly(clients)


@pytest.fixture
def make(aws: Partly, environment_of: Callable[..., Environment]) -> Callable[..., Environment]:
    def environment(tolerance: int = 0, **more: object) -> Environment:
        place = {"primary": FIRST, "secondaries": [SECOND, THIRD]}
        deployment = {"failure_tolerance": tolerance}
        return environment_of(aws, project="flight", regions=place, deployment=deployment, **more)

    return environment


def _found(environment: Environment) -> list[tuple[str, str, str | None]]:
    findings = preflight(environment, Machine(None))
    assert all(each.remedy for each in findings)
    return [(each.code, each.severity, each.region) for each in findings]


def test_a_region_that_is_down_is_an_error_that_names_the_way_on(
    make: Callable[..., Environment], aws: Partly
) -> None:
    aws.down = {SECOND}
    (finding,) = preflight(make(), Machine(None))
    assert (finding.code, finding.severity, finding.region) == ("region-down", "error", SECOND)
    assert f"--skip-region {SECOND}" in str(finding.remedy)
    assert down_of([finding]) == []


def test_a_region_whose_zones_were_not_told_does_not_answer_and_is_no_region_without_zones(
    make: Callable[..., Environment], aws: Partly
) -> None:
    known = cast(Any, SimpleNamespace(zones={FIRST: ("a",), THIRD: ("a",)}))
    (finding,) = preflight(replace(make(), release=lambda: known), Machine(None))
    assert (finding.code, finding.severity, finding.region) == ("region-down", "error", SECOND)
    assert "availability zones" in finding.message
    aws.down = {SECOND}
    assert [each.code for each in preflight(replace(make(), release=lambda: known), Machine(None))] == [
        "region-down"
    ]


@pytest.mark.parametrize("down", [{FIRST}, {SECOND}])
def test_as_many_as_are_tolerated_are_warned_of(
    make: Callable[..., Environment], aws: Partly, down: set[str]
) -> None:
    aws.down = down
    assert _found(make(1)) == [("region-down", "warning", region) for region in down]
    assert down_of(region_findings(make(1))) == list(down)
    aws.down = {*down, THIRD}
    assert {severity for _, severity, _ in _found(make(1))} == {"error"}


def test_while_nothing_is_up_and_when_nothing_answers_none_is_tolerated(
    make: Callable[..., Environment], aws: Partly
) -> None:
    aws.down = {FIRST}
    assert [each.severity for each in region_findings(make(3), tolerate=False)] == ["error"]
    aws.down = {FIRST, SECOND, THIRD}
    assert [each.severity for each in region_findings(make(3))] == ["error"] * 3


def test_a_region_that_refuses_is_ours_however_many_may_be_down(
    make: Callable[..., Environment], aws: Partly
) -> None:
    aws.refuses = {SECOND}
    assert _found(make(3)) == [("region", "error", SECOND)]


def test_a_region_that_is_left_out_is_not_asked(make: Callable[..., Environment], aws: Partly) -> None:
    aws.down = {FIRST}
    assert preflight(make().without(down={FIRST}), Machine(None)) == []
    assert FIRST not in aws.called


@pytest.mark.parametrize("down", [set[str](), {FIRST}, {FIRST, SECOND}])
def test_where_the_state_lies_is_asked_of_a_region_that_answers(
    make: Callable[..., Environment], aws: Partly, clients: Clients, down: set[str]
) -> None:
    name = f"state-{uuid.uuid4().hex[:10]}"
    where: Any = {"LocationConstraint": THIRD}
    clients.get("s3", THIRD).create_bucket(Bucket=name, CreateBucketConfiguration=where)
    aws.down = down
    found = _found(make(2, state=f"s3://{name}/x", state_secrets="awskms://alias/k?region=eu-west-3"))
    assert ("state-region", "warning", THIRD) in found
    assert len(found) == len(down) + 1
