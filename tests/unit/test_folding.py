"""What is alike in several regions is told once, and from what is told each of them can be had back."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from regionshift.report.folding import HERE, folded, where
from regionshift.report.plan_view import value_lines
from regionshift.report.values import Change, ValueChange

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2", "us-gov-east-1")
_TEXT = st.lists(
    st.sampled_from(["OWN", "OWN_KEY", "OWN2", "eu-west-1", "us_east_1", HERE, "a", "1", "-", " ", ""]),
    max_size=4,
).map("".join)
_VALUE = st.recursive(
    st.one_of(_TEXT, st.none(), st.booleans(), st.integers(0, 1), st.sampled_from([0.0, 1.0])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXT, inner, max_size=3)),
    max_leaves=6,
)


def _in(value: Any, region: str) -> Any:
    """``value`` as it is in ``region``."""
    if isinstance(value, str):
        return value.replace("OWN_KEY", region.replace("-", "_")).replace("OWN", region)
    if isinstance(value, list):
        return [_in(each, region) for each in value]
    if isinstance(value, dict):
        return {_in(name, region): _in(each, region) for name, each in value.items()}
    return value


def _retold(value: Any, one: str, other: str) -> str:
    """What is true of the region ``one``, as it is true of ``other``."""
    said = re.sub(rf"{one}(?!\d)", other, repr(value))
    return re.sub(rf"{one.replace('-', '_')}(?!\d)", other.replace("-", "_"), said)


@st.composite
def _changes(draw: st.DrawFn) -> list[Change]:
    shapes = draw(
        st.lists(st.tuples(_TEXT, st.lists(st.tuples(_TEXT, _VALUE, _VALUE), max_size=3)), max_size=3)
    )
    found = []
    for number, (name, values) in enumerate(shapes):
        for region in draw(st.lists(st.sampled_from(REGIONS), unique=True)):
            told = tuple(ValueChange(*(_in(each, region) for each in value)) for value in values)
            found.append(
                Change(
                    "update",
                    "t",
                    _in(name, region),
                    region,
                    _in(f"urn:{number}::{name}", region),
                    values=told,
                )
            )
    return found


@given(_changes())
def test_unfolding_gives_back_every_change(changes: list[Change]) -> None:
    groups = folded(changes, lambda each: each.region, lambda each: (each.op, each.type, each.name, each.urn))
    assert Counter(repr(each) for group in groups for each in group.things) == Counter(map(repr, changes))
    for group in groups:
        first = group.one
        lines = value_lines(group.things)
        for change in group.things:
            assert first.region and change.region
            assert _retold(first.name, first.region, change.region) == repr(change.name)
            told = [
                _retold(line.one[1], line.one[0] or "", change.region)
                for line in lines
                if change.region in line.regions
            ]
            assert {*told} == {repr(value) for value in change.values}


def test_what_is_alike_is_one_and_what_is_not_stays_apart() -> None:
    def count(*texts: str) -> int:
        things = list(zip(("us-east-1", "eu-west-1"), texts, strict=True))
        return len(folded(things, lambda each: each[0], lambda each: each[1]))

    assert count("a-us-east-1b", "a-eu-west-1b") == 1
    assert count("a", "a") == 1
    assert count("a_us_east_1", "a_eu_west_1") == 1
    assert count("a_us_east_1", "a-eu-west-1") == 2
    assert count(f"a-{HERE}", "a-eu-west-1") == 2
    assert count("us-east-12", "eu-west-12") == 2
    assert count("b-eu-west-1", "b-eu-west-1") == 2


def test_where_is_said_in_a_line() -> None:
    thirty = tuple(f"r-{n}" for n in range(30))
    assert where(["r-1"], thirty) == "in r-1"
    assert where(thirty, thirty) == "in all 30 regions"
    assert where(["r-1", "r-2"], thirty) == "the same in 2 regions: r-1, r-2"
    assert where(thirty[:28], thirty) == "the same in 28 regions: all but r-28, r-29"
    assert where(thirty[:20], thirty) == "the same in 20 regions: r-0, r-1, r-2, r-3 and 16 more"
    assert where(thirty[:20], thirty, whole=True).endswith("r-18, r-19")
    assert where([None]) == ""
