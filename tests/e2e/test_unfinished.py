"""What stands in the way of a change, what is not finished, and what a person is told of both. In order."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_place import Done, Place, census, kill_at_step, start_until_step

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
PRIMARY, CANARY = REGIONS = ["us-east-1", "eu-west-1"]


@pytest.fixture(scope="module")
def place(make_place: Callable[..., Place]) -> Place:
    return make_place(regions={"primary": PRIMARY, "secondaries": [CANARY]}, deployment={"bake": 0})


def _wanted(place: Place, megabytes: int, bake: str = "0s") -> None:
    place.settings["function"] = {"memory": megabytes}
    place.settings["deployment"] = {"bake": bake, "bake_min_samples": 0}
    place.write()


def _memory(place: Place) -> list[int]:
    found = []
    for region in REGIONS:
        functions = place.clients.get("lambda", region).list_functions()["Functions"]
        found += [f["MemorySize"] for f in functions if "-migration-" in f["FunctionName"]]
    return found


def _interrupted_at(place: Place, step: str) -> Done:
    process = start_until_step(place, step, "up", "--yes")
    os.kill(process.pid, signal.SIGINT)
    return place.finish(process)


def test_status_says_who_is_at_work(place: Place) -> None:
    process = place.start_and_wait_for(["up", "--yes", "--no-validate"], 1)
    seen = place.run("status", "--json")
    assert place.finish(process).code == 0
    assert seen.code == 0, seen.said  # somebody is at work, and nothing is wrong
    assert seen.json["lock"]["pid"] == process.pid
    assert [run["kind"] for run in seen.json["unfinished"]] == ["deployment"]


def test_an_alarm_that_is_red_stops_a_change_before_its_first_wave(place: Place) -> None:
    cloudwatch, before = place.clients.get("cloudwatch", PRIMARY), _memory(place)
    alarms = [a["AlarmName"] for a in cloudwatch.describe_alarms()["MetricAlarms"]]
    alarm = next(name for name in alarms if name.startswith("orders-") and "error" in name)
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")
    _wanted(place, 640)
    refused = place.run("up", "--yes")
    assert refused.code == 3, refused.said
    assert f"Red before the first wave: {alarm} [{PRIMARY}]" in refused.err
    assert "--despite-alarms" in refused.err
    assert _memory(place) == before
    told = place.run("status")
    assert told.code == 1 and f"{alarm} [{PRIMARY}] is in ALARM" in told.out, told.said
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="a test")
    assert place.run("status").code == 0
    done = place.run("up", "--yes")
    assert done.code == 0, done.said
    assert _memory(place) == [640, 640]


def test_a_release_that_cannot_be_read_fails_no_change_that_succeeded(place: Place) -> None:
    kept = next(Path(place.folder / ".regionshift/state/releases").iterdir())
    damaged = kept / f"{'f' * 64}.json"
    damaged.write_text("cut off")
    _wanted(place, 704)
    done = place.run("up", "--yes", "--json")
    assert done.code == 0, done.said
    assert done.json["outcome"] == "succeeded"
    assert "could not be removed" in done.err
    damaged.unlink()
    assert _memory(place) == [704, 704]


@pytest.mark.parametrize(("step", "bake"), [("wave-1/apply", "0s"), ("wave-1/bake", "120s")])
def test_ctrl_c_names_what_goes_on_and_what_goes_back(place: Place, step: str, bake: str) -> None:
    before = _memory(place)
    _wanted(place, 768, bake)
    stopped = _interrupted_at(place, step)
    assert stopped.code == 130, stopped.said
    assert "`regionshift resume`" in stopped.err
    assert "`regionshift resume --back`" in stopped.err
    assert place.run("up", "--yes").code == 3
    back = place.run("resume", "--yes", "--back", "--json")
    assert back.code == 0, back.said
    assert back.json["outcome"] == "rolled back"
    assert _memory(place) == before


def test_an_environment_is_destroyed_over_a_killed_change_and_comes_up_again(place: Place) -> None:
    whole = census(place.clients, REGIONS, "dev")
    _wanted(place, 832)
    kill_at_step(place, "wave-2/apply", "up", "--yes")

    seen = place.run("status", "--json")
    assert seen.code == 1, seen.said
    (left,) = seen.json["unfinished"]
    assert left["kind"] == "deployment"
    assert (left["next"], left["at"]) == ("wave-2/apply", f"at wave-2/apply ({PRIMARY})")
    assert "regionshift resume" in left["go_on"]
    assert seen.json["lock"] is None  # on a directory the lock goes with its process
    assert place.run("up", "--yes").code == 3

    gone = place.run("destroy", "--yes")
    assert gone.code == 0, gone.said
    assert census(place.clients, REGIONS, "dev") == Counter()
    told = {run["run_id"]: run["outcome"] for run in place.run("history", "--json").json}
    assert told[left["run"]] == "destroyed"
    assert place.run("status", "--json").json["unfinished"] == []
    assert place.run("resume", "--yes").code == 2
    again = place.run("up", "--yes", "--no-validate")
    assert again.code == 0, again.said
    assert census(place.clients, REGIONS, "dev") == whole
    assert place.run("status").code == 0
