"""Taking back a deployment that made a region: nothing is left of it, but only when that was said; and data."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from broken_artifact import BREAKS_AT_ONCE, broken_artifact
from e2e_place import Place, census
from terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
PRIMARY, SECONDARY, NEW = "us-east-1", "eu-west-1", "ca-central-1"
MEDIA = "old-media-{region}"


@pytest.fixture(scope="module")
def up(make_place: Callable[..., Place]) -> Place:
    """Two regions that are up, and older buckets in both whose objects and parameters are carried."""
    place = make_place(
        regions={"primary": PRIMARY, "secondaries": [SECONDARY]},
        carry={"s3": [{"bucket": MEDIA}], "ssm": [{"path": "/old"}]},
    )
    done = place.run("up", "--yes", "--no-validate")
    assert done.code == 0, done.said
    for region in (PRIMARY, SECONDARY):
        s3, bucket = place.clients.get("s3", region), MEDIA.format(region=region)
        where: Any = (
            {} if region == PRIMARY else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        )
        s3.create_bucket(Bucket=bucket, **where)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket=bucket, Key="both", Body=f"of {region}".encode())
    place.clients.get("s3", PRIMARY).put_object(Bucket=MEDIA.format(region=PRIMARY), Key="one", Body=b"1")
    place.clients.get("ssm", PRIMARY).put_parameter(Name="/old/url", Value="new", Type="String")
    place.clients.get("ssm", SECONDARY).put_parameter(Name="/old/url", Value="before", Type="String")
    return place


def _census(place: Place) -> Counter[str]:
    return census(place.clients, [PRIMARY, SECONDARY, NEW], "dev")


def _functions(place: Place) -> dict[str, tuple[str, int]]:
    """What runs in the regions that were there before: the code, and the memory."""
    found = {}
    for region in (PRIMARY, SECONDARY):
        functions = place.clients.get("lambda", region).list_functions()["Functions"]
        own = next(each for each in functions if "-migration-" in each["FunctionName"])
        found[region] = (own["CodeSha256"], own["MemorySize"])
    return found


def _regions(place: Place, *secondaries: str) -> None:
    place.settings["regions"]["secondaries"] = list(secondaries)
    place.write()


def _target(place: Place) -> dict[str, Any]:
    """All that stands in the target's older bucket and parameters, every version of it."""
    s3, bucket = place.clients.get("s3", SECONDARY), MEDIA.format(region=SECONDARY)
    listed = s3.list_object_versions(Bucket=bucket)
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {
        "objects": {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys},
        "versions": sorted(each["VersionId"] for each in listed.get("Versions", [])),
        "markers": sorted(each["VersionId"] for each in listed.get("DeleteMarkers", [])),
        "parameter": place.clients.get("ssm", SECONDARY).get_parameter(Name="/old/url")["Parameter"]["Value"],
    }


def test_a_region_that_a_deployment_made_goes_only_when_that_is_said(up: Place) -> None:
    before, functions = _census(up), _functions(up)
    _regions(up, SECONDARY, NEW)
    made = up.run("up", "--yes")
    assert made.code == 0, made.said
    outputs = up.run("outputs", "--json").json
    s3 = up.clients.get("s3", NEW)
    for kind in ("deployment", "log"):
        bucket = outputs[f"{kind}_bucket_name_{NEW.replace('-', '_')}"]
        for body in (b"data", b"more"):
            s3.put_object(Bucket=bucket, Key="kept.txt", Body=body)
        s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    whole = _census(up)

    refused = up.run("rollback", "--yes", "--json")
    assert refused.code == 3, refused.said
    error = refused.json["error"]
    assert error["where"] == NEW
    assert "deletes everything there, data included" in error["message"]
    assert error["remedy"].startswith("add --to-nothing")
    protected = up.run("rollback", "--to-nothing", "--yes", REGIONSHIFT_PROTECT="true")
    assert protected.code == 3, protected.said
    assert "is protected" in protected.err
    assert _census(up) == whole

    with Terminal(up, ("rollback", "--to-nothing")) as person:
        person.wait_for("Roll back deployment")
        assert f"deployment-bucket-{NEW}" in person.said
        assert "every version of every object" in " ".join(person.said.split())
        person.press("n\n")
        assert person.end() == 3, person.said
    assert _census(up) == whole

    killed = up.start_and_wait_for(["rollback", "--to-nothing", "--yes"], 10, "delete")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert _census(up) not in (whole, before)
    done = up.run("resume", "--yes", "--json")
    assert done.code == 0, done.said
    assert done.json["regions"][NEW] == "removed"
    assert "next `up`" in done.err
    assert _census(up) == before
    assert _functions(up) == functions


