"""What lies under a key that the migration has no rights for is named before anything is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from carrier_world import SOURCE, TARGET, S3Lab, SecretsLab, SsmLab, World

from regionshift.carriers.carrier import Entry, Level
from regionshift.carriers.lines import entry_line, read_entry
from regionshift.carriers.s3.objects import Objects
from regionshift.errors import InputError, Refused


class Keyring:
    """Three keys of the target: the environment's and one of the user's, by alias, and a stranger's."""

    def __init__(self, world: World) -> None:
        kms = world.clients.get("kms", TARGET)
        self.own, self.theirs, self.stranger = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(3))
        self.own_alias, self.their_alias = f"alias/own-{world.run}", f"alias/theirs-{world.run}"
        for alias, arn in ((self.own_alias, self.own), (self.their_alias, self.theirs)):
            kms.create_alias(AliasName=alias, TargetKeyId=arn)

    def entry(self, entry: Entry, kms_key: str | None = None) -> Entry:
        """As `carry` makes it."""
        return replace(entry, kms_key=kms_key or self.own_alias, keys=(self.own_alias,))


@pytest.fixture
def ring(world: World) -> Keyring:
    return Keyring(world)


def put(lab: Any, name: str, key: str) -> None:
    """Something at the target under a key."""
    full = lab.entry.target.prefix + name
    if isinstance(lab, SsmLab):
        lab.world.clients.get("ssm", TARGET).put_parameter(
            Name=full, Value="earlier", Type="SecureString", KeyId=key
        )
        return
    lab.world.clients.get("secretsmanager", TARGET).create_secret(
        Name=full, SecretString="earlier", KmsKeyId=key
    )


def key_of(lab: Any, name: str) -> str:
    full = lab.entry.target.prefix + name
    if isinstance(lab, SsmLab):
        filters: Any = [{"Key": "Name", "Option": "Equals", "Values": [full]}]
        pages = lab.world.clients.get("ssm", TARGET).get_paginator("describe_parameters")
        (found,) = pages.paginate(ParameterFilters=filters).search("Parameters[]")
        return str(found.get("KeyId", ""))
    found = lab.world.clients.get("secretsmanager", TARGET).describe_secret(SecretId=full)
    return str(found.get("KmsKeyId", ""))


AWS_KEY = {SsmLab: "alias/aws/ssm", SecretsLab: "alias/aws/secretsmanager"}


@pytest.mark.parametrize("kind", [SsmLab, SecretsLab])
def test_only_what_is_under_a_strangers_key_is_a_conflict(
    world: World, ring: Keyring, kind: type[SsmLab | SecretsLab]
) -> None:
    lab = kind(world)
    keys = {"k-arn": ring.own, "k-aws": AWS_KEY[kind], "k-new": "", "k-other": ring.stranger}
    for name, key in keys.items():
        lab.write("source", name, "new")
        if key:
            put(lab, name, key)
    before = lab.look("target")
    entry = ring.entry(lab.entry)

    plan = world.migrations.of("p").plan([entry], Level.FULL)
    done = world.migrations.of("m").migrate([entry])

    ((name, reason),) = plan.conflicts
    assert name.endswith("/k-other")
    assert f"under the key {ring.stranger}, for which the migration has no rights" in reason
    assert done["counts"] == {"written": 3, "proven": 3}
    assert lab.look("target")["k-other"] == before["k-other"]
    was = {name: key_of(lab, name) for name in before}
    assert was["k-other"] == ring.stranger
    world.migrations.of("m").rollback()
    assert lab.look("target") == before
    assert key_of(lab, "k-arn") == ring.own


@pytest.mark.parametrize("kind", [SsmLab, SecretsLab])
def test_a_key_that_the_entry_names_is_written_with_and_there_again(
    world: World, ring: Keyring, kind: type[SsmLab | SecretsLab]
) -> None:
    lab = kind(world)
    for name, key in (("k-own", ring.own), ("k-theirs", ring.theirs)):
        lab.write("source", name, "new")
        put(lab, name, key)
    entry = ring.entry(lab.entry, ring.their_alias)
    assert read_entry(entry_line(entry)) == entry

    done = world.migrations.of("m").migrate([entry])

    assert done["status"] == "completed", done
    assert key_of(lab, "k-own") == key_of(lab, "k-theirs") == ring.their_alias
    world.migrations.of("m").rollback()
    assert (key_of(lab, "k-own"), key_of(lab, "k-theirs")) == (ring.own, ring.theirs)


