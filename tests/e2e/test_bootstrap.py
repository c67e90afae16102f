"""From nothing to a first `up` by a pipeline's role: bootstrap, killed and gone on with, found elsewhere, undone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e_place import ACCOUNT, Place

from regionshift.local import emulator

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
REPOSITORY = "octo-org@123456/orders@456789"
BUCKET = f"regionshift-state-{ACCOUNT}"
STATES = "us-east-2"
"""The region of the bucket: near the primary, and not in the environment."""


@pytest.fixture(scope="module")
def place(make_place: Callable[..., Place]) -> Place:
    return make_place(regions={"primary": "us-east-1"})


def all_roles(place: Place) -> list[str]:
    pages = place.clients.get("iam", "us-east-1").get_paginator("list_roles").paginate()
    return list(pages.search("Roles[].RoleName"))


def roles(place: Place) -> set[str]:
    return {name for name in all_roles(place) if ".dev." in name}


def buckets(place: Place) -> set[str]:
    return {each["Name"] for each in place.clients.get("s3", "us-east-1").list_buckets()["Buckets"]}


def elsewhere(place: Place, folder: Path) -> tuple[Place, dict[str, str]]:
    """The same settings on a machine that has nothing else, and how it reaches this AWS."""
    cloud = emulator.up(place.folder / ".regionshift/cloud", ACCOUNT)
    text = (place.folder / "regionshift.yaml").read_text()
    other = Place(folder, yaml.safe_load(text))
    other.write()
    return other, {
        "REGIONSHIFT_ENDPOINT": cloud.endpoint,
        "REGIONSHIFT_CA_BUNDLE": str(cloud.ca_bundle),
        "AWS_ACCESS_KEY_ID": cloud.access_key,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_key,
    }


def test_a_plan_makes_nothing(place: Place) -> None:
    planned = place.run("bootstrap", "--repository", REPOSITORY, "--plan-only", "--json")
    assert planned.code == 0, planned.said
    assert {change["op"] for change in planned.json["changes"]} == {"create"}
    assert buckets(place) == set()
    refused = place.run("bootstrap", "--repository", REPOSITORY)
    assert refused.code == 3 and "nobody is there to confirm" in refused.err
    assert buckets(place) == set()


def test_killed_in_the_middle_it_goes_on_and_makes_nothing_twice(place: Place) -> None:
    process = place.start_and_wait_for(["bootstrap", "--repository", REPOSITORY, "--yes"], 6)
    process.kill()
    process.communicate()
    done = place.run("bootstrap", "--repository", REPOSITORY, "--yes", "--json")
    assert done.code == 0, done.said
    assert roles(place) == {"orders.dev.preview", "orders.dev.deploy", "orders.dev.operate"}
    assert buckets(place) == {BUCKET}
    keys = place.clients.get("kms", STATES).get_paginator("list_keys").paginate()
    assert len(list(keys.search("Keys[].KeyId"))) == 1
    written = yaml.safe_load((place.folder / "regionshift.yaml").read_text())
    assert written["state"].startswith(f"s3://{BUCKET}/environments")
    assert written["access"]["boundary"] == f"arn:aws:iam::{ACCOUNT}:policy/orders.dev.boundary"
    assert written["pipeline"]["repository"] == REPOSITORY


def test_another_machine_finds_its_state_in_the_bucket(place: Place, tmp_path: Path) -> None:
    other, reach = elsewhere(place, tmp_path / "other")
    again = other.run("bootstrap", "--plan-only", "--json", **reach)
    assert again.code == 0, again.said
    assert again.json["changes"] == []
    assert again.json["unchanged"] > 15


def test_its_state_has_no_secret(place: Place) -> None:
    s3, cloud = (
        place.clients.get("s3", STATES),
        emulator.up(place.folder / ".regionshift/cloud", ACCOUNT),
    )
    kept = [
        s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read().decode()
        for each in s3.get_paginator("list_objects_v2")
        .paginate(Bucket=BUCKET, Prefix="bootstrap/engine/")
        .search("Contents[]")
    ]
    assert len(kept) > 2
    assert not any(cloud.secret_key in text or "ciphertext" in text for text in kept)


def test_the_deploy_role_stands_the_environment_up_within_the_boundary(place: Place) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/orders.dev.deploy"
    up = place.run("up", "--yes", "--no-validate", REGIONSHIFT_LOCAL_ROLE=role)
    assert up.code == 0, up.said
    iam: Any = place.clients.get("iam", "us-east-1")
    made = [name for name in all_roles(place) if "us-east-1" in name]
    assert len(made) >= 4
    for name in made:
        bounded = iam.get_role(RoleName=name)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
        assert bounded == f"arn:aws:iam::{ACCOUNT}:policy/orders.dev.boundary"
    checked = place.run("validate")
    assert checked.code == 0, checked.said


def test_another_environment_shares_the_bucket_and_takes_only_its_own_away(place: Place) -> None:
    suffix = {"ENVIRONMENT_SUFFIX": "pr-7"}
    made = place.run("bootstrap", "--yes", "--json", **suffix)
    assert made.code == 0, made.said
    assert {change["type"] for change in made.json["changes"]} == {
        "aws:iam/policy:Policy",
        "aws:iam/role:Role",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    }
    assert "orders.pr-7.deploy" in all_roles(place)
    gone = place.run("bootstrap", "destroy", "--yes", "--json", **suffix)
    assert gone.code == 0, gone.said
    assert gone.json["kept_for"] == ["orders dev"]
    assert "orders.pr-7.deploy" not in all_roles(place)
    assert "orders.dev.deploy" in all_roles(place) and buckets(place) >= {BUCKET}


def test_the_bucket_stays_while_an_environment_has_its_state_there(place: Place) -> None:
    refused = place.run("bootstrap", "destroy", "--yes", "--allow-data-loss")
    assert refused.code == 3, refused.said
    assert "orders.dev" in refused.err
    assert BUCKET in buckets(place)


def test_afterwards_all_of_it_goes(place: Place) -> None:
    assert place.run("destroy", "--yes").code == 0
    refused = place.run("bootstrap", "destroy", "--yes")
    assert refused.code == 3 and "--allow-data-loss" in refused.err, refused.said
    gone = place.run("bootstrap", "destroy", "--yes", "--allow-data-loss", "--json")
    assert gone.code == 0, gone.said
    assert gone.json["deleted"] > 15
    assert roles(place) == set() and buckets(place) == set()
    issuers = place.clients.get("iam", "us-east-1").list_open_id_connect_providers()
    assert issuers["OpenIDConnectProviderList"] == []


def test_what_somebody_else_made_is_used_or_refused_or_taken_over(place: Place) -> None:
    iam = place.clients.get("iam", "us-east-1")
    iam.create_open_id_connect_provider(
        Url="https://token.actions.githubusercontent.com", ClientIDList=["sts.amazonaws.com"]
    )
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName="orders.dev.deploy",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    refused = place.run("bootstrap", "--yes")
    assert refused.code == 3 and "orders.dev.deploy exists" in refused.said, refused.said
    assert buckets(place) == set()
    done = place.run("bootstrap", "--yes", "--take-over", "--json")
    assert done.code == 0, done.said
    policy = iam.get_role(RoleName="orders.dev.deploy")["Role"]["AssumeRolePolicyDocument"]
    assert "ec2.amazonaws.com" not in json.dumps(policy)
    again = place.run("bootstrap", "--plan-only", "--json")
    assert again.json["changes"] == []


def test_what_is_no_longer_its_own_is_not_deleted(place: Place) -> None:
    iam = place.clients.get("iam", "us-east-1")
    iam.untag_role(RoleName="orders.dev.deploy", TagKeys=["ManagedBy"])
    refused = place.run("bootstrap", "destroy", "--yes")
    assert refused.code == 3 and "orders.dev.deploy" in refused.err, refused.said
    assert BUCKET in buckets(place) and "orders.dev.preview" in all_roles(place)
