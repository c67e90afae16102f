"""What is taken out of an exported state, and how it is put back."""

from __future__ import annotations

import json
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest

from regionshift.engine.state_exclusion import NOTHING, ExcludedState, StateExclusion, put_back, take_out

PROVIDER = "urn:pulumi:dev::shop::pulumi:providers:aws::aws-eu-west-1"
OUT = StateExclusion(("urn:pulumi:*::*-eu-west-1",), ("_eu_west_1",))


def _urn(name: str, kind: str = "aws:sns/topic:Topic") -> str:
    return f"urn:pulumi:dev::shop::{kind}::{name}"


def _state() -> dict[str, Any]:
    stack = _urn("shop-dev", "pulumi:pulumi:Stack")
    return {
        "resources": [
            {
                "urn": stack,
                "type": "pulumi:pulumi:Stack",
                "outputs": {"a_eu_west_1": "1", "a_us_east_1": "2"},
            },
            {"urn": PROVIDER, "type": "pulumi:providers:aws", "id": "p1", "parent": stack},
            {"urn": _urn("topic-us-east-1"), "type": "t", "id": "i1", "parent": stack},
            {"urn": _urn("topic-eu-west-1"), "type": "t", "id": "i2", "provider": f"{PROVIDER}::p1"},
            {"urn": _urn("under it"), "type": "t", "id": "i3", "parent": _urn("topic-eu-west-1")},
            {
                "urn": _urn("knows both"),
                "type": "t",
                "id": "i4",
                "dependencies": [_urn("topic-us-east-1"), _urn("topic-eu-west-1")],
                "propertyDependencies": {"a": [_urn("topic-eu-west-1")], "b": None},
                "deletedWith": _urn("topic-eu-west-1"),
            },
        ],
        "pending_operations": [
            {"type": "creating", "resource": {"urn": _urn("queue-eu-west-1"), "type": "t"}},
            {"type": "creating", "resource": {"urn": _urn("queue-us-east-1"), "type": "t"}},
        ],
    }


def _names(state: dict[str, Any]) -> list[str]:
    return sorted(resource["urn"].rsplit("::", 1)[-1] for resource in state["resources"])


def test_a_region_goes_with_all_that_hangs_on_it_and_nothing_refers_to_it_any_more() -> None:
    state = _state()
    kept = take_out(state, OUT)
    assert _names(state) == ["knows both", "shop-dev", "topic-us-east-1"]
    assert "eu-west-1" not in json.dumps(state)
    assert state["resources"][0]["outputs"] == {"a_us_east_1": "2"}
    assert [each["urn"].rsplit("::", 1)[-1] for each in kept.resources] == [
        "aws-eu-west-1",
        "topic-eu-west-1",
        "under it",
    ]


def test_it_is_put_back_as_it_was_however_often() -> None:
    state, before = _state(), _state()
    kept = take_out(state, OUT)
    put_back(state, kept)
    assert _names(state) == _names(before)
    assert state["resources"][0]["outputs"] == before["resources"][0]["outputs"]
    assert len(state["pending_operations"]) == 2
    for resource in kept.resources:
        assert resource in before["resources"]
        assert resource in state["resources"]
    again = deepcopy(state)
    put_back(again, kept)
    assert again == state


def test_what_changed_meanwhile_is_not_undone_and_not_referred_to_when_it_is_gone() -> None:
    state = _state()
    state["resources"][3]["dependencies"] = [_urn("topic-us-east-1"), PROVIDER]
    kept = take_out(state, OUT)
    state["resources"] = [each for each in state["resources"] if not each["urn"].endswith("topic-us-east-1")]
    state["resources"][0]["outputs"]["a_us_east_1"] = "new"
    put_back(state, kept)
    topic = next(each for each in state["resources"] if each["urn"].endswith("topic-eu-west-1"))
    assert topic["dependencies"] == [PROVIDER]
    assert state["resources"][0]["outputs"] == {"a_eu_west_1": "1", "a_us_east_1": "new"}


class Killed(BaseException):
    """kill -9."""


