"""A list of secrets that is minutes late, as AWS's may be, decides nothing but which secrets are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from carrier_world import SOURCE, TARGET, SecretsLab, World

from regionshift.carriers import named
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
    counts = lab.world.migrations.plan("p", [entry or lab.entry], Level.FULL).counts
    return {kind: number for kind, number in counts.items() if number}


def test_a_value_of_a_moment_ago_is_carried(lab: SecretsLab) -> None:
    lab.write("source", "s", "first")
    lab.world.migrations.migrate("m1", [lab.entry])
    with lists_late(lab):
        lab.write("source", "s", "second")
        done = lab.world.migrations.migrate("m2", [lab.entry])
    assert (done["status"], done["counts"]) == ("completed", {"written": 1, "proven": 1})
    assert lab.look("target")["s"][0] == "second"


def test_what_was_written_over_a_moment_ago_is_a_conflict(lab: SecretsLab) -> None:
    lab.write("source", "s", "first")
    lab.world.migrations.migrate("m1", [lab.entry])
    lab.write("source", "s", "second")
    with lists_late(lab):
        lab.write("target", "s", "somebody's")
        assert planned(lab) == {"conflict": 1}


def test_what_a_migration_wrote_a_moment_ago_is_no_conflict(lab: SecretsLab) -> None:
    lab.write("source", "s", "first")
    with lists_late(lab):
        lab.world.migrations.migrate("m1", [lab.entry])
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
def one_refused(lab: SecretsLab, code: str) -> Iterator[None]:
    def refuse(params: dict[str, Any], **_: Any) -> None:
        if b"sealed" in params["body"]:
            raise ClientError({"Error": {"Code": code}}, "DescribeSecret")

    events = vault(lab, SOURCE).meta.events
    events.register("before-call.secretsmanager.DescribeSecret", refuse)
    try:
        yield
    finally:
        events.unregister("before-call.secretsmanager.DescribeSecret", refuse)


def test_one_that_may_not_be_looked_at_is_a_conflict_by_name(lab: SecretsLab) -> None:
    for name in ("open", "sealed"):
        lab.write("source", name, "x")
    with one_refused(lab, "AccessDeniedException"):
        plan = lab.world.migrations.plan("p", [lab.entry], Level.FULL)
    assert plan.counts["new"] == 1
    ((key, reason),) = plan.conflicts
    assert key.endswith("/sealed")
    assert "DescribeSecret answered AccessDeniedException" in reason


def test_a_region_that_is_asked_too_often_fails_the_plan(
    lab: SecretsLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named.time, "sleep", lambda _: None)
    lab.write("source", "sealed", "x")
    with one_refused(lab, "ThrottlingException"), pytest.raises(WorkFailed, match="Throttling"):
        lab.world.migrations.plan("p", [lab.entry], Level.FULL)
