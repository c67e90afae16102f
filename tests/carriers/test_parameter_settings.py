"""All that hangs on a parameter goes along and comes back; what could not come back is refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from carrier_world import SOURCE, TARGET, SsmLab, World

from regionshift.carriers.carrier import DataLocation, Entry, Level
from regionshift.carriers.ssm import cannot_go_back
from regionshift.errors import InputError, Refused, WorkFailed
from regionshift.operations.migrations.carrying import Workers
from regionshift.operations.migrations.entries import require_something
from regionshift.operations.migrations.estimating import Estimate, as_json

EXPIRES = {"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "2039-12-02T21:34:33.000Z"}}
TELLS = {"Type": "NoChangeNotification", "Version": "1.0", "Attributes": {"After": "20", "Unit": "Days"}}


def put(lab: SsmLab, side: str, name: str, value: str, **settings: Any) -> None:
    ssm = lab.world.clients.get("ssm", SOURCE if side == "source" else TARGET)
    prefix = (lab.entry.source if side == "source" else lab.entry.target).prefix
    ssm.put_parameter(Name=prefix + name, Value=value, Overwrite=True, **{"Type": "String", **settings})


def there(lab: SsmLab, name: str, side: str = "target") -> dict[str, Any]:
    """Everything that AWS says of a parameter but its version and dates, and its value."""
    ssm = lab.world.clients.get("ssm", SOURCE if side == "source" else TARGET)
    full = (lab.entry.source if side == "source" else lab.entry.target).prefix + name
    only: Any = [{"Key": "Name", "Option": "Equals", "Values": [full]}]
    pages = ssm.get_paginator("describe_parameters").paginate(ParameterFilters=only)
    (found,) = pages.search("Parameters[]")
    kept = {key: value for key, value in found.items() if key in SETTINGS}
    kept["Policies"] = [json.loads(policy["PolicyText"]) for policy in found.get("Policies", [])]
    kept["Tags"] = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=full)["TagList"]
    kept["Value"] = ssm.get_parameter(Name=full, WithDecryption=True)["Parameter"]["Value"]
    return kept


SETTINGS = ("Type", "KeyId", "Tier", "Description", "AllowedPattern", "DataType")


@pytest.fixture
def lab(world: World) -> SsmLab:
    return SsmLab(world)


@pytest.mark.parametrize(
    "settings",
    [
        {"Tier": "Advanced", "Policies": json.dumps([EXPIRES, TELLS])},
        {"Tier": "Advanced", "AllowedPattern": "^[a-z]+$", "Description": "two\nlines"},
        {"DataType": "aws:ec2:image", "Description": "of the image"},
        {"Type": "StringList", "AllowedPattern": ".*"},
        {"Type": "SecureString"},
    ],
)
def test_every_setting_goes_along_is_proven_and_goes_away(lab: SsmLab, settings: dict[str, Any]) -> None:
    put(lab, "source", "a", "value", **settings)
    done = lab.world.migrations.of("m").migrate([lab.entry])
    assert done["counts"] == {"written": 1, "proven": 1}, done["problems"]
    assert there(lab, "a") == there(lab, "a", "source")
    lab.world.migrations.of("m").rollback()
    assert lab.look("target") == {}


@pytest.mark.parametrize(
    ("before", "source"),
    [
        ({"Tier": "Advanced", "Policies": json.dumps([EXPIRES])}, {"Description": "plain"}),
        ({"Tier": "Advanced"}, {"Tier": "Advanced", "Policies": json.dumps([TELLS])}),
        ({"Tier": "Advanced", "Policies": json.dumps([EXPIRES])}, {"Tier": "Advanced"}),
        ({"AllowedPattern": "^early$", "Description": "ours"}, {"AllowedPattern": "^late$"}),
        ({"Type": "SecureString"}, {"Type": "SecureString"}),
        ({"Type": "SecureString", "own_key": True}, {"Type": "SecureString"}),
    ],
)
def test_every_setting_of_what_was_there_comes_back(
    lab: SsmLab, before: dict[str, Any], source: dict[str, Any]
) -> None:
    keys = [lab.world.clients.get("kms", TARGET).create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    own = {"KeyId": keys[0]} if before.pop("own_key", False) else {}
    put(lab, "source", "a", "late", **source)
    put(lab, "target", "a", "early", **before, **own)
    earlier = there(lab, "a")

    done = lab.world.migrations.of("m").migrate([replace(lab.entry, kms_key=keys[1])])

    assert done["counts"] == {"written": 1, "proven": 1}, done["problems"]
    now = there(lab, "a")
    assert now["Value"] == "late"
    if now["Type"] == "SecureString":
        assert now["KeyId"] == keys[1]
    lab.world.migrations.of("m").rollback()
    assert there(lab, "a") == earlier


@pytest.mark.parametrize(
    ("before", "source", "words"),
    [
        ({"Type": "String"}, {"Type": "SecureString"}, "its type is String at the target"),
        ({"Type": "SecureString"}, {"Type": "StringList"}, "its type is SecureString at the target"),
        ({}, {"DataType": "aws:ec2:image"}, "its data type is text at the target"),
        ({"DataType": "aws:ssm:integration"}, {}, "its data type is aws:ssm:integration at the target"),
        ({}, {"Tier": "Advanced"}, "cannot become a standard one again"),
        ({}, {"Tier": "Advanced", "Policies": json.dumps([EXPIRES])}, "cannot become a standard one again"),
    ],
)
def test_what_cannot_go_back_is_a_conflict_before_anything_is_written(
    lab: SsmLab, before: dict[str, Any], source: dict[str, Any], words: str
) -> None:
    put(lab, "source", "a", "late", **source)
    put(lab, "target", "a", "early", **before)
    earlier = there(lab, "a")

    (conflict,) = lab.world.migrations.of("p").plan([lab.entry], Level.FULL).conflicts
    done = lab.world.migrations.of("m").migrate([lab.entry])

    assert conflict[0].endswith("/a")
    assert words in conflict[1]
    assert done["status"] == "incomplete"
    assert [each["key"] for each in done["conflicts"]] == ["a"]
    assert done["counts"] == {}
    assert there(lab, "a") == earlier


def test_a_tier_that_aws_chooses_may_be_the_advanced_one() -> None:
    chosen = {"Type": "String", "Tier": "Intelligent-Tiering"}
    assert cannot_go_back(chosen, {"Type": "String", "Tier": "Standard"})
    assert not cannot_go_back(chosen, {"Type": "String", "Tier": "Advanced"})
    assert not cannot_go_back({"Type": "String"}, {"Type": "String"})


@pytest.mark.parametrize("name", ["/lab-{run}", "lab-{run}"])
def test_a_parameter_instead_of_a_path_is_told(world: World, name: str) -> None:
    name = name.replace("{run}", world.run)
    world.clients.get("ssm", SOURCE).put_parameter(Name=name, Value="x", Type="String")
    path = f"/lab-{world.run}/"
    entry = Entry("ssm", DataLocation(SOURCE, prefix=path), DataLocation(TARGET, prefix=path))

    with pytest.raises(InputError, match=f"{name} is a parameter and not a path"):
        world.migrations.of("p").plan([entry], Level.FULL)


@contextmanager
def refused(world: World, operation: str, code: str, *, but: int = 0) -> Iterator[None]:
    """Calls of the source after the first ``but`` are refused."""
    made: list[str] = []

    def refuse(**_: Any) -> None:
        made.append(operation)
        if len(made) > but:
            raise ClientError({"Error": {"Code": code}}, operation)

    events, event = world.clients.get("ssm", SOURCE).meta.events, f"before-call.ssm.{operation}"
    events.register(event, refuse)
    try:
        yield
    finally:
        events.unregister(event, refuse)


@pytest.mark.parametrize("answered", [1, 2], ids=["whether any stands there", "the path's own name"])
@pytest.mark.parametrize(
    ("code", "error"), [("AccessDeniedException", Refused), ("InternalServerError", WorkFailed)]
)
def test_a_path_that_cannot_be_looked_at_is_told_plainly(
    world: World, answered: int, code: str, error: type[Exception]
) -> None:
    empty = Entry(
        "ssm", DataLocation(SOURCE, prefix=f"/{world.run}/"), DataLocation(TARGET, prefix=f"/{world.run}/")
    )
    with refused(world, "DescribeParameters", code, but=answered), pytest.raises(error, match="list"):
        world.carriers["ssm"].check(empty)


def test_a_list_of_parameters_that_fails_on_its_way_fails_the_plan_plainly(lab: SsmLab) -> None:
    with (
        refused(lab.world, "DescribeParameters", "InternalServerError"),
        pytest.raises(
            WorkFailed, match="parameters cannot be listed: DescribeParameters answered InternalServerError"
        ),
    ):
        list(lab.world.carriers["ssm"].inventory(lab.entry, iter(())))


def test_a_parameter_that_may_not_be_read_for_the_plan_is_a_conflict_by_name(lab: SsmLab) -> None:
    put(lab, "source", "a", "value")
    entry = replace(lab.entry, rewrite=("region",))
    with refused(lab.world, "GetParameter", "AccessDeniedException"):
        plan = lab.world.migrations.of("p").plan([entry], Level.FULL)
    ((key, reason),) = plan.conflicts
    assert key.endswith("/a")
    assert reason == "it cannot be read: GetParameter answered AccessDeniedException"


def test_a_plan_that_selects_nothing_is_refused_and_part_of_one_is_noted(lab: SsmLab) -> None:
    nothing = replace(lab.entry, include=("nothing",), target=DataLocation(TARGET, prefix="/other/"))
    made = lab.world.migrations.of("p").plan([nothing], Level.FULL)
    with pytest.raises(InputError, match="select nothing") as refused:
        require_something(made, SOURCE)
    assert str(nothing.source) in str(refused.value.where)

    put(lab, "source", "a", "value")
    made = lab.world.migrations.of("p").plan([lab.entry, nothing], Level.FULL)
    require_something(made, SOURCE)
    shown = as_json(made, Estimate(0, 0, 0), Workers(40, 40), source=SOURCE, target=TARGET, on_failure="stop")
    assert [len(entry["notes"]) for entry in shown["entries"]] == [0, 1]
