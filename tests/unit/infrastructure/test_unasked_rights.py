"""What no life on the embedded AWS asks is named with a reason, and held against the tables that know it.

``tests/e2e/test_least_privilege.py`` holds each entry against a whole life; here each is held against the policies
themselves, against AWS's service authorization reference, and against the table of what the plugin asks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from policy_sentry.querying.actions import get_action_data

from regionshift.infrastructure.operator_rights import operator_policies
from regionshift.infrastructure.rights import LOOKS, RIGHTS
from regionshift.infrastructure.runtime_rights import runtime_roles
from regionshift.infrastructure.site import Site
from regionshift.settings.components import COMPONENTS, PipelineRole
from regionshift.settings.config import MigrationConfig
from regionshift.settings.load import load_config

TABLE: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "e2e/least_privilege.json").read_text(encoding="utf-8")
)
BY_THE_PLUGIN = "only the ordinary plugin asks it"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> MigrationConfig:
    path = tmp_path_factory.mktemp("life") / "regionshift.yaml"
    fixed = {"project": "orders", "environment": "dev", "account": "123456789012", "target": "local"}
    path.write_text(yaml.safe_dump({**fixed, **TABLE["settings"]}), encoding="utf-8")
    return load_config(path, {}, {})


def entries(reason: str = "") -> Iterator[tuple[str, str]]:
    """Statement and action of each; all of them, or those of one reason."""
    for why, statements in {**TABLE["unasked"], **TABLE["by_chance"]}.items():
        if reason in ("", why):
            yield from (
                (statement, action) for statement, actions in statements.items() for action in actions
            )


def test_each_is_an_action_of_the_service_authorization_reference() -> None:
    assert [action for _, action in entries() if not get_action_data(*action.split(":"))] == []


def test_each_is_in_a_policy_of_the_role(config: MigrationConfig) -> None:
    held = {
        (f"{role} {each.statement['Sid']}", action)
        for role in PipelineRole
        for policy in operator_policies(config, role)
        for each in policy.statements
        for action in each.statement["Action"]
    }
    for region in config.all_regions:
        parts = {each.name(config.names, region): each.part for each in COMPONENTS}
        held |= {
            (f"{parts[role.name]} {each.statement['Sid']}", action)
            for role in runtime_roles(Site.by_settings(config, region))
            for each in role.statements
            for action in each.statement["Action"]
        }
    assert [entry for entry in entries() if entry not in held] == []


def test_what_only_the_plugin_asks_is_in_the_table_of_its_types() -> None:
    known = {
        action
        for rights in RIGHTS.values()
        for actions in (rights.create, rights.update, rights.delete, rights.read, rights.tag)
        for action in actions
    } | {action for rights in RIGHTS.values() for _, actions in rights.settings for action in actions}
    asked = {action for _, action in entries(BY_THE_PLUGIN)}
    assert asked, "the provider of the embedded AWS does not ask all that the plugin asks"
    assert asked - known - LOOKS.keys() == set()


def test_function_worker_and_machine_may_the_same_in_primary_and_secondary(config: MigrationConfig) -> None:
    """So what one life needs in either shows for both."""
    held = []
    for region in config.all_regions:
        parts = {each.name(config.names, region): each.part for each in COMPONENTS}
        held.append(
            {
                (parts[role.name], each.statement["Sid"], tuple(each.statement["Action"]))
                for role in runtime_roles(Site.by_settings(config, region))
                for each in role.statements
                if parts[role.name] != "replication"
            }
        )
    assert held[0]
    assert all(each == held[0] for each in held)
