"""Staging labels of migrations: never more than AWS allows, and the way back is told as long as it is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from carrier_world import TARGET, SecretsLab, World

from regionshift.carriers import secrets_access
from regionshift.carriers.carrier import Level

ROUNDS = 12


def whole(world: World, lab: SecretsLab, name: str = "s") -> Any:
    """Everything of one secret at the target that a migration could leave changed."""
    vault = world.clients.get("secretsmanager", TARGET)
    found = vault.describe_secret(SecretId=lab.entry.target.prefix + name)
    value = vault.get_secret_value(SecretId=lab.entry.target.prefix + name)
    stages = {version: sorted(labels) for version, labels in found["VersionIdsToStages"].items()}
    return stages, value["SecretString"], found.get("Description"), found.get("Tags"), found.get("KmsKeyId")


@pytest.fixture
def lab(world: World) -> SecretsLab:
    lab = SecretsLab(world)
    lab.write("target", "s", "earlier")
    lab.write("target", "s", "earlier still")
    return lab


def test_many_migrations_stay_within_the_limit_and_the_newest_go_back(world: World, lab: SecretsLab) -> None:
    states = [whole(world, lab)]
    for number in range(ROUNDS):
        lab.write("source", "s", f"v{number}")
        done = world.migrations.of(f"m{number}").migrate([lab.entry])
        assert done["status"] == "completed", (number, done)
        states.append(whole(world, lab))
        # The emulator refuses the 21st, as AWS does; this is what readers see of ours.
        assert len(secrets_access.marks({"VersionIdsToStages": states[-1][0]})) <= 3 * secrets_access.KEPT

    for number in range(ROUNDS - 1, ROUNDS - 1 - secrets_access.KEPT, -1):
        record = world.migrations.of(f"m{number}").rollback()
        assert record["counts"] == {"undone": 1}, record
        assert whole(world, lab)[1:] == states[number][1:]
        assert current_and_previous(whole(world, lab)) == current_and_previous(states[number])
    before = whole(world, lab)
    record = world.migrations.of(f"m{ROUNDS - 1 - secrets_access.KEPT}").rollback()
    assert record["counts"] == {"conflict": 1}
    assert "is no longer kept" in record["conflicts"][0]["reason"]
    assert whole(world, lab) == before


def current_and_previous(state: Any) -> dict[str, str]:
    return {
        label: version for version, labels in state[0].items() for label in labels if label.startswith("AWS")
    }


def test_the_plan_says_until_when(world: World, lab: SecretsLab) -> None:
    lab.write("source", "s", "new")
    (part,) = world.migrations.of("p").plan([lab.entry], Level.FULL).entries
    assert f"fewer than {secrets_access.KEPT} later migrations" in part.undo_until


def test_a_secret_full_of_labels_of_its_owner_is_a_conflict_before_anything_is_written(
    world: World, lab: SecretsLab
) -> None:
    vault, name = world.clients.get("secretsmanager", TARGET), lab.entry.target.prefix + "s"
    version = vault.get_secret_value(SecretId=name)["VersionId"]
    room = secrets_access.MOST_LABELS - 3 - 3
    lab.write("source", "s", "new")
    for number in range(room + 1):
        vault.update_secret_version_stage(
            SecretId=name, VersionStage=f"own-{number}", MoveToVersionId=version
        )
    before = whole(world, lab)

    plan = world.migrations.of("p").plan([lab.entry], Level.FULL)
    world.migrations.of("m").migrate([lab.entry])

    assert [reason.split(":")[0] for _, reason in plan.conflicts] == [
        f"it has {room + 1} staging labels of your own at the target"
    ]
    assert whole(world, lab) == before
    vault.update_secret_version_stage(SecretId=name, VersionStage="own-0", RemoveFromVersionId=version)
    before = whole(world, lab)
    assert world.migrations.of("m2").migrate([lab.entry])["status"] == "completed"
    lab.write("source", "s", "newer")
    # There is room for one migration's labels alone.
    assert world.migrations.of("m3").migrate([lab.entry])["status"] == "completed"
    assert {
        mark.migration_id for mark in secrets_access.marks({"VersionIdsToStages": whole(world, lab)[0]})
    } == {"m3"}
    assert world.migrations.of("m3").rollback()["counts"] == {"undone": 1}


def test_a_key_of_aws_itself_is_there_again(world: World, lab: SecretsLab) -> None:
    lab.write("source", "s", "new")
    before = whole(world, lab)
    key = world.clients.get("kms", TARGET).create_key()["KeyMetadata"]["Arn"]
    world.migrations.of("m").migrate([replace(lab.entry, kms_key=key)])
    assert whole(world, lab)[4] == key

    world.migrations.of("m").rollback()

    assert whole(world, lab) == before


def test_labels_of_a_migration_that_wrote_nothing_more_go_again(world: World, lab: SecretsLab) -> None:
    lab.write("source", "s", "new")
    before = whole(world, lab)
    world.migrations.of("m").begin([lab.entry], Level.FULL)
    events = world.clients.get("secretsmanager", TARGET).meta.events

    def interrupt(**_: Any) -> None:
        raise KeyboardInterrupt

    events.register("before-call.secretsmanager.PutSecretValue", interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            world.migrations.of("m").run_batch(0)
    finally:
        events.unregister("before-call.secretsmanager.PutSecretValue", interrupt)
    assert whole(world, lab) != before

    world.migrations.of("m").rollback()

    assert whole(world, lab) == before
