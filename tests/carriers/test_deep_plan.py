"""A deep plan finds what changed without a new version; a plan by listing does not look."""

from __future__ import annotations

import pytest
from carrier_world import SOURCE, TARGET, S3Lab, SecretsLab, SsmLab, World

from regionshift.carriers.carrier import Level


def plans(world: World, lab: S3Lab | SsmLab | SecretsLab) -> tuple[dict[str, int], dict[str, int]]:
    """Counts by listing, and deep."""
    plain = world.migrations.of("p").plan([lab.entry], Level.FULL).counts
    return plain, world.migrations.of("p").plan([lab.entry], Level.FULL, deep=True).counts


@pytest.mark.parametrize("region", [SOURCE, TARGET])
def test_other_tags_of_an_object_are_found_and_mended(world: World, region: str) -> None:
    lab = S3Lab(world)
    for name in ("a", "b", "big"):
        lab.write("source", name, name * 10)
    world.migrations.of("m").migrate([lab.entry])
    assert plans(world, lab)[1] == {"new": 0, "changed": 0, "same": 3, "conflict": 0}
    bucket, key = (lab.source, "in/b") if region == SOURCE else (lab.target, "out/b")
    world.clients.get("s3", region).put_object_tagging(
        Bucket=bucket, Key=key, Tagging={"TagSet": [{"Key": "team", "Value": "other"}]}
    )

    plain, deep = plans(world, lab)

    assert plain["same"] == 3
    assert deep == {"new": 0, "changed": 1, "same": 2, "conflict": 0}
    before = lab.look("target")
    done = world.migrations.of("m2").migrate([lab.entry], deep=True)
    assert (done["status"], done["counts"]) == ("completed", {"written": 1, "proven": 1})
    assert lab.look("target") == lab.look("source")
    world.migrations.of("m2").rollback()
    assert lab.look("target") == before


def with_other_headers(world: World, region: str, bucket: str, key: str) -> None:
    """The same contents under the same etag, as another version."""
    s3 = world.clients.get("s3", region)
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=body, CacheControl="no-store", Tagging="team=data")


def test_other_headers_of_an_object_that_we_carried_go_again(world: World) -> None:
    lab = S3Lab(world)
    lab.write("source", "a", "x")
    world.migrations.of("m").migrate([lab.entry])
    with_other_headers(world, SOURCE, lab.source, "in/a")

    plain, deep = plans(world, lab)

    assert plain == deep == {"new": 0, "changed": 1, "same": 0, "conflict": 0}
    assert world.migrations.of("m2").migrate([lab.entry])["status"] == "completed"
    assert lab.look("target") == lab.look("source")


def test_somebodys_headers_on_what_we_carried_are_not_written_over(world: World) -> None:
    lab = S3Lab(world)
    lab.write("source", "a", "x")
    world.migrations.of("m").migrate([lab.entry])
    with_other_headers(world, TARGET, lab.target, "out/a")
    theirs = lab.look("target")

    plain, deep = plans(world, lab)

    assert plain == deep == {"new": 0, "changed": 0, "same": 0, "conflict": 1}
    world.migrations.of("m2").migrate([lab.entry], deep=True)
    assert lab.look("target") == theirs


def test_other_tags_of_a_parameter_are_found(world: World) -> None:
    lab = SsmLab(world)
    for name in ("a", "k"):
        lab.write("source", name, name)
    world.migrations.of("m").migrate([lab.entry])
    world.clients.get("ssm", SOURCE).add_tags_to_resource(
        ResourceType="Parameter", ResourceId=f"{lab.entry.source.prefix}k", Tags=[{"Key": "x", "Value": "y"}]
    )

    plain, deep = plans(world, lab)

    assert (plain["same"], deep["same"], deep["changed"]) == (2, 1, 1)
    assert world.migrations.of("m2").migrate([lab.entry], deep=True)["status"] == "completed"
    assert lab.look("target") == lab.look("source")


def test_another_description_of_a_secret_is_found(world: World) -> None:
    lab = SecretsLab(world)
    for name in ("a", "b"):
        lab.write("source", name, name)
    world.migrations.of("m").migrate([lab.entry])
    world.clients.get("secretsmanager", SOURCE).update_secret(
        SecretId=f"{lab.entry.source.prefix}a", Description="another"
    )

    plain, deep = plans(world, lab)

    assert (plain["same"], deep["same"], deep["changed"]) == (2, 1, 1)
    assert world.migrations.of("m2").migrate([lab.entry], deep=True)["status"] == "completed"
    assert lab.look("target") == lab.look("source")
