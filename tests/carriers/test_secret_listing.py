"""A list of secrets that is minutes late, as AWS's may be, decides nothing but which secrets are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
from botocore.exceptions import ClientError
from carrier_world import SOURCE, TARGET, SecretsLab, World

from regionshift.carriers import named_values
from regionshift.carriers.carrier import Entry, Level
from regionshift.errors import WorkFailed


@pytest.fixture
def lab(world: World) -> SecretsLab:
    return SecretsLab(world)


def vault(lab: SecretsLab, region: str) -> Any:
    return lab.world.clients.get("secretsmanager", region)


def every_secret(client: Any) -> Iterator[dict[str, Any]]:
    """All pages: the regions are shared with other tests, whose secrets may fill the first."""
    for page in client.get_paginator("list_secrets").paginate(IncludePlannedDeletion=True):
        yield from page["SecretList"]


@contextmanager
def lists_late(lab: SecretsLab) -> Iterator[None]:
    """Both regions list what they list now, whatever happens."""
    known = {region: list(every_secret(vault(lab, region))) for region in (SOURCE, TARGET)}

    def say(region: str) -> Any:
        def late(parsed: dict[str, Any], **_: Any) -> None:
            parsed["SecretList"] = known[region]
            parsed.pop("NextToken", None)

        return late

    says = {region: say(region) for region in known}
    for region, late in says.items():
        vault(lab, region).meta.events.register("after-call.secretsmanager.ListSecrets", late)
    try:
        yield
    finally:
        for region, late in says.items():
            vault(lab, region).meta.events.unregister("after-call.secretsmanager.ListSecrets", late)


def planned(lab: SecretsLab, entry: Entry | None = None) -> dict[str, int]:
    counts = lab.world.migrations.of("p").plan([entry or lab.entry], Level.FULL).counts
    return {kind: number for kind, number in counts.items() if number}


def test_a_value_of_a_moment_ago_is_carried(lab: SecretsLab) -> None:
    lab.write("source", "s", "first")
    lab.world.migrations.of("m1").migrate([lab.entry])
    with lists_late(lab):
        lab.write("source", "s", "second")
        done = lab.world.migrations.of("m2").migrate([lab.entry])
    assert (done["status"], done["counts"]) == ("completed", {"written": 1, "proven": 1})
    assert lab.look("target")["s"][0] == "second"


def test_what_was_written_over_a_moment_ago_is_a_conflict(lab: SecretsLab) -> None:
    lab.write("source", "s", "first")
    lab.world.migrations.of("m1").migrate([lab.entry])
    lab.write("source", "s", "second")
    with lists_late(lab):
        lab.write("target", "s", "somebody's")
        assert planned(lab) == {"conflict": 1}


def test_what_a_migration_wrote_a_moment_ago_is_no_conflict(lab: SecretsLab) -> None:
    lab.write("source", "s", "first")
    with lists_late(lab):
        lab.world.migrations.of("m1").migrate([lab.entry])
        assert planned(lab) == {"same": 1}


def test_what_is_gone_or_has_other_tags_meanwhile_is_not_carried(lab: SecretsLab) -> None:
    for name in ("deleted", "gone", "kept", "other"):
        lab.write("source", name, "x")
        vault(lab, SOURCE).tag_resource(
            SecretId=lab.entry.source.prefix + name, Tags=[{"Key": "app", "Value": "shop"}]
        )
    entry = replace(lab.entry, tags={"app": "shop"})
    with lists_late(lab):
        lab.delete("source", "gone")
        vault(lab, SOURCE).delete_secret(SecretId=lab.entry.source.prefix + "deleted", RecoveryWindowInDays=7)
        vault(lab, SOURCE).untag_resource(SecretId=lab.entry.source.prefix + "other", TagKeys=["app"])
        assert planned(lab, entry) == {"new": 1}


def test_what_is_gone_at_the_target_meanwhile_is_new(lab: SecretsLab) -> None:
    lab.write("source", "s", "x")
    lab.write("target", "s", "earlier")
    with lists_late(lab):
        lab.delete("target", "s")
        assert planned(lab) == {"new": 1}


@contextmanager
def one_refused(lab: SecretsLab, code: str, operation: str = "DescribeSecret") -> Iterator[None]:
    def refuse(params: dict[str, Any], **_: Any) -> None:
        if b"sealed" in params["body"]:
            raise ClientError({"Error": {"Code": code}}, operation)

    with before(lab, operation, refuse):
        yield


@contextmanager
def before(lab: SecretsLab, operation: str, do: Any) -> Iterator[None]:
    events, event = vault(lab, SOURCE).meta.events, f"before-call.secretsmanager.{operation}"
    events.register(event, do)
    try:
        yield
    finally:
        events.unregister(event, do)


def test_one_that_may_not_be_looked_at_is_a_conflict_by_name(lab: SecretsLab) -> None:
    for name in ("open", "sealed"):
        lab.write("source", name, "x")
    with one_refused(lab, "AccessDeniedException"):
        plan = lab.world.migrations.of("p").plan([lab.entry], Level.FULL)
    assert plan.counts["new"] == 1
    ((key, reason),) = plan.conflicts
    assert key.endswith("/sealed")
    assert "DescribeSecret answered AccessDeniedException" in reason


def test_a_region_that_is_asked_too_often_fails_the_plan(
    lab: SecretsLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_values.time, "sleep", lambda _: None)
    lab.write("source", "sealed", "x")
    with one_refused(lab, "ThrottlingException"), pytest.raises(WorkFailed, match="Throttling"):
        lab.world.migrations.of("p").plan([lab.entry], Level.FULL)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("AccessDeniedException", {"resource policy: no permission to look": 1}),
        ("InternalServiceError", {"resource policy: GetResourcePolicy answered InternalServiceError": 1}),
        ("ResourceNotFoundException", {}),
    ],
)
def test_a_policy_that_is_not_told_keeps_no_secret_from_being_planned(
    lab: SecretsLab, code: str, told: dict[str, int]
) -> None:
    for name in ("open", "sealed"):
        lab.write("source", name, "x")
    with one_refused(lab, code, "GetResourcePolicy"):
        (part,) = lab.world.migrations.of("p").plan([lab.entry], Level.FULL).entries
    assert (part.counts, dict(part.left)) == ({"new": 2}, told)


def test_policies_that_are_asked_for_too_often_fail_the_plan(
    lab: SecretsLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_values.time, "sleep", lambda _: None)
    lab.write("source", "sealed", "x")
    refused = one_refused(lab, "ThrottlingException", "GetResourcePolicy")
    with refused, pytest.raises(WorkFailed, match="GetResourcePolicy answered Throttling"):
        lab.world.migrations.of("p").plan([lab.entry], Level.FULL)


def test_policies_are_asked_for_side_by_side(lab: SecretsLab) -> None:
    together = Barrier(2)

    def meet(**_: Any) -> None:
        together.wait(timeout=30)

    for name in ("a", "c"):
        lab.write("source", name, "x")
    with before(lab, "GetResourcePolicy", meet):
        assert planned(lab) == {"new": 2}


@pytest.mark.parametrize("deep", [False, True])
def test_a_value_that_may_not_be_read_for_the_plan_is_a_conflict_by_name(lab: SecretsLab, deep: bool) -> None:
    """A plan reads it for what the entry's rules would change, and to compare it."""
    for name in ("open", "sealed"):
        lab.write("source", name, "x")
    entry = lab.entry if deep else replace(lab.entry, rewrite=("region",))
    if deep:
        lab.world.migrations.of("m").migrate([entry])
    with one_refused(lab, "AccessDeniedException", "GetSecretValue"):
        plan = lab.world.migrations.of("p").plan([entry], Level.FULL, deep=deep)
    ((key, reason),) = plan.conflicts
    assert (key[-7:], reason) == (
        "/sealed",
        "it cannot be read: GetSecretValue answered AccessDeniedException",
    )


def test_rotation_whose_rules_are_not_told_is_noted_all_the_same(lab: SecretsLab) -> None:
    lab.write("source", "sealed", "x")

    def rotates(parsed: dict[str, Any], **_: Any) -> None:
        for found in parsed["SecretList"]:
            found["RotationEnabled"] = True

    events = vault(lab, SOURCE).meta.events
    events.register("after-call.secretsmanager.ListSecrets", rotates)
    try:
        with one_refused(lab, "AccessDeniedException"):
            (note,) = lab.world.carriers["secrets"].check(lab.entry).notes
    finally:
        events.unregister("after-call.secretsmanager.ListSecrets", rotates)
    assert "its rules cannot be read: DescribeSecret answered AccessDeniedException" in note


def test_a_list_that_fails_on_its_way_fails_the_plan_plainly(lab: SecretsLab) -> None:
    lab.write("source", "s", "x")

    def fail(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "InternalServiceError"}}, "ListSecrets")

    lists = before(lab, "ListSecrets", fail)
    with lists, pytest.raises(WorkFailed, match="secrets cannot be listed: ListSecrets answered Internal"):
        list(lab.world.carriers["secrets"].inventory(lab.entry, iter(())))
