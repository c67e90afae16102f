"""A new kind of run is a list of steps and one row: all of a toy kind is in this file.

Every command that looks at runs knows it: `status`, `history`, what `doctor` and `up` ask, `resume [--back]`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deployment_world import Process, World, model

from regionshift.carriers.transport import S3Error
from regionshift.cli import move, opening
from regionshift.cli.app import app
from regionshift.cli.failure import run
from regionshift.errors import EXIT_FAILED, EXIT_INPUT, EXIT_OK, EXIT_REFUSED, Refused
from regionshift.journal.backends import open_state
from regionshift.journal.events import RunView
from regionshift.operations import unfinished
from regionshift.operations.preflight import Machine
from regionshift.operations.run_tools import RunTools
from regionshift.operations.unfinished import RunRow, require_finished
from regionshift.runs.driver import RunEnd, SagaRun, Said
from regionshift.runs.messages import RunListener, SagaNews
from regionshift.runs.state import Ending, RunStep, SagaState
from regionshift.session import Session

pytestmark = pytest.mark.component
__all__ = ["model"]


@dataclass(frozen=True)
class ArchiveRun(SagaRun):
    """Writes down what it did, in a folder; a step whose ``trouble`` is there fails with it."""

    folder: Path
    trouble: Mapping[str, BaseException]

    @property
    def steps(self) -> tuple[RunStep, ...]:
        return (
            RunStep("freeze", meaning="let nobody write"),
            RunStep("store", meaning="write the archive"),
            RunStep("look", reversible=False, meaning="read it again"),
        )

    @property
    def news(self) -> SagaNews:
        names = tuple(step.name for step in self.steps)
        return SagaNews(
            "archive", "archive of a", names, "it is kept", "nothing is kept", "regionshift resume"
        )

    def told_regions(self, state: SagaState) -> Sequence[str]:
        del state
        return ()

    def do(self, step: RunStep, state: SagaState, *, doubt: bool) -> Said:
        del state
        with (self.folder / "did").open("a") as file:
            file.write(f"{step.name}\n")
        if step.name in self.trouble:
            raise self.trouble[step.name]
        return {"doubted": doubt}

    def facts(self, state: SagaState, view: RunView) -> Said:
        del view
        return {"kept": state.ending is Ending.DONE}

    def end(self, state: SagaState) -> RunEnd | None:
        if state.ending is Ending.STUCK:
            return None
        done = state.ending is Ending.DONE
        return RunEnd("archived" if done else "rolled back", {}, failed=not done)


@dataclass
class Site:
    """Nothing is up; the commands work on the journal of a world of the model."""

    world: World
    trouble: dict[str, BaseException] = field(default_factory=dict)

    @contextmanager
    def wired(self, *_: Any, **__: Any) -> Iterator[Session]:
        process = Process(self.world)
        store = open_state((self.world.folder / "state").as_uri())
        yield Session(process.environment, process.journal, process.catalog, store, None, Machine(None), None)

    @contextmanager
    def archive(self, _tools: RunTools, _view: RunView) -> Iterator[SagaRun]:
        yield ArchiveRun(self.world.folder, self.trouble)

    @property
    def did(self) -> list[str]:
        return (self.world.folder / "did").read_text().split()

    def killed(self, *done: str, at: str) -> str:
        """A run that did some steps and was killed in the one named."""
        archive = Process(self.world).journal.start("archive", {"regions": ["us-east-1"]})
        for step in done:
            archive.append(step, "before")
            archive.append(step, "after")
        archive.append(at, "before")
        return archive.run_id


@pytest.fixture
def site(tmp_path: Path, model: Callable[[World], World], monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(model(World(tmp_path / "world")))
    made.world.folder.mkdir(exist_ok=True)
    row = RunRow("archive", ("archive",), run=made.archive, succeeds_as="archived")
    monkeypatch.setattr(opening, "open_session", made.wired)
    monkeypatch.setattr(unfinished, "RUN_KINDS", (*unfinished.RUN_KINDS, row))
    return made


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    def tell(*command: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = run(app, list(command))
        said = capsys.readouterr()
        return code, json.loads(said.out) if "--json" in command else said.out + said.err

    return tell


Told = Callable[..., tuple[int, Any]]


def test_what_was_killed_is_seen_stands_in_the_way_and_is_gone_on_with(site: Site, told: Told) -> None:
    run_id = site.killed("freeze", at="store")
    code, seen = told("status", "--json")
    assert code == EXIT_FAILED
    (left,) = seen["unfinished"]
    assert (left["run"], left["kind"], left["next"], left["at"]) == (run_id, "archive", "store", "at store")
    assert left["go_on"] == "regionshift resume, or regionshift resume --back"
    with pytest.raises(Refused, match=f"Archive {run_id} is not finished: at store"):
        require_finished(Process(site.world).journal)

    code, shown = told("resume", "--yes")
    assert code == EXIT_OK, shown
    assert site.did == ["store", "look"]
    assert "write the archive" in shown and "archive of a ended: it is kept" in shown
    assert told("status")[0] == EXIT_OK
    code, runs = told("history", "--json")
    assert [(one["kind"], one["outcome"], one["regions"]) for one in runs] == [
        ("archive", "archived", ["us-east-1"])
    ]
    assert told("resume")[0] == EXIT_INPUT, "nothing is unfinished"


def test_its_end_is_told_as_json(site: Site, told: Told) -> None:
    run_id = site.killed(at="freeze")
    code, said = told("resume", "--json", "--yes")
    assert code == EXIT_OK
    assert (said["run"], said["outcome"], said["kept"], said["failed"]) == (run_id, "done", True, {})
    assert said["steps"]["freeze"] == {"doubted": True} and said["steps"]["store"] == {"doubted": False}


def test_it_is_taken_back_as_asked_but_not_when_all_is_done(site: Site, told: Told) -> None:
    site.killed("freeze", at="store")
    code, shown = told("resume", "--back", "--yes")
    assert code == EXIT_OK, shown
    assert site.did == ["back/store", "back/freeze"]
    assert "nothing is kept" in shown
    site.killed("freeze", "store", "look", at="run")
    code, shown = told("resume", "--back", "--yes")
    assert code == EXIT_REFUSED and "--back cannot undo it" in shown
    assert told("resume", "--yes")[0] == EXIT_OK


@pytest.mark.parametrize(
    "trouble", [S3Error("SlowDown", 503, "no answer came", "a"), OSError("no answer came")]
)
def test_a_step_that_fails_takes_it_back_in_a_sentence_and_status_says_so(
    trouble: Exception, site: Site, told: Told
) -> None:
    site.trouble["store"] = trouble
    run_id = site.killed(at="freeze")
    code, shown = told("resume", "--yes")
    assert code == EXIT_FAILED and "no answer came" in shown and "Traceback" not in shown
    assert site.did == ["freeze", "store", "back/store", "back/freeze"]
    _, shown = told("status")
    assert f"The last archive, {run_id}: failed, rolled back" in shown


def test_back_from_a_move_that_was_killed_while_its_region_came_up_stops_it(
    site: Site, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move, "topics", lambda *_: RunListener())
    first = Process(site.world).journal
    first.start("deployment", {"releases": {"us-east-1": "a" * 64}}).close("succeeded")
    moving = first.start("move", {"move": {"from": "us-east-1", "to": "eu-west-1"}})
    moving.append("name", "before")
    moving.append("name", "after")
    moving.append("up", "before")
    part = first.start("deployment", {"releases": dict.fromkeys(("us-east-1", "eu-west-1"), "b" * 64)})
    part.append("apply", "before")
    code, shown = told("resume", "--back", "--yes")
    assert code == EXIT_OK, shown
    assert Process(site.world).journal.view(moving.run_id).outcome == "stopped"


def test_a_kind_of_a_version_to_come_is_left_alone(site: Site, told: Told) -> None:
    run_id = Process(site.world).journal.start("restore", {}).run_id
    for command in (["resume", "--yes"], ["resume", "--back", "--yes"], ["destroy", "--yes"]):
        code, shown = told(*command)
        assert code == EXIT_REFUSED and run_id in shown and "newer version" in shown
    with pytest.raises(Refused, match="is not finished") as refused:
        require_finished(Process(site.world).journal)
    assert "newer version" in str(refused.value.remedy)
    assert Process(site.world).journal.view(run_id).outcome is None


def test_a_fence_that_was_killed_before_its_end_was_written_is_closed_by_the_next_up(site: Site) -> None:
    run_id = Process(site.world).journal.start("fence", {"regions": ["us-east-1"]}).run_id
    require_finished(Process(site.world).journal)
    Process(site.world).up()
    assert Process(site.world).journal.view(run_id).outcome == "killed"
