"""What the engine gets of the environment variables: the identity that was looked at, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from regionshift.engine_setup import EngineSetup
from regionshift.journal.backends import open_state
from regionshift.journal.store import Slot
from regionshift.local.emulator import LocalCloud
from regionshift.settings.config import MigrationConfig

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAOTHER", "AWS_SECRET_ACCESS_KEY": "other", "AWS_SESSION_TOKEN": "token"}


def _config(**more: object) -> MigrationConfig:
    return MigrationConfig.model_validate(
        {
            "project": "orders",
            "environment": "dev",
            "account": "123456789012",
            "target": "aws",
            "regions": {"primary": "us-east-1"},
            "network": {"vpc_cidr": "10.0.0.0/14"},
            **more,
        }
    )


def _variables(
    tmp_path: Path, cloud: LocalCloud | None = None, config: MigrationConfig | None = None, **given: str
) -> dict[str, str]:
    return _setup(tmp_path, config or _config(), given, cloud).variables()


def _setup(
    folder: Path, config: MigrationConfig, given: Mapping[str, str], cloud: LocalCloud | None = None
) -> EngineSetup:
    state = (folder / "state").as_uri()
    return EngineSetup(
        config, folder, state, folder / "state.key", given, Slot(open_state(state), "aside"), cloud
    )


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


def test_offline_the_engine_works_as_the_role_that_the_command_works_as(tmp_path: Path) -> None:
    cloud = LocalCloud("https://127.0.0.1:1", "1" * 12, tmp_path / "ca.pem", 1, "key", "secret", tmp_path)
    assert "AWS_SESSION_TOKEN" not in _variables(tmp_path, cloud, **KEYS)
    found = _variables(tmp_path, replace(cloud, session_token="the role's"), **KEYS)
    assert found["AWS_SESSION_TOKEN"] == "the role's"


@pytest.mark.parametrize("offline", [False, True])
def test_no_secret_of_the_application_is_in_the_variables_of_a_started_program(
    tmp_path: Path, offline: bool
) -> None:
    sources = {"token": {"env": "ORDERS_TOKEN"}, "key": {"env": "AWS_LIKE_KEY"}, "file": {"file": "HOME"}}
    config = _config(application={"secrets": sources})
    cloud = LocalCloud("https://127.0.0.1:1", "1" * 12, tmp_path / "ca.pem", 1, "key", "secret", tmp_path)
    given = {"ORDERS_TOKEN": "hunter2", "AWS_LIKE_KEY": "hunter2", "HOME": "/home/ann", "PATH": "/bin"}
    found = _variables(tmp_path, cloud if offline else None, config, **given)
    assert "hunter2" not in found.values()
    assert (found["HOME"], found["PATH"]) == ("/home/ann", "/bin")


def test_the_search_for_an_engine_runs_without_them_too(tmp_path: Path) -> None:
    """Each CLI that is found is asked for its version."""
    said = tmp_path / "said"
    (tmp_path / "pulumi").write_text(f"#!/bin/sh\nenv > {said}\necho v3.200.0\n")
    (tmp_path / "pulumi").chmod(0o755)
    given = {"ORDERS_TOKEN": "hunter2", "PATH": f"{tmp_path}:/bin:/usr/bin"}
    config = _config(application={"secrets": {"token": {"env": "ORDERS_TOKEN"}}})
    _setup(tmp_path, config, given).found(may_miss=False)
    assert "PATH=" in said.read_text()
    assert "hunter2" not in said.read_text()
