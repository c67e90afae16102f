"""Every place at which a deployment can go wrong, one after the other: it ends as the rules say, or is resumed.

The number of places is counted in a run without faults, so that a new step is tried without being named here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from deployment_world import Process, disagreements, model
from model_regions import WAVES, Crash, Fault, World

from regionshift.errors import Interrupted, NoRoom, Refused, RegionshiftError
from regionshift.journal.lock import LockLost
from regionshift.journal.store import StateUnreachable

pytestmark = pytest.mark.component
__all__ = ["model"]
OLD, NEW = 0, 1
Use = Callable[[World], World]


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three regions that are up at the old release; the settings describe the new one."""
    world = World(tmp_path_factory.mktemp("standing") / "world", {}, wanted=OLD)
    Process(world).up()
    world.wanted = NEW
    return world


@pytest.fixture
def world(standing: World, tmp_path: Path, model: Use) -> World:
    return model(standing.copy(tmp_path / "world"))


def releases(world: World) -> list[str | None]:
    return [world.runs(region) for region in WAVES]


def all_at(world: World, number: int) -> bool:
    return releases(world) == [world.digest(number)] * len(WAVES)


def finish(world: World, *, back: bool = False) -> None:
    """What a person does after a kill: `up` refuses until `resume` ended it."""
    process = Process(world)
    if process.is_open:
        with pytest.raises(Refused):
            Process(world).up()
        process.resume(back=back)
    assert not Process(world).is_open


def agrees(world: World) -> None:
    assert disagreements(world) == []
    standing = Process(world).deployed
    assert not standing.unsettled
    for region, state in standing.regions.items():
        assert state.note == "", region


@pytest.mark.parametrize("on_failure", ["rollback", "stop"])
@pytest.mark.parametrize(
    "how",
    ["create", "update", "delete", "lost create", "lost update", "lost delete", "validate", "bake", "alarm"],
)
@pytest.mark.parametrize("wave", [1, 2, 3])
def test_what_fails_in_a_wave_takes_back_what_was_reached(
    world: World, wave: int, how: str, on_failure: str
) -> None:
    world.on_failure = on_failure
    region, process = WAVES[wave - 1], Process(world)
    if how.endswith(("create", "update", "delete")):
        kind, op = "lost" if how.startswith("lost") else "fail", how.rpartition(" ")[2]
        process.faults = [Fault("step", kind, only=lambda what: what == f"{region} {op}")]
    else:
        world.broken[(world.digest(NEW), region)] = how
    process.up()
    assert not Process(world).is_open
    (last, *_) = Process(world).journal.history()
    if on_failure == "rollback":
        assert last.outcome == "rolled back"
        assert all_at(world, OLD)
        agrees(world)
    else:
        assert last.outcome == "stopped"
        assert releases(world)[: wave - 1] == [world.digest(NEW)] * (wave - 1)
        assert releases(world)[wave:] == [world.digest(OLD)] * (3 - wave)
        assert disagreements(world) == []
        world.broken.clear()
        Process(world).up()
        assert all_at(world, NEW)
        agrees(world)


def _places(standing: World, folder: Path, use: Use, where: str) -> int:
    world = use(standing.copy(folder / f"counted-{where}"))
    counting = Fault(where, "", at=10**6)
    Process(world, [counting]).up()
    assert all_at(world, NEW)
    agrees(world)
    return counting.passed


_BREAKS = {
    "lost before": StateUnreachable,
    "lost after": StateUnreachable,
    "crash before": Crash,
    "crash after": Crash,
    "interrupt": Interrupted,
    "full": NoRoom,
    "lost": LockLost,
}


@pytest.mark.parametrize("back", [False, True], ids=["resume", "resume --back"])
@pytest.mark.parametrize(
    ("where", "how"),
    [
        ("write", "lost before"),
        ("write", "lost after"),
        ("write", "full"),
        ("write", "crash before"),
        ("write", "crash after"),
        ("step", "crash before"),
        ("step", "crash after"),
        ("step", "interrupt"),
        ("step", "full"),
        ("lock", "lost"),
    ],
)
def test_stopped_at_any_place_it_is_finished_or_taken_back(
    standing: World, tmp_path: Path, model: Use, where: str, how: str, back: bool
) -> None:
    places = _places(standing, tmp_path, model, where)
    assert places > 8
    for place in range(1, places + 1):
        world = model(standing.copy(tmp_path / f"{place}"))
        with pytest.raises(_BREAKS[how]):
            Process(world, [Fault(where, how, at=place)]).up()
        assert disagreements(world) == [], f"at {where} {place}"
        reached = world.digest(NEW) in releases(world) or "half" in releases(world)
        was_open = Process(world).is_open
        finish(world, back=back)
        agrees(world)
        if was_open and not back:
            assert all_at(world, NEW), f"at {where} {place}"
        elif was_open and reached:
            assert all_at(world, OLD) or all_at(world, NEW), f"at {where} {place}"
        Process(world).up()
        assert all_at(world, NEW), f"at {where} {place}"
        agrees(world)


@pytest.mark.parametrize("how", ["crash before", "crash after", "interrupt", "fail", "lost"])
def test_stopped_or_failing_on_the_way_back_it_is_taken_back_or_left_to_a_person(
    standing: World, tmp_path: Path, model: Use, how: str
) -> None:
    """The last wave's release is broken, so all three go back; the way back is hit at every engine step."""
    for place in range(1, 40):
        world = model(standing.copy(tmp_path / f"{place}"))
        world.broken[(world.digest(NEW), WAVES[-1])] = "validate"
        process = Process(world, [Fault("step", how, at=place)])
        try:
            process.up()
        except (Crash, RegionshiftError):
            finish(world)
        if not process.faults[0].happened:
            assert place > 18
            break
        assert disagreements(world) == [], f"step {place}"
        world.broken.clear()
        Process(world).up()
        assert all_at(world, NEW), f"step {place}"
        agrees(world)
    else:
        raise AssertionError("the faults never ended")


def test_a_killed_resume_is_resumed(standing: World, tmp_path: Path, model: Use) -> None:
    for place in range(1, 20):
        world = model(standing.copy(tmp_path / f"{place}"))
        with pytest.raises(Crash):
            Process(world, [Fault("step", "crash after", at=4)]).up()
        again = Process(world, [Fault("write", "crash after", at=place)])
        try:
            again.resume()
        except Crash:
            finish(world)
        assert all_at(world, NEW)
        agrees(world)
