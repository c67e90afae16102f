"""What the events of a run add up to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from regionshift.journal.events import Event, decode, encode, fold
from regionshift.journal.store import StateDamaged

START = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
REGIONS = st.sampled_from([None, "eu-west-1", "us-east-1"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def event(sequence: int, step: str, phase: str, region: str | None = None, **data: object) -> Event:
    at = START + timedelta(seconds=sequence)
    return Event(sequence, "000001-deployment-abc", "deployment", step, phase, region, data, at)


@st.composite
def runs(draw: st.DrawFn) -> list[Event]:
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["a", "b", "run"]), st.sampled_from(["before", "after", "failed"]), REGIONS
            ),
            max_size=20,
        )
    )
    opening = event(1, "run", "before")
    return [opening, *(event(i, *step) for i, step in enumerate(steps, start=2))]


@given(runs(), st.randoms(use_true_random=False))
def test_order_of_reading_does_not_matter(events: list[Event], random: object) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fold(shuffled) == fold(events)


@given(runs())
def test_each_step_stands_as_its_last_event_says(events: list[Event]) -> None:
    view = fold(events)
    last = {(e.step, e.region): e for e in events if e.step != "run"}
    assert {(s.step, s.region): (s.phase, s.sequence) for s in view.steps} == {
        key: (e.phase, e.sequence) for key, e in last.items()
    }
    assert [s.phase for s in view.in_doubt] == ["before"] * len(view.in_doubt)
    closings = [e for e in events if e.step == "run" and e.phase != "before"]
    assert view.ended == (closings[0].at if closings else None)


@given(st.dictionaries(st.text(), JSON, max_size=4), REGIONS)
def test_what_is_written_is_what_is_read(data: dict[str, object], region: str | None) -> None:
    written = Event(7, "000001-x-y", "deployment", "wave-1/apply", "before", region, data, START, "id")
    assert decode(encode(written), "here") == written


@given(st.data())
def test_an_event_cut_short_is_an_error_that_says_where(data: st.DataObject) -> None:
    body = encode(event(1, "run", "before", note="x"))
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(StateDamaged) as caught:
        decode(body[:cut], "runs/000001/00000001.json")
    assert caught.value.where == "runs/000001/00000001.json"


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"version": 1}', b"\xff\xfe", b'{"version": "x"}', b"null"])
def test_what_is_no_event_is_an_error(body: bytes) -> None:
    with pytest.raises(StateDamaged):
        decode(body, "x")


def test_secrets_cannot_be_written() -> None:
    with pytest.raises(TypeError):
        encode(event(1, "run", "before", password=SecretStr("hunter2")))


def test_a_newer_tool_is_read_and_marked() -> None:
    newer = (
        b'{"version": 2, "sequence": 2, "run_id": "000001-deployment-abc",'
        b' "at": "2026-01-02T03:04:05+00:00", "mood": 1}'
    )
    view = fold([event(1, "run", "before"), decode(newer, "x")])
    assert view.newer
    assert view.outcome is None
    assert not fold([event(1, "run", "before")]).newer


def test_a_missing_event_is_an_error() -> None:
    with pytest.raises(StateDamaged, match="event 2"):
        fold([event(1, "run", "before"), event(3, "a", "before")])


def test_a_step_done_again_keeps_when_it_began_anew() -> None:
    view = fold(
        [event(1, "run", "before"), event(2, "a", "before"), event(3, "a", "before"), event(4, "a", "after")]
    )
    assert view.steps[0].began == START + timedelta(seconds=3)
    assert view.steps[0].at == START + timedelta(seconds=4)
