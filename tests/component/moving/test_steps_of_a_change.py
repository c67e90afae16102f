"""Every step of a change of primary fails after its real effect, or is killed before or after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from primary_site import Site, bucket

from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.journal.lock import Holder, LeaseTerms, acquire
from regionshift.journal.sealing import key_from_file
from regionshift.operations.moving.promoting import Promotion
from regionshift.operations.moving.promotion_plan import STEPS
from regionshift.runs.state import RunStep

pytestmark = pytest.mark.component
more = pytest.mark.thorough
FORWARD = [step.name for step in STEPS]
BACK = [f"back/{step.name}" for step in reversed(STEPS) if step.reversible]


@pytest.fixture(autouse=True)
def whole(site: Site) -> None:
    """Nothing is left of the test before."""
    assert not site.fates.left
    site.fates.met.clear()


@pytest.mark.parametrize(
    "step",
    [
        *(pytest.param(step, marks=more) for step in ("settings", "unlink", "catch-up", "validate-all")),
        "turn",
    ],
)
def test_a_step_that_fails_after_its_effect_is_taken_back(site: Site, step: str) -> None:
    site.put_that_replication_misses(f"data/missed before {step}")
    before, old = site.look(), site.primary
    site.fates.left = {step: "fails"}
    assert site.run("promote", site.secondary, "--yes") == 1
    assert site.fates.met == [f"{step} fails"]
    assert site.primary == old
    assert site.look() == before
    site.require_whole()


def test_whoever_stops_it_is_told_how_to_go_on(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    before = site.look()
    site.fates.left = {"last-copy": "Ctrl-C"}
    assert site.run("promote", site.secondary, "--yes") == 130
    said = " ".join("".join(capsys.readouterr()).split())
    assert "was stopped at last-copy" in said
    assert "regionshift resume continues it, regionshift resume --back undoes it" in said
    assert site.run("up", "--yes") == 3, "it is open"
    (promotion,) = site.open_runs()
    for migration, running in (("another", False), (f"{promotion}-carry", True)):
        with _migrating(site, migration):
            capsys.readouterr()
            code = site.run("status", "--json")
            status = json.loads(capsys.readouterr().out)
        (left,) = status["unfinished"]
        assert (left["run"], left["running"], status["running"]) == (promotion, running, running)
        assert running or code == 1
    assert site.run("resume", "--back", "--yes") == 0
    assert site.look() == before


@more
def test_another_machine_that_goes_on_with_it_has_the_new_settings_too(site: Site) -> None:
    """Its file is as it was before the step that changes it, which another one did."""
    before, new = site.file.read_bytes(), site.secondary
    site.fates.left = {"unlink": "killed before"}
    site.runs_until_killed("promote", new, "--yes")
    assert site.primary == new
    site.file.write_bytes(before)
    assert site.run("promote", new, "--yes") == 0
    assert site.primary == new
    site.require_whole()


def test_a_migration_whose_record_somebody_else_wrote_is_named_by_status(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody knows whether it is open. S3 replicates the record: that is no second one."""
    where, key = bucket(site.primary), "migrations/forged/metadata.json"
    s3 = site.clients.get("s3", site.primary)
    capsys.readouterr()
    assert site.run("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["migrations_unread"] is None
    s3.put_object(Bucket=where, Key=key, Body=b'{"migration_id": "forged", "status": "completed"}')
    code = site.run("status", "--json")
    status = json.loads(capsys.readouterr().out)
    s3.delete_object(Bucket=where, Key=key)
    assert code == 1
    assert "could not be read: forged. " in status["migrations_unread"]
    assert "forged" not in [each["migration_id"] for each in status["migrations"]]


@contextmanager
def _migrating(site: Site, migration_id: str) -> Iterator[None]:
    """A command that is alive holds the lock and carries."""
    folder = site.file.parent / ".regionshift"
    store, key = open_state((folder / "state").as_uri()), key_from_file(folder / "state.key")
    now = datetime.now(UTC)
    with acquire(store, "steps.dev", Holder("ann", "host", 42, now, "t"), LeaseTerms(lambda: 0.0)) as lock:
        journal = Journal(store, "steps.dev", lambda: now, lock.check, lock.working_on, key=key)
        run = journal.start("migration", {"migration_id": migration_id})
        yield
        run.close("failed", failed=True)


def test_settings_that_somebody_edits_meanwhile_are_taken_back_to_as_they_were(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, before = site.file.read_text(), site.look()
    do = Promotion.do

    def edited(self: Promotion, step: RunStep, *, doubt: bool) -> Any:
        if step.name == "settings":
            site.file.write_text(text + "# a colleague was here\n")
        return do(self, step, doubt=doubt)

    monkeypatch.setattr(Promotion, "do", edited)
    assert site.run("promote", site.secondary, "--yes") == 1
    assert site.file.read_text() == text + "# a colleague was here\n"
    site.file.write_text(text)
    assert site.look() == before
    assert site.run("promote", site.secondary, "--plan-only") == 0, "the run is closed"


@more
def test_a_way_back_sees_that_aws_deleted_what_a_killed_engine_was_not_told_of(site: Site) -> None:
    before, old = site.look(), site.primary
    site.fates.left = {"unlink": "killed before"}
    site.runs_until_killed("promote", site.secondary, "--yes")
    # What the killed engine had asked for; its state still has the replication.
    site.clients.get("s3", old).delete_bucket_replication(Bucket=bucket(old))
    assert site.run("resume", "--back", "--yes") == 0
    assert site.look().rules == before.rules
    site.require_whole()


@more
def test_a_way_back_sees_that_aws_changed_what_a_killed_engine_was_not_told_of(site: Site) -> None:
    function = site.clients.get("lambda", site.secondary)
    (name,) = [
        each["FunctionName"]
        for each in function.list_functions()["Functions"]
        if each["FunctionName"].startswith("steps-") and "migration" not in each["FunctionName"]
    ]
    before = function.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    site.fates.left = {"turn": "killed before"}
    site.runs_until_killed("promote", site.secondary, "--yes")
    turned = before | {"REGIONSHIFT_PRIMARY_REGION": site.primary}
    function.update_function_configuration(FunctionName=name, Environment={"Variables": turned})
    assert site.run("resume", "--back", "--yes") == 0
    assert function.get_function_configuration(FunctionName=name)["Environment"]["Variables"] == before
    site.require_whole()


def test_it_is_killed_at_every_boundary_and_finished(site: Site) -> None:
    new = site.secondary
    site.put_that_replication_misses("data/missed before kills")
    for step in FORWARD:
        for fate in ("killed before", "killed after"):
            site.fates.left = {step: fate}
            site.runs_until_killed("promote", new, "--yes")
    assert site.run("promote", new, "--yes") == 0
    assert site.fates.met == [
        f"{step} {fate}" for step in FORWARD for fate in ("killed before", "killed after")
    ]
    assert site.primary == new
    site.require_whole()
    assert site.has(new, "data/missed before kills")
    assert site.run("preview") == 0


@more
def test_it_is_killed_at_every_boundary_on_the_way_back(site: Site) -> None:
    site.put_that_replication_misses("data/missed before kills on the way back")
    before = site.look()
    site.fates.left = {"validate-all": "fails", BACK[0]: "killed before"}
    site.runs_until_killed("promote", site.secondary, "--yes")
    for step in BACK:
        for fate in ("killed before", "killed after"):
            if (step, fate) != (BACK[0], "killed before"):
                site.fates.left = {step: fate}
                site.runs_until_killed("resume", "--yes")
    assert site.run("resume", "--yes") == 1
    assert site.look() == before
    site.require_whole()
