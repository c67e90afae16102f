"""`regionshift policy`: what it prints is what AWS takes, and nothing is asked for it."""

from __future__ import annotations

import json
import socket
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from regionshift.cli.app import app
from regionshift.cli.failure import run
from regionshift.infrastructure import operator_rights
from regionshift.infrastructure.operator_rights import operator_policies, reaches_beyond, statements_of
from regionshift.infrastructure.runtime_rights import runtime_roles
from regionshift.infrastructure.site import Site
from regionshift.settings.components import PipelineRole
from regionshift.settings.config import MigrationConfig

SETTINGS: dict[str, Any] = {
    "project": "shop",
    "environment": "prod",
    "account": "123456789012",
    "regions": {"primary": "eu-west-1", "secondaries": ["us-east-1"]},
    "network": {"vpc_cidr": "10.0.0.0/16"},
}
CONFIG = MigrationConfig.model_validate(SETTINGS)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The settings, on a machine without network and credentials."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("something was called")

    monkeypatch.setattr(socket.socket, "connect", refused)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "regionshift.yaml").write_text(json.dumps(SETTINGS))
    return str(tmp_path / "regionshift.yaml")


@pytest.mark.parametrize("role", PipelineRole)
def test_json_is_a_list_of_what_create_policy_takes(
    role: PipelineRole, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(app, ["policy", "deploy", "--for", role.value, "--json", "--config", file]) == 0
    printed = json.loads(capsys.readouterr().out)
    takes = (
        botocore.session.get_session().get_service_model("iam").operation_model("CreatePolicy").input_shape
    )
    assert [ParamValidator().validate(each, takes).generate_report() for each in printed] == [""] * len(
        printed
    )
    wanted = [json.loads(each.document) for each in operator_policies(CONFIG, role)]
    assert [json.loads(each["PolicyDocument"]) for each in printed] == wanted


def test_a_folder_gets_a_document_for_each_policy(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "policies"
    assert run(app, ["policy", "deploy", "--output", str(folder), "--config", file]) == 0
    policies = operator_policies(CONFIG, PipelineRole.DEPLOY)
    assert {each.name: each.read_text() for each in folder.iterdir()} == {
        f"{policy.name}.json": f"{policy.document}\n" for policy in policies
    }
    told = capsys.readouterr().out
    assert all(f"file://{folder}/{policy.name}.json" in told for policy in policies)


def test_who_deploys_without_a_boundary_is_warned_of_what_that_opens(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(app, ["policy", "deploy", "--json", "--config", file]) == 0
    assert "access.boundary" in capsys.readouterr().err
    assert run(app, ["policy", "deploy", "--for", "operate", "--json", "--config", file]) == 0
    assert capsys.readouterr().err == ""
    bounded = SETTINGS | {"access": {"boundary": "arn:aws:iam::123456789012:policy/shop.prod.boundary"}}
    Path(file).write_text(json.dumps(bounded))
    assert run(app, ["policy", "deploy", "--json", "--config", file]) == 0
    assert capsys.readouterr().err == ""


def test_a_carry_that_has_no_room_in_the_boundary_is_told() -> None:
    bounded = SETTINGS | {"access": {"boundary": "arn:aws:iam::123456789012:policy/shop.prod.boundary"}}
    for count, warned in ((5, 0), (200, 1)):
        carry = {"s3": [{"bucket": f"media-{number}-{{region}}"} for number in range(count)]}
        config = MigrationConfig.model_validate(bounded | {"carry": carry})
        told = reaches_beyond(config, PipelineRole.DEPLOY)
        assert len([said for said, _ in told if "permissions boundary" in said]) == warned


def test_shortened_names_that_others_may_share_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    long = {"project": "customer-orders-platform-services-of-europe", "environment": "development-europe"}
    config = MigrationConfig.model_validate(SETTINGS | long)
    assert len(reaches_beyond(config, PipelineRole.DEPLOY)) == 1
    # As where the names of thirty regions have no room for themselves.
    rows = partial(statements_of, config, PipelineRole.DEPLOY, by_form=False)
    monkeypatch.setattr(operator_rights, "statements_of", lambda *_, **__: rows())
    assert any("shortened" in said for said, _ in reaches_beyond(config, PipelineRole.DEPLOY))


def test_a_folder_that_cannot_be_written_is_said(file: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    assert run(app, ["policy", "deploy", "--output", str(tmp_path / "taken"), "--config", file]) == 2


def test_each_statement_is_shown_with_its_reason(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app, ["policy", "deploy", "--config", file]) == 0
    told = capsys.readouterr().out
    for policy in operator_policies(CONFIG, PipelineRole.DEPLOY):
        for each in policy.statements:
            assert f"### {each.statement['Sid']}\n\n{each.why}\n\n- Allow: " in told


def test_the_environments_own_roles_are_shown_of_one_region(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(app, ["policy", "runtime", "--config", file]) == 0
    told = capsys.readouterr().out
    roles = runtime_roles(Site.by_settings(CONFIG, "eu-west-1"))
    assert len(roles) == 5
    assert all(f"## {role.name}: {role.purpose}\n" in told for role in roles)
    assert run(app, ["policy", "runtime", "--region", "us-east-1", "--json", "--config", file]) == 0
    secondary = json.loads(capsys.readouterr().out)
    assert [role["role"].split("-us-east-1")[0] for role in secondary] == [
        "shop-function", "shop-worker", "shop-states", "shop-flow-logs",
    ]  # fmt: skip
    assert all(statement["why"] for role in secondary for statement in role["statements"])
    assert run(app, ["policy", "runtime", "--region", "eu-north-1", "--config", file]) == 2