@pytest.mark.parametrize("kind", [SsmLab, SecretsLab, S3Lab])
def test_a_key_that_is_not_there_is_refused(
    world: World, ring: Keyring, kind: type[SsmLab | SecretsLab | S3Lab]
) -> None:
    world.carriers["s3"] = Objects(world.transport, clients=world.clients.named)
    entry = ring.entry(kind(world).entry, "alias/of-nobody")
    with pytest.raises(InputError, match="of-nobody is not there"):
        world.migrations.of("p").plan([entry], Level.FULL)


def test_a_bucket_that_encrypts_with_a_strangers_key_is_refused_before_anything_is_written(
    world: World, ring: Keyring
) -> None:
    world.carriers["s3"] = Objects(world.transport, clients=world.clients.named)
    lab = S3Lab(world)
    lab.write("source", "a", "new")
    encrypts_with(world, lab.target, ring.stranger)
    entry = replace(lab.entry, keys=(ring.own_alias,))

    with pytest.raises(Refused, match="for which the migration has no rights") as refused:
        world.migrations.of("m").begin([entry], Level.FULL)

    assert f"kms_key: {ring.stranger}" in str(refused.value.remedy)
    assert world.versions(lab.target) == []
    for usable in (ring.own, "alias/aws/s3"):
        encrypts_with(world, lab.target, usable)
        assert world.migrations.of("p").plan([entry], Level.FULL).counts["new"] == 1


def test_objects_go_under_the_key_that_the_entry_names(world: World, ring: Keyring) -> None:
    world.carriers["s3"] = Objects(world.transport, clients=world.clients.named)
    lab = S3Lab(world)
    lab.write("source", "a", "new")
    encrypts_with(world, lab.target, ring.stranger)
    entry = replace(ring.entry(lab.entry), kms_key=ring.theirs)

    done = world.migrations.of("m").migrate([entry])

    assert done["status"] == "completed", done["problems"]
    head = world.clients.get("s3", TARGET).head_object(Bucket=lab.target, Key="out/a")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", ring.theirs)
    world.migrations.of("m").rollback()
    assert world.versions(lab.target) == []


def encrypts_with(world: World, bucket: str, key: str) -> None:
    rule: Any = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    world.clients.get("s3", TARGET).put_bucket_encryption(
        Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}
    )


def test_source_regions_are_not_asked(world: World, ring: Keyring) -> None:
    """What is under a key of the user's own at the source is decrypted through the service; its key is not ours."""
    lab = SecretsLab(world)
    key = world.clients.get("kms", SOURCE).create_key()["KeyMetadata"]["Arn"]
    world.clients.get("secretsmanager", SOURCE).create_secret(
        Name=lab.entry.source.prefix + "a", SecretString="new", KmsKeyId=key
    )
    assert world.migrations.of("m").migrate([ring.entry(lab.entry)])["status"] == "completed"


def test_what_is_under_a_key_that_is_disabled_fails_by_name(world: World) -> None:
    """S3 says so with status 400 (localstack's recorded `test_s3_sse_validate_kms_key_state`)."""
    lab = S3Lab(world)
    lab.write("source", "plain", "new")
    lab.write("target", "plain", "earlier")
    kms = world.clients.get("kms", SOURCE)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    world.clients.get("s3", SOURCE).put_object(
        Bucket=lab.source, Key="in/shut", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key
    )
    kms.disable_key(KeyId=key)
    before = world.versions(lab.target)

    done = world.migrations.of("m").migrate([lab.entry])

    assert done["counts"]["failed"] == 1
    assert "KMS.DisabledException" in str(done["problems"])
    assert lab.look("target").keys() == {"plain"}
    world.migrations.of("m").rollback()
    assert world.versions(lab.target) == before
