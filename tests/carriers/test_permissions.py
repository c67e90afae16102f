"""What a role may not do is refused plainly and before anything is written; policies apply to these users."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError
from carrier_world import SOURCE, TARGET, S3Lab, SecretsLab, World, seals_of

from regionshift.aws.clients import AccessKey, Clients
from regionshift.carriers.carrier import DataLocation, Entry, Level
from regionshift.carriers.migration import Migrations
from regionshift.carriers.records import RecordStore
from regionshift.carriers.s3.objects import Objects
from regionshift.carriers.secrets import Secrets
from regionshift.carriers.ssm import Parameters
from regionshift.carriers.transport import Transport
from regionshift.errors import Refused
from regionshift.infrastructure.policies.worker import BucketReach, object_statements, secret_statements
from regionshift.settings.quotas import TAGS as MOST_TAGS

Allowed = Callable[..., Migrations]


def allow(actions: list[str], *resources: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources) or ["*"]}


@pytest.fixture
def as_user(world: World) -> Iterator[Allowed]:
    """Migrations run by a user with just these statements, and whatever the records need."""
    iam = world.clients.get("iam", "us-east-1")
    name = f"user-{world.run}"
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    transports: list[Transport] = []

    def migrations(*statements: dict[str, Any]) -> Migrations:
        records = allow(
            ["s3:*"], f"arn:aws:s3:::{world.records_bucket}", f"arn:aws:s3:::{world.records_bucket}/*"
        )
        policy = {"Version": "2012-10-17", "Statement": [records, *statements]}
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        credentials = ReadOnlyCredentials(made["AccessKeyId"], made["SecretAccessKey"], None)
        transport = Transport(
            lambda: credentials,
            lambda _: world.cloud.endpoint,
            world.cloud.account,
            ca_bundle=str(world.cloud.ca_bundle),
        )
        transports.append(transport)
        key = AccessKey(made["AccessKeyId"], made["SecretAccessKey"])
        clients = Clients(key=key, endpoint=world.cloud.endpoint, ca_bundle=world.cloud.ca_bundle)
        carriers: Any = {
            "s3": Objects(transport),
            "ssm": Parameters(clients.named),
            "secrets": Secrets(clients.named),
        }
        seals = seals_of(TARGET, world.records_bucket)
        store = RecordStore(transport, TARGET, world.records_bucket, seals)
        return Migrations(store, carriers, world.bounds, lambda: datetime.now(UTC))

    yield migrations
    for transport in transports:
        transport.close()


def test_an_unreadable_bucket_is_refused_before_anything_is_written(as_user: Allowed, world: World) -> None:
    lab = S3Lab(world)
    lab.write("source", "a", "x")

    with pytest.raises(Refused, match="No permission"):
        as_user().of("m").begin([lab.entry], Level.FULL)

    assert world.versions(lab.target) == []


def test_unlisted_parameters_and_secrets_are_refused(as_user: Allowed) -> None:
    for kind in ("ssm", "secrets"):
        entry = Entry(kind, DataLocation(SOURCE, prefix="/a/"), DataLocation(TARGET, prefix="/b/"))
        with pytest.raises(Refused, match="No permission"):
            as_user().of("m").plan([entry], Level.FULL)


def test_a_role_with_just_what_copying_needs_can_copy_prove_and_undo(as_user: Allowed, world: World) -> None:
    lab = S3Lab(world)
    for name in ("a", "b"):
        lab.write("source", name, "new")
    lab.write("target", "a", "earlier")
    before = world.versions(lab.target)
    configuration = ["s3:GetBucketVersioning", "s3:ListBucketVersions", "s3:ListBucket"]
    read = ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectVersionTagging"]
    write = ["s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject", "s3:DeleteObjectVersion"]
    more = [
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:GetReplicationConfiguration",
    ]
    source, target = f"arn:aws:s3:::{lab.source}", f"arn:aws:s3:::{lab.target}"
    migrations = as_user(
        allow(configuration, source),
        allow(read, f"{source}/*"),
        allow(configuration + more, target),
        allow(read + write, f"{target}/*"),
    )

    done = migrations.of("m").migrate([lab.entry])

    assert done["status"] == "completed", done["problems"]
    migrations.of("m").rollback()
    assert world.versions(lab.target) == before


def test_what_is_not_carried_is_seen_with_the_rights_to_look_at_it(as_user: Allowed, world: World) -> None:
    lab, secrets = S3Lab(world), SecretsLab(world)
    s3 = world.clients.get("s3", SOURCE)
    locked = f"locked-{world.run}"
    s3.create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True, ObjectOwnership="ObjectWriter")
    s3.delete_public_access_block(Bucket=locked)
    for name in ("kept", "held", "public"):
        s3.put_object(Bucket=locked, Key=f"in/{name}", Body=b"x")
    until = {"Mode": "GOVERNANCE", "RetainUntilDate": "2039-01-01T00:00:00Z"}
    s3.put_object_retention(Bucket=locked, Key="in/kept", Retention=until)
    s3.put_object_legal_hold(Bucket=locked, Key="in/held", LegalHold={"Status": "ON"})
    s3.put_object_acl(Bucket=locked, Key="in/public", ACL="public-read")
    secrets.write("source", "a", "x")
    nobody = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:DeleteSecret", "Resource": "*"}
    world.clients.get("secretsmanager", SOURCE).put_resource_policy(
        SecretId=f"{secrets.entry.source.prefix}a",
        ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [nobody]}),
    )
    # As docs/security.md has them.
    bucket = ["s3:GetBucketObjectLockConfiguration", "s3:GetBucketOwnershipControls"]
    objects = [
        "s3:GetObjectAcl",
        "s3:GetObjectLegalHold",
        "s3:GetObjectRetention",
        "s3:GetObjectVersionAcl",
    ]
    source, target = f"arn:aws:s3:::{locked}", f"arn:aws:s3:::{lab.target}"
    reach = BucketReach(
        world.cloud.account,
        sources=(source,),
        targets=(target,),
        read=(f"{source}/in/*", f"{target}/out/*"),
        write=(f"{target}/out/*",),
        listed=((("in/*",), (source,)), (("out/*",), (target,))),
    )
    entries = [replace(lab.entry, source=replace(lab.entry.source, bucket=locked)), secrets.entry]
    carrying: Any = [*object_statements([reach]), *secrets_of_the_worker(world, by_name=True)]
    rights = [
        *carrying,
        allow(bucket, source),
        allow(objects, f"{source}/in/*"),
        allow(["secretsmanager:GetResourcePolicy"]),
    ]

    blind = as_user(*carrying).of("p").plan(entries, Level.FULL)
    made = as_user(*rights).of("p").plan(entries, Level.FULL)

    assert [dict(part.left) for part in blind.entries] == [
        {"ACL: no permission to look": 3, "retention and legal hold: no permission to look": 3},
        {"resource policy: no permission to look": 1},
    ]
    assert [dict(part.left) for part in made.entries] == [
        {"legal hold": 1, "retention": 1, "public ACL": 1},
        {"resource policy": 1},
    ]


def test_an_item_that_may_not_be_read_fails_alone_and_by_name(as_user: Allowed, world: World) -> None:
    lab = SecretsLab(world)
    for name in ("open", "sealed"):
        lab.write("source", name, "private-value")
    denied = {
        "Effect": "Deny",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": f"arn:aws:secretsmanager:*:*:secret:{lab.entry.source.prefix}sealed*",
    }

    done = as_user(allow(["secretsmanager:*"]), denied).of("m").migrate([lab.entry])

    assert [(problem["key"], problem["state"]) for problem in done["problems"]] == [("sealed", "failed")]
    assert "AccessDenied" in done["problems"][0]["reason"]
    assert set(lab.look("target")) == {"open"}


TAGS = {"app": "shop"}


def secrets_of_the_worker(world: World, *, by_name: bool) -> list[dict[str, Any]]:
    """The worker's statements about secrets, for an entry that names them, or their tags; and the right to list them,
    which whoever plans has."""
    prefix = SecretsLab(world).entry.target.prefix if by_name else ""
    read, write = (f"arn:aws:secretsmanager:{region}:*:secret:{prefix}*" for region in (SOURCE, TARGET))
    named, tagged = ([read], [write]), ([], [])
    if not by_name:
        named, tagged = tagged, named
    carrying: Any = secret_statements(*named, *tagged, [] if by_name else [TAGS], [SOURCE, TARGET])
    return [*carrying, allow(["secretsmanager:ListSecrets"])]


@pytest.mark.parametrize("by_name", [True, False])
def test_the_workers_rights_carry_secrets_and_take_them_back(
    as_user: Allowed, world: World, by_name: bool
) -> None:
    lab = SecretsLab(world)
    for name in ("new", "there"):
        lab.write("source", name, "x")
    lab.write("target", "there", "earlier")
    for region, names in ((SOURCE, ("new", "there")), (TARGET, ("there",))):
        for name in names:
            world.clients.get("secretsmanager", region).tag_resource(
                SecretId=lab.entry.source.prefix + name, Tags=[{"Key": "app", "Value": "shop"}]
            )
    before = lab.look("target")
    migrations = as_user(*secrets_of_the_worker(world, by_name=by_name))
    entry = lab.entry if by_name else replace(lab.entry, tags=TAGS)

    done = migrations.of("m").migrate([entry])

    assert (done["status"], done["counts"]) == ("completed", {"written": 2, "proven": 2}), done["problems"]
    assert migrations.of("m").rollback()["conflicts"] == []
    assert lab.look("target") == before


def test_a_secret_with_all_tags_that_aws_takes_is_carried_with_them(as_user: Allowed, world: World) -> None:
    """While it is made it has one of ours too, and those that the worker's rights are bound to."""
    lab = SecretsLab(world)
    lab.write("source", "full", "x")
    tags = {**{f"a{n}": "x" for n in range(MOST_TAGS.most - 2)}, "team": "full", **TAGS}
    clients, name = world.clients, lab.entry.source.prefix + "full"
    clients.get("secretsmanager", SOURCE).tag_resource(
        SecretId=name, Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )

    done = (
        as_user(*secrets_of_the_worker(world, by_name=False)).of("m").migrate([replace(lab.entry, tags=TAGS)])
    )

    assert (done["status"], done["counts"]) == ("completed", {"written": 1, "proven": 1}), done["problems"]
    found = clients.get("secretsmanager", TARGET).describe_secret(SecretId=name)["Tags"]
    assert {each["Key"]: each["Value"] for each in found} == tags


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize(
    ("tag", "may"), [({"Key": "app", "Value": "shop"}, True), ({"Key": "app", "Value": "other"}, False)]
)
def test_making_a_secret_with_tags_needs_the_right_to_tag_what_is_not_there(
    as_user: Allowed, world: World, by_name: bool, tag: Any, may: bool
) -> None:
    """AWS asks for TagResource when a secret is made with tags; the emulator asks when it is called alone."""
    lab = SecretsLab(world)
    migrations: Any = as_user(*secrets_of_the_worker(world, by_name=by_name))
    vault = migrations.carriers["secrets"]._clients("secretsmanager", TARGET)

    with pytest.raises(ClientError) as told:
        vault.tag_resource(SecretId=lab.entry.target.prefix + "not-there", Tags=[tag])

    allowed = told.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert allowed == (may or by_name), told.value
