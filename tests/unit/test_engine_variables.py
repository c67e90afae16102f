"""What the engine gets of the environment variables: the identity that was looked at, and no other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from regionshift import wiring
from regionshift.aws.clients import Clients
from regionshift.local.emulator import LocalCloud
from regionshift.settings.config import MigrationConfig

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAOTHER", "AWS_SECRET_ACCESS_KEY": "other", "AWS_SESSION_TOKEN": "token"}


def _variables(tmp_path: Path, cloud: LocalCloud | None = None, **given: str) -> dict[str, str]:
    config = MigrationConfig.model_validate(
        {
            "project": "orders",
            "environment": "dev",
            "account": "123456789012",
            "target": "aws",
            "regions": {"primary": "us-east-1"},
            "network": {"vpc_cidr": "10.0.0.0/14"},
        }
    )
    place = wiring.Place(tmp_path / "regionshift.yaml")
    outside = wiring.Surroundings(given, lambda: datetime.now(UTC), lambda: 0.0)
    return wiring._engine_environment(config, place, wiring.Access(Clients(), cloud), outside)


def test_with_a_profile_the_engine_works_as_that_one(tmp_path: Path) -> None:
    found = _variables(tmp_path, REGIONSHIFT_PROFILE="orders-admin", AWS_CONFIG_FILE="/etc/aws", **KEYS)
    assert found["AWS_PROFILE"] == "orders-admin"
    assert found["AWS_CONFIG_FILE"] == "/etc/aws"
    assert not found.keys() & KEYS.keys()


def test_without_one_it_gets_what_there_is(tmp_path: Path) -> None:
    found = _variables(tmp_path, AWS_PROFILE="mine", **KEYS)
    assert found["AWS_PROFILE"] == "mine"
    assert found.keys() >= KEYS.keys()
    assert "GOGC" not in found, "the plugins, large ones, would take four times what they need"


def test_offline_the_engine_collects_garbage_less_often_unless_that_was_decided(tmp_path: Path) -> None:
    cloud = LocalCloud(
        "https://127.0.0.1:1", "123456789012", tmp_path / "ca.pem", 1, "key", "secret", tmp_path
    )
    assert _variables(tmp_path, cloud)["GOGC"] == "400"
    assert _variables(tmp_path, cloud, GOGC="50")["GOGC"] == "50"
    assert _variables(tmp_path, cloud, **KEYS)["AWS_ACCESS_KEY_ID"] == "key"
