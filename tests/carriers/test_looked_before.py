"""What the copies of a change of primary need is asked before anything is changed, and by the copies themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from carrier_world import ONWARD, SOURCE, TARGET, World, seals_of
from command_world import carrying_of, config_of, journal_in

from regionshift.carriers import locks
from regionshift.carriers.carrier import Entry
from regionshift.carriers.records import RecordStore
from regionshift.carriers.transport import Response, S3Request
from regionshift.errors import InputError, Refused
from regionshift.operations.migrations.taking_back import require_all_takeable
from regionshift.operations.moving.copying import LastCopy, bucket_entry
from regionshift.operations.moving.promoting import Promotion


def last_copy(world: World, tmp_path: Path, *, up: bool, **carry: Any) -> LastCopy:
    """From one region to another, which is ``up`` or not; buckets that ``carry`` names have the run in their name."""
    config = config_of(f"p{world.run[:6]}", carry=carry)
    entry = bucket_entry(config, SOURCE, TARGET)
    outputs = {"deployment_bucket_name_eu_west_1": entry.target.bucket if up else "not-there"}
    for place in (entry.source, entry.target)[: 2 if up else 1]:
        make(world, place.bucket, place.region)
    carrying = carrying_of(world, config, outputs, tmp_path, lambda _: None)
    return LastCopy(carrying, journal_in(tmp_path), lambda: 0.0, SOURCE, TARGET)


def with_records_in_source(world: World, copies: LastCopy) -> tuple[Entry, str]:
    """The entry of the deployment bucket, and the bucket in ``SOURCE``, whose records can be read from now on."""
    entry = bucket_entry(copies.carrying.environment.config, SOURCE, TARGET)
    bucket = entry.source.bucket
    copies.carrying._stores[SOURCE] = RecordStore(world.transport, SOURCE, bucket, seals_of(SOURCE, bucket))
    return entry, bucket


def make(world: World, name: str, region: str, *, versioned: bool = True) -> None:
    where: Any = {} if region == SOURCE else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3 = world.clients.get("s3", region)
    s3.create_bucket(Bucket=name, **where)
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


@pytest.mark.parametrize("up", [True, False], ids=["up", "not up"])
def test_both_ends_of_what_is_carried_are_there_and_kept_in_versions(
    world: World, tmp_path: Path, up: bool
) -> None:
    pattern = f"media-{world.run}-{{region}}"
    copies = last_copy(world, tmp_path, up=up, s3=[{"bucket": pattern}], ssm=[{"path": "/old"}])
    source, target = (pattern.replace("{region}", region) for region in (SOURCE, TARGET))

    def look() -> None:
        copies.look("run") if up else copies.look_before_up()

    with pytest.raises(InputError, match=f"source bucket {source} is not there"):
        look()
    make(world, source, SOURCE)
    with pytest.raises(InputError, match=f"target bucket {target} is not there"):
        look()
    make(world, target, TARGET, versioned=False)
    with pytest.raises(InputError, match=f"target bucket {target} does not keep versions"):
        look()
    world.clients.get("s3", TARGET).put_bucket_versioning(
        Bucket=target, VersioningConfiguration={"Status": "Enabled"}
    )
    if not up:  # the environment's own key is made by `up`
        look()


def test_what_up_makes_is_not_asked_for_before_it(world: World, tmp_path: Path) -> None:
    pattern = f"made-{world.run}-{{region}}"
    made = {"bucket": pattern, "created_by": "regionshift"}
    copies = last_copy(world, tmp_path, up=False, s3=[made, {"prefix": "in/", "target_prefix": "out/"}])
    with pytest.raises(InputError, match="source bucket"):
        copies.look_before_up()
    make(world, pattern.replace("{region}", SOURCE), SOURCE)
    copies.look_before_up()


def test_a_target_that_another_migration_has_is_refused_and_the_ones_own_is_not(
    world: World, tmp_path: Path
) -> None:
    copies = last_copy(world, tmp_path, up=True)
    entry = bucket_entry(copies.carrying.environment.config, SOURCE, TARGET)
    locks.acquire(copies.carrying.migration(TARGET, "run-bucket").records, [entry])
    copies.look("run")
    with pytest.raises(Refused, match="run-bucket into the same target is not finished"):
        copies.look("planned")


def test_a_region_that_returns_has_its_bucket_still(world: World, tmp_path: Path) -> None:
    copies = last_copy(world, tmp_path, up=False)
    with pytest.raises(InputError, match="target bucket"):
        copies.look_before_return()
    make(world, bucket_entry(copies.carrying.environment.config, SOURCE, TARGET).target.bucket, TARGET)
    copies.look_before_return()


def test_a_lost_primary_is_given_up_beside_a_migration_into_the_new_one_that_misses_nothing(
    world: World, tmp_path: Path
) -> None:
    copies = last_copy(world, tmp_path, up=True)
    entry, bucket = with_records_in_source(world, copies)
    locks.acquire(copies.carrying.migration(TARGET, "died-with-it").records, [entry])
    nothing = cast(Any, None)
    plan = cast(Any, SimpleNamespace(lost=True, old=ONWARD, new=TARGET, others=(SOURCE,), uncalled=(ONWARD,)))
    promotion = Promotion(
        plan,
        "run",
        nothing,
        nothing,
        nothing,
        lambda source, target: replace(copies, source=source, target=target),
        nothing,
        nothing,
        nothing,
    )
    promotion.look()
    world.clients.get("s3", SOURCE).put_object(Bucket=bucket, Key="missed", Body=b"x")
    with pytest.raises(Refused, match="died-with-it"):
        promotion.look()


def test_migrations_are_asked_in_the_order_in_which_they_go_back(world: World, tmp_path: Path) -> None:
    copies = last_copy(world, tmp_path, up=True)
    entry, bucket = with_records_in_source(world, copies)
    for name in ("first", "second"):
        world.clients.get("s3", SOURCE).put_object(Bucket=bucket, Key=name, Body=b"x")
        copies.copy_bucket(name)
    # A way back that was killed has its target still.
    locks.acquire(copies.carrying.migration(TARGET, "second").records, [entry])
    require_all_takeable(copies.carrying, ["second", "first"])
    with pytest.raises(Refused, match="second into the same target is not finished"):
        require_all_takeable(copies.carrying, ["first", "second"])


def test_a_migration_that_was_planned_just_now_is_not_looked_at_twice(world: World, tmp_path: Path) -> None:
    copies = last_copy(world, tmp_path, up=True)
    entry = bucket_entry(copies.carrying.environment.config, SOURCE, TARGET)
    once, asked = world.transport._once, list[S3Request]()

    def counting(request: S3Request) -> Response:
        asked.append(request)
        return once(request)

    world.transport._once = counting  # type: ignore[method-assign]
    migrations = copies.carrying.migrations(TARGET)
    migrations.of("run").require_beginnable([entry])
    whole = len(asked)
    migrations.of("run").require_beginnable([entry], planned=True)
    assert len(asked) - whole == 1 < whole


def test_a_migration_is_found_in_the_regions_that_are_up_whatever_the_settings_name(
    world: World, tmp_path: Path
) -> None:
    copies = last_copy(world, tmp_path, up=True)
    with_records_in_source(world, copies)
    copies.copy_bucket("moved")
    environment = copies.carrying.environment
    for secondaries in (("sa-east-1", TARGET), ("sa-east-1",)):
        regions = environment.config.regions.model_copy(update={"secondaries": secondaries})
        config = environment.config.model_copy(update={"regions": regions})
        carrying = replace(copies.carrying, environment=replace(environment, config=config))
        carrying._stores.update(copies.carrying._stores)
        assert carrying.find("moved")[0] == TARGET
