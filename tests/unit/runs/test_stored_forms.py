"""What the journal and the lock of earlier versions hold is read, and written again as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from regionshift.errors import WorkFailed
from regionshift.journal.lock import Holder, holder_from_json, holder_to_json
from regionshift.journal.store import StateDamaged
from regionshift.operations.alarms import RedAlarm, Watched
from regionshift.operations.moving.promotion_plan import PromotionPlan, promotion_from_json
from regionshift.operations.waves.facts import Facts, Terms, facts_from_json
from regionshift.runs.deployment_plan import DeploymentPlan, Wave, plan_from_json
from regionshift.settings.editing import Edit, Replacement

PLAN = {
    "before": {"a": "1", "b": None},
    "target": {"a": "2", "b": "2"},
    "waves": [
        {"number": 1, "regions": ["a"], "approve": False},
        {"number": 3, "regions": ["b"], "approve": True},
    ],
    "on_failure": "stop",
    "failure_tolerance": 1,
    "unsettled": ["a", "b"],
    "links_first": True,
    "down": ["c", "d"],
}
PROMOTION = {
    "old": "a",
    "new": "b",
    "others": ["c"],
    "before": {"a": "1", "b": "1", "c": None},
    "links": None,
    "after": "2",
    "edit": {"replacements": [[4, "a", "b"]], "digest_before": "x", "digest_after": "y"},
    "lost": True,
    "fenced": ["d"],
}
FACTS = {
    "links": "1",
    "links_target": None,
    "links_change": False,
    "moved": ["a", "b"],
    "skipped": ["c", "d"],
    "ignored": [{"name": "errors", "region": "a", "since": "2026-05-01T09:30:00+00:00"}],
    "to_nothing": True,
    "allows_growth": ["0123456789abcdef"],
    "terms": {
        "bake": 60,
        "min_samples": 5,
        "alarms": [{"name": "mine", "region": "b"}],
        "longest_delay": 900,
        "refresh": True,
        "allow_data_loss": False,
    },
}
HOLDER = {
    "owner": "ann",
    "host": "host-7",
    "pid": 42,
    "since": "2026-05-01T09:30:00.000001+00:00",
    "token": "t",
    "run_id": None,
}
WAVES = DeploymentPlan(
    {"a": "1", "b": None},
    {"a": "2", "b": "2"},
    (Wave(1, ("a",)), Wave(3, ("b",), approve=True)),
    "stop",
    1,
    frozenset("ab"),
    links_first=True,
    down=frozenset("cd"),
)
PRIMARY = PromotionPlan(
    "a",
    "b",
    ("c",),
    {"a": "1", "b": "1", "c": None},
    None,
    "2",
    Edit(replacements=(Replacement(4, "a", "b"),), digest_before="x", digest_after="y"),
    lost=True,
    fenced=("d",),
)
BEGUN = Facts(
    "1",
    None,
    links_change=False,
    moved=frozenset("ab"),
    left_out=frozenset("cd"),
    ignored=(RedAlarm("errors", "a", "2026-05-01T09:30:00+00:00"),),
    to_nothing=True,
    allows_growth=("0123456789abcdef",),
    terms=Terms(60, 5, (Watched("mine", "b"),), 900, refresh=True),
)
HELD = Holder("ann", "host-7", 42, datetime(2026, 5, 1, 9, 30, 0, 1, tzinfo=UTC), "t")


def _held(content: Any) -> Holder:
    return holder_from_json(content, "here")


@pytest.mark.parametrize(
    ("content", "read", "value", "written"),
    [
        (PLAN, plan_from_json, WAVES, WAVES.to_json),
        (PROMOTION, promotion_from_json, PRIMARY, PRIMARY.to_json),
        (
            {**FACTS, "plan": PLAN, "by": "ann"},
            facts_from_json,
            BEGUN,
            lambda: BEGUN.opening(WAVES) | {"by": "ann"},
        ),
        (HOLDER, _held, HELD, lambda: holder_to_json(HELD)),
    ],
    ids=["waves", "change of primary", "facts", "lock"],
)
def test_it_is_read_and_written_as_it_was(
    content: dict[str, Any], read: Callable[[Any], object], value: object, written: Callable[[], object]
) -> None:
    assert read(content) == value
    assert written() == content


def test_what_older_versions_did_not_write_has_its_default() -> None:
    assert plan_from_json({name: value for name, value in PLAN.items() if name != "down"}).down == frozenset()
    assert facts_from_json({"plan": PLAN}) == Facts(None, None, links_change=True, moved=frozenset())
    assert plan_from_json({**PLAN, "of_a_version_to_come": 1}) == WAVES


@pytest.mark.parametrize(
    ("content", "read", "error"),
    [
        (PLAN | {"waves": [{"number": 1}]}, plan_from_json, WorkFailed),
        (PLAN | {"on_failure": "else"}, plan_from_json, WorkFailed),
        ([], plan_from_json, WorkFailed),
        ({name: value for name, value in PLAN.items() if name != "on_failure"}, plan_from_json, WorkFailed),
        (PROMOTION | {"edit": None}, promotion_from_json, WorkFailed),
        (None, promotion_from_json, WorkFailed),
        (FACTS | {"moved": 7}, facts_from_json, WorkFailed),
        (HOLDER | {"since": "once"}, _held, StateDamaged),
        ("ann", _held, StateDamaged),
    ],
)
def test_damage_is_told(content: Any, read: Callable[[Any], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        read(content)
