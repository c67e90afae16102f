"""Another primary: failed, killed and finished, and with the old primary gone and back again.

Killed and taken back is one of the tests of a move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_place import ACCOUNT, Place, kill_at_step
from lossy_endpoint import LossyEndpoint, up_behind
from topic_queue import news_of, subscribed

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
FIRST, SECOND = "eu-west-1", "us-east-1"
SETTINGS = f"""\
# Comments stay where they are.
project: orders
environment: dev
account: "{ACCOUNT}"
target: local
regions:
  primary: "{FIRST}"   # written here
  secondaries:
    - {SECOND}   # mirrored there
network: {{vpc_cidr: 10.0.0.0/16, flow_logs: false}}
"""


@pytest.fixture(scope="module")
def endpoint(make_place: Callable[..., Place]) -> Iterator[tuple[Place, LossyEndpoint]]:
    """Two regions that are up, every command by way of an endpoint that can lose a region."""
    place = make_place(regions={"primary": FIRST, "secondaries": [SECOND]})
    _file(place).write_text(SETTINGS)
    with up_behind(place) as made:
        yield place, made


@pytest.fixture
def up(endpoint: tuple[Place, LossyEndpoint]) -> Place:
    return endpoint[0]


def _file(place: Place) -> Path:
    return place.folder / "regionshift.yaml"


def _bucket(region: str) -> str:
    return f"orders-deployment-{region}-dev-{ACCOUNT}"


def _put(place: Place, region: str, key: str) -> None:
    place.clients.get("s3", region).put_object(Bucket=_bucket(region), Key=key, Body=key.encode())


def _put_that_replication_misses(place: Place, region: str, key: str) -> None:
    s3 = place.clients.get("s3", region)
    rules = s3.get_bucket_replication(Bucket=_bucket(region))["ReplicationConfiguration"]
    s3.delete_bucket_replication(Bucket=_bucket(region))
    _put(place, region, key)
    s3.put_bucket_replication(Bucket=_bucket(region), ReplicationConfiguration=rules)


def _change_retention_by_hand(place: Place, region: str) -> None:
    logs = place.clients.get("logs", region)
    (group,) = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/orders-migration-")["logGroups"]
    logs.put_retention_policy(logGroupName=group["logGroupName"], retentionInDays=1)


def _has(place: Place, region: str, key: str) -> bool:
    found = place.clients.get("s3", region).list_objects_v2(Bucket=_bucket(region), Prefix=key)
    return key in [each["Key"] for each in found.get("Contents", [])]


def _reaches(place: Place, source: str, key: str) -> dict[str, bool]:
    """Where an object that is written in ``source`` arrives."""
    _put(place, source, key)
    return {region: _has(place, region, key) for region in (FIRST, SECOND)}


def _things(place: Place) -> dict[str, list[str]]:
    """What may not be replaced by a change of primary."""
    return {
        region: [
            *(v["VpcId"] for v in place.clients.get("ec2", region).describe_vpcs()["Vpcs"]),
            *(k["KeyId"] for k in place.clients.get("kms", region).list_keys()["Keys"]),
        ]
        for region in (FIRST, SECOND)
    }


def test_a_change_of_primary_that_fails_is_taken_back_and_told(up: Place) -> None:
    before, s3 = _file(up).read_bytes(), up.clients.get("s3", SECOND)
    queue = subscribed(up.clients, FIRST)
    shut = s3.get_public_access_block(Bucket=_bucket(SECOND))["PublicAccessBlockConfiguration"]
    s3.delete_public_access_block(Bucket=_bucket(SECOND))
    done = up.run("promote", SECOND, "--yes")
    s3.put_public_access_block(Bucket=_bucket(SECOND), PublicAccessBlockConfiguration=shut)
    assert done.code == 1, done.said
    assert f"again: regionshift promote {SECOND}" in done.said
    assert _file(up).read_bytes() == before
    told = news_of(up.clients, FIRST, queue, "promote", "rollback")
    assert [(each["event"], each["status"]) for each in told] == [
        ("promote", "started"),
        ("rollback", "error"),
        ("rollback", "error"),
    ]
    assert "validate failed" in told[1]["summary"]
    assert f"rolled back: {FIRST} is the primary" in told[2]["summary"]


def test_a_change_of_primary_that_was_killed_is_finished(up: Place) -> None:
    things = _things(up)
    queues = {region: subscribed(up.clients, region) for region in (FIRST, SECOND)}
    _put_that_replication_misses(up, FIRST, "missed/finished [1]*")
    kill_at_step(up, "unlink", "promote", SECOND, "--yes")
    done = up.run("promote", SECOND, "--yes", "--json")
    assert done.code == 0, done.said
    assert (done.json["outcome"], done.json["primary"]) == ("done", SECOND)
    for region, queue in queues.items():
        told = news_of(up.clients, region, queue, "promote")
        said = [(each["status"], each["counts"].get("step")) for each in told]
        assert said[0] == ("started", None)
        assert ("started", None) in said[1:]  # by the command that goes on
        assert said[-1] == ("success", None)
        assert {step for _, step in said if step} == set(range(1, 8))
        assert f"{SECOND} is the primary" in told[-1]["summary"]
        assert all(each["region"] == region and each["deployment_id"] for each in told)
    assert f"{SECOND} is the primary" in done.err  # the terminal is told of the same events
    expected = SETTINGS.replace(f'"{FIRST}"', f'"{SECOND}"').replace(f"- {SECOND} ", f"- {FIRST} ")
    assert _file(up).read_text() == expected
    assert _things(up) == things
    assert all(_has(up, region, "missed/finished [1]*") for region in (FIRST, SECOND))
    assert _reaches(up, SECOND, "by the new primary") == {FIRST: True, SECOND: True}
    assert _reaches(up, FIRST, "by the old primary") == {FIRST: True, SECOND: False}


def test_a_lost_primary_gets_no_call_and_is_shut_when_it_returns(
    endpoint: tuple[Place, LossyEndpoint],
) -> None:
    place, cloud = endpoint
    old, new = (SECOND, FIRST) if f'"{SECOND}"' in _file(place).read_text() else (FIRST, SECOND)
    queue = subscribed(place.clients, new)
    cloud.lost, cloud.asked = {old}, []  # IAM, which is global, is asked by way of the new primary
    plan = place.run("promote", new, "--source-lost", "--plan-only", "--json")
    assert plan.code == 0, plan.said
    measured = next(said for said in plan.json["unproven"] if "measured by us" in said)
    assert f"replication to {new} was last measured by us at 20" in measured
    kill_at_step(place, "turn", "promote", new, "--source-lost", "--yes")
    done = place.run("resume", "--json")
    assert done.code == 0, done.said
    assert done.json["fenced"] == [old]
    assert cloud.asked == []
    told = news_of(place.clients, new, queue, "promote")
    assert [each["status"] for each in told if not each["counts"].get("step")][:2] == ["started"] * 2
    assert f"{old} is fenced" in told[-1]["summary"]

    text = _file(place).read_text()
    _file(place).write_text(text + "function: {memory: 640}\n")
    left_out = place.run("up", "--yes")
    assert left_out.code == 0, left_out.said
    assert f"{old} is fenced and gets no call" in left_out.said
    assert f"up --rejoin {old}" in left_out.said
    for command in ("status", "validate", "outputs", "history", "doctor"):
        said = place.run(command)
        assert said.code in (0, 1), said.said
        assert cloud.asked == [], command
    assert place.run("destroy", "--yes").code == 3
    functions = place.clients.get("lambda", new).list_functions()["Functions"]
    assert {f["MemorySize"] for f in functions if "-migration-" in f["FunctionName"]} == {640}
    assert cloud.asked == []

    _change_retention_by_hand(place, new)
    drift = place.run("drift", "--json")
    assert drift.code == 1, drift.said
    assert {each["region"] for each in drift.json["drift"]} == {new}
    assert cloud.asked == []

    cloud.lost = set()
    assert _reaches(place, old, "written while fenced")[new] is False


def test_a_fenced_region_is_shut_and_then_a_secondary_again(up: Place) -> None:
    new, old = (FIRST, SECOND) if f'"{FIRST}"' in _file(up).read_text() else (SECOND, FIRST)
    queues = {region: subscribed(up.clients, region) for region in (new, old)}
    kill_at_step(up, "copy-back", "up", "--rejoin", old, "--yes")
    left = up.run("status", "--json").json["unfinished"][0]
    assert left["go_on"] == f"regionshift resume, or regionshift up --rejoin {old}"
    assert up.run("resume", "--yes", "--back").code == 3
    back = up.run("resume", "--yes", "--json")
    assert back.code == 0, back.said
    assert "written while fenced" in back.json["steps"]["look"]["keys"]
    told = {region: news_of(up.clients, region, queue, "rejoin") for region, queue in queues.items()}
    killed, whole = ["started", *["success"] * 4], ["started", *["success"] * 7]
    assert [each["status"] for each in told[new]] == killed + whole
    assert [each["summary"] for each in told[old]] == [told[new][-1]["summary"]]  # once it is back
    assert _reaches(up, new, "after the return") == {FIRST: True, SECOND: True}
    assert _reaches(up, old, "no primary any more")[new] is False
    assert up.run("preview", "--json").json["changes"] == []
