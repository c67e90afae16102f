"""A change that was killed is seen by everybody, and an environment may be taken down over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from e2e_place import Place, census, kill_at_step

pytestmark = pytest.mark.e2e
REGIONS = ["us-east-1", "eu-west-1"]


def test_an_environment_is_destroyed_over_a_killed_change_and_comes_up_again(
    make_place: Callable[..., Place],
) -> None:
    place = make_place(regions={"primary": REGIONS[0], "secondaries": REGIONS[1:]}, deployment={"bake": 0})
    assert place.run("up", "--yes", "--no-validate").code == 0
    whole = census(place.clients, REGIONS, "dev")
    place.settings["function"] = {"memory": 640}
    place.write()
    kill_at_step(place, "wave-2/apply", "up", "--yes")

    seen = place.run("status", "--json")
    assert seen.code == 1, seen.said
    (left,) = seen.json["unfinished"]
    assert left["kind"] == "deployment"
    assert left["at"] == "wave-2/apply (us-east-1)"
    assert "regionshift resume" in left["go_on"]
    assert seen.json["lock"] is None  # on a directory the lock goes with its process
    assert place.run("up", "--yes").code == 3

    gone = place.run("destroy", "--yes")
    assert gone.code == 0, gone.said
    assert census(place.clients, REGIONS, "dev") == Counter()
    told = {run["run_id"]: run["outcome"] for run in place.run("history", "--json").json}
    assert told[left["run_id"]] == "destroyed"
    assert place.run("status", "--json").json["unfinished"] == []
    assert place.run("resume", "--yes").code == 2
    again = place.run("up", "--yes", "--no-validate")
    assert again.code == 0, again.said
    assert census(place.clients, REGIONS, "dev") == whole
    assert place.run("status").code == 0


def test_status_says_who_is_at_work(make_place: Callable[..., Place]) -> None:
    place = make_place(regions={"primary": REGIONS[0], "secondaries": REGIONS[1:]}, deployment={"bake": 0})
    process = place.start_and_wait_for(["up", "--yes", "--no-validate"], 1)
    seen = place.run("status", "--json")
    assert place.finish(process).code == 0
    assert seen.code == 1, seen.said
    assert seen.json["lock"]["pid"] == process.pid
    assert [run["kind"] for run in seen.json["unfinished"]] == ["deployment"]
