"""What was changed by hand is one table over all regions, and looking changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from e2e_place import Place, census

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
REGIONS = ["us-east-1", "eu-west-1", "ap-southeast-2"]
BY_HAND = REGIONS[1:]


@pytest.fixture(scope="module")
def up(make_place: Callable[..., Place]) -> Place:
    place = make_place(deployment={"bake": 0})
    refused = place.run("drift")
    assert refused.code == 3, refused.said  # nothing is up, so nothing can have drifted
    done = place.run("up", "--yes", "--no-validate")
    assert done.code == 0, done.said
    return place


def test_drift_is_shown_over_the_regions_and_changes_nothing(up: Place) -> None:
    clean = up.run("drift", "--json")
    assert (clean.code, clean.json["drift"]) == (0, []), clean.said
    whole = census(up.clients, REGIONS, "dev")
    for region in BY_HAND:
        s3 = up.clients.get("s3", region)
        bucket = up.run("outputs", "--json").json[f"deployment_bucket_name_{region.replace('-', '_')}"]
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    kms = up.clients.get("kms", REGIONS[0])
    aliases = [each["AliasName"] for each in kms.list_aliases()["Aliases"]]
    kms.delete_alias(AliasName=next(name for name in aliases if name.startswith("alias/orders-")))

    found = up.run("drift", "--json")
    assert found.code == 1, found.said
    where = Counter((each["type"].rpartition(":")[2], each["region"]) for each in found.json["drift"])
    assert where == Counter(
        {**{("BucketVersioning", region): 1 for region in BY_HAND}, ("Alias", REGIONS[0]): 1}
    )
    lines = up.run("drift", COLUMNS="200").out.splitlines()
    (versioning,) = [line for line in lines if "versioning" in line]
    assert all(region in versioning for region in BY_HAND)
    assert any("is gone" in line and REGIONS[0] in line for line in lines)

    # Nothing was put back, in the cloud or in the state: the second look sees the same, and `up --refresh` mends it.
    after = census(up.clients, REGIONS, "dev")
    assert sum((whole - after).values()) >= 1
    assert after - whole == Counter()
    assert up.run("drift", "--json").json == found.json
    mended = up.run("up", "--yes", "--refresh", "--no-validate", "--despite-alarms")
    assert mended.code == 0, mended.said
    assert up.run("drift").code == 0
    assert census(up.clients, REGIONS, "dev") == whole


def test_history_has_every_run_the_newest_first(up: Place) -> None:
    runs = up.run("history", "--json").json
    assert len(runs) >= 2
    assert [run["run_id"] for run in runs] == sorted((run["run_id"] for run in runs), reverse=True)
    assert {run["outcome"] for run in runs} == {"succeeded"}
    assert all(run["ended"] >= run["started"] for run in runs)
    (newest,) = up.run("history", "--json", "--limit", "1").json
    assert newest == runs[0]
    shown = up.run("history").out
    assert all(run["run_id"] in shown for run in runs)
