"""What a killed run left is found by its tags."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from regionshift.aws.clients import Clients
from regionshift.engine.engine import Engine
from regionshift.operations.environment import Environment
from regionshift.operations.orphans import look_for_orphans, orphan_findings
from regionshift.settings.load import load_config

pytestmark = pytest.mark.component
REGION = "eu-north-1"


@dataclass
class _State:
    """A state that knows these resources."""

    kept: list[dict[str, Any]]

    def resources(self) -> list[dict[str, Any]]:
        return self.kept


def test_what_the_state_does_not_know_is_named(clients: Clients, tmp_path: Path) -> None:
    file = tmp_path / "regionshift.yaml"
    file.write_text(
        "project: orphanage\nenvironment: dev\naccount: '123456789012'\ntarget: local\n"
        f"regions: {{primary: {REGION}}}\nnetwork: {{vpc_cidr: 10.0.0.0/16}}\n"
    )
    config = load_config(file, {}, {})
    tags = [{"Key": "Project", "Value": "orphanage"}, {"Key": "Environment", "Value": "dev"}]
    ec2 = clients.get("ec2", REGION)
    known, lost = (
        ec2.create_vpc(
            CidrBlock="10.0.0.0/22",
            TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}],  # type: ignore[typeddict-item]
        )["Vpc"]["VpcId"]
        for _ in range(2)
    )
    state = _State([{"id": known, "outputs": {}}])
    environment = Environment(
        config=config,
        clients=clients,
        engine=cast(Engine, state),
        program=cast(Any, None),
        release=cast(Any, None),
        state_dir=tmp_path,
        now=lambda: datetime.now(UTC),
    )
    (found,) = look_for_orphans(environment)
    assert found.what.endswith(f"vpc/{lost}")
    (finding,) = orphan_findings(environment)
    assert (finding.severity, finding.region) == ("warning", REGION)
    ec2.delete_vpc(VpcId=lost)
    assert look_for_orphans(environment) == []
    ec2.delete_vpc(VpcId=known)
