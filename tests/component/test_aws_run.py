"""`make test-aws` says what it costs, asks, stops at its hard stop, and takes down what it left, whatever happened."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "test-aws"
ACCOUNT = "123456789012"
# So timeout(1) ends it, as when its time is over, but surely after the tests have begun: in a short time a busy machine
# may get nowhere.
TIME_IS_OVER = "ps -o args= -p $PPID > stopper; kill -ALRM $PPID; exec sleep 60"


def run(
    tmp_path: Path, tests: str, destroy: str = "exit 0", *, yes: str = ACCOUNT
) -> subprocess.CompletedProcess[str]:
    """The script with parts that stand for the tests, and for `regionshift destroy`, which writes down where it ran."""
    bin_ = tmp_path / ".venv/bin"
    bin_.mkdir(parents=True)
    make = 'place="${@: -3:1}/p"; mkdir -p "$place"; touch "$place/regionshift.yaml"'
    parts = {
        "python": f"echo {ACCOUNT}",
        "pytest": f"{make}; {tests}",
        "regionshift": f'echo "$PWD $*" >> {tmp_path}/destroyed; {destroy}',
    }
    for name, body in parts.items():
        (bin_ / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (bin_ / name).chmod(0o755)
    given = {"TMPDIR": str(tmp_path), "REGIONSHIFT_TEST_AWS_YES": yes, "REGIONSHIFT_TEST_AWS_STOP": "59s"}
    return subprocess.run(
        ["bash", str(SCRIPT)],
        cwd=tmp_path,
        env={**os.environ, **given},
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
    )


def destroyed(tmp_path: Path) -> list[str]:
    told = tmp_path / "destroyed"
    return told.read_text().splitlines() if told.exists() else []


@pytest.mark.parametrize(("tests", "code"), [("exit 0", 0), ("exit 1", 1), (TIME_IS_OVER, 124)])
def test_however_it_ends_nothing_is_left(tmp_path: Path, tests: str, code: int) -> None:
    done = run(tmp_path, tests)
    assert done.returncode == code
    assert "US dollar" in done.stdout
    (one,) = destroyed(tmp_path)
    assert one.endswith("/p destroy --yes --force")
    assert list(tmp_path.glob("regionshift-test-aws-*")) == []
    if code == 124:
        assert " 59s " in (tmp_path / "stopper").read_text()


def test_what_cannot_be_taken_down_is_named_and_kept(tmp_path: Path) -> None:
    done = run(tmp_path, "exit 0", "exit 1")
    assert done.returncode == 1
    (kept,) = tmp_path.glob("regionshift-test-aws-*/tests/p/regionshift.yaml")
    assert "NOT TAKEN DOWN" in done.stderr
    assert str(kept.parent) in done.stderr


def test_without_a_yes_nothing_is_run(tmp_path: Path) -> None:
    assert run(tmp_path, "exit 0", yes="no").returncode == 3
    assert destroyed(tmp_path) == []


def test_ctrl_c_reaches_the_tests_at_once(tmp_path: Path) -> None:
    # What a terminal does: the signal goes to the process group of the script.
    group = "$(ps -o pgid= -p $(ps -o ppid= -p $PPID) | tr -d ' ')"
    done = run(tmp_path, f"kill -INT -- -{group}; sleep 0.1; touch {tmp_path}/went-on")
    assert done.returncode == 130
    assert not (tmp_path / "went-on").exists()
    assert len(destroyed(tmp_path)) == 1


def test_a_command_that_is_waited_for_no_longer_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parents[1] / "tests/e2e"))
    import e2e_place

    monkeypatch.setattr(e2e_place, "_PATIENCE_S", {"calm": 0.1})
    monkeypatch.setattr(e2e_place, "COMMAND", "sleep")
    place = e2e_place.Place(tmp_path, {}, {})
    before = signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # pytest's workers ignore it, and so would what they start
    try:
        process = place.start("60")
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(subprocess.TimeoutExpired):
        place.finish(process)
    assert process.poll() == -signal.SIGINT
