"""A pipeline's jobs: each ends where a wave waits for a person, and approves the one wave that it was approved for.

The commands are real, and so is the embedded AWS that they ask; the engine and its regions are made up.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from deployment_world import Fault, model
from model_regions import CANARY, OTHER, WAVES, Crash
from test_asked_alike import Scene, scene

from regionshift.cli import resume
from regionshift.cli.app import app
from regionshift.cli.failure import run
from regionshift.errors import RegionshiftError
from regionshift.operations.deploying import end_all, taken_down_by_destroy

pytestmark = pytest.mark.component
__all__ = ["model", "scene"]


class Job:
    """A job of a pipeline: one command, and what it hands over to the next."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self._scene, self._file = scene, folder / "handed-over"

    def does(self, *arguments: str) -> tuple[int, dict[str, str]]:
        self._file.unlink(missing_ok=True)
        code = run(app, [*arguments, "--yes", "--hand-over", str(self._file)])
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return code, dict(line.split("=") for line in lines)


@pytest.fixture
def job(scene: Scene, tmp_path: Path) -> Job:
    scene.settings["deployment"] = {"bake": 0, "approve": [2, 3]}
    return Job(scene, tmp_path)


def _wanted(scene: Scene) -> list[str]:
    """Which regions run what the settings want."""
    release = scene.process().environment.release().digest
    return [region for region in WAVES if scene.world.runs(region) == release]


def test_a_job_a_wave_and_nothing_waits_at_the_end(job: Job, scene: Scene) -> None:
    code, handed = job.does("up", "--no-validate")
    assert code == 0
    run_id = handed["regionshift_run"]
    assert handed == {"regionshift_run": run_id, "regionshift_wave": "2"}
    code, handed = job.does("resume", "--run", run_id, "--wave", "2")
    assert (code, handed["regionshift_wave"]) == (0, "3")
    assert job.does("resume", "--run", run_id, "--wave", "3") == (0, {})
    assert _wanted(scene) == list(WAVES)


def test_a_job_that_was_killed_goes_on_when_it_is_run_again(job: Job, scene: Scene) -> None:
    scene.faults = (Fault("step", "crash before", at=2),)
    with suppress(Crash):
        job.does("up", "--no-validate")
    assert _wanted(scene) == []
    scene.faults = ()
    code, handed = job.does("up", "--no-validate")
    run_id = handed["regionshift_run"]
    assert (code, handed["regionshift_wave"], _wanted(scene)) == (0, "2", [CANARY])
    # The whole first job once more, when its wave waits already: the same is handed over, and nothing is approved.
    assert job.does("up", "--no-validate") == (0, handed)
    wave = ("resume", "--run", run_id, "--wave", "2")
    scene.faults = (Fault("step", "crash after", at=2),)
    with suppress(Crash):
        job.does(*wave)
    scene.faults = ()
    for _ in range(2):
        code, handed = job.does(*wave)
        assert (code, handed["regionshift_wave"], _wanted(scene)) == (0, "3", [CANARY, OTHER])


def test_a_job_run_again_approves_no_wave_but_its_own(job: Job, scene: Scene) -> None:
    scene.settings["deployment"]["approve"] = [1, 2, 3]
    _, handed = job.does("up", "--no-validate")
    run_id = handed["regionshift_run"]
    assert job.does("resume", "--run", run_id, "--wave", "2") == (3, {})
    assert _wanted(scene) == []
    for _ in range(3):
        code, handed = job.does("resume", "--run", run_id, "--wave", "1")
        assert (code, handed["regionshift_wave"], _wanted(scene)) == (0, "2", [CANARY])


def test_a_job_that_names_no_wave_approves_none_and_goes_on_with_what_was_killed(
    job: Job, scene: Scene
) -> None:
    _, handed = job.does("up", "--no-validate")
    assert handed["regionshift_wave"] == "2"
    assert job.does("resume") == (0, handed)
    assert _wanted(scene) == [CANARY]
    scene.faults = (Fault("step", "crash before", at=2),)
    with suppress(Crash):
        job.does("resume", "--run", handed["regionshift_run"], "--wave", "2")
    assert _wanted(scene) == [CANARY]
    scene.faults = ()
    assert job.does("resume") == (0, {**handed, "regionshift_wave": "3"})
    assert _wanted(scene) == [CANARY, OTHER]


