"""More to carry than inline policies have room for: it stands up, is carried as the worker's role, and goes."""

from __future__ import annotations

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
    found = place.clients.get("iam", PRIMARY).list_policies(Scope="Local")
    return [each["PolicyName"] for each in found["Policies"]]


def _client(place: Place, service: Any, region: str) -> Any:
    return place.clients.get(service, region)


def test_fifty_entries_stand_up_migrate_and_go(make_place: Callable[..., Place]) -> None:
    place = make_place(regions={"primary": PRIMARY, "secondaries": [SECONDARY]}, carry=CARRY)
    done = place.run("up", "--yes", "--no-validate")
    assert done.code == 0, done.said
    for region in (PRIMARY, SECONDARY):
        assert any(f"worker-carry-1-{region}" in name for name in _policies(place))

    bucket = place.run("outputs", "--json").json["deployment_bucket_name_primary"]
    for entry in CARRY["s3"]:
        _client(place, "s3", PRIMARY).put_object(Bucket=bucket, Key=f"{entry['prefix']}a", Body=b"x")
    for entry in CARRY["ssm"]:
        _client(place, "ssm", PRIMARY).put_parameter(Name=f"{entry['path']}/a", Value="x", Type="String")
    for entry in CARRY["secrets"]:
        _client(place, "secretsmanager", PRIMARY).create_secret(Name=f"{entry['name']}a", SecretString="x")

    carried = place.run("migrate", "--from", PRIMARY, "--to", SECONDARY, "--yes", "--json")
    assert carried.code == 0, carried.said
    pages = _client(place, "ssm", SECONDARY).get_paginator("describe_parameters").paginate()
    found = {each["Name"] for page in pages for each in page["Parameters"]}
    assert {f"{entry['path']}/a" for entry in CARRY["ssm"]} <= found
    for entry in CARRY["secrets"]:
        kept = _client(place, "secretsmanager", SECONDARY).get_secret_value(SecretId=f"{entry['name']}a")
        assert kept["SecretString"] == "x"

    # Fewer entries: what has room inline again is inline, and the managed policies go.
    place.settings["carry"] = {"ssm": CARRY["ssm"][:1]}
    place.write()
    fewer = place.run("up", "--yes", "--no-validate")
    assert fewer.code == 0, fewer.said
    assert _policies(place) == []

    place.settings["carry"] = CARRY
    place.write()
    more = place.run("up", "--yes", "--no-validate")
    assert more.code == 0, more.said
    gone = place.run("destroy", "--yes")
    assert gone.code == 0, gone.said
    assert _policies(place) == []


def test_thirty_regions_with_twenty_entries_stand_up_migrate_and_go(make_place: Callable[..., Place]) -> None:
    every = [PRIMARY, SECONDARY, *(each for each in REGIONS["aws"] if each not in (PRIMARY, SECONDARY))][:30]
    entries = {kind: named[:7] for kind, named in CARRY.items()}
    place = make_place(regions={"primary": PRIMARY, "secondaries": every[1:]}, carry=entries)
    done = place.run("up", "--yes", "--no-validate")
    assert done.code == 0, done.said
    bucket = place.run("outputs", "--json").json["deployment_bucket_name_primary"]
    for entry in entries["s3"]:
        _client(place, "s3", PRIMARY).put_object(Bucket=bucket, Key=f"{entry['prefix']}a", Body=b"x")
    for entry in entries["ssm"]:
        _client(place, "ssm", PRIMARY).put_parameter(Name=f"{entry['path']}/a", Value="x", Type="String")
    for entry in entries["secrets"]:
        _client(place, "secretsmanager", PRIMARY).create_secret(Name=f"{entry['name']}a", SecretString="x")
    carried = place.run("migrate", "--from", PRIMARY, "--to", every[-1], "--yes", "--json")
    assert carried.code == 0, carried.said
    for entry in entries["ssm"]:
        assert (
            _client(place, "ssm", every[-1]).get_parameter(Name=f"{entry['path']}/a")["Parameter"]["Value"]
            == "x"
        )
    gone = place.run("destroy", "--yes")
    assert gone.code == 0, gone.said
    assert _policies(place) == []
