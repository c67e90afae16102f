"""A run in waves as it is watched: recorded messages through the view, with a clock of our own."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest

from regionshift.report.live import CourseStep, CourseView
from regionshift.report.printer import Screen

PRIMARY, CANARY, OTHER = "us-east-1", "eu-west-1", "ap-southeast-2"
SIZES = pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])


class FakeClock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def _steps(*waves: tuple[str, ...]) -> list[CourseStep]:
    return [
        CourseStep(f"wave-{number}/{phase}", phase, wave, number)
        for number, wave in enumerate(waves, 1)
        for phase in ("apply", "validate", "bake")
    ] + [CourseStep("links", "", tuple(region for wave in waves for region in wave))]


class Recording:
    """A view, fed with messages; each takes some seconds."""

    def __init__(
        self, *waves: tuple[str, ...], width: int = 80, height: int = 24, terminal: bool = True
    ) -> None:
        how: dict[str, Any] = {"color_system": None, "legacy_windows": False}
        self.screen = Screen(
            file=io.StringIO(),
            width=width if terminal else None,
            height=height,
            force_terminal=terminal,
            **how,
        )
        self.clock = FakeClock()
        self.view = CourseView(self.screen, "deployment", self.clock)
        self.view._live.auto_refresh = False  # only the clock moves it
        self.steps = _steps(*waves)
        self.view.course(self.steps)

    def step(self, name: str, end: str = "after", seconds: float = 5.0) -> None:
        self.view.told(name, "before")
        self.clock.seconds += seconds
        if end:
            self.view.told(name, end)

    def picture(self) -> list[str]:
        paper = Screen(
            file=io.StringIO(), width=self.screen.width, height=self.screen.height, force_terminal=True,
            color_system=None, legacy_windows=False,
        )  # fmt: skip
        paper.print(self.view._render())
        return [line.rstrip() for line in cast(io.StringIO, paper.file).getvalue().splitlines()]

    @property
    def said(self) -> str:
        return cast(io.StringIO, self.screen.file).getvalue()


@SIZES
def test_a_bake_says_what_is_left_what_it_watches_and_what_comes_next(width: int, height: int) -> None:
    run = Recording((CANARY,), (OTHER,), (PRIMARY,), width=width, height=height)
    run.step("wave-1/apply", seconds=12.0)
    run.step("wave-1/validate", seconds=3.0)
    run.view.told("wave-1/bake", "before")
    run.view.watching(200.0, "no alarm is red")
    run.clock.seconds += 20.0
    lines = run.picture()
    assert lines[0] == "deployment  0 of 3 regions done  35 s"
    assert lines[1] == f"now:  wave-1/bake ({CANARY})  20 s  3 min left  no alarm is red"
    assert lines[2].split() == ["region", "wave", "apply", "validate", "bake"]
    assert lines[3].split() == [CANARY, "1", "✓", "12", "s", "✓", "3", "s", "…", "20", "s"]
    assert lines[4].split() == [OTHER, "2", "·", "·", "·"]
    assert lines[6] == f"next: wave-2/apply ({OTHER}), then 6 more"
    assert len(lines) == 7 and max(map(len, lines)) <= width


@SIZES
def test_thirty_regions_keep_to_the_terminal_and_what_failed_comes_first(width: int, height: int) -> None:
    regions = tuple(f"region-{number:02}" for number in range(30))
    run = Recording(regions[:10], regions[10:20], regions[20:], width=width, height=height)
    for phase in ("apply", "validate", "bake"):
        run.step(f"wave-1/{phase}")
    run.step("wave-2/apply", "failed")
    lines = run.picture()
    assert len(lines) <= height
    assert lines[0] == "deployment  10 of 30 regions done, 10 failed  20 s"
    shown = [line.split()[0] for line in lines if line.startswith("region-")]
    assert shown[:10] == list(regions[10:20])
    hidden = 30 - len(shown)
    assert any(line.startswith(f"… and {hidden} more: ") for line in lines) == bool(hidden)


def test_what_each_region_does_stands_in_its_line() -> None:
    run = Recording((CANARY, OTHER))
    run.view.told("wave-1/apply", "before")
    run.view.now(OTHER, "update function")
    (line,) = (line for line in run.picture() if line.startswith(OTHER))
    assert line.endswith("update function")


def test_the_way_back_has_columns_of_its_own_and_the_end_says_how_long_each_took() -> None:
    run = Recording((CANARY,), (PRIMARY,))
    with run.view:
        run.step("wave-1/apply", seconds=60.0)
        run.step("wave-1/validate", "failed")
        run.view.course([CourseStep("back/wave-1/apply", "back", (CANARY,), 1, True)])
        run.step("back/wave-1/apply", seconds=30.0)
    last = [line.rstrip() for line in run.said.rpartition("deployment  ")[2].splitlines()]
    assert last[1].split() == ["region", "wave", "apply", "validate", "bake", "back"]
    assert last[2].split() == [CANARY, "1", "✓", "1", "min", "✗", "5", "s", "·", "✓", "30", "s"]
    assert not any(line.startswith(("next:", "now:")) for line in last)


def test_a_log_has_a_line_as_a_step_begins_and_ends_its_region_first_and_the_summary() -> None:
    run = Recording((CANARY,), (PRIMARY,), terminal=False)
    with run.view:
        run.step("wave-1/apply", seconds=12.0)
        run.view.told("wave-1/bake", "before")
        run.view.watching(100.0, "no alarm is red")
        run.view._tell_plainly()
        run.view.told("wave-1/bake", "after")
        run.view._tell_plainly()
    lines = run.said.splitlines()
    assert lines[:5] == [
        f"{CANARY}: … wave-1/apply",
        f"{CANARY}: ✓ wave-1/apply  12 s",
        f"{CANARY}: … wave-1/bake",
        f"{CANARY}: … wave-1/bake  0 s  1 min 40 s left  no alarm is red",
        f"{CANARY}: ✓ wave-1/bake  0 s",
    ]
    assert lines[5].startswith("deployment  0 of 2 regions done")
    assert "\x1b" not in run.said


def test_what_an_earlier_process_did_is_done_and_a_log_does_not_tell_it_again() -> None:
    run = Recording((CANARY,), terminal=False)
    for phase in ("apply", "validate", "bake"):
        run.view.told(f"wave-1/{phase}", "earlier")
    assert run.said == ""
    assert run.picture()[0] == "deployment  1 of 1 regions done  0 s"


def test_a_view_of_a_run_that_told_nothing_says_nothing() -> None:
    run = Recording((CANARY,), terminal=False)
    with run.view:
        pass
    assert run.said == ""
