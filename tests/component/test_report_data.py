"""What a report says of a run and of the environment, by the journal and the kept releases alone."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import report_runs
from report_runs import ReportWorld

from regionshift.errors import InputError
from regionshift.journal.store import StateDamaged
from regionshift.operations import report_data
from regionshift.operations.checks.last import keep_checks
from regionshift.operations.migrations.progress import MigrationProgress, Throughput
from regionshift.settings.config import Regions

WAVES = [("eu-west-1",), ("ap-southeast-2",), ("us-east-1",)]


def _steps(data: dict[str, Any], state: str) -> list[str]:
    return [step["step"] for step in data["story"]["steps"] if step["state"] == state]


@pytest.mark.parametrize("name", ["success", "failure", "taken_back", "promotion", "thirty"])
def test_all_of_it_is_plain_json(name: str, tmp_path: Path) -> None:
    data = getattr(report_runs, name)(tmp_path).data()
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_a_release_that_was_taken_back_says_what_was_wrong_and_where_everything_stands(
    tmp_path: Path,
) -> None:
    data = report_runs.taken_back(tmp_path).data()
    story = data["story"]
    assert (story["tone"], story["told"]) == ("back", "failed, rolled back")
    assert story["by"] == "ann@example.com"
    assert _steps(data, "failed") == ["wave-2/validate"]
    first, *rest = story["turns"]
    assert "KeyError 'ORDERS_TABLE'" in first["why"] and first["regions"] == ["ap-southeast-2"]
    assert [turn["regions"] for turn in rest] == [
        ["ap-southeast-2"],
        ["ap-southeast-2"],
        ["eu-west-1"],
        ["eu-west-1"],
    ]
    assert story["per_region"] == {
        "ap-southeast-2": "rolled back",
        "eu-west-1": "rolled back",
        "us-east-1": "unchanged",
    }
    failed = [each for each in data["checks"]["results"] if each["outcome"] == "failed"]
    assert [(each["check"], each["region"]) for each in failed] == [("function", "ap-southeast-2")], (
        "that all was well again on the way back does not hide it"
    )
    asked = next(step for step in story["steps"] if step["step"] == "wave-2/validate")
    assert data["checks"]["at"] == asked["ended"], "when it was found, and not when all was well again"
    assert {region["region"]: region["release"] for region in data["regions"]} == dict.fromkeys(
        report_runs.THREE, data["releases"]["columns"][0]["digest"]
    )


def test_a_step_that_was_killed_and_done_again_is_there_twice(tmp_path: Path) -> None:
    world = ReportWorld(tmp_path)
    run_id = world.waves(world.up(), world.keep(1024), WAVES, stop_at="wave-1/bake")
    data = world.data()
    assert (data["story"]["tone"], data["story"]["ended"]) == ("open", None)
    assert "wave-1/bake" in data["story"]["told"] and "regionshift resume" in data["story"]["go_on"]
    assert _steps(data, "open") == ["wave-1/bake"]
    run = world.journal.reopen(run_id)
    world.tick(30)
    run.append("wave-1/bake", "before", None, {"on": ["eu-west-1"]})
    world.tick(60)
    run.append("wave-1/bake", "after", None, {"replication_seconds": {"eu-west-1": 0.4}})
    data = world.data()
    assert _steps(data, "cut off") == ["wave-1/bake"]
    assert _steps(data, "done")[-1] == "wave-1/bake"
    assert data["story"]["steps"][-1]["notes"] == ["replicated after 0.40 s to eu-west-1"]


def test_a_delay_counts_only_since_the_primary_is_the_primary(tmp_path: Path) -> None:
    world = report_runs.success(tmp_path)
    assert {link["to"]: link["seconds"] for link in world.data()["links"]} == {
        "eu-west-1": 0.4,
        "ap-southeast-2": 0.4,
    }
    promoted = world.promote(world.keep(512), 768)
    data = world.data()
    assert data["environment"]["primary"] == "eu-west-1"
    assert {(link["from"], link["to"]): (link["seconds"], link["run"]) for link in data["links"]} == {
        ("eu-west-1", "us-east-1"): (0.48, promoted),
        ("eu-west-1", "ap-southeast-2"): (0.48, promoted),
    }
    assert data["story"]["title"] == "Change of primary from us-east-1 to eu-west-1"
    # Settings that name what is not up yet change nothing of what is told.
    coming = Regions(primary="us-east-1", secondaries=("eu-west-1", "ap-southeast-2", "sa-east-1"))
    config = world.environment.config.model_copy(update={"regions": coming})
    world.environment = replace(world.environment, config=config)
    later = world.data()
    assert (later["environment"]["primary"], later["links"]) == ("eu-west-1", data["links"])
    roles = [{each["region"]: each["role"] for each in told["regions"]} for told in (data, later)]
    assert roles[0] == roles[1]
    regions = {step["step"]: step["regions"] for step in data["story"]["steps"]}
    assert regions["turn"] == ["eu-west-1", "us-east-1", "ap-southeast-2"]
    assert (regions["validate"], regions["settings"]) == (["eu-west-1"], [])


def test_a_migration_is_counted_from_plan_to_way_back(tmp_path: Path) -> None:
    world = report_runs.taken_back(tmp_path)
    (found,) = world.data()["migrations"]
    names = ("planned", "copied", "proven", "conflicts", "taken_back", "left_alone", "same")
    assert [found[name] for name in names] == [9409, 9391, 9390, 9, 9391, 9, 1200]
    assert [reason["reason"] for reason in found["reasons"]] == [
        "its checksum is not that of the source",
        "wrong bucket",
    ]
    assert found["throughput"][0] == [0.0, 0, 0] and found["throughput"][-1][1] == 9400
    assert world.data("orders-2026")["story"]["kind"] == "migration", (
        "a migration's id names the run that began it"
    )


@pytest.mark.parametrize(
    ("status", "tone"), [("completed", "good"), ("rolled_back", "back"), ("incomplete", "bad")]
)
def test_a_migration_has_the_tone_of_its_end(tmp_path: Path, status: str, tone: str) -> None:
    world = ReportWorld(tmp_path)
    world.migrate("m", counts={"written": 3, "proven": 3}, status=status)
    data = world.data()
    assert (data["story"]["tone"], data["history"][0]["tone"]) == (tone, tone)
    assert data["migrations"][0]["status"] == status.replace("_", " ")


def test_releases_stand_side_by_side_and_a_secret_only_as_another_one(tmp_path: Path) -> None:
    data = report_runs.taken_back(tmp_path).data()["releases"]
    assert {row["path"]: row["values"] for row in data["rows"]} == {
        "config.function.memory": [512, 1024],
        "secrets.token": ["value 1", "value 2"],
    }
    assert [len(column["runs_in"]) for column in data["columns"]] == [3, 0]


def test_the_releases_that_a_run_comes_from_and_goes_to_are_there_whatever_runs_now(tmp_path: Path) -> None:
    world = report_runs.success(tmp_path)
    second, first = (record.digest for record in world.releases.kept())
    before = world.keep(2048)
    world.tick(60)
    promoted = world.promote(before, 768)
    *_, third, turned = (record.digest for record in world.releases.kept()[::-1])
    for run, releases in {
        "1": [first, turned],
        "3": [first, second, turned],
        promoted: [third, turned],
    }.items():
        columns = world.data(run)["releases"]["columns"]
        assert {column["digest"]: len(column["runs_in"]) for column in columns} == {
            **dict.fromkeys(releases, 0),
            turned: 3,
        }, run


def test_a_migration_that_was_killed_at_once_is_told_as_far_as_it_came(tmp_path: Path) -> None:
    world = ReportWorld(tmp_path)
    opened = {"migration_id": "m", "source": "us-east-1", "target": "eu-west-1"}
    run = world.journal.start("migration", opened)
    run.append("plan", "before", "eu-west-1")
    assert world.data()["migrations"] == [
        {
            "id": "m",
            "source": "us-east-1",
            "target": "eu-west-1",
            "runs": [run.run_id],
            "by": [world.by],
            "started": world.at.isoformat(),
            "ended": None,
            "status": "not finished",
            "planned": None,
            "throughput": [],
            "reasons": [],
            **dict.fromkeys(("copied", "proven", "conflicts", "taken_back", "left_alone", "bytes"), 0),
        }
    ]


def test_a_run_is_named_by_its_number_and_the_newest_is_meant_when_none_is(tmp_path: Path) -> None:
    world = report_runs.success(tmp_path)
    assert world.data()["story"]["run"].startswith("000003-deployment-")
    assert world.data("1")["story"]["title"] == "Deployment of all regions at once"
    assert world.data("orders-2")["story"]["run"] == world.data("000002-migr")["story"]["run"]
    assert world.data("1")["checks"] is None, "neither it nor anybody asked"
    with pytest.raises(InputError, match="no run"):
        world.data("99")
    empty = ReportWorld(tmp_path).data()
    assert (empty["story"], empty["history"], empty["releases"]["columns"]) == (None, [], [])


def test_the_newest_run_is_no_part_of_another(tmp_path: Path) -> None:
    """A change of primary copies the last data by a run of its own."""
    world = ReportWorld(tmp_path)
    world.up()
    whole = world.journal.start("promotion", {"promotion": {}})
    world.tick(1)
    inner = world.journal.start("migration", {"migration_id": f"{whole.run_id}-last-copy"})
    world.tick(1)
    inner.close("completed", {})
    world.tick(1)
    whole.close("promoted", {})
    runs = world.journal.history()
    assert runs[0].run_id == inner.run_id
    assert report_data._newest(world.journal, runs) == whole.run_id
    assert report_data._newest(world.journal, runs[2:]) == runs[2].run_id
    assert report_data._newest(world.journal, []) is None


@pytest.mark.parametrize("how", ["torn", "gone"])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_run_whose_record_is_damaged_is_told_with_what_is_missing(
    tmp_path: Path, place: str, how: str
) -> None:
    world = report_runs.taken_back(tmp_path)
    newest = world.journal.history()[0].run_id
    events = sorted(name for name in world.objects if f"/runs/{newest[:6]}/" in name)
    damaged = events[{"first": 0, "middle": 4, "last": -1}[place]]
    if how == "torn":
        world.objects[damaged] = b"{"
    else:
        del world.objects[damaged]
    world = replace(world)  # another command
    assert world.data("1")["story"]["told"] == "succeeded", "the other runs are told"
    if place == "first":
        with pytest.raises(StateDamaged):
            world.data(newest)
        assert any("journal" in said for said in world.journal.damage)
        return
    story = world.data(newest)["story"]
    assert (story["tone"], story["told"]) == ("back", "failed, rolled back")
    assert set(story["per_region"]) == set(report_runs.THREE)
    missing = {
        "torn": "steps cannot be read",
        "gone": "steps cannot be read: event 5 of the journal is missing",
    }
    last = {"torn": "", "gone": "Its last event is missing"}
    assert (last if place == "last" else missing)[how] in story["missing"]
    assert bool(story["missing"]) is (place == "middle" or how == "gone")


def test_thirty_regions_have_a_place_each(tmp_path: Path) -> None:
    data = report_runs.thirty(tmp_path).data()
    east_and_north = {region["region"]: tuple(region["at"]) for region in data["regions"]}
    assert len(set(east_and_north.values())) == 30
    assert all(abs(east) <= 180 and abs(north) <= 90 for east, north in east_and_north.values())
    assert all(sign * at > 10 for sign, at in zip((-1, 1), east_and_north["us-east-1"], strict=True)), (
        "west and north"
    )
    assert all(sign * at > 10 for sign, at in zip((1, -1), east_and_north["ap-southeast-2"], strict=True)), (
        "east and south"
    )
    assert [len(wave) for wave in data["story"]["waves"]] == [1, 4, 10, 14, 1]


def test_the_pace_of_a_copy_has_few_points_and_both_ends() -> None:
    pace = Throughput()
    assert pace.points == []
    for second in range(1001):
        pace.note(
            MigrationProgress(50 + second * 10, 10_050, second * 1000, 1_000_000, float(second), before=50)
        )
    points = pace.points
    assert points[0] == (0.0, 0, 0) and points[-1] == (1000.0, 10_000, 1_000_000)
    assert 30 <= len(points) <= 61
    apart = {round(other[0] - one[0]) for one, other in pairwise(points[:-1])}
    assert len(apart) == 1, "evenly, so that a long copy is seen whole"


def test_where_a_run_asked_nothing_the_last_answers_of_validate_stand(tmp_path: Path) -> None:
    world = ReportWorld(tmp_path)
    digest = world.up()
    releases, delays = dict.fromkeys(report_runs.THREE, digest), {"eu-west-1": 1.5, "ap-southeast-2": None}
    keep_checks(world.journal, world.answers(report_runs.THREE, wrong="eu-west-1"), releases, delays)
    data = world.data()
    assert data["checks"]["of_run"] is False
    assert [each["region"] for each in data["checks"]["results"] if each["outcome"] == "failed"] == [
        "eu-west-1"
    ]
    assert [(link["to"], link["seconds"], link["run"]) for link in data["links"]] == [
        ("eu-west-1", 1.5, None),
        ("ap-southeast-2", None, None),
    ]
