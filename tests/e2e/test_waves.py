"""A change in waves: what is wrong is caught in the canary and taken back, killed or not; then another primary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from broken_artifact import BREAKS_AT_ONCE, BREAKS_LATER, broken_artifact
from e2e_place import Place, kill_at_step
from topic_queue import news_of, subscribed

pytestmark = pytest.mark.e2e
CANARY, PRIMARY = "eu-west-1", "us-east-1"
CAUGHT = {BREAKS_AT_ONCE: "wave-1/validate", BREAKS_LATER: "wave-1/bake"}


@pytest.fixture(scope="module")
def up(make_place: Callable[..., Place]) -> Iterator[Place]:
    """Two regions that are up at their first release; the canary changes before the primary."""
    place = make_place(
        regions={"primary": PRIMARY, "secondaries": [CANARY]},
        deployment={"bake": "2s", "bake_min_samples": 4},
    )
    done = place.run("up", "--yes")
    assert done.code == 0, done.said
    yield place


def _releases(place: Place) -> dict[str, str]:
    found = place.run("status", "--json").json["regions"]
    return {region: state["release"] for region, state in found.items()}


def _code(place: Place, region: str) -> tuple[str, int, str]:
    """What runs in AWS itself: the function's code, memory and the time it was last changed."""
    functions = place.clients.get("lambda", region).list_functions()["Functions"]
    found = next(f for f in functions if "-migration-" in f["FunctionName"])
    return found["CodeSha256"], found["MemorySize"], found["LastModified"]


def _memory(place: Place, megabytes: int) -> None:
    place.settings["function"] = {**place.settings.get("function", {}), "memory": megabytes}
    place.write()


def _require_news_of_a_rollback(region: str, told: list[dict[str, Any]]) -> None:
    """The topic of every region was told of the start, the failure and the end."""
    said = [(each["event"], each["status"]) for each in told]
    assert said == [("deploy", "started"), ("rollback", "error"), ("rollback", "error")]
    assert f"rolling back {CANARY}" in told[1]["summary"]
    assert f"{CANARY} rolled back" in told[2]["summary"]
    assert all(each["region"] == region and each["deployment_id"] for each in told)


def _require_report_of_a_rollback(place: Place, failed: str) -> None:
    """The report of what was just taken back says what failed, why, and how every region stands."""
    told = place.run("report", "--json", "--output", "report.html")
    assert told.code == 0, told.said
    data = told.json
    assert (data["story"]["tone"], data["story"]["told"]) == ("back", "failed, rolled back")
    assert [step["step"] for step in data["story"]["steps"] if step["state"] == "failed"] == [failed]
    assert data["story"]["turns"][0]["why"]
    assert {result["region"] for result in data["checks"]["results"]} == {CANARY}
    assert {region["region"]: region["state"] for region in data["regions"]} == {PRIMARY: "up", CANARY: "up"}
    assert "artifact" in {row["path"] for row in data["releases"]["rows"]}
    page = (place.folder / "report.html").read_text(encoding="utf-8")
    assert data["story"]["run"] in page and "<!doctype html>" in page


# What breaks at once is caught below too, in a change that was killed.
@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(BREAKS_AT_ONCE, marks=pytest.mark.thorough, id="at once"),
        pytest.param(BREAKS_LATER, id="in the bake"),
    ],
)
def test_a_release_that_breaks_the_function_stops_at_the_canary(
    up: Place, tmp_path: Path, handler: str
) -> None:
    before, releases = {region: _code(up, region) for region in up.regions}, _releases(up)
    artifact = str(broken_artifact(tmp_path, handler))
    queues = {region: subscribed(up.clients, region) for region in (CANARY, PRIMARY)}
    done = up.run("up", "--yes", "--despite-alarms", "--json", REGIONSHIFT_TEST_ARTIFACT=artifact)
    assert done.code == 1, done.said
    said: dict[str, Any] = done.json
    assert said["outcome"] == "rolled back"
    assert set(said["failed"]) == {CAUGHT[handler]}
    assert said["regions"] == {CANARY: "rolled back", PRIMARY: "unchanged"}
    assert _code(up, PRIMARY) == before[PRIMARY]
    assert _code(up, CANARY)[:2] == before[CANARY][:2]
    assert _releases(up) == releases
    for region, queue in queues.items():
        _require_news_of_a_rollback(region, news_of(up.clients, region, queue, "deploy", "rollback"))
    _require_report_of_a_rollback(up, CAUGHT[handler])