def test_after_the_end_a_job_that_is_run_again_ends_as_the_deployment_did(job: Job) -> None:
    _, handed = job.does("up", "--no-validate")
    wave = ("resume", "--run", handed["regionshift_run"], "--wave", "3")
    assert job.does(*wave)[0] == 3  # it waits for wave 2
    assert job.does("resume", "--back") == (0, {})
    assert job.does(*wave) == (1, {})
    _, handed = job.does("up", "--no-validate")
    run_id = handed["regionshift_run"]
    for wave_number in ("2", "3"):
        job.does("resume", "--run", run_id, "--wave", wave_number)
    assert job.does("resume", "--run", run_id, "--wave", "3") == (0, {})


def test_a_job_that_takes_back_takes_back_no_other_run(job: Job, scene: Scene) -> None:
    _, handed = job.does("up", "--no-validate")
    back = ("resume", "--back", "--run", handed["regionshift_run"])
    assert job.does("resume", "--back", "--run", "000099-deployment-abcdef")[0] == 2
    assert job.does(*back) == (0, {})
    _, other = job.does("up", "--no-validate")
    assert job.does(*back) == (0, {}), "the job is run again: it was taken back"
    left = [each.run_id for each in scene.process().journal.unfinished()]
    assert left == [other["regionshift_run"]], "and what came after it still waits"
    for wave_number in ("2", "3"):
        job.does("resume", "--run", other["regionshift_run"], "--wave", wave_number)
    assert job.does("resume", "--back", "--run", other["regionshift_run"])[0] == 1, "it ended well before"


def test_a_job_goes_on_with_no_change_that_is_not_its_own(job: Job, scene: Scene) -> None:
    _, handed = job.does("up", "--no-validate")
    scene.world.wanted = 2
    assert job.does("up", "--no-validate")[0] == 3
    assert job.does("resume", "--run", "000099-deployment-abcdef", "--wave", "2")[0] == 2
    assert job.does("resume", "--wave", "2")[0] == 2
    assert job.does("resume", "--run", handed["regionshift_run"], "--wave", "2", "--back")[0] == 2


@pytest.mark.usefixtures("job")
def test_without_a_file_to_hand_over_to_a_wait_is_told_by_its_exit_code(scene: Scene) -> None:
    assert run(app, ["up", "--yes", "--no-validate"]) == 3
    (view,) = scene.process().journal.unfinished()
    assert run(app, ["resume", "--yes", "--run", view.run_id, "--wave", "2"]) == 3
    assert _wanted(scene) == [CANARY, OTHER]


def test_a_first_up_that_failed_goes_back_by_its_name_and_by_no_other(
    job: Job, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A destroy takes it back; one that was killed is gone on with, and one that is done is said."""
    scene.begin_anew()
    with suppress(RegionshiftError):
        scene.process(Fault("step", "fail", at=2)).up()
    (half,) = scene.process().journal.history()
    ends: list[bool] = []

    def destroy(_: object) -> int:
        journal = scene.process().journal
        ends.append(bool(taken_down_by_destroy(journal)))
        run = journal.start("destroy", {"of": taken_down_by_destroy(journal)})
        end_all(journal, but=run.run_id)
        if len(ends) == 1:
            return 1  # killed
        run.close("succeeded")
        return 0

    monkeypatch.setattr(resume, "run_destroy", destroy)
    back = ("resume", "--back", "--run", half.run_id)
    assert job.does("resume", "--back", "--run", half.run_id[:6] + "-deployment-ffffff")[0] == 2
    assert (job.does(*back)[0], job.does(*back)[0]) == (1, 0)
    assert ends == [True, True]
    assert job.does(*back)[0] == 0 and len(ends) == 2, "the job is run again: it was taken back"
