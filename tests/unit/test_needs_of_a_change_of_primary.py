"""What a change of primary needs of the settings is asked before anything is changed, of the text as it will be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from regionshift.carriers.carrier import DataLocation, Entry
from regionshift.errors import InputError, Refused
from regionshift.operations.moving.promoting import require_writable
from regionshift.operations.moving.proposing import require_secrets, require_turnable
from regionshift.settings.config import MigrationConfig
from regionshift.settings.load import load_config

OLD, NEW = "us-east-1", "eu-west-1"
TEXT = f"""\
project: shop
environment: dev
account: "123456789012"
regions: {{primary: {OLD}, secondaries: [{NEW}]}}
network: {{vpc_cidr: 10.0.0.0/16}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "regionshift.yaml"
    found.write_text("what stands there now is not what is asked about")
    return found


def _needs(file: Path, text: str) -> MigrationConfig:
    def load(changed: str) -> MigrationConfig:
        aside = file.parent / "aside.yaml"
        aside.write_text(changed)
        return load_config(aside, {}, {})

    return require_turnable(load(text), NEW, text, file, load)[1]


def test_the_settings_to_be_are_turned(file: Path) -> None:
    assert _needs(file, TEXT).regions.primary == NEW
    assert sorted(each.name for each in file.parent.iterdir()) == ["aside.yaml", "regionshift.yaml"]


def test_a_state_that_would_not_be_found_afterwards_is_refused(file: Path) -> None:
    with pytest.raises(Refused, match="names no region for its bucket"):
        _needs(file, TEXT + "state: s3://our-state/shop\n")


def test_a_file_that_cannot_be_replaced_is_told_beforehand() -> None:
    with pytest.raises(InputError, match="has to change the settings file"):
        require_writable(Path("/proc/self/comm"))  # where nobody makes a file, whoever one is


@pytest.mark.parametrize(
    ("carried", "refused"),
    [
        ([], True),
        ([Entry("secrets", DataLocation(OLD, prefix="other/"), DataLocation(NEW, prefix="other/"))], True),
        ([Entry("secrets", DataLocation(OLD, prefix="shop/"), DataLocation(NEW, prefix="elsewhere/"))], True),
        ([Entry("secrets", DataLocation(OLD, prefix="shop/"), DataLocation(NEW, prefix="shop/"))], False),
        ([Entry("secrets", DataLocation(OLD), DataLocation(NEW), tags={"App": "shop"})], False),
        (
            [
                Entry(
                    "secrets",
                    DataLocation(OLD, prefix="shop/"),
                    DataLocation(NEW, prefix="shop/"),
                    exclude=("db*",),
                )
            ],
            True,
        ),
    ],
)
def test_a_secret_that_the_move_carries_need_not_be_there_before_it(
    carried: list[Entry], refused: bool
) -> None:
    def missing(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "DescribeSecret")

    config = MigrationConfig.model_validate(
        {
            "project": "shop",
            "environment": "dev",
            "account": "123456789012",
            "regions": {"primary": OLD, "secondaries": [NEW]},
            "network": {"vpc_cidr": "10.0.0.0/16"},
            "application": {"secrets": {"db": {"secret": "shop/db"}}},
        }
    )
    vault = SimpleNamespace(describe_secret=missing)
    environment = cast(Any, SimpleNamespace(config=config, clients=SimpleNamespace(get=lambda *_: vault)))
    if refused:
        with pytest.raises(Refused, match="shop/db"):
            require_secrets(environment, NEW, carried)
    else:
        require_secrets(environment, NEW, carried)
