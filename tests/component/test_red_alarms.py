"""Which release may go out while an alarm is red: what mends it may, what left it so may not, however it is called."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from deployment_world import WAVES, Fault, Process, World, model
from model_regions import CANARY, PRIMARY

from regionshift.errors import Interrupted, Refused
from regionshift.operations.alarms import Watched
from regionshift.operations.plan_up import begun_under
from regionshift.operations.waves import deploying
from regionshift.operations.waves.facts import Facts, Terms
from regionshift.runs.deployment_plan import DeploymentPlan, Wave

pytestmark = pytest.mark.component
Use = Callable[[World], World]
MINE = "errors"
__all__ = ["model"]


class RedSince(SimpleNamespace):
    """CloudWatch, where one alarm of one region turned red at one moment (DescribeAlarms, API Reference)."""

    region: str
    since: datetime

    def named(self, _service: str, region: str) -> Any:
        return SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=self._pages(region)))

    def _pages(self, region: str) -> Callable[..., list[dict[str, Any]]]:
        alarm = {"AlarmName": MINE, "StateTransitionedTimestamp": self.since}
        return lambda **_: [{"MetricAlarms": [alarm] if region == self.region else []}]


@pytest.fixture
def world(tmp_path: Path, model: Use) -> World:
    """Everything at release 0; release 1 turns the canary's alarm red."""
    world = model(World(tmp_path / "world"))
    Process(world).up()
    world.wanted = 1
    world.broken = {(world.digest(1), CANARY): "alarm"}
    return world


def _begun(
    world: World, since: datetime, *, despite: bool = False, refresh: bool = False
) -> deploying.Intent:
    """What `up` begins for the release that is wanted, the canary's alarm red since ``since``."""
    process = Process(world)
    clients = cast(Any, RedSince(region=CANARY, since=since))
    environment = replace(process.environment, clients=clients)
    digest = world.digest(world.wanted)
    plan = DeploymentPlan(
        before={region: process.deployed.releases.get(region) for region in WAVES},
        target=dict.fromkeys(WAVES, digest),
        waves=(Wave(1, (CANARY,)), Wave(2, (PRIMARY,))),
        on_failure="rollback",
    )
    intent = deploying.Intent(plan, Facts(None, digest, links_change=False, moved=frozenset()))
    terms = Terms(alarms=(Watched(MINE, CANARY),), refresh=refresh)
    return begun_under(environment, process.journal, intent, process.deployed, terms, despite_alarms=despite)


@pytest.mark.parametrize("on_failure", ["rollback", "stop"])
@pytest.mark.parametrize("refresh", [False, True])
def test_the_release_that_left_an_alarm_red_does_not_pass_it(
    world: World, on_failure: str, refresh: bool
) -> None:
    world.on_failure = on_failure
    Process(world).up()
    red = datetime.now(UTC)
    with pytest.raises(Refused, match="brought this same release") as refused:
        _begun(world, red, refresh=refresh)
    assert refused.value.exit_code == 3
    assert MINE in refused.value.message
    assert "--despite-alarms" in str(refused.value.remedy)
    assert [alarm.name for alarm in _begun(world, red, despite=True).facts.ignored] == [MINE]


def test_another_release_passes_what_the_last_one_left_red(world: World) -> None:
    Process(world).up()
    world.wanted = 2
    assert [alarm.name for alarm in _begun(world, datetime.now(UTC)).facts.ignored] == [MINE]


def test_a_release_in_between_does_not_excuse_the_one_that_did_it(world: World) -> None:
    Process(world).up()
    world.wanted = 2
    world.broken[world.digest(2), CANARY] = "bake"
    Process(world).up()
    for number in (1, 2):
        world.wanted = number
        with pytest.raises(Refused, match="brought this same release"):
            _begun(world, datetime.now(UTC))
    world.wanted = 3
    assert _begun(world, datetime.now(UTC)).facts.ignored


def test_a_release_that_a_person_took_back_does_not_pass_it_again(world: World) -> None:
    world.broken = {}
    Process(world).up()
    Process(world).rollback()
    with pytest.raises(Refused, match="brought this same release"):
        _begun(world, datetime.now(UTC))
    world.wanted = 0  # what every region has again: nothing new comes in
    assert _begun(world, datetime.now(UTC)).facts.ignored


def test_a_release_that_was_stopped_and_taken_back_does_not_pass_it_again(world: World) -> None:
    world.broken = {}
    with suppress(Interrupted):
        Process(world, [Fault("step", "interrupt", at=2)]).up()
    Process(world).resume(back=True)
    with pytest.raises(Refused, match="brought this same release"):
        _begun(world, datetime.now(UTC))


def test_what_was_red_before_the_last_deployment_is_excused_by_nothing(world: World) -> None:
    Process(world).up()
    world.wanted = 2
    with pytest.raises(Refused, match="Red before the first wave"):
        _begun(world, datetime(2020, 1, 1, tzinfo=UTC))
