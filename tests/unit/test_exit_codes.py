"""What exit codes promise: 2 and 3 that nothing was touched, in every command that begins to change something."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from regionshift.cli import opening
from regionshift.cli.failure import run
from regionshift.cli.opening import opened
from regionshift.cli.options import Choices
from regionshift.deployment.steps import Step
from regionshift.errors import InputError, Interrupted, Refused, RegionshiftError, WorkFailed
from regionshift.journal.journal import Journal
from regionshift.journal.store import open_state
from regionshift.operations.waves.driving import Waits
from regionshift.wiring import Wired

Does = Callable[[Wired], object]


@pytest.fixture
def ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The exit code of a command that does these things, one after the other, each with all opened anew."""

    @contextmanager
    def wire(*_: Any, changing: Callable[[], None], **__: Any) -> Iterator[Any]:
        state = open_state((tmp_path / "state").as_uri())
        journal = Journal(state, "dev", lambda: datetime.now(UTC), changing=changing)
        yield SimpleNamespace(journal=journal, environment=SimpleNamespace(engine=SimpleNamespace(mended=())))

    monkeypatch.setattr(opening, "wire", wire)

    def ended(*does: Does, arguments: tuple[str, ...] = ()) -> int:
        app = typer.Typer()

        @app.command()
        def change(as_json: bool = typer.Option(False, "--json")) -> int:
            del as_json
            code: object = 0
            for each in does:
                with opened(Choices(Path("regionshift.yaml"))) as wired:
                    code = each(wired)
            return code if isinstance(code, int) else 0

        return run(app, [*arguments])

    return ended


def _raising(error: BaseException) -> Does:
    def ends_with_it(_: Wired) -> None:
        raise error

    return ends_with_it


def _opens_a_run(wired: Wired) -> None:
    wired.journal.start("deployment", {})


def _begins(wired: Wired) -> None:
    wired.journal.start("deployment", {}).append("apply", "before")


def _only_looks(wired: Wired) -> None:
    run = wired.journal.start("migration", {})
    run.append("plan", "before", only_looks=True)
    run.append("plan", "failed")
    run.close("failed", failed=True)


def _changes_a_fence(wired: Wired) -> None:
    wired.journal.start("fence", {}).close("succeeded")


def _writes_the_settings(wired: Wired) -> None:
    wired.journal.changing()


@pytest.mark.parametrize("before", [_opens_a_run, _only_looks])
@pytest.mark.parametrize(
    ("error", "code"), [(InputError("no"), 2), (Refused("no"), 3), (WorkFailed("no"), 1)]
)
def test_what_is_refused_before_the_first_change_says_so(
    ends: Callable[..., int], before: Does, error: RegionshiftError, code: int
) -> None:
    assert ends(before, _raising(error)) == code


@pytest.mark.parametrize("before", [_begins, _changes_a_fence, _writes_the_settings])
@pytest.mark.parametrize("error", [InputError("no"), Refused("no"), WorkFailed("no")])
def test_no_end_after_a_change_says_that_nothing_was_touched(
    ends: Callable[..., int], before: Does, error: RegionshiftError, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(before, _raising(error)) == 1
    capsys.readouterr()
    assert ends(before, _raising(error), arguments=("--json",)) == 1
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 1


@pytest.mark.parametrize(("returned", "code"), [(0, 0), (1, 1), (2, 1), (3, 1), (130, 130)])
def test_a_code_that_a_command_gives_itself_follows_the_same_rule(
    ends: Callable[..., int], returned: int, code: int
) -> None:
    assert ends(lambda _: returned) == returned
    assert ends(_begins, lambda _: returned) == code


def test_a_wave_that_waits_and_an_interruption_keep_their_codes(ends: Callable[..., int]) -> None:
    assert ends(_begins, _raising(Waits("wave 2 waits"))) == 3
    assert ends(_begins, _raising(Interrupted("stopped"))) == 130
    assert ends(_begins, _raising(KeyboardInterrupt())) == 130


def test_an_unanswered_question_after_a_change_does_not_say_that_nothing_was_changed(
    ends: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(_raising(typer.Abort())) == 130
    assert "nothing was changed" in capsys.readouterr().err
    assert ends(_begins, _raising(typer.Abort())) == 130
    assert "nothing was changed" not in capsys.readouterr().err


def test_what_one_command_changed_is_not_held_against_the_next(ends: Callable[..., int]) -> None:
    assert ends(_begins, _raising(Refused("no"))) == 1
    assert ends(_raising(Refused("no"))) == 3


def test_of_a_deployments_steps_only_applying_and_linking_change_something() -> None:
    looks = {action: Step(action, action, ("eu-west-1",)).only_looks for action in _ACTIONS}
    assert [action for action in _ACTIONS if not looks[action]] == ["apply", "links"]


_ACTIONS: tuple[Any, ...] = ("approve", "apply", "validate", "bake", "links")
