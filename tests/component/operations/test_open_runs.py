"""What was begun and not ended is seen with the command that goes on, and ends with the environment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from test_status_with_health import PLACE

from regionshift.cli.status import status_view
from regionshift.errors import Refused
from regionshift.journal.backends import open_state
from regionshift.journal.events import Kind
from regionshift.journal.journal import Journal
from regionshift.journal.lock import Holder
from regionshift.operations.deploying import end_all
from regionshift.operations.status import StatusReport
from regionshift.operations.unfinished import killed_migrations, open_runs, require_endable, require_finished
from regionshift.report.printer import Screen

_RESUME = "regionshift resume, or regionshift resume --back"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(open_state((tmp_path / "state").as_uri()), "orders.dev", lambda: datetime.now(UTC))


@pytest.mark.parametrize(
    ("kind", "opened", "go_on"),
    [
        ("promotion", {"promotion": {}}, _RESUME),
        ("move", {"move": {"from": "us-east-1", "to": "eu-west-1"}}, _RESUME),
        ("deployment", {"releases": {}}, _RESUME),
        (
            "deployment",
            {"releases": {}, "rejoins": "eu-west-1"},
            "regionshift resume, or regionshift up --rejoin eu-west-1",
        ),
        ("destroy", {"resources": 3}, "regionshift resume, or regionshift destroy"),
    ],
)
def test_every_kind_of_run_is_shown_with_what_goes_on(
    journal: Journal, kind: Kind, opened: Mapping[str, object], go_on: str
) -> None:
    run = journal.start(kind, opened)
    run.append("turn", "before")
    (found,) = open_runs(journal)
    assert (found.run, found.kind, found.next, found.at, found.go_on) == (
        run.run_id,
        kind,
        "turn",
        "at turn",
        go_on,
    )
    screen = Screen(width=200)
    with screen.capture() as shown:
        holder = Holder("ann", "host-7", 42, datetime.now(UTC), "t")
        screen.print(status_view(StatusReport(PLACE, {}, unfinished=[found], lock=holder)))
    for said in (run.run_id, go_on, "ann on host-7 (process 42)"):
        assert said in shown.get()


def test_migrations_are_shown_by_their_own_records(journal: Journal) -> None:
    journal.start("migration", {"migration_id": "m-1"})
    assert open_runs(journal) == []


def test_a_migration_is_killed_as_long_as_no_later_run_of_it_ended(journal: Journal) -> None:
    for name in ("m-1", "m-2"):
        journal.start("migration", {"migration_id": name})
    assert killed_migrations(journal) == {"m-1", "m-2"}
    journal.start("rollback", {"migration_id": "m-1"}).close("rolled_back")
    journal.start("migration", {"migration_id": "m-2"}).close("failed", failed=True)
    assert killed_migrations(journal) == set()
    journal.start("rollback", {"migration_id": "m-2"})
    assert killed_migrations(journal) == {"m-2"}


def test_a_destroy_ends_what_was_begun(tmp_path: Path) -> None:
    held_for: list[str] = []
    journal = Journal(
        open_state((tmp_path / "state").as_uri()),
        "orders.dev",
        lambda: datetime.now(UTC),
        working_on=held_for.append,
    )
    for kind in ("promotion", "move", "deployment", "migration"):
        journal.start(kind, {})
    with pytest.raises(Refused):
        require_finished(journal)
    mine = journal.start("destroy", {})
    require_endable(journal)
    assert len(end_all(journal, but=mine.run_id)) == 4
    assert held_for[-1] == mine.run_id, "the lock goes on naming the destroy"
    assert [run.outcome for run in journal.history()] == [None, *["destroyed"] * 4]
    mine.close("succeeded")
    require_finished(journal)
    assert open_runs(journal) == []


def test_a_destroy_ends_no_run_that_this_version_does_not_know(journal: Journal) -> None:
    left = journal.start("evacuation", {})
    with pytest.raises(Refused, match="newer version") as refused:
        require_endable(journal)
    assert refused.value.where == left.run_id
