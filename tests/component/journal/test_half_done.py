"""What a run in one go left between two releases is known until a later change mends it, whatever ran meanwhile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from regionshift.errors import Interrupted, Refused
from regionshift.journal.backends import open_state
from regionshift.journal.events import Kind
from regionshift.journal.journal import Journal
from regionshift.operations.deploying import (
    InOneRun,
    OneGo,
    half_done,
    in_one_go,
    in_one_run,
    require_way_back,
    taken_down_by_destroy,
    was_taken_down,
)
from regionshift.runs.messages import AllRegionsNews

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
    "stop_signal", [Interrupted("Stopped.", remedy="the engine knows of no run"), KeyboardInterrupt()]
)
def test_a_stopped_run_names_the_command_that_continues_it(
    journal: Journal, stop_signal: BaseException
) -> None:
    def stop() -> None:
        raise stop_signal

    run = journal.start("deployment", {"releases": {"us-east-1": "r1"}})
    words = AllRegionsNews("deploy", "deployment", ("us-east-1",), 1)
    with pytest.raises(Interrupted) as stopped:
        in_one_go(journal, run, OneGo(words), stop, ())
    assert stopped.value.remedy == "regionshift resume, or regionshift resume --back"


@pytest.mark.parametrize(
    ("kind", "go_on"),
    [
        ("deployment", "regionshift resume, or regionshift resume --back"),
        ("destroy", "regionshift resume, or regionshift destroy"),
    ],
)
@pytest.mark.parametrize("outcome", ["failed", "killed", "interrupted"])
def test_it_is_told_until_it_is_mended(journal: Journal, kind: Kind, go_on: str, outcome: str) -> None:
    failed = _run(journal, kind, {"releases": {"us-east-1": "r1"}}, outcome)
    for other, opened in NO_CHANGES:
        _run(journal, other, opened, "succeeded")
    found = half_done(journal)
    assert found is not None
    assert (found.run, found.outcome, found.go_on) == (failed, outcome, go_on)
    left = in_one_run(journal)
    assert left is not None
    assert (left.run, left.kind) == (failed, kind)
    _run(journal, kind, {"releases": {"us-east-1": "r1"}}, "succeeded")
    assert half_done(journal) is None
    assert in_one_run(journal) is None


def test_a_run_that_says_where_each_region_is_says_it_itself(journal: Journal) -> None:
    run = journal.start("deployment", {"plan": {}})
    regions = {"us-east-1": {"release": "r1", "settled": False, "note": ""}}
    run.close("needs a person", {"regions": regions}, failed=True)
    assert half_done(journal) is None


def test_only_what_came_up_where_nothing_was_goes_back(journal: Journal) -> None:
    def left() -> InOneRun:
        found = in_one_run(journal)
        assert found is not None
        return found

    first = journal.start("deployment", {"releases": {"us-east-1": "r1"}})
    assert left().run == first.run_id
    require_way_back(journal, left())
    first.close("succeeded")
    _run(journal, "deployment", {"releases": {"us-east-1": "r2"}, "allows_loss": True}, "killed")
    assert left() == InOneRun(
        left().run, "deployment", "ended as killed", ("r2",), ("us-east-1",), allows_loss=True
    )
    with pytest.raises(Refused) as refused:
        require_way_back(journal, left())
    assert "write the settings as they were" in str(refused.value.remedy)
    journal.start("destroy", {"resources": 1})
    with pytest.raises(Refused) as refused:
        require_way_back(journal, left())
    assert "creates the environment again" in str(refused.value.remedy)


def test_a_destroy_takes_back_only_what_came_up_where_nothing_was(journal: Journal) -> None:
    first = _run(journal, "deployment", {"releases": {"us-east-1": "r1"}}, "failed")
    assert taken_down_by_destroy(journal) == first
    _run(journal, "destroy", {"of": first}, "killed")
    assert taken_down_by_destroy(journal) == first, "the destroy goes on with it"
    assert not was_taken_down(journal, first)
    _run(journal, "destroy", {"of": first}, "succeeded")
    assert was_taken_down(journal, first)
    assert taken_down_by_destroy(journal) == ""
    _run(journal, "deployment", {"releases": {"us-east-1": "r1"}}, "succeeded")
    _run(journal, "deployment", {"releases": {"us-east-1": "r2"}}, "failed")
    assert taken_down_by_destroy(journal) == "", "what stood before goes too"


def test_a_return_that_failed_is_gone_on_with_as_a_return(journal: Journal) -> None:
    _run(journal, "deployment", {"releases": {"us-east-1": "r1"}}, "succeeded")
    _run(journal, "deployment", {"releases": {"us-east-1": "r1"}, "rejoins": "eu-west-1"}, "failed")
    left, half = in_one_run(journal), half_done(journal)
    assert left is not None
    assert left.rejoins == "eu-west-1"
    assert half is not None
    assert half.go_on == "regionshift resume, or regionshift up --rejoin eu-west-1"


def test_a_run_of_data_is_told_from_the_way_back_of_a_deployment(journal: Journal, tmp_path: Path) -> None:
    opened: list[tuple[Kind, Mapping[str, object]]] = [*NO_CHANGES[1:], ("rollback", {"plan": {}, "of": "1"})]
    for kind, facts in [*opened, ("deployment", {"plan": {}})]:
        journal.start(kind, dict(facts))
    of_data = [False, False, True, True]

    def told() -> list[tuple[bool, str]]:
        return [(run.of_data, run.subject) for run in journal.history()]

    subjects = ["", "1", "m1", "m1"]
    assert [view.of_data for view in journal.unfinished()] == of_data
    assert told() == list(zip(of_data, subjects, strict=True))
    for view in journal.unfinished():
        journal.reopen(view.run_id).close("destroyed", failed=True)
    assert told() == list(zip(of_data, subjects, strict=True))
    copies = list((tmp_path / "journal/dev/closed").iterdir())
    assert len(copies) == 4
    for copy in copies:  # as an older version wrote it
        content = json.loads(copy.read_bytes())
        del content["of_data"]
        copy.write_text(json.dumps(content))
        if content["kind"] == "migration":  # says enough, so its events are not read
            (tmp_path / f"journal/dev/runs/{copy.stem}/00000001.json").write_text("{")
    assert told() == list(zip(of_data, subjects, strict=True))
