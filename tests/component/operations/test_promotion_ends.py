"""How a change of primary is closed: what its run says of regions, of roles, and of what was measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from regionshift.errors import Interrupted, NoRoom, WorkFailed
from regionshift.journal.backends import open_state
from regionshift.journal.events import RunSummary
from regionshift.journal.journal import Journal
from regionshift.operations.moving import proposing
from regionshift.operations.moving.fencing import NOT_SHUT
from regionshift.operations.moving.promotion_plan import PromotionPlan
from regionshift.runs.driver import RunUnderWay, drive, saga_state, turn_back
from regionshift.runs.messages import News, RunListener
from regionshift.runs.state import Ending, RunStep
from regionshift.settings.editing import swap_primary

EDIT = swap_primary("regions: {primary: a, secondaries: [b, c]}\n", "a", "b")
PLAN = PromotionPlan("a", "b", ("c",), {"a": "1", "b": "1", "c": "1"}, "1", "2", EDIT)
LOST = PromotionPlan("a", "b", ("c",), {"a": "1", "b": "1", "c": "1"}, "1", "2", EDIT, lost=True)
SAID: dict[str, Any] = {
    "validate": {"replication_seconds": 9.0},
    "last-copy": {"bucket": {"written": 3}},
    "unlink": {"seconds": 1.5},
    "turn": {"seconds": 2.25},
    "validate-all": {"replication_seconds": 0.5},
}


class Reader(RunListener[RunStep]):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[News] = []

    def on_news(self, run_id: str, news: News, regions: Collection[str]) -> None:
        assert run_id and regions
        self.told.append(news)


def _closed(
    folder: Path, plan: PromotionPlan, said: Mapping[str, Any] = SAID, **wrong: BaseException
) -> tuple[RunSummary, list[News]]:
    """The run after all steps, of which those in ``wrong`` fail (dashes as underscores; ``back_`` on the way back)."""
    journal = Journal(open_state(folder.as_uri()), "shop.dev", lambda: datetime.now(UTC))
    reader = Reader()

    def act(step: RunStep) -> Mapping[str, object]:
        if error := wrong.get(step.name.replace("/", "_").replace("-", "_")):
            raise error
        return cast(Mapping[str, object], said.get(step.name, {}))

    promotion = SimpleNamespace(
        plan=plan, do=lambda step, **_: act(step), take_back=lambda step, _: act(step)
    )
    run = journal.start("promotion", {"promotion": plan.to_json()})
    drive(RunUnderWay(journal, run, proposing.PromotionRun(cast(Any, promotion), journal), [reader]))
    return journal.history()[0], reader.told


def _stands(run: RunSummary) -> dict[str, object]:
    regions = run.result["regions"]
    assert isinstance(regions, dict)
    return {name: found["note"] or found["release"] for name, found in regions.items()}


def test_a_change_that_is_done_says_what_it_measured(tmp_path: Path) -> None:
    run, told = _closed(tmp_path, PLAN)
    assert (run.outcome, _stands(run)) == ("promoted", {"a": "2", "b": "2", "c": "2"})
    measured = {
        name: run.result[name] for name in ("replication_seconds", "not_replicated", "turned_in_seconds")
    }
    assert measured == {"replication_seconds": 0.5, "not_replicated": 3, "turned_in_seconds": 3.75}
    assert "rpo_seconds" not in run.result and NOT_SHUT not in run.result
    assert told[-1].status == "success" and "replication delay 0.50 s (RPO)" in told[-1].summary


@pytest.mark.parametrize("failed", [None, {"role-1": "denied"}])
def test_after_a_loss_nobody_claims_to_know_what_was_lost(
    failed: dict[str, str] | None, tmp_path: Path
) -> None:
    said = SAID | {"fence": {"roles": [], **({"failed": failed} if failed else {})}}
    run, told = _closed(tmp_path, LOST, said)
    fenced = "fenced; when it is back: regionshift up --rejoin a"
    assert (run.outcome, _stands(run)) == ("promoted", {"a": fenced, "b": "2", "c": "2"})
    assert run.result["rpo_seconds"] is None
    assert run.result[NOT_SHUT] == ({"a": ["role-1"]} if failed else {})
    assert run.result["fenced"] == ["a"]
    assert "how much was lost is unknown (RPO), replication delay now 0.50 s" in told[-1].summary


@pytest.mark.parametrize("plan", [PLAN, LOST], ids=["there", "lost"])
def test_a_change_that_fails_is_closed_as_taken_back(plan: PromotionPlan, tmp_path: Path) -> None:
    run, told = _closed(tmp_path, plan, turn=WorkFailed("boom", where="b", remedy="mend it"))
    assert (run.outcome, _stands(run)) == ("rolled back", {"a": "1", "b": "1", "c": "1"})
    assert "rpo_seconds" not in run.result and NOT_SHUT not in run.result
    assert told[-1].status == "error"
    assert any("boom [b] → mend it" in one.summary for one in told)


@pytest.mark.parametrize(
    "error", [ClientError({"Error": {"Code": "Denied", "Message": "m"}}, "Op"), OSError("broken")], ids=str
)
def test_what_aws_or_the_machine_refuses_is_a_step_that_failed(error: Exception, tmp_path: Path) -> None:
    run, told = _closed(tmp_path, PLAN, last_copy=error)
    assert run.outcome == "rolled back"
    assert any(str(error) in one.summary for one in told)


def test_a_way_back_that_fails_and_what_is_stopped_stay_open(tmp_path: Path) -> None:
    run, _ = _closed(tmp_path / "1", PLAN, turn=WorkFailed("boom"), back_settings=WorkFailed("no"))
    assert run.outcome is None
    full = OSError(28, "No space left on device", "file")
    for number, (error, raised) in enumerate([(KeyboardInterrupt(), Interrupted), (full, NoRoom)]):
        folder = tmp_path / f"stopped-{number}"
        with pytest.raises(raised) as stopped:
            _closed(folder, PLAN, turn=error)
        assert "regionshift resume" in str(cast(Any, stopped.value).remedy)
        journal = Journal(open_state(folder.as_uri()), "shop.dev", lambda: datetime.now(UTC))
        view = proposing.unfinished(journal)
        assert view is not None
        assert proposing.plan_of(view) == PLAN
        run_again = journal.reopen(view.run_id)
        turn_back(journal, run_again, PLAN.steps)
        back = saga_state(journal, view.run_id, PLAN.steps)
        assert back.backward and back.ending is not Ending.DONE
