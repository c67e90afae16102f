"""What somebody else writes to a secret stays: while a migration is interrupted, and when it is taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError
from carrier_world import TARGET, SecretsLab, World

from regionshift.carriers.carrier import Level

LEFT_ALONE = "someone else wrote here while the migration ran"


@pytest.fixture
def lab(world: World) -> SecretsLab:
    lab = SecretsLab(world)
    lab.write("source", "s", "ours")
    return lab


def vault(lab: SecretsLab) -> Any:
    return lab.world.clients.get("secretsmanager", TARGET)


def value(lab: SecretsLab) -> str:
    return str(lab.look("target")["s"][0])


def labelled(lab: SecretsLab) -> dict[str, str]:
    """The value under each label of AWS and of migrations."""
    client, name = vault(lab), lab.entry.target.prefix + "s"
    stages = client.describe_secret(SecretId=name)["VersionIdsToStages"]
    return {
        label: client.get_secret_value(SecretId=name, VersionId=version)["SecretString"]
        for version, labels in stages.items()
        for label in labels
    }


@contextmanager
def at(lab: SecretsLab, event: str, do: Callable[..., Any]) -> Iterator[None]:
    events = vault(lab).meta.events
    events.register(event, do)
    try:
        yield
    finally:
        events.unregister(event, do)


@contextmanager
def killed_before_the_value(lab: SecretsLab) -> Iterator[None]:
    def kill(**_: Any) -> None:
        raise KeyboardInterrupt

    with at(lab, "before-call.secretsmanager.PutSecretValue", kill), pytest.raises(KeyboardInterrupt):
        yield


@contextmanager
def refused_value(lab: SecretsLab) -> Iterator[None]:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "LimitExceededException"}}, "PutSecretValue")

    with at(lab, "before-call.secretsmanager.PutSecretValue", refuse):
        yield


@pytest.mark.parametrize("interrupted", [killed_before_the_value, refused_value])
def test_a_value_put_by_hand_into_what_we_made_stays(lab: SecretsLab, interrupted: Any) -> None:
    migrations = lab.world.migrations
    migrations.of("m").begin([lab.entry], Level.FULL)
    with interrupted(lab):
        migrations.of("m").run_batch(0)
    lab.write("target", "s", "by hand")

    record = migrations.of("m").rollback()

    assert [each["key"] for each in record["conflicts"]] == ["s"], record
    assert value(lab) == "by hand"


def test_going_on_writes_over_no_value_that_was_put_by_hand(lab: SecretsLab) -> None:
    migrations = lab.world.migrations
    migrations.of("m").begin([lab.entry], Level.FULL)
    with killed_before_the_value(lab):
        migrations.of("m").run_batch(0)
    lab.write("target", "s", "by hand")

    done = migrations.of("m").migrate([lab.entry])

    assert [(each["key"], each["reason"]) for each in done["problems"]] == [("s", LEFT_ALONE)]
    assert value(lab) == "by hand"
    assert [each["key"] for each in migrations.of("m").rollback()["conflicts"]] == ["s"]
    assert value(lab) == "by hand"


def test_a_secret_without_a_value_that_we_made_goes_away_or_gets_its_value(lab: SecretsLab) -> None:
    migrations = lab.world.migrations
    for number, goes_on in enumerate((False, True)):
        migrations.of(f"m{number}").begin([lab.entry], Level.FULL)
        with killed_before_the_value(lab):
            migrations.of(f"m{number}").run_batch(0)
        if goes_on:
            assert migrations.of(f"m{number}").migrate([lab.entry])["status"] == "completed"
        assert migrations.of(f"m{number}").rollback()["conflicts"] == []
        assert lab.look("target") == {}


def test_another_value_below_ours_is_not_deleted_with_the_secret(lab: SecretsLab) -> None:
    """Put by hand at the very moment: ours came on top."""
    migrations = lab.world.migrations

    def meanwhile(params: dict[str, Any], **_: Any) -> None:
        if b"by hand" not in params["body"]:
            lab.write("target", "s", "by hand")

    with at(lab, "before-call.secretsmanager.PutSecretValue", meanwhile):
        migrations.of("m").migrate([lab.entry])
    assert labelled(lab)["AWSPREVIOUS"] == "by hand"

    record = migrations.of("m").rollback()

    assert [each["key"] for each in record["conflicts"]] == ["s"]
    assert labelled(lab)["AWSPREVIOUS"] == "by hand"


@pytest.mark.parametrize("labels_first", [True, False])
def test_what_rotated_before_a_migration_goes_on_stays_current(lab: SecretsLab, labels_first: bool) -> None:
    migrations = lab.world.migrations
    lab.write("target", "s", "earlier")
    migrations.of("m").begin([lab.entry], Level.FULL)
    if labels_first:
        with killed_before_the_value(lab):
            migrations.of("m").run_batch(0)
    else:
        migrations.of("m").run_batch(0, lambda: False)
    lab.write("target", "s", "rotated")

    done = migrations.of("m").migrate([lab.entry])

    assert [(each["key"], each["reason"]) for each in done["problems"]] == [("s", LEFT_ALONE)]
    assert value(lab) == "rotated"
    conflicts = migrations.of("m").rollback()["conflicts"]
    # Where nothing of ours is, there is nothing to take back.
    assert [each["key"] for each in conflicts] == (["s"] if labels_first else [])
    assert value(lab) == "rotated"


def test_what_rotated_over_ours_before_a_migration_goes_on_keeps_all_that_hangs_on_it(
    lab: SecretsLab,
) -> None:
    migrations = lab.world.migrations
    lab.write("target", "s", "earlier")
    migrations.of("m").begin([lab.entry], Level.FULL)

    def kill(**_: Any) -> None:
        raise KeyboardInterrupt

    with at(lab, "after-call.secretsmanager.PutSecretValue", kill), pytest.raises(KeyboardInterrupt):
        migrations.of("m").run_batch(0)
    lab.write("target", "s", "rotated")
    vault(lab).update_secret(SecretId=lab.entry.target.prefix + "s", Description="of somebody")

    done = migrations.of("m").migrate([lab.entry])

    assert [(each["key"], each["reason"]) for each in done["problems"]] == [("s", LEFT_ALONE)]
    assert lab.look("target")["s"][:2] == ("rotated", "of somebody")


def test_a_value_that_came_between_what_was_there_and_ours_is_not_lost_by_undo(lab: SecretsLab) -> None:
    migrations = lab.world.migrations
    lab.write("target", "s", "earlier")

    def meanwhile(params: dict[str, Any], **_: Any) -> None:
        if b"rotated" not in params["body"]:
            lab.write("target", "s", "rotated")

    with at(lab, "before-call.secretsmanager.PutSecretValue", meanwhile):
        migrations.of("m").migrate([lab.entry])

    record = migrations.of("m").rollback()

    assert [each["key"] for each in record["conflicts"]] == ["s"]
    assert labelled(lab)["AWSPREVIOUS"] == "rotated"
