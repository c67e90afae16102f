"""A run as it is watched, in waves, in one go or step by step: messages through the view, with a clock of our own."""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import MappingProxyType
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
        self,
        *waves: tuple[str, ...],
        width: int = 80,
        height: int = 24,
        terminal: bool = True,
        totals: Mapping[str, int] = MappingProxyType({}),
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
        self.view = CourseView(self.screen, "deployment", self.clock, totals)
        self.view._live.auto_refresh = False  # only the clock moves it
        self.known: dict[str, CourseStep] = {}
        self.course(_steps(*waves) if waves else [])

    def course(self, steps: list[CourseStep]) -> None:
        self.known |= {step.name: step for step in steps}
        self.view.course(steps)

    def step(self, name: str, end: str = "after", seconds: float = 5.0) -> None:
        self.told(name, "before")
        self.clock.seconds += seconds
        if end:
            self.told(name, end)

    def told(self, name: str, phase: str, said: str = "") -> None:
        self.view.told(self.known[name], phase, said)

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
    run.told("wave-1/bake", "before")
    run.view.doing(None, "no alarm is red", left=200.0)
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
    run.told("wave-1/apply", "before")
    run.view.resource("started", OTHER, "urn", "update function")
    (line,) = (line for line in run.picture() if line.startswith(OTHER))
    assert line.endswith("update function")


def test_the_way_back_has_columns_of_its_own_and_the_end_says_how_long_each_took() -> None:
    run = Recording((CANARY,), (PRIMARY,))
    with run.view:
        run.step("wave-1/apply", seconds=60.0)
        run.step("wave-1/validate", "failed")
        run.course([CourseStep("back/wave-1/apply", "back", (CANARY,), 1, True)])
        run.step("back/wave-1/apply", seconds=30.0)
    last = [line.rstrip() for line in run.said.rpartition("deployment  ")[2].splitlines()]
    assert last[1].split() == ["region", "wave", "apply", "validate", "bake", "back"]
    assert last[2].split() == [CANARY, "1", "✓", "1", "min", "✗", "5", "s", "·", "✓", "30", "s"]
    assert not any(line.startswith(("next:", "now:")) for line in last)


def test_a_log_has_a_line_as_a_step_begins_and_ends_its_region_first_and_the_summary() -> None:
    run = Recording((CANARY,), (PRIMARY,), terminal=False)
    with run.view:
        run.step("wave-1/apply", seconds=12.0)
        run.told("wave-1/bake", "before")
        run.view.doing(None, "no alarm is red", left=100.0)
        run.view._tell_plainly()
        run.told("wave-1/bake", "after")
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
        run.told(f"wave-1/{phase}", "earlier")
    assert run.said == ""
    assert run.picture()[0] == "deployment  1 of 1 regions done  0 s"


def test_a_view_of_a_run_that_told_nothing_says_nothing() -> None:
    run = Recording((CANARY,), terminal=False)
    with run.view:
        pass
    assert run.said == ""


def _in_one_go(*regions: str, totals: int, **how: Any) -> Recording:
    run = Recording(**how, totals=dict.fromkeys(regions, totals))
    run.course([CourseStep("apply", "apply", regions)])
    run.told("apply", "before")
    return run


def test_a_run_in_one_go_counts_resources_and_keeps_to_the_terminal_failures_first() -> None:
    regions = tuple(f"region-{number:02}" for number in range(30))
    run = _in_one_go(*regions, totals=2)
    for region in regions[:10]:
        for number in range(2):
            run.view.resource("done", region, f"urn-{number}", "create a")
    run.view.resource("failed", regions[29], "urn", "create bucket")
    run.view.resource("started", regions[28], "urn", "create queue")
    lines = run.picture()
    assert len(lines) <= 24
    assert lines[0] == "deployment  10 of 30 regions done, 1 failed, 20 of 60 resources  0 s"
    assert lines[3].split() == [regions[29], "✗", "0/2"]
    assert lines[4].split() == [regions[28], "…", "0/2", "create", "queue"]
    assert lines[-1] == "… and 11 more: 10 done, 1 not yet"
    with run.view:
        run.told("apply", "failed")
    last = run.said.rpartition("deployment")[2]
    assert all(region in last for region in regions)
    assert "1 failed" in last