def test_what_is_said_and_done_afterwards_fits(up: Place) -> None:
    before = _census(up)
    assert up.run("status", "--json").json["regions"][NEW]["release"] is None
    again = up.run("rollback", "--to-nothing", "--yes")
    assert again.code == 3, again.said
    assert "left nothing to roll back" in again.err

    preview = up.run("preview", "--json")
    assert preview.code == 0, preview.said
    creates = [each for each in preview.json["changes"] if each["op"] == "create"]
    # The new region again, and what joins it to the primary.
    assert NEW in {each["region"] for each in creates}
    assert all("Links" in each["urn"] for each in creates if each["region"] != NEW)

    _regions(up, SECONDARY)
    settled = up.run("up", "--yes")
    assert settled.code == 0, settled.said
    assert "nothing to change" in settled.out
    assert set(up.run("status", "--json").json["regions"]) == {PRIMARY, SECONDARY}
    assert _census(up) == before


def test_a_new_region_that_failed_is_left_to_a_person_who_is_told_how_to_remove_it(
    up: Place, tmp_path: Path
) -> None:
    before, functions = _census(up), _functions(up)
    _regions(up, SECONDARY, NEW)
    up.settings["deployment"] = {"waves": [[NEW], [SECONDARY, PRIMARY]]}
    up.write()
    artifact = str(broken_artifact(tmp_path, BREAKS_AT_ONCE))
    failed = up.run("up", "--yes", "--json", REGIONSHIFT_TEST_ARTIFACT=artifact)
    assert failed.code == 1, failed.said
    assert failed.json["outcome"] == "needs a person"
    assert failed.json["regions"][NEW].startswith("needs a person")
    assert "regionshift rollback --to-nothing" in failed.json["regions"][NEW]
    done = up.run("rollback", "--to-nothing", "--yes", "--json")
    assert done.code == 0, done.said
    assert (_census(up), _functions(up)) == (before, functions)
    del up.settings["deployment"]
    _regions(up, SECONDARY)
    assert up.run("up", "--yes").code == 0


def test_what_a_migration_wrote_since_is_offered_and_goes_back_with_the_release(up: Place) -> None:
    functions, target = _functions(up), _target(up)
    up.settings["function"] = {"memory": 640}
    up.write()
    done = up.run("up", "--yes")
    assert done.code == 0, done.said
    moved = up.run("migrate", "--from", PRIMARY, "--to", SECONDARY, "--yes", "--id", "with-it")
    assert moved.code == 0, moved.said
    written = _target(up)
    assert (written["objects"], written["parameter"]) == ({"both": b"of us-east-1", "one": b"1"}, "new")

    # A person who wants the data back and then thinks better of it has changed nothing at all.
    with Terminal(up, ("rollback",)) as person:
        person.wait_for("Migration with-it wrote data while that release ran. Undo that too? [y/N]:")
        person.press("y\n")
        person.wait_for("and what with-it wrote? [y/N]:")
        person.press("n\n")
        assert person.end() == 3, person.said
    assert _target(up) == written
    assert _functions(up) != functions

    back = up.run("rollback", "--with-data", "--yes", "--json")
    assert back.code == 0, back.said
    assert back.json["outcome"] == "succeeded"
    assert [each["original_migration"] for each in back.json["data"]] == ["with-it"]
    assert _target(up) == target
    assert _functions(up) == functions
    assert up.run("status", "with-it", "--json").json["rollback"]["reason"].startswith("with deployment")
