"""A region that is down: left out on purpose or found so, before a change or in the middle of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_place import Place
from lossy_endpoint import LossyEndpoint, up_behind

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
# None of them is us-east-1, where requests to IAM are signed for.
PRIMARY, CANARY, OTHER = "eu-central-1", "eu-west-1", "ap-southeast-2"


@pytest.fixture(scope="module")
def endpoint(make_place: Callable[..., Place]) -> Iterator[tuple[Place, LossyEndpoint]]:
    """Three regions that are up, every command by way of an endpoint that can lose a region."""
    place = make_place(
        regions={"primary": PRIMARY, "secondaries": [CANARY, OTHER]},
        network={"vpc_cidr": "10.0.0.0/16", "flow_logs": False},
        deployment={"bake": 0},
    )
    with up_behind(place) as made:
        yield place, made


@pytest.fixture
def up(endpoint: tuple[Place, LossyEndpoint]) -> Place:
    return endpoint[0]


@pytest.fixture
def cloud(endpoint: tuple[Place, LossyEndpoint]) -> Iterator[LossyEndpoint]:
    made = endpoint[1]
    made.asked = []
    yield made
    made.lost, made.how = set(), "closes"


def _memory(place: Place, megabytes: int, **deployment: Any) -> None:
    place.settings["function"] = {"memory": megabytes}
    place.settings["deployment"] = {"bake": 0, **deployment}
    place.write()


def _has(place: Place) -> dict[str, int]:
    """The memory of the function in each region, as AWS says."""
    found = {}
    for region in place.regions:
        functions = place.clients.get("lambda", region).list_functions()["Functions"]
        found[region] = next(f["MemorySize"] for f in functions if "-migration-" in f["FunctionName"])
    return found


def _standing(place: Place) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = place.run("status", "--json").json["regions"]
    return found


def _wait_for(place: Place, step: str, known: set[Path]) -> None:
    until = time.monotonic() + 240
    while time.monotonic() < until:
        new = [event for event in _events(place) if event not in known]
        if any(f'"step":"{step}"' in event.read_text() for event in new):
            return
        time.sleep(0.02)
    raise AssertionError(f"{step} never began: {place.told}")


def _events(place: Place) -> set[Path]:
    return set((place.folder / ".regionshift/state/journal").glob("*/runs/*/*.json"))


def test_a_region_that_is_left_out_gets_no_call(up: Place, cloud: LossyEndpoint) -> None:
    before, outputs = _standing(up), up.run("outputs", "--json").json
    cloud.lost = {OTHER}
    _memory(up, 640)
    done = up.run("up", "--yes", "--skip-region", OTHER, "--json")
    assert done.code == 0, done.said
    assert done.json["regions"] == {CANARY: "updated", OTHER: "unchanged", PRIMARY: "updated"}
    assert up.run("outputs", "--json").json == outputs
    back = up.run("rollback", "--yes", "--json")
    assert back.code == 0, back.said
    assert cloud.asked == []
    cloud.lost = set()
    assert _standing(up) == before
    cloud.lost = {OTHER}
    _memory(up, 768)
    killed = up.start("up", "--yes", "--skip-region", OTHER)
    _wait_for(up, "wave-1/apply", _events(up))
    killed.kill()
    up.finish(killed)
    assert up.run("status", "--json").json["unfinished"]
    assert up.run("validate", "--region", CANARY, "--json").code in (0, 1)
    resumed = up.run("resume", "--yes", "--json")
    assert resumed.code == 0, resumed.said
    assert cloud.asked == []
    assert _has(up) == {PRIMARY: 768, CANARY: 768, OTHER: 512}

    cloud.lost = set()
    again = up.run("up", "--yes", "--json")
    assert again.code == 0, again.said
    assert again.json["regions"] == {CANARY: "unchanged", OTHER: "updated", PRIMARY: "unchanged"}
    assert set(_has(up).values()) == {768}
    assert up.run("preview", "--json").json["changes"] == []


def test_a_region_that_is_down_stops_a_change_that_tolerates_none(up: Place, cloud: LossyEndpoint) -> None:
    before = _has(up)
    cloud.lost, cloud.how = {CANARY}, "503"
    _memory(up, 832)
    refused = up.run("up", "--yes")
    assert refused.code == 3
    assert f"{CANARY} does not answer" in refused.said
    assert f"--skip-region {CANARY}" in refused.said
    assert {line.split()[1] for line in cloud.asked} == {"sts"}
    assert _has(up) == before


def test_the_others_change_without_a_region_that_is_down_and_it_follows(
    up: Place, cloud: LossyEndpoint
) -> None:
    before = _has(up)[PRIMARY]
    cloud.lost, cloud.how = {PRIMARY}, "hangs"
    _memory(up, 896, failure_tolerance=1)
    done = up.run("up", "--yes", "--json")
    assert done.code == 1, done.said
    assert done.json["outcome"] == "regions left behind"
    assert done.json["regions"] == {CANARY: "updated", OTHER: "updated", PRIMARY: "down"}
    assert {line.split()[1] for line in cloud.asked} == {"sts"}
    assert _has(up) == {PRIMARY: before, CANARY: 896, OTHER: 896}
    assert _standing(up)[PRIMARY]["note"] == "down"

    cloud.lost = set()
    again = up.run("up", "--yes", "--json")
    assert again.code == 0, again.said
    assert again.json["regions"] == {CANARY: "unchanged", OTHER: "unchanged", PRIMARY: "updated"}
    assert set(_has(up).values()) == {896}
    assert {state["note"] for state in _standing(up).values()} == {""}


def test_a_region_that_goes_down_in_the_middle_is_left_to_a_person(up: Place, cloud: LossyEndpoint) -> None:
    releases = {region: state["release"] for region, state in _standing(up).items()}
    _memory(up, 960)
    known = _events(up)
    process = up.start("up", "--yes", "--json")
    _wait_for(up, "wave-1/validate", known)
    cloud.lost = {CANARY}
    done = up.finish(process)
    assert done.code == 1, done.said
    assert done.json["outcome"] == "needs a person"
    regions = done.json["regions"]
    assert regions[CANARY].startswith("needs a person: it is down")
    assert {regions[OTHER], regions[PRIMARY]} == {"unchanged"}

    cloud.lost = set()
    _memory(up, 896)
    again = up.run("up", "--yes", "--json", "--despite-alarms")
    assert again.code == 0, again.said
    assert {region: state["release"] for region, state in _standing(up).items()} == releases
    assert set(_has(up).values()) == {896}
