"""The real engine, the program and the embedded AWS: one environment, from nothing to nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pulumi
import pytest
from recorder import config, release

from plain_engine import engine_settings
from regionshift import artifact
from regionshift.aws.clients import Clients
from regionshift.engine.engine import Engine, RunRecord
from regionshift.errors import WorkFailed
from regionshift.iam.documents import Unreadable
from regionshift.infrastructure.program import ProviderSettings, environment
from regionshift.local.emulator import LocalCloud
from regionshift.local.provider.assets import Files
from regionshift.local.provider.server import serve
from regionshift.operations.broadening import growth_of
from regionshift.operations.policy_documents import policy_documents
from regionshift.operations.policy_findings import policy_findings
from regionshift.settings.config import MigrationConfig
from regionshift.settings.release import Artifact

pytestmark = pytest.mark.component

HERE_AND_THERE = {"primary": "us-east-1", "secondaries": ["eu-west-1"]}
TURNED_ROUND = {"primary": "eu-west-1", "secondaries": ["us-east-1"]}
HOLD_DATA = {"aws:kms/key:Key", "aws:s3/bucket:Bucket", "aws:ssm/parameter:Parameter"}
Program = Callable[[], None]


def settings(account: str, **changes: object) -> MigrationConfig:
    values = {
        "account": account,
        "regions": HERE_AND_THERE,
        "application": {"secrets": {"database": {"env": "DATABASE"}}},
        "protect": True,
        **changes,
    }
    return config(**values)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(scope="module")
def built(folder: Path) -> Artifact:
    return artifact.build(folder / "artifact")


@pytest.fixture(scope="module")
def engine(cloud: LocalCloud, folder: Path, built: Artifact) -> Iterator[Engine]:
    files = Files()
    files.allow(built.path.absolute(), built.sha256)
    with serve(cloud, files=files) as port:
        quick = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
        yield Engine(engine_settings(folder, project="shop", port=port, **quick))


@pytest.fixture(scope="module")
def program(cloud: LocalCloud, built: Artifact) -> Callable[[MigrationConfig], Program]:
    access = ProviderSettings(cloud.endpoint, cloud.access_key, cloud.secret_key)

    def of(chosen: MigrationConfig) -> Program:
        def run() -> None:
            one = release(chosen, artifact=built)
            releases = dict.fromkeys(chosen.all_regions, one)
            for name, value in environment(releases, provider_settings=access, links=one).items():
                pulumi.export(name, value)

        return run

    return of


def counted(record: RunRecord) -> Counter[str]:
    return Counter(str(step.op) for step in record.planned)


def test_an_environment_comes_stays_turns_round_and_goes(
    engine: Engine,
    program: Callable[[MigrationConfig], Program],
    cloud: LocalCloud,
    clients: Clients,
    folder: Path,
) -> None:
    protected = settings(cloud.account)

    # A preview knows every policy, also of what names keys that AWS has still to make up.
    outcomes = engine.preview(program(protected)).outcomes
    planned = policy_documents(outcomes)
    assert policy_findings(protected, outcomes, date.today()) == []
    assert [each for each in planned if isinstance(each.new, Unreadable)] == []
    assert len({each.subject for each in planned}) > 10

    assert set(counted(engine.up(program(protected)))) == {"create"}
    assert set(counted(engine.up(program(protected)))) == {"same"}, "a second up changes nothing"

    outputs = engine.outputs()
    assert outputs["lambda_function_arn_primary"].endswith(":function:shop-migration-us-east-1-dev")
    state = "".join(path.read_text() for path in (folder / "state").rglob("*.json"))
    assert "deployment-config" in state
    assert "value of database" not in state and cloud.secret_key not in state

    turned = counted(engine.preview(program(settings(cloud.account, regions=TURNED_ROUND))))
    assert set(turned) == {"same", "update", "create", "delete"}, "a change of primary replaces nothing"

    # A region that is added wants no leave: the others get there what they have in one another.
    wider = {"primary": "us-east-1", "secondaries": ["eu-west-1", "us-west-2"]}
    outcomes = engine.preview(program(settings(cloud.account, regions=wider))).outcomes
    growth = growth_of(outcomes, ("us-east-1", "eu-west-1", "us-west-2"), ("us-east-1", "eu-west-1"))
    assert "role shop-replication-{region}-dev" in {each.subject for each in growth}
    assert [each.opens for each in growth if each.is_counted] == []

    # What somebody deleted by hand is put back without leave, wherever it is named.
    iam, role = clients.get("iam", "us-east-1"), "shop-worker-eu-west-1-dev"
    pages = iam.get_paginator("list_role_policies").paginate(RoleName=role)
    for name in list(pages.search("PolicyNames[]")):
        iam.delete_role_policy(RoleName=role, PolicyName=name)
    iam.delete_role(RoleName=role)
    outcomes = engine.preview(program(protected), refresh=True).outcomes
    assert "worker-role-eu-west-1" in {each.name for each in outcomes if each.op == "create"}
    growth = growth_of(outcomes, protected.all_regions, protected.all_regions)
    assert f"role {role}".replace("eu-west-1", "{region}") in {each.subject for each in growth}
    assert [each for each in growth if each.is_counted] == []

    held = {one["type"] for one in engine.resources() if one.get("protect")}
    assert held == HOLD_DATA
    with pytest.raises(WorkFailed):
        engine.destroy(program(protected))
    assert {one["type"] for one in engine.resources()} >= HOLD_DATA, "what holds data is still there"

    free = program(settings(cloud.account, protect=False))
    engine.up(free)
    assert set(counted(engine.destroy(free))) == {"delete"}
    assert engine.resources() == []
