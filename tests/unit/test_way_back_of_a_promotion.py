"""`resume --back` of a change of primary whose steps are all done is refused; one that is under way goes back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from regionshift.errors import Refused
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal, RunJournal
from regionshift.operations.moving import proposing
from regionshift.operations.moving.promotion_plan import PromotionPlan
from regionshift.runs.driver import turn_back
from regionshift.settings.editing import Edit

OLD, NEW = "us-east-1", "eu-west-1"


def _plan(*, lost: bool) -> PromotionPlan:
    edit = Edit(replacements=(), digest_before="before", digest_after="after")
    return PromotionPlan(OLD, NEW, (), {OLD: "a", NEW: "a"}, "a", "b", edit, lost=lost, fenced=())


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(open_state(tmp_path.as_uri()), "dev", lambda: datetime.now(UTC))


def _begun(journal: Journal, plan: PromotionPlan, *, steps: int) -> RunJournal:
    run = journal.start(proposing.KIND, {"promotion": plan.to_json()})
    for step in plan.steps[:steps]:
        run.append(step.name, "before")
        run.append(step.name, "after")
    return run


@pytest.mark.parametrize(
    ("lost", "again"), [(False, f"regionshift promote {OLD}"), (True, f"up --rejoin {OLD}")]
)
def test_all_done_is_refused_with_what_goes_back(journal: Journal, lost: bool, again: str) -> None:
    proposing.require_way_back(journal)
    plan = _plan(lost=lost)
    run = _begun(journal, plan, steps=len(plan.steps))
    with pytest.raises(Refused, match="--back cannot undo it") as refused:
        proposing.require_way_back(journal)
    assert again in str(refused.value.remedy)
    assert len(journal.events(run.run_id)) == 1 + 2 * len(plan.steps)


def test_one_under_way_or_on_its_way_back_goes_back(journal: Journal) -> None:
    plan = _plan(lost=False)
    run = _begun(journal, plan, steps=len(plan.steps) - 1)
    proposing.require_way_back(journal)
    turn_back(journal, run, plan.steps)
    proposing.require_way_back(journal)
