"""What a run in one go left between two releases is known until a later change mends it, whatever ran meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from regionshift.journal.events import Kind
from regionshift.journal.journal import Journal
from regionshift.journal.store import open_state
from regionshift.operations.unfinished import half_done

NO_CHANGES: list[tuple[Kind, Mapping[str, object]]] = [
    ("fence", {"regions": ["eu-west-1"]}),
    ("migration", {"migration_id": "m1"}),
    ("rollback", {"migration_id": "m1"}),
]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(open_state(tmp_path.as_uri()), "dev", lambda: datetime.now(UTC))


def _run(journal: Journal, kind: Kind, opened: Mapping[str, object], outcome: str) -> str:
    run = journal.start(kind, dict(opened))
    run.close(outcome, failed=outcome != "succeeded")
    return run.run_id


@pytest.mark.parametrize(
    ("kind", "go_on"), [("deployment", "regionshift up"), ("destroy", "regionshift destroy")]
)
@pytest.mark.parametrize("outcome", ["failed", "killed", "interrupted"])
def test_it_is_told_until_it_is_mended(journal: Journal, kind: Kind, go_on: str, outcome: str) -> None:
    failed = _run(journal, kind, {"releases": {"us-east-1": "r1"}}, outcome)
    for other, opened in NO_CHANGES:
        _run(journal, other, opened, "succeeded")
    found = half_done(journal)
    assert found is not None
    assert (found.run, found.outcome, found.go_on) == (failed, outcome, go_on)
    _run(journal, kind, {"releases": {"us-east-1": "r1"}}, "succeeded")
    assert half_done(journal) is None


def test_a_run_that_says_where_each_region_is_says_it_itself(journal: Journal) -> None:
    run = journal.start("deployment", {"plan": {}})
    regions = {"us-east-1": {"release": "r1", "settled": False, "note": ""}}
    run.close("needs a person", {"regions": regions}, failed=True)
    assert half_done(journal) is None
