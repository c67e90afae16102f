"""A key that an entry of `carry` names: in the settings, for a pair of regions, and for the function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from regionshift.errors import InputError, RegionshiftError
from regionshift.function.actions import allowed_places
from regionshift.function.configuration import CarriedObjects, FunctionConfiguration
from regionshift.function.request import parse
from regionshift.operations.migrations.entries import entries
from regionshift.settings.config import MigrationConfig
from regionshift.settings.load import load_config

SOURCE, TARGET = "us-east-1", "eu-west-1"


def config(tmp_path: Path, **carry: Any) -> MigrationConfig:
    settings = {
        "project": "shop",
        "environment": "dev",
        "account": "111122223333",
        "target": "local",
        "regions": {"primary": SOURCE, "secondaries": [TARGET]},
        "network": {"vpc_cidr": "10.0.0.0/16"},
        "carry": carry,
    }
    file = tmp_path / "regionshift.yaml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return load_config(file, {}, {})


def keys_of(found: MigrationConfig, source: str = SOURCE, target: str = TARGET) -> list[str | None]:
    return [entry.kms_key for entry in entries(found, source, target)]


def test_each_kind_names_its_own_and_the_environments_is_there_beside_it(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        s3=[{"bucket": "media-{region}", "kms_key": "alias/media"}, {"bucket": "more-{region}"}],
        ssm=[{"path": "/shop", "kms_key": "alias/shop-{region}"}, {"path": "/more"}],
        secrets=[{"name": "shop/", "kms_key": "arn:aws:kms:{region}:111122223333:key/mrk-1a"}],
    )
    environments = found.names.key_alias(TARGET)
    assert keys_of(found) == [
        "alias/media",
        None,
        f"alias/shop-{TARGET}",
        environments,
        f"arn:aws:kms:{TARGET}:111122223333:key/mrk-1a",
    ]
    assert {entry.keys for entry in entries(found, SOURCE, TARGET)} == {(environments,)}


def test_a_key_of_one_region_serves_that_one_alone(tmp_path: Path) -> None:
    arn = f"arn:aws:kms:{TARGET}:111122223333:key/1a-2b"
    found = config(tmp_path, s3=[{"bucket": "media-{region}", "kms_key": arn}])
    assert keys_of(found) == [arn]
    with pytest.raises(InputError, match=f"is in {TARGET} and cannot encrypt what is in {SOURCE}"):
        keys_of(found, TARGET, SOURCE)


@pytest.mark.parametrize("wrong", ["1a-2b", "key/1a", "arn:aws:s3:::bucket", "alias/", "alias/a b"])
def test_what_is_no_key_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(RegionshiftError):
        config(tmp_path, ssm=[{"path": "/shop", "kms_key": wrong}])


def test_the_function_hands_on_the_key_of_the_entry_that_names_both_ends() -> None:
    own = allowed_places.Own(TARGET, "own")
    found = FunctionConfiguration(
        region=TARGET,
        environment="dev",
        log_level="INFO",
        enable_validation=True,
        is_primary=False,
        carry=(
            CarriedObjects("media-{region}", kms_key="alias/media-{region}"),
            CarriedObjects("more-{region}"),
        ),
        deployment_buckets={SOURCE: "theirs", TARGET: "own"},
    )

    def key_for(name: str) -> str | None:
        request = parse(
            {
                "action": "migrate",
                "migration_id": "one",
                "source": {"bucket": f"{name}-{SOURCE}", "region": SOURCE},
                "target": {"bucket": f"{name}-{TARGET}"},
            }
        )
        return allowed_places.named_entry(own, request, found).kms_key

    assert key_for("media") == f"alias/media-{TARGET}"
    assert key_for("more") is None
