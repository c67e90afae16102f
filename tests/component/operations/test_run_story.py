"""`history RUN` tells one run whole, and a run is found by its id, its number or the beginning of a migration's id."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from regionshift.cli.history import history_table, story_view
from regionshift.errors import InputError
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.journal.releases import Difference
from regionshift.operations.migrations.listing import migration_named, run_named
from regionshift.operations.story import story_of
from regionshift.report.printer import Screen

FIRST, SECOND = "us-east-1", "eu-west-1"
OLD, NEW = "a" * 64, "b" * 64
PLAN = {
    "before": {FIRST: OLD, SECOND: OLD},
    "target": {FIRST: NEW, SECOND: NEW},
    "waves": [{"regions": [SECOND]}, {"regions": [FIRST]}],
}
BEGAN = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    ticks: Iterator[datetime] = (BEGAN + timedelta(seconds=5 * number) for number in range(1000))
    return Journal(open_state(tmp_path.as_uri()), "dev", lambda: next(ticks), by="ann")


class Kept:
    """Releases that differ in the function's memory; one that is named in ``gone`` is kept no longer."""

    def __init__(self, gone: str = "") -> None:
        self.gone = gone

    def diff(self, *digests: str) -> tuple[Difference, ...]:
        assert digests == (OLD, NEW), "only what was there before can be compared"
        if self.gone in digests:
            raise InputError(f"no release is kept that begins with {self.gone}")
        return (Difference("config.function.memory", 512, 1024),)

    def find(self, digest: str) -> Any:
        return SimpleNamespace(previous=OLD if digest == NEW else None)


def _failed(journal: Journal) -> str:
    run = journal.start("deployment", {"plan": PLAN})
    run.append("wave-1/apply", "before", data={"on": [SECOND]})
    run.append("wave-1/apply", "after")
    run.append("wave-1/bake", "before", data={"on": [SECOND]})
    run.append("wave-1/bake", "failed", data={"error": "red: errors [eu-west-1]"})
    run.append("back/wave-1/apply", "before", data={"on": [SECOND]})
    run.append("back/wave-1/apply", "after")
    left = {
        SECOND: {"release": OLD, "settled": True, "note": ""},
        FIRST: {"release": OLD, "settled": True, "note": ""},
    }
    run.close("rolled back", {"regions": left}, failed=True)
    return run.run_id


def _told(journal: Journal, name: str, width: int = 120, releases: Kept | None = None) -> str:
    screen = Screen(
        file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False
    )
    screen.print(story_view(story_of(journal, cast(Any, releases or Kept()), name)))
    return cast(io.StringIO, screen.file).getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_a_run_that_was_taken_back_is_told_whole(journal: Journal, width: int) -> None:
    run = _failed(journal)
    said = " ".join(_told(journal, run, width).split())
    for each in (
        f"{run} failed, rolled back",
        "began 2026-05-01 09:30:00 UTC, took 35 s, by ann",
        f"regions: {SECOND}, {FIRST}",
        f"aaaaaaaaaaaa → bbbbbbbbbbbb {FIRST}, {SECOND}",
        "config.function.memory: 512 → 1024",
        f"✓ 09:30:05 wave-1/apply 5 s {SECOND}",
        f"✗ 09:30:15 wave-1/bake 5 s {SECOND} red: errors [eu-west-1]",
        "Rolled back, because wave-1/bake failed:",
        f"✓ 09:30:25 back/wave-1/apply 5 s {SECOND}",
        f"{SECOND} still at aaaaaaaaaaaa",
    ):
        assert each in said, each


def test_a_run_is_json_whole(journal: Journal) -> None:
    run = _failed(journal)
    steps = [
        ("wave-1/apply", "done", {}, False),
        ("wave-1/bake", "failed", {"error": "red: errors [eu-west-1]"}, False),
        ("back/wave-1/apply", "done", {}, True),
    ]
    told = story_of(journal, cast(Any, Kept()), "1").to_json()
    assert json.loads(json.dumps(told)) == {
        "run": run,
        "kind": "deployment",
        "by": "ann",
        "began": "2026-05-01T09:30:00+00:00",
        "ended": "2026-05-01T09:30:35+00:00",
        "seconds": 35.0,
        "outcome": "rolled back",
        "ended_as": "failed, rolled back",
        "reason": "wave-1/bake: red: errors [eu-west-1]",
        "subject": "",
        "settings": [
            {
                "regions": [FIRST, SECOND],
                "before": OLD,
                "after": NEW,
                "differences": [{"path": "config.function.memory", "before": 512, "after": 1024}],
                "unknown": "",
            }
        ],
        "steps": [
            {
                "name": name,
                "regions": [SECOND],
                "began": f"2026-05-01T09:30:{5 + 10 * number:02}+00:00",
                "seconds": 5.0,
                "end": end,
                "said": said,
                "back": back,
            }
            for number, (name, end, said, back) in enumerate(steps)
        ],
        "regions": dict.fromkeys((SECOND, FIRST), f"still at {OLD[:12]}"),
        "taken_back_by": [],
        "parts": [],
        "missing": None,
    }


def test_regions_that_do_a_step_at_once_end_it_each_for_itself(journal: Journal) -> None:
    run = journal.start("deployment", {"releases": {FIRST: OLD, SECOND: OLD}})
    for region in (FIRST, SECOND):
        run.append("apply", "before", region)
    run.append("apply", "failed", FIRST, {"error": "no"})
    run.append("apply", "after", SECOND)
    story = story_of(journal, cast(Any, Kept()), "1")
    assert [(step.regions, step.end, step.seconds) for step in story.steps] == [
        ((FIRST,), "failed", 10.0),
        ((SECOND,), "done", 10.0),
    ]
    assert [(change.before, change.differences) for change in story.changes] == [(None, ())], (
        "a first release"
    )


