"""The copying as a log shows it: a line now and then, one at the end, none wider than a terminal."""

from __future__ import annotations

import io

import pytest

from regionshift.report.migrations import CopyView, standing_line
from regionshift.report.printer import Screen


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_without_a_terminal_it_is_told_now_and_then_and_once_at_the_end() -> None:
    clock, out = Clock(), io.StringIO()
    with CopyView(Screen(file=out, width=80), 100, clock) as view:
        for clock.seconds, items in ((1.0, 1), (20.0, 40), (21.0, 50), (22.0, 100), (23.0, 100)):
            view.show(items=items, of_items=100, done=items, of_bytes=100, rate=2.0, left=100.0 - items)
    assert out.getvalue().splitlines() == [
        "carrying 40/100, 40 B of 100 B, 2/s, 1 min left",
        "carrying 100/100, 100 B of 100 B, 2/s, 0 s left",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_a_bar_of_ten_million_objects_fits_the_terminal(width: int) -> None:
    out = io.StringIO()
    console = Screen(file=out, width=width, force_terminal=True, color_system=None, legacy_windows=False)
    with CopyView(console, 10_000_000, Clock()) as view:
        view.show(
            items=1_234_567, of_items=10_000_000, done=12**11, of_bytes=10**14, rate=1834.2, left=4779.0
        )
    assert standing_line(12**11, 10**14, 1834.2, 4779.0) in out.getvalue()
