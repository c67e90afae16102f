"""The plan of a change of primary: what the journal keeps of it, and where every region stands after it."""

from __future__ import annotations

import json

import pytest

from regionshift.errors import WorkFailed
from regionshift.operations.moving.promotion_plan import PromotionPlan, promotion_from_json
from regionshift.settings.editing import swap_primary

EDIT = swap_primary("regions: {primary: a, secondaries: [b, c, d]}\n", "a", "b")
BEFORE = {"a": "1", "b": "1", "c": "1", "d": None}
PLAN = PromotionPlan("a", "b", ("c", "d"), BEFORE, "1", "2", EDIT, fenced=("d",))
LOST = PromotionPlan("a", "b", ("c", "d"), BEFORE, "1", "2", EDIT, lost=True, fenced=("d",))
FENCED = "fenced; when it is back: regionshift up --rejoin "


@pytest.mark.parametrize("plan", [PLAN, LOST], ids=["there", "lost"])
def test_the_journal_gives_it_back(plan: PromotionPlan) -> None:
    assert promotion_from_json(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize("name", sorted(PLAN.to_json()))
def test_a_plan_that_lacks_a_part_cannot_be_read(name: str) -> None:
    content = PLAN.to_json()
    del content[name]
    for damaged in (content, None, [], "plan"):
        with pytest.raises(WorkFailed, match="cannot be read") as wrong:
            promotion_from_json(damaged)
        assert wrong.value.remedy == "restore the journal's first event"


def test_only_the_regions_that_answer_change_the_new_primary_first() -> None:
    assert (PLAN.uncalled, PLAN.present) == ({"d"}, ("b", "a", "c"))
    assert (LOST.uncalled, LOST.present) == ({"a", "d"}, ("b", "c"))


def _stands(plan: PromotionPlan, *, done: bool) -> tuple[dict[str, object], object, object]:
    standing = plan.where_regions_stand(done=done)
    regions = standing["regions"]
    assert isinstance(regions, dict)
    assert all(region["settled"] is (region["note"] == "") for region in regions.values())
    said = {name: region["note"] or region["release"] for name, region in regions.items()}
    return said, standing["links"], standing["fenced"]


def test_where_every_region_stands_when_it_is_done_and_when_it_is_taken_back() -> None:
    out = f"{FENCED}d"
    assert _stands(PLAN, done=True) == ({"a": "2", "b": "2", "c": "2", "d": out}, "2", ["d"])
    assert _stands(LOST, done=True) == ({"a": f"{FENCED}a", "b": "2", "c": "2", "d": out}, "2", ["a", "d"])
    for plan in (PLAN, LOST):
        assert _stands(plan, done=False) == ({"a": "1", "b": "1", "c": "1", "d": out}, "1", ["d"])


def test_it_is_told_with_the_command_that_goes_on() -> None:
    there, lost = PLAN.saga_news, LOST.saga_news
    assert (PLAN.command, LOST.command) == ("regionshift promote b", "regionshift promote b --source-lost")
    assert there.success == "b is the primary, a is a secondary"
    assert lost.success == f"b is the primary, a is {FENCED}a"
    assert {there.undone, lost.undone} == {"a is the primary"}
    assert {there.go_on, lost.go_on} == {"regionshift resume"}
    assert lost.steps == ("fence", "validate", "gather", "settings", "turn", "validate-all")
    assert there.steps == (
        "validate",
        "last-copy",
        "settings",
        "unlink",
        "turn",
        "catch-up",
        "validate-all",
    )
