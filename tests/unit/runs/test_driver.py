"""Whatever becomes of a step, the run is written down and told as its kind says: closed, open, or on its way back."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from regionshift.errors import Interrupted, NoRoom, RegionshiftError, WorkFailed
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal, RunJournal
from regionshift.journal.store import StateUnreachable
from regionshift.runs.driver import (
    RunEnd,
    RunUnderWay,
    SagaRun,
    Said,
    Waits,
    WhenFailed,
    drive,
    drive_in_sessions,
)
from regionshift.runs.messages import News, RunListener, SagaNews, StepPhase
from regionshift.runs.state import Ending, RunStep, SagaState

STEPS = (RunStep("look", reversible=False), RunStep("write"), RunStep("turn"))
WORDS = SagaNews("promote", "change", ("look", "write", "turn"), "b is it", "a is it", "regionshift resume")


@dataclass
class Toy(SagaRun):
    """``wrong``: what each step raises, once."""

    failing: WhenFailed
    wrong: dict[str, BaseException] = field(default_factory=dict)
    done: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def when_failed(self) -> WhenFailed:  # type: ignore[override]
        return self.failing

    @property
    def steps(self) -> tuple[RunStep, ...]:
        return STEPS

    @property
    def news(self) -> SagaNews:
        return WORDS

    def told_regions(self, state: SagaState) -> Collection[str]:
        return sorted(state.done)

    def do(self, step: RunStep, state: SagaState, *, doubt: bool) -> Said:
        assert step.name in state.began
        self.done.append((step.name, doubt))
        if wrong := self.wrong.pop(step.name, None):
            raise wrong
        return {"did": step.name}

    def end(self, state: SagaState) -> RunEnd | None:
        if state.ending is Ending.STUCK:
            return None
        return RunEnd(str(state.ending), failed=state.backward)


class Listens(RunListener[RunStep]):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self.summaries: list[str] = []

    def on_step(self, step: RunStep, phase: StepPhase, said: Mapping[str, object]) -> None:
        assert phase != "before" or not said
        self.steps.append((step.name, phase))

    def on_news(self, run_id: str, news: News, regions: Collection[str]) -> None:
        assert run_id and set(regions) <= {step.name for step in STEPS} | {"back/write", "back/turn"}
        self.summaries.append(news.summary)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(open_state(tmp_path.as_uri()), "dev", lambda: datetime.now(UTC))


def _run(
    journal: Journal, kind: Toy, run_id: str | None = None
) -> tuple[str, Listens, RegionshiftError | None]:
    run, listens = journal.reopen(run_id) if run_id else journal.start("promotion", {}), Listens()
    try:
        drive(RunUnderWay(journal, run, kind, [listens]))
    except RegionshiftError as error:
        return run.run_id, listens, error
    return run.run_id, listens, None


def _phases(journal: Journal, run_id: str) -> list[tuple[str, str]]:
    return [(event.step, event.phase) for event in journal.events(run_id)][1:]


AWS = EndpointConnectionError(endpoint_url="https://nowhere")


@pytest.mark.parametrize("error", [WorkFailed("no", where="b"), AWS], ids=["ours", "of AWS"])
def test_a_failure_is_followed_by_what_the_state_says(journal: Journal, error: Exception) -> None:
    run_id, listens, raised = _run(journal, Toy(WhenFailed.ASK_STATE, {"turn": error}))
    assert raised is None
    assert _phases(journal, run_id)[-6:] == [
        ("turn", "failed"),
        *((f"back/{step}", phase) for step in ("turn", "write") for phase in ("before", "after")),
        ("run", "failed"),
    ]
    assert journal.view(run_id).outcome == "taken back"
    assert any("rolling back write, turn" in each for each in listens.summaries)


def test_a_way_back_that_fails_is_tried_once_a_process(journal: Journal) -> None:
    kind = Toy(WhenFailed.ASK_STATE, {"write": WorkFailed("no"), "back/write": WorkFailed("no")})
    run_id, listens, _ = _run(journal, kind)
    assert journal.view(run_id).outcome is None
    assert "needs a person" in listens.summaries[-1]
    again, listens, _ = _run(journal, kind, run_id)
    assert kind.done[-2:] == [("back/write", True), ("back/write", True)]
    assert journal.view(again).outcome == "taken back"
    assert listens.steps[0] == ("look", "earlier")


def test_a_failure_may_close_the_run_or_leave_it_open(journal: Journal) -> None:
    closed, told, error = _run(journal, Toy(WhenFailed.CLOSE, {"write": AWS}))
    assert isinstance(error, WorkFailed) and error.__cause__ is AWS
    assert (journal.view(closed).outcome, _phases(journal, closed)[-2]) == ("failed", ("write", "failed"))
    assert told.summaries[-1].endswith("to continue: regionshift resume")
    left, told, error = _run(journal, Toy(WhenFailed.STAY_OPEN, {"write": WorkFailed("no")}))
    assert (error and error.message, journal.view(left).outcome) == ("no", None)
    assert _phases(journal, left)[-1] == ("write", "before")
    assert told.summaries[-1].startswith("write failed: no")
    kind = Toy(WhenFailed.STAY_OPEN)
    assert _run(journal, kind, left)[2] is None
    assert kind.done == [("write", True), ("turn", False)]


@pytest.mark.parametrize("failing", WhenFailed)
def test_whoever_stops_it_is_told_what_goes_on(journal: Journal, failing: WhenFailed) -> None:
    for stop in (KeyboardInterrupt(), Interrupted("the engine was stopped")):
        run_id, told, error = _run(journal, Toy(failing, {"write": stop}))
        assert isinstance(error, Interrupted) and error.remedy == "regionshift resume"
        assert "was stopped at write" in told.summaries[-1]
        assert journal.view(run_id).outcome == ("interrupted" if failing is WhenFailed.CLOSE else None)


def test_a_full_disk_and_a_person_to_wait_for_take_nothing_back(journal: Journal) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "file")
    for wrong, kind in ((full, NoRoom), (NoRoom("full"), NoRoom), (Waits("for a person"), Waits)):
        run_id, _, error = _run(journal, Toy(WhenFailed.ASK_STATE, {"write": wrong}))
        assert isinstance(error, kind)
        assert _phases(journal, run_id)[-1] == ("write", "before")


def test_a_defect_leaves_a_run_open_that_has_a_way_back(journal: Journal) -> None:
    run = journal.start("promotion", {})
    with pytest.raises(ZeroDivisionError):
        drive(RunUnderWay(journal, run, Toy(WhenFailed.ASK_STATE, {"write": ZeroDivisionError("secret")})))
    assert journal.view(run.run_id).outcome is None
    run = journal.start("promotion", {})
    with pytest.raises(ZeroDivisionError):
        drive(RunUnderWay(journal, run, Toy(WhenFailed.CLOSE, {"write": ZeroDivisionError("secret")})))
    (failed,) = (
        event for event in journal.events(run.run_id) if event.step == "write" and event.phase == "failed"
    )
    assert failed.data == {"error": "ZeroDivisionError"}


def test_when_the_end_cannot_be_written_the_first_failure_is_told(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = RunJournal.append

    def lost(self: RunJournal, step: str, phase: Any, *rest: Any, **more: Any) -> Any:
        if phase == "failed":
            raise StateUnreachable("the state does not answer")
        return append(self, step, phase, *rest, **more)

    monkeypatch.setattr(RunJournal, "append", lost)
    run_id, _, error = _run(journal, Toy(WhenFailed.CLOSE, {"write": WorkFailed("no")}))
    assert error is not None and error.message == "no"
    assert error.__notes__ == ["that could not be written down: the state does not answer"]
    assert journal.view(run_id).outcome is None


def test_each_step_may_have_everything_opened_anew(journal: Journal) -> None:
    run_id, listens, opened = journal.start("promotion", {}).run_id, Listens(), list[str]()
    kind = Toy(WhenFailed.STAY_OPEN)

    @contextmanager
    def session() -> Iterator[RunUnderWay[SagaState, RunStep]]:
        opened.append("open")
        yield RunUnderWay(journal, journal.reopen(run_id), kind, [listens])
        opened.append("closed")

    state, _ = drive_in_sessions(session)
    assert opened == ["open", "closed"] * len(STEPS)
    assert state.said == {step.name: {"did": step.name} for step in STEPS}
    assert journal.view(run_id).outcome == "done"
    assert [each for each in listens.summaries if "began" in each] == ["change began: look, write, turn"]


def test_a_run_that_was_killed_at_its_very_end_is_closed(journal: Journal) -> None:
    run = journal.start("promotion", {})
    for step in STEPS:
        run.append(step.name, "before")
        run.append(step.name, "after")
    kind = Toy(WhenFailed.ASK_STATE)
    _, listens, _ = _run(journal, kind, run.run_id)
    assert (kind.done, journal.view(run.run_id).outcome) == ([], "done")
    assert listens.summaries[-1] == "change ended: b is it"


@pytest.mark.parametrize("failing", WhenFailed)
def test_a_stop_between_two_steps_is_told_and_fails_no_step(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, failing: WhenFailed
) -> None:
    """While the events are read, and while the end of a step is told."""
    read, kind = Journal.events, Toy(failing)

    def stopped(self: Journal, run_id: str) -> Any:
        if len(kind.done) == 1:
            kind.done.append(("stopped", False))
            raise KeyboardInterrupt
        return read(self, run_id)

    def silent(_: Listens, _step: RunStep, phase: StepPhase, _said: Mapping[str, object]) -> None:
        if phase == "after":
            raise KeyboardInterrupt

    for owner, name, instead in ((Journal, "events", stopped), (Listens, "on_step", silent)):
        kind.done.clear()
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, instead)
            run_id, told, error = _run(journal, kind)
        assert isinstance(error, Interrupted) and error.remedy == "regionshift resume"
        assert "was stopped at" in told.summaries[-1]
        phases = _phases(journal, run_id)
        assert ("look", "after") in phases and ("look", "failed") not in phases
        assert journal.view(run_id).outcome == ("interrupted" if failing is WhenFailed.CLOSE else None)


def test_a_run_that_nobody_resumes_is_closed_whatever_ended_it(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener that is gone, and a state that did not answer once."""
    read, kind = Journal.events, Toy(WhenFailed.CLOSE)

    def away(self: Journal, run_id: str) -> Any:
        if len(kind.done) == 1:
            kind.done.append(("asked", False))
            raise StateUnreachable("the state does not answer")
        return read(self, run_id)

    def gone(_: Listens, _step: RunStep, phase: StepPhase, _said: Mapping[str, object]) -> None:
        if phase == "after":
            raise BrokenPipeError

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "events", away)
        run_id, told, error = _run(journal, kind)
    assert error is not None and error.message == "the state does not answer"
    assert told.summaries[-1].startswith("write failed: the state does not answer")
    assert journal.view(run_id).outcome == "failed"
    run = journal.start("promotion", {})
    with monkeypatch.context() as patch, pytest.raises(BrokenPipeError):
        patch.setattr(Listens, "on_step", gone)
        drive(RunUnderWay(journal, run, Toy(WhenFailed.CLOSE), [Listens()]))
    assert journal.view(run.run_id).outcome == "failed"
    assert ("look", "failed") not in _phases(journal, run.run_id)


def test_a_failure_is_told_once_and_also_when_nobody_knows_which_topics_there_are(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: Toy, _state: SagaState) -> Collection[str]:
        raise StateUnreachable("the state does not answer")

    monkeypatch.setattr(Toy, "told_regions", unknown)
    _, told, error = _run(journal, Toy(WhenFailed.STAY_OPEN, {"write": AWS}))
    assert told.summaries[-1].count("write failed: ") == 1
    assert error is not None and error.message.startswith("write failed: ")
