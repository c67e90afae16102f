"""What goes to all regions at once is refused while anything else would change with it: what, where, what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from deployment_world import Fault, Process, World, model
from model_regions import CANARY, OTHER, PRIMARY, WAVES

from regionshift.errors import Refused
from regionshift.operations.environment import without_regions
from regionshift.operations.moving import settings_unchanged
from regionshift.settings.release import Release

pytestmark = pytest.mark.component
__all__ = ["model"]


@pytest.fixture
def world(tmp_path: Path, model: Callable[[World], World]) -> World:
    """Everything at release 0."""
    world = model(World(tmp_path / "world"))
    Process(world).up()
    return world


def _release(process: Process, region: str = PRIMARY) -> Release:
    return settings_unchanged.release_of(process.catalog, process.deployed, region)


def test_a_region_that_has_no_release_is_named(world: World) -> None:
    with pytest.raises(Refused, match=r"^ap-southeast-2 is not up") as refused:
        _release(Process(world), "ap-southeast-2")
    assert (refused.value.where, refused.value.remedy) == ("ap-southeast-2", "run `regionshift up` first")


def test_a_release_of_another_program_asks_for_up_with_this_version(world: World) -> None:
    process = Process(world)
    process.catalog = replace(process.catalog, program="another", _taken={})
    with pytest.raises(Refused, match="Another version of the program") as refused:
        _release(process)
    assert refused.value.where and refused.value.remedy == "run `regionshift up` with this version first"


def test_settings_that_say_what_is_up_are_no_trouble(world: World) -> None:
    process = Process(world)
    base, environment = _release(process), process.environment
    settings_unchanged.require_settings_unchanged(base, environment.config, "settings")
    # Zones are found out anew, and are not what a person changed.
    settings_unchanged.require_release_unchanged(
        base, replace(base, zones={}), environment.config, "settings"
    )
    settings_unchanged.require_everywhere(process.deployed, WAVES, base, PRIMARY)
    settings_unchanged.require_removal_alone(environment, process.catalog, process.deployed)


def test_every_other_change_is_named_up_to_three(world: World) -> None:
    base = _release(Process(world))
    config = base.config.model_copy(update={"tags": {"a": "1", "b": "2", "c": "3"}, "protect": True})
    with pytest.raises(Refused) as refused:
        settings_unchanged.require_settings_unchanged(base, config, "regionshift.yaml")
    assert refused.value.message.endswith(" and 2 more.") and refused.value.where == "regionshift.yaml"
    assert refused.value.remedy and "take the change out of the settings" in refused.value.remedy
    wanted = replace(base, secrets_digest="other")
    with pytest.raises(Refused, match=r": the values of secrets\.$"):
        settings_unchanged.require_release_unchanged(base, wanted, base.config, "regionshift.yaml")


@pytest.mark.parametrize("how", ["left out", "half done"])
def test_a_region_that_has_not_the_release_is_named(world: World, how: str) -> None:
    world.wanted, world.on_failure = 1, "stop"
    if how == "left out":
        Process(world, left_out=frozenset({OTHER})).up()
    else:
        Process(world, [Fault("step", "fail", only=lambda what: what.startswith(OTHER))]).up()
        world.wanted = 0
    process = Process(world)
    base = _release(process, CANARY)
    late = [OTHER] if how == "left out" else [OTHER, PRIMARY]
    with pytest.raises(Refused, match=f"release that {CANARY} has: {', '.join(late)}") as refused:
        settings_unchanged.require_everywhere(process.deployed, WAVES, base, CANARY)
    assert refused.value.where == late[0]
    settings_unchanged.require_everywhere(process.deployed, [CANARY], base, CANARY)


def test_a_region_leaves_alone(world: World) -> None:
    process = Process(world)
    config = without_regions(process.environment.config, {OTHER})
    release = replace(_release(process), config=config)
    environment = replace(process.environment, config=config, release=lambda: release)
    settings_unchanged.require_removal_alone(environment, process.catalog, process.deployed)

    changed = replace(release, config=config.model_copy(update={"tags": {"number": "9"}}))
    environment = replace(environment, release=lambda: changed)
    with pytest.raises(Refused, match=r"tags\.number") as refused:
        settings_unchanged.require_removal_alone(environment, process.catalog, process.deployed)
    assert refused.value.where == OTHER
    assert refused.value.remedy and f"name {OTHER} in the settings again" in refused.value.remedy
