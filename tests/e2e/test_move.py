"""A move with data to carry: killed and taken back, killed and finished, and the old region retired."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_place import Place, census, settings
from topic_queue import news_of, subscribed

from regionshift.settings.editing import add_secondary, applied

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
OLD, NEW = "us-east-1", "eu-west-1"
# Another step each time; pytest shows the seed of a failure, and the variable brings it back.
SEED = int(os.environ.get("REGIONSHIFT_TEST_SEED") or random.SystemRandom().randrange(10**6))
MOVE = ("move", "--from", OLD, "--to", NEW, "--yes")
# After the first of them there is something to take back.
BOUNDARIES = ("settings", "unlink", "turn", "catch-up", "validate-all")
CARRY = {
    "s3": [{"bucket": "old-media-{region}"}],
    "ssm": [{"path": "/old"}],
    "secrets": [{"name": "old/"}],
}


@pytest.fixture(scope="module")
def place(make_place: Callable[..., Place]) -> Iterator[Place]:
    """One region that is up, and an older environment's data beside it."""
    made = make_place(
        regions={"primary": OLD}, carry=CARRY, network={**settings()["network"], "flow_logs": False}
    )
    done = made.run("up", "--yes", "--no-validate")
    assert done.code == 0, done.said
    for region in (OLD, NEW):
        s3 = made.clients.get("s3", region)
        where: Any = {} if region == OLD else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=f"old-media-{region}", **where)
        s3.put_bucket_versioning(Bucket=f"old-media-{region}", VersioningConfiguration={"Status": "Enabled"})
    _write(made, "first")
    yield made


def _write(place: Place, name: str) -> None:
    """One object, one parameter and one secret of the older environment, and one object of our own bucket."""
    s3 = place.clients.get("s3", OLD)
    s3.put_object(Bucket=f"old-media-{OLD}", Key=name, Body=name.encode())
    s3.put_object(Bucket=_own(place, OLD), Key=f"own/{name}", Body=name.encode())
    place.clients.get("ssm", OLD).put_parameter(Name=f"/old/{name}", Value=name, Type="SecureString")
    place.clients.get("secretsmanager", OLD).create_secret(Name=f"old/{name}", SecretString=name)


def _own(place: Place, region: str) -> str:
    listed = place.clients.get("s3", region).list_buckets()["Buckets"]
    return next(b["Name"] for b in listed if f"-deployment-{region}-" in b["Name"])


def _carried(place: Place) -> dict[str, list[str]]:
    """What the new region has of the older environment, by its values."""
    s3, ssm = place.clients.get("s3", NEW), place.clients.get("ssm", NEW)
    vault = place.clients.get("secretsmanager", NEW)
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=f"old-media-{NEW}").get("Contents", [])]
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/old", WithDecryption=True)
    parameters = list(pages.search("Parameters[]"))
    listed = vault.get_paginator("list_secrets").paginate().search("SecretList[].Name")
    names = [name for name in listed if name.startswith("old/")]
    return {
        "objects": [
            s3.get_object(Bucket=f"old-media-{NEW}", Key=key)["Body"].read().decode() for key in keys
        ],
        "parameters": sorted(str(each["Value"]) for each in parameters),
        "secrets": sorted(vault.get_secret_value(SecretId=name)["SecretString"] for name in names),
    }


def _kill_at(place: Place, step: str, *arguments: str) -> None:
    """Start the command; kill it with all it started as soon as a change of primary begins ``step``."""
    process = place.start(*arguments)
    runs = next((place.folder / ".regionshift/state/journal").glob("*/runs"))
    known = {path.name for path in runs.iterdir()}
    until = time.monotonic() + 240
    while time.monotonic() < until and process.poll() is None:
        if any(_begins(run, step) for run in runs.iterdir() if run.name not in known):
            break
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _begins(run: Path, step: str) -> bool:
    events = [event.read_text() for event in run.glob("*.json")]
    return any('"promotion":' in event for event in events) and any(
        f'"step":"{step}"' in event for event in events
    )


def _arrives(place: Place, source: str, target: str, key: str) -> bool:
    place.clients.get("s3", source).put_object(Bucket=_own(place, source), Key=key, Body=b"x")
    return _is_there(place, target, key)


def _is_there(place: Place, region: str, key: str) -> bool:
    listed = place.clients.get("s3", region).list_objects_v2(Bucket=_own(place, region), Prefix=key)
    return bool(listed.get("Contents"))


def test_a_move_that_was_killed_is_taken_back(place: Place) -> None:
    file = place.folder / "regionshift.yaml"
    before = file.read_text()
    step = random.Random(SEED).choice(BOUNDARIES)
    print(f"REGIONSHIFT_TEST_SEED={SEED}: killed at {step}")
    _kill_at(place, step, *MOVE)
    refused = place.run("up", "--yes")
    assert refused.code == 3
    assert "resume" in refused.said
    done = place.run("resume", "--back", "--yes", "--json")
    assert done.code == 0, done.said
    assert (done.json["outcome"], done.json["primary"]) == ("taken back", OLD)
    assert "rolled back: stopped" in done.err
    assert file.read_text() == applied(add_secondary(before, NEW), before)
    assert not _is_there(place, NEW, "own/first")
    assert _carried(place) == {"objects": [], "parameters": [], "secrets": []}
    assert _arrives(place, OLD, NEW, "own/after taking back")
    assert not _arrives(place, NEW, OLD, "own/not from there")


def test_a_move_that_was_killed_is_finished_by_resume_with_what_was_written_since(place: Place) -> None:
    queue = subscribed(place.clients, NEW)
    _kill_at(place, "validate", *MOVE)
    _write(place, "second")  # after the move's own migration: the last one is part of promote
    done = place.run("resume", "--yes", "--json")
    assert done.code == 0, done.said
    assert done.json["primary"] == NEW
    both = ["first", "second"]
    assert _carried(place) == {"objects": both, "parameters": both, "secrets": both}
    assert all(_is_there(place, NEW, f"own/{name}") for name in both)
    assert f"primary: {NEW}" in (place.folder / "regionshift.yaml").read_text()
    assert _arrives(place, NEW, OLD, "own/by the new primary")
    assert not _arrives(place, OLD, NEW, "own/by the old primary")
    for migration in place.run("status", "--json").json["migrations"]:
        assert migration["status"] in ("completed", "rolled_back"), migration
    told = news_of(place.clients, NEW, queue, "move")
    assert (told[0]["status"], told[-1]["status"]) == ("started", "success")
    assert f"{NEW} is the primary" in told[-1]["summary"]


def test_the_old_region_goes_without_a_trace_when_that_is_confirmed(place: Place) -> None:
    asked = place.run(*MOVE[:-1], "--retire", "--allow-data-loss")
    assert asked.code == 3, asked.said
    kept = place.run(*MOVE, "--retire")
    assert kept.code == 3, kept.said
    assert "--allow-data-loss" in kept.said
    assert census(place.clients, [OLD], "dev")
    gone = place.run(*MOVE, "--retire", "--allow-data-loss")
    assert gone.code == 0, gone.said
    assert not census(place.clients, [OLD], "dev")
    assert OLD not in (place.folder / "regionshift.yaml").read_text()
    assert _carried(place)["objects"] == ["first", "second"]