def test_a_change_that_was_killed_is_finished_by_resume(up: Place) -> None:
    # The broken release before it left alarms red; what mends needs no word about those.
    _memory(up, 640)
    kill_at_step(up, "wave-2/apply", "up", "--yes")
    refused = up.run("up", "--yes")
    assert refused.code == 3
    assert "resume" in refused.said
    done = up.run("resume", "--yes", "--json")
    assert done.code == 0, done.said
    assert [_code(up, region)[1] for region in up.regions] == [640] * 2
    assert len(set(_releases(up).values())) == 1


def test_a_broken_release_that_was_killed_is_taken_back_by_resume(up: Place, tmp_path: Path) -> None:
    before, releases = {region: _code(up, region) for region in up.regions}, _releases(up)
    artifact = str(broken_artifact(tmp_path, BREAKS_AT_ONCE))
    kill_at_step(up, "wave-1/apply", "up", "--yes", "--despite-alarms", REGIONSHIFT_TEST_ARTIFACT=artifact)
    done = up.run("resume", "--yes", "--json")
    assert done.code == 1, done.said
    assert set(done.json["failed"]) == {CAUGHT[BREAKS_AT_ONCE]}
    assert done.json["regions"] == {CANARY: "rolled back", PRIMARY: "unchanged"}
    assert _code(up, PRIMARY) == before[PRIMARY]
    assert _code(up, CANARY)[:2] == before[CANARY][:2]
    assert _releases(up) == releases


def test_a_wave_waits_for_a_yes_and_what_is_finished_is_taken_back_by_hand(up: Place) -> None:
    releases = _releases(up)
    up.settings["deployment"]["approve"] = [2]
    _memory(up, 768)
    waits = up.run("up", "--yes", "--despite-alarms", "--json")
    assert waits.code == 3, waits.said
    assert waits.json["error"]["message"] == f"Wave 2 ({PRIMARY}) waits for a person."
    assert {region: _code(up, region)[1] for region in up.regions} == {CANARY: 768, PRIMARY: 640}
    approved = up.run("resume", "--yes")
    assert approved.code == 0, approved.said
    assert {_code(up, region)[1] for region in up.regions} == {768}

    newest, *older = up.run("releases", "--json").json
    assert newest["digest"] == _releases(up)[CANARY]
    assert releases[CANARY] in {each["digest"] for each in older}
    told = up.run("diff", releases[CANARY][:12], newest["digest"][:12], "--json").json
    assert {"path": "config.function.memory", "before": 640, "after": 768} in told

    done = up.run("rollback", "--yes", "--json")
    assert done.code == 0, done.said
    assert _releases(up) == releases
    assert {_code(up, region)[1] for region in up.regions} == {640}


def test_the_canary_becomes_the_primary(up: Place) -> None:
    up.settings["deployment"].pop("approve", None)
    _memory(up, _code(up, PRIMARY)[1])  # the settings say again what stands
    before = {region: _code(up, region)[0] for region in up.regions}
    done = up.run("promote", CANARY, "--yes", "--json")
    assert done.code == 0, done.said
    assert (done.json["outcome"], done.json["primary"]) == ("done", CANARY)
    regions = yaml.safe_load((up.folder / "regionshift.yaml").read_text())["regions"]
    assert regions == {"primary": CANARY, "secondaries": [PRIMARY]}
    assert {region: _code(up, region)[0] for region in up.regions} == before
    outputs = up.run("outputs", "--json").json
    assert outputs["primary_region"] == CANARY
    new, old = (outputs[f"deployment_bucket_name_{region.replace('-', '_')}"] for region in (CANARY, PRIMARY))
    up.clients.get("s3", CANARY).put_object(Bucket=new, Key="by-the-new-primary", Body=b"x")
    assert up.clients.get("s3", PRIMARY).head_object(Bucket=old, Key="by-the-new-primary")
