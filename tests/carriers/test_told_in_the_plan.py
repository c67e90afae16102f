"""What a plan says before anything is written: what is newer at the target, what is the same, what is not carried."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from typing import Any

import pytest
from carrier_world import SOURCE, TARGET, S3Lab, SecretsLab, SsmLab, World
from rich.console import Console

from regionshift.carriers.carrier import Entry, Level
from regionshift.carriers.plan import EntryPlan
from regionshift.carriers.transport import Response
from regionshift.operations.migrations.carrying import Workers
from regionshift.operations.migrations.estimating import Estimate, as_json
from regionshift.report.migrations import plan_table


def planned(world: World, entry: Entry, **how: bool) -> EntryPlan:
    (part,) = world.migrations.of("p").plan([entry], Level.FULL, **how).entries
    return part


def backwards(entry: Entry) -> Entry:
    return replace(entry, source=entry.target, target=entry.source)


@pytest.mark.parametrize("kind", [S3Lab, SsmLab, SecretsLab])
def test_what_is_newer_at_the_target_is_named(world: World, kind: type[Any]) -> None:
    lab = kind(world)
    for name in ("a", "c"):
        lab.write("source", name, "old")
    lab.write("target", "d", "only there")
    world.migrations.of("there").migrate([lab.entry])
    time.sleep(1.1)  # the embedded AWS dates secrets by the second
    lab.write("source", "a", "newer")

    back = planned(world, backwards(lab.entry))

    assert back.newer == 1
    ((name, why),) = back.newest
    assert name == f"{lab.entry.source.prefix}a"
    assert why.startswith("the target's is of 20")
    # The other way it is a change like any other.
    assert planned(world, lab.entry).newer == 0


def test_what_was_deleted_later_at_the_target_is_named(world: World) -> None:
    lab = S3Lab(world)
    lab.write("target", "a", "x")
    lab.write("source", "a", "y")
    lab.delete("target", "a")

    part = planned(world, lab.entry)

    assert (part.counts, part.newer) == ({"new": 1}, 1)


def test_what_another_tool_copied_is_not_written_again(world: World) -> None:
    lab = S3Lab(world)
    for name in ("a", "c", "d"):
        lab.write("source", name, f"of {name}")
        lab.write("target", name, f"of {name}")
    lab.write("target", "d", "of others")
    before = world.versions(lab.target)

    part = planned(world, lab.entry)

    assert part.counts == {"same": 2, "changed": 1}
    done = world.migrations.of("m").migrate([replace(lab.entry, exclude=("d",))])
    assert (done["status"], done["counts"]) == ("completed", {})
    assert world.versions(lab.target) == before
    # A class or a key that is asked for, and the history, are reasons to write.
    assert planned(world, replace(lab.entry, storage_class="STANDARD_IA")).counts == {"changed": 3}
    assert planned(world, replace(lab.entry, kms_key="alias/x")).counts == {"changed": 3}
    lab.write("source", "a", "of a")
    assert planned(world, replace(lab.entry, history=True)).counts == {"same": 1, "changed": 2}


def test_equal_contents_with_other_tags_go_when_they_are_looked_at(world: World) -> None:
    lab = S3Lab(world)
    lab.write("source", "a", "x")
    world.clients.get("s3", TARGET).put_object(Bucket=lab.target, Key="out/a", Body=b"x")

    assert planned(world, lab.entry).counts == {"same": 1}
    deep = planned(world, lab.entry, deep=True)
    assert (deep.counts, deep.newer) == ({"changed": 1}, 1)
    ((name, why),) = deep.newest
    assert (name, why[:20]) == ("out/a", "the target's is of 2")


def test_what_we_carried_is_never_newer_than_its_source(world: World) -> None:
    lab = S3Lab(world)
    lab.write("source", "a", "x")
    lab.write("source", "a", "y")
    world.migrations.of("m").migrate([lab.entry])
    world.clients.get("s3", TARGET).put_object_tagging(
        Bucket=lab.target, Key="out/a", Tagging={"TagSet": [{"Key": "team", "Value": "other"}]}
    )

    deep = planned(world, lab.entry, deep=True)

    assert (deep.counts, deep.newer, dict(deep.left)) == ({"changed": 1}, 0, {"earlier versions": 1})


def test_under_kms_an_etag_tells_nothing(world: World) -> None:
    world.under_kms()
    lab = S3Lab(world)
    lab.write("source", "a", "x")
    lab.write("target", "a", "x")
    assert planned(world, lab.entry).counts == {"changed": 1}


def test_what_objects_have_and_a_copy_does_not_get_is_counted_and_named(world: World) -> None:
    lab = S3Lab(world)
    s3 = world.clients.get("s3", SOURCE)
    locked = f"locked-{world.run}"
    s3.create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True, ObjectOwnership="ObjectWriter")
    s3.delete_public_access_block(Bucket=locked)
    for name in ("kept", "held", "public", "plain"):
        s3.put_object(Bucket=locked, Key=f"in/{name}", Body=b"x")
    s3.put_object(Bucket=locked, Key="in/plain", Body=b"y")
    until = {"Mode": "GOVERNANCE", "RetainUntilDate": "2039-01-01T00:00:00Z"}
    s3.put_object_retention(Bucket=locked, Key="in/kept", Retention=until)
    s3.put_object_legal_hold(Bucket=locked, Key="in/held", LegalHold={"Status": "ON"})
    s3.put_object_acl(Bucket=locked, Key="in/public", ACL="public-read")
    entry = replace(lab.entry, source=replace(lab.entry.source, bucket=locked))

    made = world.migrations.of("p").plan([entry], Level.FULL)

    (part,) = made.entries
    assert dict(part.left) == {"legal hold": 1, "retention": 1, "public ACL": 1, "earlier versions": 1}
    assert ("out/held", "legal hold") in part.left_by
    shown = as_json(made, Estimate(0, 0, 0), Workers(40, 40), source=SOURCE, target=TARGET, on_failure="stop")
    assert shown["entries"][0]["not_carried"]["retention"] == 1
    screen = Console(width=200, record=True, quiet=False)
    screen.print(plan_table(shown))
    text = screen.export_text(clear=False)
    assert "not carried: public ACL, of 1 items: out/public" in text and "at once" not in text
    screen.print(plan_table({**shown, "workers": asdict(Workers(5, 40, "5 of 40 workers copy at once"))}))
    assert "note: 5 of 40 workers copy at once" in screen.export_text()


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"Filter": {"Prefix": "out/"}, "DeleteMarkerReplication": {"Status": "Enabled"}}, False),
        ({"Filter": {"Prefix": "out/"}, "DeleteMarkerReplication": {"Status": "Disabled"}}, True),
        (
            {
                "Filter": {"Tag": {"Key": "team", "Value": "data"}},
                "DeleteMarkerReplication": {"Status": "Disabled"},
            },
            True,
        ),
        (
            {
                "Filter": {"And": {"Prefix": "other/", "Tags": [{"Key": "team", "Value": "data"}]}},
                "DeleteMarkerReplication": {"Status": "Disabled"},
            },
            False,
        ),
        ({"Prefix": "out/"}, False),
    ],
    ids=["markers", "none", "by tag", "elsewhere", "first form"],
)
def test_what_a_rule_that_replicates_no_delete_markers_keeps_elsewhere_is_told(
    rule: dict[str, Any], told: bool, world: World
) -> None:
    lab = S3Lab(world)
    onward = world.bucket("kept", "us-west-2")
    whole: Any = {"ID": "by hand", "Status": "Enabled", "Destination": {"Bucket": f"arn:aws:s3:::{onward}"}}
    if "Filter" in rule:
        whole["Priority"] = 1
    world.clients.get("s3", TARGET).put_bucket_replication(
        Bucket=lab.target,
        ReplicationConfiguration={"Role": "arn:aws:iam::123456789012:role/r", "Rules": [{**whole, **rule}]},
    )
    notes = world.carriers["s3"].check(lab.entry).notes
    assert bool(notes) == told
    assert all(text in note for note in notes for text in ("by hand", onward, "no delete markers"))


def test_only_a_plan_that_is_shown_asks_for_what_is_not_carried(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects, secrets = S3Lab(world), SecretsLab(world)
    for lab in (objects, secrets):
        lab.write("source", "a", "x")
    asked: set[str] = set()
    once = world.transport._once

    def noted(request: Any) -> Any:
        asked.update(name for name, _ in request.query if name in ("ownershipControls", "acl"))
        return once(request)

    def policy_asked(**_: Any) -> None:
        asked.add("resource policy")

    monkeypatch.setattr(world.transport, "_once", noted)
    events = world.clients.get("secretsmanager", SOURCE).meta.events
    events.register("before-call.secretsmanager.GetResourcePolicy", policy_asked)
    try:
        done = world.migrations.of("m").migrate([objects.entry, secrets.entry])
        assert (done["status"], asked) == ("completed", set())
        for lab in (objects, secrets):
            lab.write("source", "a", "other")
        world.migrations.of("p").plan([objects.entry, secrets.entry], Level.FULL)
    finally:
        events.unregister("before-call.secretsmanager.GetResourcePolicy", policy_asked)
    assert asked == {"ownershipControls", "resource policy"}


def test_a_bucket_that_can_have_none_is_asked_and_its_objects_are_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = S3Lab(world)
    s3 = world.clients.get("s3", SOURCE)
    s3.put_bucket_ownership_controls(
        Bucket=lab.source, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )
    for number in range(5):
        lab.write("source", f"a{number}", "x")
    sent: list[str] = []
    once = world.transport._once

    def counted(request: Any) -> Any:
        sent.append(f"{request.method} {request.key}")
        return once(request)

    monkeypatch.setattr(world.transport, "_once", counted)
    part = planned(world, lab.entry)

    assert dict(part.left) == {}
    assert not [each for each in sent if each.endswith(tuple("01234"))]


def test_what_may_not_be_looked_at_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = S3Lab(world)
    lab.write("source", "a", "x")
    once = world.transport._once

    def refusing(request: Any) -> Any:
        if request.query and request.query[0][0] in ("ownershipControls", "acl"):
            return Response(403, {}, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
        return once(request)

    monkeypatch.setattr(world.transport, "_once", refusing)
    assert dict(planned(world, lab.entry).left) == {"ACL: no permission to look": 1}


def test_what_secrets_and_parameters_leave_behind(world: World) -> None:
    secrets, parameters = SecretsLab(world), SsmLab(world)
    vault = world.clients.get("secretsmanager", SOURCE)
    for name in ("a", "c"):
        secrets.write("source", name, "x")
    secrets.write("source", "c", "y")
    nobody = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:DeleteSecret", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [nobody]})
    vault.put_resource_policy(SecretId=f"{secrets.entry.source.prefix}a", ResourcePolicy=policy)
    parameters.write("source", "a", "x")
    parameters.write("source", "a", "y")

    assert dict(planned(world, secrets.entry).left) == {
        "resource policy": 1,
        "earlier versions and labels": 1,
    }
    assert dict(planned(world, parameters.entry).left) == {"earlier versions and labels": 1}
