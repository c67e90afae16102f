"""A wave that a person is to approve: yes, no, no answer, nobody there, killed while it waits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from broken_artifact import BREAKS_AT_ONCE, broken_artifact
from e2e_place import Place
from terminal import CTRL_C, Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
CANARY, SECOND, PRIMARY = "eu-west-1", "ap-southeast-2", "us-east-1"
QUESTION = f"Begin wave 2 ({SECOND}, {PRIMARY})? [y/N]:"


@pytest.fixture(scope="module")
def up(make_place: Callable[..., Place]) -> Place:
    """Three regions that are up; a change of them begins with one, and waits before the others."""
    place = make_place(
        regions={"primary": PRIMARY, "secondaries": [CANARY, SECOND]},
        deployment={"waves": [[CANARY], [SECOND, PRIMARY]], "approve": [2]},
    )
    done = place.run("up", "--yes", "--no-validate")
    assert done.code == 0, done.said
    return place


def _memory(place: Place, megabytes: int) -> None:
    place.settings["function"] = {"memory": megabytes}
    place.write()


def _memories(place: Place) -> list[int]:
    """What runs in AWS itself: the canary, the second, the primary."""
    found = []
    for region in (CANARY, SECOND, PRIMARY):
        functions = place.clients.get("lambda", region).list_functions()["Functions"]
        found.append(next(f["MemorySize"] for f in functions if "-migration-" in f["FunctionName"]))
    return found


def test_the_first_up_asks_for_no_wave(up: Place) -> None:
    assert _memories(up) == [512] * 3


def test_where_nobody_is_there_the_wave_waits_until_resume_says_yes(up: Place) -> None:
    before = up.run("status", "--json").json["regions"][PRIMARY]["release"]
    _memory(up, 600)
    waits = up.run("up", "--yes", "--json")
    assert waits.code == 3, waits.said
    error = waits.json["error"]
    assert error["message"] == f"Wave 2 ({SECOND}, {PRIMARY}) waits for a person."
    assert "regionshift resume" in error["remedy"]
    assert "resume --back" in error["remedy"]
    assert _memories(up) == [600, 512, 512]

    status = up.run("status", "--json")
    assert status.code == 1
    (unfinished,) = status.json["unfinished"]
    assert (unfinished["next"], unfinished["waits_for_a_person"]) == ("wave-2/approve", True)
    releases = {region: each["release"] for region, each in status.json["regions"].items()}
    assert releases[SECOND] == releases[PRIMARY] == before
    assert releases[CANARY] != before
    assert f"wave 2 ({SECOND}, {PRIMARY}) waits for a person" in up.run("status", COLUMNS="120").out

    assert up.run("resume").code == 3
    assert _memories(up) == [600, 512, 512]
    approved = up.run("resume", "--yes")
    assert approved.code == 0, approved.said
    assert _memories(up) == [600] * 3


def test_a_yes_at_the_terminal_begins_the_wave_and_a_key_that_is_no_answer_leaves_it_waiting(
    up: Place,
) -> None:
    _memory(up, 640)
    with Terminal(up, ("up", "--yes")) as person:
        person.wait_for(QUESTION)
        person.press(CTRL_C)
        assert person.end() == 130, person.said
        assert "it waits" in " ".join(person.said.split())
        assert "nothing was changed" not in person.said
        assert "regionshift resume" in person.said
    assert _memories(up) == [640, 600, 600]
    with Terminal(up, ("resume",), columns=120) as person:
        person.wait_for(QUESTION)
        person.press("y\n")
        assert person.end() == 0, person.said
    assert _memories(up) == [640] * 3


def test_a_no_takes_back_what_the_waves_before_changed(up: Place) -> None:
    _memory(up, 700)
    with Terminal(up, ("up", "--yes")) as person:
        person.wait_for(QUESTION)
        person.press("n\n")
        assert person.end() == 1, person.said
        assert f"wave 2 was not approved; rolling back {CANARY}" in " ".join(person.said.split())
    assert _memories(up) == [640] * 3
    assert up.run("status").code == 0


def test_while_it_waits_nobody_else_may_change_anything_and_a_kill_leaves_it_waiting(up: Place) -> None:
    with Terminal(up, ("up", "--yes")) as person:
        person.wait_for(QUESTION)
        for command in ("up", "resume", "rollback"):
            refused = up.run(command, "--yes")
            assert refused.code == 3, refused.said
            assert "is locked by" in refused.err
        assert up.run("releases").code == 0
        person.kill()
    back = up.run("resume", "--back", "--yes", "--json")
    assert back.code == 0, back.said
    assert back.json["regions"] == {CANARY: "rolled back", SECOND: "unchanged", PRIMARY: "unchanged"}
    assert _memories(up) == [640] * 3


def test_after_a_wave_that_failed_nobody_is_asked(up: Place, tmp_path: Path) -> None:
    artifact = str(broken_artifact(tmp_path, BREAKS_AT_ONCE))
    done = up.run("up", "--yes", "--json", REGIONSHIFT_TEST_ARTIFACT=artifact)
    assert done.code == 1, done.said
    assert done.json["outcome"] == "rolled back"
    assert "waits for a person" not in done.said
    assert "approve" not in done.said
    assert _memories(up) == [640] * 3