def test_what_a_person_decided_and_what_never_ended_are_told(journal: Journal) -> None:
    run = journal.start("deployment", {"releases": {FIRST: NEW}})
    run.append("apply", "before")
    run.append("apply", "before")
    run.append("decision", "after", data={"direction": "back", "by": "resume"})
    run.append("back/apply", "before")
    said = " ".join(_told(journal, run.run_id).split())
    assert "is open, by ann" in said
    assert said.count("apply never ended") == 3
    assert "Rolled back, as `resume --back` asked:" in said
    assert "config.function.memory: 512 → 1024" in said, "against the release before, which the release names"


def test_a_release_that_is_no_longer_kept_is_said(journal: Journal) -> None:
    run = _failed(journal)
    assert "what differs is not known: no release is kept" in _told(journal, run, releases=Kept(OLD))


def test_parts_and_later_ways_back_are_named(journal: Journal) -> None:
    journal.start("deployment", {"plan": PLAN}).close("succeeded")
    move = journal.start("move", {"move": {"from": FIRST, "to": SECOND}})
    of_it = []
    for kind, opened, outcome in (
        ("deployment", {"releases": {SECOND: NEW}}, "succeeded"),
        ("migration", {"migration_id": f"{move.run_id}-carry"}, "completed"),
        ("migration", {"migration_id": "of-somebody-else"}, "completed"),
        ("fence", {}, "fenced"),
        ("promotion", {}, "promoted"),
    ):
        run = journal.start(kind, opened)
        run.close(outcome)
        of_it += [run.run_id] if opened.get("migration_id") != "of-somebody-else" and kind != "fence" else []
    move.close("moved")
    journal.start("promotion", {}).close("promoted")
    story = story_of(journal, cast(Any, Kept()), move.run_id)
    assert [each.run_id for each in story.parts] == of_it
    assert f"  {of_it[1]}  completed" in _told(journal, move.run_id)
    first = _failed(journal)
    journal.start("rollback", {"plan": PLAN, "of": first, "reason": "too slow"}).close("rolled_back")
    assert "It was rolled back later: regionshift history 000010-rollback-" in _told(journal, first)
    assert "why: too slow" in _told(journal, "10")


@pytest.mark.parametrize("short", ["3", "000003", "000003-dep", "3-deployment-"])
def test_a_run_is_found_by_every_short_form(journal: Journal, short: str) -> None:
    for _ in range(2):
        journal.start("migration", {"migration_id": "move-1"})
    run = _failed(journal)
    assert run_named(journal, short) == run_named(journal, run) == run == journal.view(short).run_id


def test_a_migration_is_found_by_the_beginning_of_its_id(journal: Journal) -> None:
    first = journal.start("migration", {"migration_id": "20260501-one"})
    first.close("completed")
    journal.start("migration", {"migration_id": "20260502-two"}).close("completed")
    back = journal.start("rollback", {"migration_id": "20260501-one"}).run_id
    for name in ("20260501", "20260501-one", "1"):
        assert (run_named(journal, name), migration_named(journal, name)) == (first.run_id, "20260501-one"), (
            name
        )
    assert (run_named(journal, "3"), migration_named(journal, back)) == (back, "20260501-one")
    assert f"regionshift history {back}" in _told(journal, "20260501-one")
    with pytest.raises(InputError, match="begins the ids of several migrations: 20260501-one, 20260502-two"):
        run_named(journal, "2026")
    with pytest.raises(InputError, match="several migrations"):
        migration_named(journal, "2026")
    assert migration_named(journal, "elsewhere") == "elsewhere"


@pytest.mark.parametrize("name", ["9", "000001-mig", "nothing", "", "1-move", "²"])
def test_what_is_no_run_is_one_clear_error(journal: Journal, name: str) -> None:
    _failed(journal)
    with pytest.raises(InputError, match="There is no run"):
        run_named(journal, name)


def test_a_deployment_is_no_migration(journal: Journal) -> None:
    run = _failed(journal)
    with pytest.raises(InputError, match="is a deployment, and no migration") as wrong:
        migration_named(journal, "1")
    assert wrong.value.remedy == f"regionshift history {run}"


class KeptWithDigests(Kept):
    """Releases that differ in their artifact."""

    def diff(self, *digests: str) -> tuple[Difference, ...]:
        del digests
        return (Difference("artifact", OLD, NEW),)


def test_digests_are_short_in_the_text_and_whole_in_the_json(journal: Journal) -> None:
    run = journal.start("promotion", {"promotion": {"before": {FIRST: OLD, SECOND: NEW}}})
    run.append("turn", "before")
    run.append("turn", "failed", data={"error": f"release {OLD} is not there"})
    left = {region: {"release": NEW, "settled": True, "note": ""} for region in (FIRST, SECOND)}
    run.close("promoted", {"regions": left})
    kept = KeptWithDigests()
    said = _told(journal, "1", releases=kept)
    assert f"artifact: {OLD[:12]} → {NEW[:12]}" in said
    assert f"release {OLD[:12]} is not there" in said
    assert OLD[:13] not in said and NEW[:13] not in said
    assert f"  {FIRST}  at {NEW[:12]}\n" in said and f"  {SECOND}  still at {NEW[:12]}\n" in said
    told = story_of(journal, cast(Any, kept), "1").to_json()
    assert told["settings"][0]["differences"][0]["after"] == NEW


def test_history_names_the_way_to_one_run(journal: Journal) -> None:
    _failed(journal)
    screen = Screen(file=io.StringIO(), width=80)
    screen.print(history_table(journal.history()))
    assert "regionshift history RUN" in cast(io.StringIO, screen.file).getvalue()
