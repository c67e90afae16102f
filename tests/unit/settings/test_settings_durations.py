"""Lengths of time are read as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionshift.settings.fields import format_duration, parse_duration


@given(st.integers(0, 10**9))
def test_what_is_written_is_read_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172_800), ("0s", 0)]
)
def test_lengths_of_time(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "1m1h", "-5m", "1.5h", "10 m", "1h\n2m"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a length of time"):
        parse_duration(text)
