"""What somebody looked at and agreed to is what is begun, or nothing is."""

from __future__ import annotations

import pytest
from carrier_world import TARGET, S3Lab, World

from regionshift.carriers.carrier import Level
from regionshift.carriers.migration import Migrations
from regionshift.carriers.plan import Asked, PlanChanged
from regionshift.errors import Refused


@pytest.fixture
def lab(world: World) -> S3Lab:
    lab = S3Lab(world)
    for name in ("a", "b"):
        lab.write("source", name, name)
    return lab


def digest(migrations: Migrations, lab: S3Lab) -> str:
    return migrations.of("look").plan([lab.entry], Level.PINNED).digest


@pytest.mark.parametrize("change", ["another object", "other contents", "one less", "written at the target"])
def test_a_plan_that_changed_is_not_begun(change: str, world: World, lab: S3Lab) -> None:
    migrations = world.migrations
    migrations.of("first").migrate([lab.entry], Level.PINNED)
    lab.write("source", "a", "aa")
    confirmed = Asked(confirmed=digest(migrations, lab))
    if change == "another object":
        lab.write("source", "c", "c")
    elif change == "other contents":
        lab.write("source", "a", "zz")
    elif change == "one less":
        lab.delete("source", "a")
    else:
        lab.write("target", "b", "somebody's")
    was = world.versions(lab.target)

    with pytest.raises(PlanChanged, match="conflict"):
        migrations.of("m").begin([lab.entry], Level.PINNED, asked=confirmed)

    assert world.versions(lab.target) == was
    assert migrations.of("m").known([lab.entry]) is None
    # Neither the id nor the target is taken.
    again = Asked(confirmed=digest(migrations, lab))
    assert migrations.of("m").begin([lab.entry], Level.PINNED, asked=again)["status"] == "copying"


def test_the_same_plan_is_begun(world: World, lab: S3Lab) -> None:
    confirmed = Asked(confirmed=digest(world.migrations, lab))
    assert world.migrations.of("m").begin([lab.entry], Level.PINNED, asked=confirmed)["plan"]["new"] == 2


def test_a_plan_with_conflicts_is_refused_where_none_may_be(world: World, lab: S3Lab) -> None:
    world.migrations.of("first").migrate([lab.entry], Level.PINNED)
    world.clients.get("s3", TARGET).put_object(Bucket=lab.target, Key="out/a", Body=b"somebody's")
    lab.write("source", "b", "bb")

    with pytest.raises(Refused, match="out/a"):
        world.migrations.of("m").begin([lab.entry], Level.PINNED, asked=Asked(conflicts=False))

    assert world.migrations.of("m").begin([lab.entry], Level.PINNED)["plan"]["conflict"] == 1
