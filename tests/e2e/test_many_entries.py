"""More to carry than inline policies have room for: it stands up, is carried as the worker's role, and goes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from e2e_place import Place

from regionshift.settings.regions import REGIONS

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
PRIMARY, SECONDARY = "us-east-1", "eu-west-1"
ENTRIES = 50
CARRY = {
    "s3": [{"prefix": f"many/files-of-{n}/"} for n in range(0, ENTRIES, 3)],
    "ssm": [{"path": f"/many/settings-of-{n}"} for n in range(1, ENTRIES, 3)],
    "secrets": [{"name": f"many/secrets-of-{n}/"} for n in range(2, ENTRIES, 3)],
}


def _policies(place: Place) -> list[str]:
    pages = place.clients.get("iam", PRIMARY).get_paginator("list_policies").paginate(Scope="Local")
    return list(pages.search("Policies[].PolicyName"))


def _client(place: Place, service: Any, region: str) -> Any:
    return place.clients.get(service, region)


def _require(place: Place, *arguments: str) -> None:
    done = place.run(*arguments)
    assert done.code == 0, done.said


def _require_carried(place: Place, carry: dict[str, list[dict[str, str]]], target: str) -> None:
    """Something of every entry is made in the primary, and arrives in ``target``."""
    bucket = place.run("outputs", "--json").json["deployment_bucket_name_primary"]
    for entry in carry["s3"]:
        _client(place, "s3", PRIMARY).put_object(Bucket=bucket, Key=f"{entry['prefix']}a", Body=b"x")
    for entry in carry["ssm"]:
        _client(place, "ssm", PRIMARY).put_parameter(Name=f"{entry['path']}/a", Value="x", Type="String")
    for entry in carry["secrets"]:
        _client(place, "secretsmanager", PRIMARY).create_secret(Name=f"{entry['name']}a", SecretString="x")

    _require(place, "migrate", "--from", PRIMARY, "--to", target, "--yes", "--json")
    there, s3 = bucket.replace(PRIMARY, target), _client(place, "s3", target)
    for entry in carry["s3"]:
        assert s3.get_object(Bucket=there, Key=f"{entry['prefix']}a")["Body"].read() == b"x"
    for entry in carry["ssm"]:
        kept = _client(place, "ssm", target).get_parameter(Name=f"{entry['path']}/a")
        assert kept["Parameter"]["Value"] == "x"
    for entry in carry["secrets"]:
        kept = _client(place, "secretsmanager", target).get_secret_value(SecretId=f"{entry['name']}a")
        assert kept["SecretString"] == "x"


def test_fifty_entries_stand_up_migrate_and_go(make_place: Callable[..., Place]) -> None:
    place = make_place(regions={"primary": PRIMARY, "secondaries": [SECONDARY]}, carry=CARRY)
    _require(place, "up", "--yes", "--no-validate")
    for region in (PRIMARY, SECONDARY):
        assert any(f"worker-carry-1-{region}" in name for name in _policies(place))
    _require_carried(place, CARRY, SECONDARY)

    # Fewer entries: what has room inline again is inline, and the managed policies go.
    place.settings["carry"] = {"ssm": CARRY["ssm"][:1]}
    place.write()
    assert place.run("preview", "--json").json["growth"] == []
    _require(place, "up", "--yes", "--no-validate")
    assert not _policies(place)

    # More than before wants leave, for just that; where it stands in managed policies again, as before too.
    place.settings["carry"] = CARRY
    place.write()
    refused = place.run("up", "--yes", "--no-validate")
    assert refused.code == 3, refused.said
    assert "What it opens:" in refused.out
    growth = place.run("preview", "--json").json["growth"]
    subjects = {each["subject"].replace(region, "{region}") for each in growth for region in each["regions"]}
    assert subjects == {"role orders-worker-{region}-dev"}
    assert {region for each in growth for region in each["regions"]} == {PRIMARY, SECONDARY}
    shown = re.findall(r"--allow-broadening ([0-9a-f]{16})", " ".join(refused.said.split()))
    assert shown, refused.said
    assert place.run("up", "--yes", "--allow-broadening", "0123456789abcdef").code == 3
    ids = [option for each in dict.fromkeys(shown) for option in ("--allow-broadening", each)]
    _require(place, "up", "--yes", "--no-validate", *ids)
    assert _policies(place)
    assert place.run("preview", "--json").json["growth"] == []

    _require(place, "destroy", "--yes")
    assert _policies(place) == []


def test_thirty_regions_with_twenty_entries_stand_up_migrate_and_go(make_place: Callable[..., Place]) -> None:
    secondaries = [each for each in REGIONS["aws"] if each != PRIMARY][:29]
    carry = {kind: named[:7] for kind, named in CARRY.items()}
    place = make_place(regions={"primary": PRIMARY, "secondaries": secondaries}, carry=carry)
    _require(place, "up", "--yes", "--no-validate")
    _require_carried(place, carry, secondaries[-1])
    _require(place, "destroy", "--yes")
    assert _policies(place) == []
