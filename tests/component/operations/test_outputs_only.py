"""A change that touches no resource, only what the environment says of itself, is a change."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pulumi
import pytest

from plain_engine import engine_settings
from regionshift.engine.engine import Engine, Program
from regionshift.operations.environment import Environment
from regionshift.operations.planning import make_plan
from regionshift.operations.up import Proposal, apply
from regionshift.settings.load import load_config

pytestmark = pytest.mark.component


def program(value: str) -> Program:
    return lambda: pulumi.export("said", value)


def test_an_output_alone_is_applied(tmp_path: Path) -> None:
    engine = Engine(engine_settings(tmp_path))
    file = tmp_path / "regionshift.yaml"
    file.write_text(
        "{project: p, environment: dev, account: '123456789012', target: local,"
        " regions: {primary: eu-west-1}, network: {vpc_cidr: 10.0.0.0/16}}"
    )
    environment = Environment(
        config=load_config(file, {}, {}),
        clients=cast(Any, None),
        engine=engine,
        program=cast(Any, None),
        release=cast(Any, None),
        state_dir=tmp_path,
        now=lambda: datetime.now(UTC),
    )
    engine.up(program("one"))
    plan = make_plan(environment, engine.preview(program("one")), [])
    assert plan.is_empty
    plan = make_plan(environment, engine.preview(program("two")), [])
    assert not plan.changes
    assert not plan.is_empty
    apply(environment, Proposal(plan, program("two"), {}))
    assert engine.outputs() == {"said": "two"}
