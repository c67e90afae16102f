"""Every step of every kind of run is done twice: killed right after its effect, before its event, and gone on with.

Nothing is named here: whatever a run writes down as done is killed there once, so a new step is tried too. What the
product lists as its steps is then compared with what was met, so that none is left out. Waves and their way back have
the same over made-up regions (test_fault_points.py), a change of primary in test_steps_of_a_change.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from primary_site import FIRST, SECOND, Killed, Site

from regionshift.journal.events import Event
from regionshift.journal.journal import RunJournal
from regionshift.operations import moves, rejoining
from regionshift.operations.moving.promotion_plan import STEPS_WITHOUT_SOURCE

pytestmark = [pytest.mark.component, pytest.mark.thorough]
THIRD = "ap-southeast-2"
_MOST = 60


@dataclass
class Kills:
    """Kills the process once at each event that says that a step, or a run, is done."""

    met: list[tuple[str, str]] = field(default_factory=list)
    dead: bool = False
    armed: bool = False
    steps: frozenset[str] = frozenset()

    def at(self, event: Event) -> None:
        if self.dead:
            raise Killed
        what = (event.kind, event.step)
        if (
            self.armed
            and (not self.steps or event.step in self.steps)
            and event.phase == "after"
            and what not in self.met
        ):
            self.met.append(what)
            self.dead = True
            raise Killed

    def until_done(self, site: Site, *command: str, steps: Collection[str] = ()) -> set[tuple[str, str]]:
        """Run ``command``, then `resume` after every kill; gives what was killed on the way.

        ``steps``: when given, others are not killed.
        """
        self.met.clear()
        self.steps = frozenset(steps)
        self.armed = True
        try:
            for _ in range(_MOST):
                self.dead = False
                try:
                    assert site.run(*command) == 0, f"after {self.met}"
                except Killed:
                    command = ("resume", "--yes")
                    continue
                assert site.open_runs() == []
                return set(self.met)
        finally:
            self.dead = self.armed = False
        raise AssertionError(f"it never ends: {self.met}")


@pytest.fixture(scope="module")
def kills() -> Iterator[Kills]:
    kills, append = Kills(), RunJournal.try_append

    def appended(self: RunJournal, event: Event) -> Any:
        kills.at(event)
        return append(self, event)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunJournal, "try_append", appended)
        yield kills


def test_a_first_up(site: Site, kills: Kills) -> None:
    assert site.run("destroy", "--yes") == 0
    assert kills.until_done(site, "up", "--yes", "--no-validate") == {
        ("deployment", "apply"),
        ("deployment", "run"),
    }
    site.require_whole()


def test_a_primary_that_is_given_up(site: Site, kills: Kills) -> None:
    old, new = site.primary, site.secondary
    met = kills.until_done(site, "promote", new, "--source-lost", "--yes")
    listed = {step.name for step in STEPS_WITHOUT_SOURCE}
    assert {step for kind, step in met if kind == "promotion"} == {*listed, "run"}
    assert site.primary == new
    assert site.look().fences == sorted(site.roles(old))


def test_a_region_that_comes_back(site: Site, kills: Kills) -> None:
    met = kills.until_done(site, "up", "--rejoin", site.secondary, "--yes")
    assert {step for kind, step in met if kind == "deployment"} == {
        *(step.name for step in rejoining.STEPS),
        "run",
    }
    assert site.look().fences == []
    site.require_whole()
    assert site.run("status") == 0


def test_a_move_and_the_end_of_the_old_region(site: Site, kills: Kills) -> None:
    old = site.primary
    site.put(old, "data/moves")
    # The change of primary in it is killed in test_steps_of_a_change.
    steps = (*moves.PHASES, "apply", "run")
    met = kills.until_done(site, "move", "--from", old, "--to", THIRD, "--yes", steps=steps)
    assert ("deployment", "apply") in met
    assert {step for kind, step in met if kind == "move"} == {*moves.PHASES, "run"}
    assert f"primary: {THIRD}" in site.file.read_text()
    assert site.run("status") == 0
    retire = ("move", "--from", old, "--to", THIRD, "--retire", "--allow-data-loss", "--yes")
    assert kills.until_done(site, *retire, steps=("apply", "run")) == {
        ("deployment", "apply"),
        ("deployment", "run"),
    }
    assert site.roles(old) == []


def test_a_destroy(site: Site, kills: Kills) -> None:
    assert kills.until_done(site, "destroy", "--yes") == {("destroy", "apply"), ("destroy", "run")}
    assert site.roles(FIRST) == site.roles(SECOND) == []
