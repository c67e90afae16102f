"""What a change of primary, a move and a rollback after one say before they change anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from primary_site import Killed, Site

from regionshift.operations import deploying, moves
from regionshift.operations.moving import copying

pytestmark = pytest.mark.component
ELSEWHERE = "ap-southeast-2"


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    return " ".join((out + err).split())


def _kept(site: Site) -> dict[Path, bytes]:
    """Every file of the journal and the releases."""
    state = site.file.parent / ".regionshift/state"
    folders = [state / "journal", state / "releases"]
    return {path: path.read_bytes() for each in folders for path in each.rglob("*") if path.is_file()}


def test_a_plan_writes_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    before, kept = site.look(), _kept(site)
    assert kept
    assert site.run("promote", site.secondary, "--plan-only") == 0
    assert "becomes the primary" in _said(capsys)
    assert site.run("promote", site.secondary) == 3, "nobody is there to be asked"
    assert _kept(site) == kept
    assert site.look() == before


@pytest.mark.parametrize("edit", ["function: {memory: 640}", "network: {vpc_cidr: 10.0.0.0/16}"])
def test_a_move_carries_no_other_edit(site: Site, capsys: pytest.CaptureFixture[str], edit: str) -> None:
    text, kept = site.file.read_text(), _kept(site)
    name = edit.partition(":")[0]
    changed = "\n".join(line for line in text.splitlines() if not line.startswith(f"{name}:"))
    site.file.write_text(f"{changed}\n{edit}\n")
    for target in (ELSEWHERE, site.secondary):
        assert site.run("move", "--from", site.primary, "--to", target, "--yes") == 3
        said = _said(capsys)
        assert name in said and "run `regionshift up` first" in said
    assert site.file.read_text() == f"{changed}\n{edit}\n"
    assert _kept(site) == kept
    site.file.write_text(text)


def test_a_move_shows_what_it_makes_before_it_asks(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    text, kept = site.file.read_text(), _kept(site)
    assert site.run("move", "--from", site.primary, "--to", ELSEWHERE) == 3, "nobody is there to be asked"
    said = _said(capsys)
    assert f"{ELSEWHERE} comes up as a secondary first" in said
    assert "Plan for dev" in said
    assert site.file.read_text() == text
    assert _kept(site) == kept


def test_a_move_asks_every_phase_for_what_it_needs_before_the_first(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text, kept, before = site.file.read_text(), _kept(site), site.look()
    # As if it had been brought up with it; what is carried is there in no region.
    monkeypatch.setattr(moves, "require_nothing_else", lambda *_: None)
    site.file.write_text(text + "carry: {s3: [{bucket: 'steps-old-{region}'}]}\n")
    assert site.run("move", "--from", site.primary, "--to", ELSEWHERE, "--yes") == 2
    assert f"source bucket steps-old-{site.primary} is not there" in _said(capsys)
    site.file.write_text(text)
    assert _kept(site) == kept
    assert site.look() == before


def test_a_plan_of_nothing_is_one_document_and_a_person_sees_the_table(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    text = site.file.read_text()
    site.file.write_text(text + "carry: {ssm: [{path: /nothing-is-here/}]}\n")
    migrate = ("migrate", "--from", site.primary, "--to", site.secondary, "--plan-only")
    capsys.readouterr()
    assert site.run(*migrate, "--json") == 2
    said = json.loads(capsys.readouterr().out)  # a second document would be extra data
    assert "select nothing" in said["error"]["message"]
    assert site.run(*migrate) == 2
    told = _said(capsys)
    assert "0 items" in told and "select nothing" in told
    site.file.write_text(text)


def test_doctor_tells_damage_of_the_journal_once(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    state = site.file.parent / ".regionshift/state/journal/steps.dev"
    newest = sorted((state / "closed").iterdir())[-1]
    event = sorted((state / "runs" / newest.stem).iterdir())[-1]
    whole = event.read_bytes()
    event.write_bytes(b"{")
    capsys.readouterr()
    try:
        site.run("doctor")
    finally:
        event.write_bytes(whole)
    assert _said(capsys).count("an event of the journal cannot be read") == 1


def test_back_from_a_move_that_made_the_new_primary_is_refused_and_says_what_goes_back(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = {"from": site.secondary, "to": site.primary}
    with site.journal() as journal:
        run = journal.start("move", {"move": ends})
        for phase in moves.PHASES:  # killed before its end was written down
            run.append(phase, "before")
            run.append(phase, "after")
    kept, before = _kept(site), site.look()
    assert site.run("resume", "--back", "--yes") == 3
    said = _said(capsys)
    assert "--back cannot undo" in said and f"regionshift promote {site.secondary}" in said
    assert _kept(site) == kept
    assert site.look() == before
    assert site.run("resume", "--yes") == 0
    assert site.open_runs() == []
    assert site.look() == before


def test_a_move_whose_way_back_was_begun_does_not_go_forward(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    before, ends = site.look(), {"from": site.primary, "to": site.secondary}
    with site.journal() as journal:
        run = journal.start("move", {"move": ends})
        run.append("name", "before")
        moves.turn_back(journal, run, moves.STEPS)  # and killed there
    assert site.run("move", "--from", site.primary, "--to", site.secondary, "--yes") == 3
    assert "is being rolled back" in _said(capsys)
    assert site.run("resume", "--yes") == 0, "which is the rest of the way back"
    assert "stopped" in _said(capsys)
    assert site.open_runs() == []
    assert site.look() == before


@pytest.mark.thorough
def test_a_deployment_before_a_change_of_primary_is_taken_back_after_turning_it(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    text, old = site.file.read_text(), site.primary
    site.file.write_text(text + "function: {memory: 640}\n")
    assert site.run("up", "--yes", "--no-validate") == 0
    assert site.run("promote", site.secondary, "--yes") == 0
    capsys.readouterr()
    assert site.run("rollback", "--yes") == 3
    assert f"regionshift promote {old}" in _said(capsys)
    assert site.run("promote", old, "--yes") == 0
    assert site.run("rollback", "--yes") == 0
    site.file.write_text(text)
    assert site.run("preview") == 0
    assert "nothing to change" in _said(capsys)


def test_a_region_that_leaves_takes_no_other_change_with_it(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    text, before, kept = site.file.read_text(), site.look(), _kept(site)
    without = text.replace(f"secondaries: [{site.secondary}]", "secondaries: []")
    assert without != text
    site.file.write_text(without + "function: {memory: 704}\n")
    assert site.run("up", "--allow-data-loss", "--yes") == 3
    said = _said(capsys)
    assert "function.memory" in said and f"name {site.secondary} in the settings again" in said
    assert _kept(site) == kept
    site.file.write_text(without)
    assert site.run("up", "--allow-data-loss") == 3, "nobody is there to be asked"
    assert "Plan for dev" in _said(capsys)
    site.file.write_text(text)
    assert site.look() == before


def test_retiring_a_region_carries_no_other_change(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    text, kept = site.file.read_text(), _kept(site)
    site.file.write_text(text + "function: {memory: 704}\n")
    move = ("move", "--from", site.secondary, "--to", site.primary, "--retire", "--allow-data-loss", "--yes")
    assert site.run(*move) == 3
    assert "function.memory" in _said(capsys)
    assert site.file.read_text() == text + "function: {memory: 704}\n"
    assert _kept(site) == kept
    site.file.write_text(text)


@pytest.mark.thorough
def test_a_move_whose_region_came_up_unrecorded_goes_on_and_the_region_can_leave_again(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = deploying.OneGo.do

    def killed_at_the_end(self: deploying.OneGo, *rest: Any, **more: Any) -> Any:
        done(self, *rest, **more)
        raise Killed

    def killed(*_: Any) -> None:
        raise Killed

    def releases() -> dict[str, str]:
        site.run("status", "--json")
        found = json.loads(capsys.readouterr().out)["regions"]
        return {region: state["release"] for region, state in found.items() if state["settled"]}

    text, old = site.file.read_text(), site.primary
    with monkeypatch.context() as patch:
        patch.setattr(deploying.OneGo, "do", killed_at_the_end)
        site.runs_until_killed("move", "--from", old, "--to", ELSEWHERE, "--yes")
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(copying.LastCopy, "copy", killed)  # looked at is what it needs, before
        site.runs_until_killed("resume", "--yes")
    capsys.readouterr()
    assert set(releases()) == {old, site.secondary, ELSEWHERE}
    assert site.run("resume", "--back", "--yes") == 0
    site.file.write_text(text)
    assert site.run("up", "--allow-data-loss", "--yes", "--no-validate") == 0
    capsys.readouterr()
    assert set(releases()) == {old, site.secondary}