def test_each_region_of_a_run_in_one_go_is_done_in_its_own_time() -> None:
    run = _in_one_go(PRIMARY, OTHER, totals=1)
    for region, seconds in ((OTHER, 5.0), (PRIMARY, 60.0)):
        run.view.resource("started", region, "urn", "create bucket")
        run.clock.seconds = seconds
        run.view.resource("done", region, "urn", "create bucket")
    run.view.resource("started", None, "urn", "create role")
    marks = {line.split()[0]: line.split("  ")[-1].split()[0] for line in run.picture()[3:]}
    assert marks[OTHER] == marks[PRIMARY] == "✓"
    assert run.picture()[0].startswith("deployment  2 of 2 regions done, 2 of 2 resources")
    run.told("apply", "after")
    assert [line.split()[-3:] for line in run.picture()[2:4]] == [["✓", "55", "s"], ["✓", "5", "s"]]


MIGRATION = [
    CourseStep("plan", "", (OTHER,), meaning="find what must be copied"),
    CourseStep("copy", "", (OTHER,), meaning="copy the items, and prove each copy"),
]


@SIZES
def test_steps_without_phases_are_rows_with_how_far_each_is_and_how_it_ended(width: int, height: int) -> None:
    run = Recording(width=width, height=height)
    run.course(MIGRATION)
    run.told("plan", "before")
    run.clock.seconds = 75.0
    assert run.picture()[1] == "…  plan  1 min 15 s  find what must be copied"
    run.told("plan", "after", "2 batches")
    run.told("copy", "before")
    run.view.doing(OTHER, "4.6 TB of 98.8 TB, 1,834/s", done=1_234_567, total=10_000_000, left=4779.0)
    lines = run.picture()
    assert lines[0] == "deployment  1 of 2 steps done  1 min 15 s"
    assert lines[1].split(maxsplit=5) == [
        "✓",
        "plan",
        "1",
        "min",
        "15",
        "s  find what must be copied  2 batches",
    ]
    assert "1,234,567/10,000,000" in lines[2]
    assert max(map(len, lines)) <= width
    with run.view:
        run.told("copy", "failed", "it was refused")
    assert "it was refused" in run.said
    assert "deployment  1 of 2 steps done, 1 failed" in run.said


def test_a_log_tells_how_far_a_copy_is_and_the_way_back_comes_last() -> None:
    run = Recording(terminal=False)
    run.course(MIGRATION)
    with run.view:
        run.told("copy", "before")
        run.clock.seconds = 20.0
        run.view.doing(OTHER, "40 B of 100 B, 2/s", done=40, total=100, left=60.0)
        run.view._tell_plainly()
        run.told("copy", "failed", "gone")
        run.course([CourseStep("back/plan", regions=(OTHER,), back=True)])
        run.step("back/plan")
        run.told("plan", "earlier")
    lines = [line.rstrip() for line in run.said.splitlines()]
    assert lines[:5] == [
        f"{OTHER}: … copy  copy the items, and prove each copy",
        f"{OTHER}: … copy  20 s  1 min left  40/100  40 B of 100 B, 2/s",
        f"{OTHER}: ✗ copy  copy the items, and prove each copy  gone  20 s",
        f"{OTHER}: … back/plan",
        f"{OTHER}: ✓ back/plan  5 s",
    ]
    assert lines[5] == "deployment  1 of 2 steps done, 1 failed, 1 rolled back  25 s"
    assert [line.split()[1] for line in lines[6:]] == ["plan", "copy", "back/plan"]
