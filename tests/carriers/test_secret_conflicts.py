"""Secrets that a migration may not touch are named before anything is written; so is what rotates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from carrier_world import SOURCE, TARGET, SecretsLab, World

from regionshift.carriers.carrier import Level
from regionshift.carriers.secrets_access import rotation

ROTATES = f"arn:aws:lambda:{SOURCE}:123456789012:function:turner"


@pytest.fixture
def lab(world: World) -> SecretsLab:
    lab = SecretsLab(world)
    lab.write("source", "a", "new")
    return lab


def make_replica(lab: SecretsLab, name: str) -> None:
    vault = lab.world.clients.get("secretsmanager", "us-west-2")
    vault.create_secret(Name=name, SecretString="of the primary")
    vault.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": TARGET}])


def make_pending(lab: SecretsLab, name: str) -> None:
    lab.write("target", "a", "earlier")
    lab.world.clients.get("secretsmanager", TARGET).delete_secret(SecretId=name, RecoveryWindowInDays=7)


def make_empty(lab: SecretsLab, name: str) -> None:
    vault = lab.world.clients.get("secretsmanager", TARGET)
    version = vault.create_secret(Name=name, SecretString="x")["VersionId"]
    vault.update_secret_version_stage(SecretId=name, VersionStage="AWSCURRENT", RemoveFromVersionId=version)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_replica, "it is a replica of us-west-2"),
        (make_pending, "it is scheduled for deletion"),
        (make_empty, "it has no value at the target"),
    ],
)
def test_what_cannot_be_written_is_a_conflict(lab: SecretsLab, make: Any, words: str) -> None:
    make(lab, lab.entry.target.prefix + "a")
    before = described(lab)

    (conflict,) = lab.world.migrations.of("p").plan([lab.entry], Level.FULL).conflicts
    done = lab.world.migrations.of("m").migrate([lab.entry])

    assert conflict[0].endswith("/a")
    assert words in conflict[1]
    assert (done["status"], done["counts"]) == ("incomplete", {})
    assert described(lab) == before
    lab.world.migrations.of("m").rollback()
    assert described(lab) == before


def described(lab: SecretsLab) -> Any:
    vault = lab.world.clients.get("secretsmanager", TARGET)
    return {
        name: found
        for name, found in vault.describe_secret(SecretId=lab.entry.target.prefix + "a").items()
        if name not in ("ResponseMetadata", "LastAccessedDate")
    }


@contextmanager
def described_with(lab: SecretsLab, region: str, **fields: Any) -> Iterator[None]:
    """DescribeSecret of ``region`` tells ``fields``, which the emulator never does, of every secret."""

    def say(parsed: dict[str, Any], **_: Any) -> None:
        if "Name" in parsed:
            parsed.update(fields)

    events = lab.world.clients.get("secretsmanager", region).meta.events
    events.register("after-call.secretsmanager.DescribeSecret", say)
    try:
        yield
    finally:
        events.unregister("after-call.secretsmanager.DescribeSecret", say)


def test_a_secret_that_another_service_manages_is_a_conflict(lab: SecretsLab) -> None:
    lab.write("target", "a", "earlier")
    before = lab.look("target")
    with described_with(lab, TARGET, OwningService="rds"):
        (conflict,) = lab.world.migrations.of("p").plan([lab.entry], Level.FULL).conflicts
        done = lab.world.migrations.of("m").migrate([lab.entry])
    assert "rds manages it" in conflict[1]
    assert done["counts"] == {}
    assert lab.look("target") == before


def test_a_primary_with_replicas_elsewhere_takes_our_writes(lab: SecretsLab) -> None:
    """Its own region stands where a replica has its primary's."""
    lab.write("target", "a", "earlier")
    lab.world.clients.get("secretsmanager", TARGET).replicate_secret_to_regions(
        SecretId=lab.entry.target.prefix + "a", AddReplicaRegions=[{"Region": "us-west-2"}]
    )
    with described_with(lab, TARGET, PrimaryRegion=TARGET):
        done = lab.world.migrations.of("m").migrate([lab.entry])
        assert (done["status"], lab.look("target")["a"][0]) == ("completed", "new")
        lab.world.migrations.of("m").rollback()
    assert lab.look("target")["a"][0] == "earlier"


def test_a_secret_that_gained_replicas_since_stays_with_them_and_is_named(lab: SecretsLab) -> None:
    """Secrets Manager deletes none that has any."""
    lab.write("source", "b", "plain")
    lab.world.migrations.of("m").migrate([lab.entry])
    vault, name = lab.world.clients.get("secretsmanager", TARGET), lab.entry.target.prefix + "a"
    vault.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": "us-west-2"}])

    record = lab.world.migrations.of("m").rollback()

    (conflict,) = record["conflicts"]
    assert conflict["key"] == "a"
    assert "replicas in us-west-2" in conflict["reason"]
    assert (record["status"], record["counts"]) == ("completed", {"conflict": 1, "undone": 1})
    assert list(lab.look("target")) == ["a"]
    elsewhere = lab.world.clients.get("secretsmanager", "us-west-2")
    assert elsewhere.get_secret_value(SecretId=name)["SecretString"] == "new"


def test_what_was_there_before_comes_back_with_the_replicas_it_gained(lab: SecretsLab) -> None:
    lab.write("target", "a", "earlier")
    lab.world.migrations.of("m").migrate([lab.entry])
    vault, name = lab.world.clients.get("secretsmanager", TARGET), lab.entry.target.prefix + "a"
    vault.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": "us-west-2"}])

    assert lab.world.migrations.of("m").rollback()["conflicts"] == []

    found = vault.describe_secret(SecretId=name)["ReplicationStatus"]
    assert [replica["Region"] for replica in found] == ["us-west-2"]
    for region in (TARGET, "us-west-2"):
        elsewhere = lab.world.clients.get("secretsmanager", region)
        assert elsewhere.get_secret_value(SecretId=name)["SecretString"] == "earlier"


def test_what_rotates_is_named_with_its_rules_in_the_plan_and_in_the_record(lab: SecretsLab) -> None:
    lab.write("source", "b", "quiet")
    name = lab.entry.source.prefix + "a"
    lab.world.clients.get("secretsmanager", SOURCE).rotate_secret(
        SecretId=name,
        RotationLambdaARN=ROTATES,
        RotationRules={"ScheduleExpression": "rate(10 days)", "Duration": "2h"},
        RotateImmediately=False,
    )

    (part,) = lab.world.migrations.of("p").plan([lab.entry], Level.FULL).entries
    done = lab.world.migrations.of("m").migrate([lab.entry])

    assert part.notes == (
        f"{name} rotates at the source (rate(10 days), within 2h, by turner); rotation is not carried",
    )
    assert done["notes"] == list(part.notes)
    assert name in json.dumps(lab.world.store.get_json("migrations/m/metadata.json"))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            {"RotationRules": {"AutomaticallyAfterDays": 30}, "RotationLambdaARN": ROTATES},
            "every 30 days, by turner",
        ),
        (
            {"RotationRules": {"ScheduleExpression": "cron(0 4 1 * ? *)"}, "OwningService": "rds"},
            "cron(0 4 1 * ? *), by rds",
        ),
        ({}, "no rules given"),
    ],
)
def test_rotation_in_words(found: dict[str, Any], words: str) -> None:
    assert rotation(found) == words
