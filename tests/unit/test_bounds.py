"""What the worker is told of `carry` is what the command takes it for."""

from __future__ import annotations

import pytest

from regionshift.carriers.bounds import OutOfBounds, own_bucket
from regionshift.carriers.carrier import DataLocation, Entry
from regionshift.function.clients import read_routes
from regionshift.infrastructure import carried
from regionshift.infrastructure.site import Site
from regionshift.operations.migrations.entries import bounds_of, entries
from regionshift.settings import components as named
from regionshift.settings.config import MigrationConfig
from regionshift.settings.release import Artifact, Release

REGIONS = ("us-east-1", "eu-west-1", "us-west-2")
CARRY = {
    "s3": [
        {"prefix": "media/"},
        {"bucket": "media-{region}", "prefix": "a/", "target_prefix": "b/"},
        {"bucket": "shared", "target_bucket": "copies"},
    ],
    "ssm": [{"path": "/shop/{region}"}, {"path": "/a", "target_path": "/b/"}],
    "secrets": [{"name": "shop/{region}/"}, {"tags": {"team": "data"}}],
}


def config_of(**more: object) -> MigrationConfig:
    return MigrationConfig.model_validate(
        {
            "project": "shop",
            "environment": "dev",
            "account": "123456789012",
            "regions": {"primary": REGIONS[0], "secondaries": list(REGIONS[1:])},
            "network": {"vpc_cidr": "10.0.0.0/8"},
            **more,
        }
    )


def site_of(config: MigrationConfig, region: str, tmp_path_factory: pytest.TempPathFactory) -> Site:
    artifact = Artifact(tmp_path_factory.getbasetemp() / "none.zip", "0" * 64)
    return Site(region, Release(config, artifact, {}, {}, "", "0", "0", ""))


@pytest.mark.parametrize("region", REGIONS)
def test_worker_and_command_have_the_same_bounds(
    region: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = config_of(carry=CARRY)
    bucket = named.DEPLOYMENT_BUCKET.name(config.names, region)
    told = read_routes(carried.routes(site_of(config, region, tmp_path_factory)), region)
    whole = {(each, named.DEPLOYMENT_BUCKET.name(config.names, each)) for each in REGIONS}

    expected = [
        way
        for way in bounds_of(config, region, bucket).routes
        # What a change of primary carries, the command carries by itself.
        if not (
            (way.source.region, way.source.bucket) in whole
            and not way.source.prefix
            and not way.target.prefix
        )
    ]
    assert sorted(map(str, told)) == sorted(map(str, expected))


def test_every_entry_is_within_the_bounds_and_nothing_beside_it() -> None:
    config = config_of(carry=CARRY)
    source, target = REGIONS[:2]
    bucket = named.DEPLOYMENT_BUCKET.name(config.names, target)
    bounds = bounds_of(config, target, bucket)
    named_now = entries(config, source, target)
    bounds.require(named_now, "m")
    bounds.require([Entry("s3", DataLocation(target, bucket, "a/"), DataLocation(target, bucket, "b/"))], "m")
    assert own_bucket(target, bucket) in bounds.routes

    def s3(source: DataLocation, target: DataLocation) -> Entry:
        return Entry("s3", source, target)

    media = DataLocation(source, f"media-{source}", "a/x/")
    bounds.require([s3(media, DataLocation(target, f"media-{target}", "b/y/"))], "m")
    for stray in (
        s3(media, DataLocation(target, f"media-{target}", "c/")),
        s3(media, DataLocation(target, "copies")),
        s3(DataLocation(source, "theirs"), DataLocation(target, "copies")),
        s3(media, DataLocation(source, f"media-{source}", "b/")),
        Entry("ssm", DataLocation(source, prefix="/other/"), DataLocation(target, prefix="/b/")),
        Entry("secrets", DataLocation(source), DataLocation(target), tags={"team": "other"}),
        Entry("secrets", DataLocation(source), DataLocation(target)),
    ):
        with pytest.raises(OutOfBounds):
            bounds.require([stray], "m")
