"""A whole life in the weather of AWS: each command is done, or refused plainly and done when it is tried again.

One seed a life. `make test-all` lives two; `make weather SEEDS=20 FIRST=1` as many as are asked for, and goes on after
one that fails. A life that failed is lived again with `make weather SEEDS=1 FIRST=<its seed>`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2e_place import ON_AWS, Place, census

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.thorough,
    pytest.mark.skipif(bool(ON_AWS), reason="AWS makes its own weather"),
]
WEATHER = os.environ.get("WEATHER", "aws")
FIRST, SEEDS = int(os.environ.get("FIRST", "1")), int(os.environ.get("SEEDS", "2"))
HERE, THERE = "us-east-1", "eu-west-1"
OBJECTS = {f"files/{number}": f"object {number}" for number in range(40)}
PARAMETERS = {f"/legacy/{number}": f"parameter {number}" for number in range(8)}
SECRETS = {f"legacy/{number}": f"secret {number}" for number in range(4)}
TRIES = 2 if WEATHER == "aws" else 8


@pytest.fixture(scope="module", params=range(FIRST, FIRST + SEEDS))
def place(request: pytest.FixtureRequest, make_place: Callable[..., Place]) -> Iterator[Place]:
    carry = {
        "s3": [{"bucket": "archive-{region}"}],
        "ssm": [{"path": "/legacy"}],
        "secrets": [{"name": "legacy/"}],
    }
    regions = {"primary": HERE, "secondaries": [THERE]}
    made = make_place(regions=regions, carry=carry, deployment={"bake": "1s"})
    made.begin(WEATHER, request.param)
    yield made
    print((made.folder / ".regionshift/cloud/emulator.log").read_text())


def done(place: Place, *command: str) -> None:
    """The command is done; at the second try at the latest, when the first was refused plainly (of a storm later)."""
    tried = command
    for _ in range(TRIES):
        end = place.run(*tried)
        print(f"{' '.join(tried)}: {end.code}")
        assert "Traceback" not in end.said and "defect of regionshift" not in end.said, end.said
        if end.code == 0:
            return
        print(end.said)
        assert end.code in (1, 3), end.said
        assert end.err, "nothing is said of why"
        looked = place.run("status", "--json").out
        left_open = looked and json.loads(looked).get("unfinished")
        tried = ("resume", "--yes") if left_open else command
    raise AssertionError(f"not done at the last try: {' '.join(command)}")


def fill(place: Place) -> None:
    clients = place.clients
    s3 = clients.get("s3", HERE)
    for region in (HERE, THERE):
        where: Any = {} if region == HERE else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        own = clients.get("s3", region)
        own.create_bucket(Bucket=f"archive-{region}", **where)
        own.put_bucket_versioning(Bucket=f"archive-{region}", VersioningConfiguration={"Status": "Enabled"})
    for key, body in OBJECTS.items():
        s3.put_object(Bucket=f"archive-{HERE}", Key=key, Body=body.encode())
    for name, value in PARAMETERS.items():
        clients.get("ssm", HERE).put_parameter(Name=name, Value=value, Type="SecureString")
    for name, value in SECRETS.items():
        clients.get("secretsmanager", HERE).create_secret(Name=name, SecretString=value)


def data(place: Place, region: str) -> dict[str, dict[str, str]]:
    """What readers find in the region of what is carried."""
    clients, bucket = place.clients, f"archive-{region}"
    s3, ssm = clients.get("s3", region), clients.get("ssm", region)
    vault = clients.get("secretsmanager", region)
    objects = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket).search("Contents[].Key")
    keys = [key for key in objects if key is not None]
    below = ssm.get_paginator("get_parameters_by_path").paginate(Path="/legacy", WithDecryption=True)
    names = [
        name
        for name in vault.get_paginator("list_secrets").paginate().search("SecretList[].Name")
        if name.startswith("legacy/")
    ]
    return {
        "objects": {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys},
        "parameters": {each["Name"]: each["Value"] for each in below.search("Parameters[]")},
        "secrets": {name: vault.get_secret_value(SecretId=name)["SecretString"] for name in names},
    }


ALL = {"objects": OBJECTS, "parameters": PARAMETERS, "secrets": SECRETS}
NONE: dict[str, dict[str, str]] = {"objects": {}, "parameters": {}, "secrets": {}}


def test_a_life_in_the_weather(place: Place) -> None:
    done(place, "up", "--yes")
    stands = place.settled(place.regions)
    assert all(stands[f"{region} Vpcs"] == 1 for region in place.regions), stands
    fill(place)

    place.settings["function"] = {"memory": 768}
    place.write()
    done(place, "up", "--yes")
    place.comes_to(lambda: census(place.clients, place.regions, "dev"), stands)

    done(place, "migrate", "--from", HERE, "--to", THERE, "--id", "move-1", "--yes")
    place.comes_to(lambda: (data(place, HERE), data(place, THERE)), (ALL, ALL))
    done(place, "rollback", "move-1", "--yes")
    place.comes_to(lambda: (data(place, HERE), data(place, THERE)), (ALL, NONE))

    done(place, "promote", THERE, "--yes")
    done(place, "validate")
    assert data(place, HERE) == ALL
    done(place, "up", "--yes")

    done(place, "destroy", "--yes")
    place.comes_to(lambda: census(place.clients, place.regions, "dev"), Counter())
    assert data(place, HERE) == ALL