class Disk:
    """A state and a slot that outlive a process; `dies_at` is the number of the write that is not done any more."""

    def __init__(self) -> None:
        self.state, self.kept = _state(), None
        self.dies_at = 0
        self.writes = 0

    def _may_write(self) -> None:
        self.writes += 1
        if self.writes == self.dies_at:
            raise Killed

    def export(self) -> dict[str, Any]:
        return {"deployment": deepcopy(self.state)}

    def put(self, exported: Any) -> None:
        """As `pulumi stack import` does, which drops every note."""
        self._may_write()
        self.state = deepcopy(exported["deployment"]) | {"pending_operations": []}

    def read(self) -> bytes | None:
        return self.kept

    def write(self, body: bytes) -> None:
        self._may_write()
        self.kept: bytes | None = body

    def clear(self) -> None:
        self._may_write()
        self.kept = None


def _excluded(disk: Disk) -> ExcludedState:
    """As the next process has it."""
    return ExcludedState(disk, disk.export, disk.put)


def _open(disk: Disk) -> list[str]:
    notes = _excluded(disk).deployment()["pending_operations"]
    return sorted(note["resource"]["urn"].rsplit("::", 1)[-1] for note in notes)


@pytest.mark.parametrize("at", range(1, 6))
def test_nothing_is_lost_whenever_the_process_dies(at: int) -> None:
    disk, before = Disk(), _names(_state())
    disk.dies_at = at
    dying = _excluded(disk)
    try:
        dying.exclude(OUT)
        assert _names(disk.state) == ["knows both", "shop-dev", "topic-us-east-1"]
        dying.exclude(NOTHING)
    except Killed:
        pass
    assert _names(_excluded(disk).deployment()) == before
    assert _open(disk) == ["queue-eu-west-1", "queue-us-east-1"]
    _excluded(disk).exclude(NOTHING)
    assert _names(disk.state) == before
    assert disk.state["resources"][0]["outputs"] == {"a_eu_west_1": "1", "a_us_east_1": "2"}
    assert _open(disk) == ["queue-eu-west-1", "queue-us-east-1"]


def test_nothing_stays_beside_a_state_that_is_whole_and_has_no_notes() -> None:
    disk = Disk()
    disk.state["pending_operations"] = [{"type": "deleting", "resource": {"urn": _urn("queue-us-east-1")}}]
    _excluded(disk).exclude(OUT)
    _excluded(disk).exclude(NOTHING)
    assert disk.kept is None


@pytest.mark.parametrize("out", [NOTHING, OUT])
@pytest.mark.parametrize("at", range(1, 6))
def test_what_is_settled_is_settled_once_and_what_is_not_stays_open(at: int, out: StateExclusion) -> None:
    disk, before = Disk(), _names(_state())
    _excluded(disk).exclude(out)
    disk.dies_at = disk.writes + at
    with suppress(Killed):
        _excluded(disk).settle({_urn("queue-us-east-1"): "i9"}, [])
    disk.dies_at = 0
    _excluded(disk).settle({_urn("queue-us-east-1"): "i9"}, [])
    assert _names(disk.state) == sorted([*before, "queue-us-east-1"])
    assert _open(disk) == ["queue-eu-west-1"]
    _excluded(disk).settle({}, [_urn("queue-eu-west-1")])
    assert _open(disk) == []
    assert disk.kept is None


def test_reading_the_whole_state_writes_nothing() -> None:
    disk = Disk()
    _excluded(disk).exclude(OUT)
    writes = disk.writes
    assert _names(_excluded(disk).deployment()) == _names(_state())
    assert disk.writes == writes


def test_a_stack_that_is_called_as_a_region_stays() -> None:
    state = json.loads(json.dumps(_state()).replace("shop-dev", "shop-dev-eu-west-1"))
    kept = take_out(state, OUT)
    assert _names(state) == ["knows both", "shop-dev-eu-west-1", "topic-us-east-1"]
    assert len(kept.resources) == 3


def test_the_outputs_that_are_out_can_still_be_read() -> None:
    disk = Disk()
    _excluded(disk).exclude(OUT)
    assert _excluded(disk).plain_outputs() == {"a_eu_west_1": "1"}
