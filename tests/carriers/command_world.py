"""What the command works with, over the regions of a world of carriers: no engine, and an environment by name only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from carrier_world import SOURCE, TARGET, World, seals_of

from regionshift.carriers.records import RecordStore
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.operations.environment import Environment, Outputs
from regionshift.operations.migrations.carrying import Carrying
from regionshift.settings.config import MigrationConfig


def config_of(project: str, **more: Any) -> MigrationConfig:
    """The settings of an environment in both regions."""
    return MigrationConfig.model_validate(
        {
            "project": project,
            "environment": "dev",
            "account": "123456789012",
            "regions": {"primary": SOURCE, "secondaries": [TARGET]},
            "network": {"vpc_cidr": "10.0.0.0/8"},
            **more,
        }
    )


def carrying_of(
    world: World,
    config: MigrationConfig,
    outputs: Mapping[str, str],
    folder: Path,
    sleep: Callable[[float], None],
) -> Carrying:
    """A command's way to migrations."""
    nothing = cast(Any, None)
    environment = Environment(
        config=config,
        clients=world.clients,
        engine=nothing,
        program=nothing,
        release=nothing,
        state_dir=folder,
        now=lambda: datetime.now(UTC),
    )
    carrying = Carrying(environment, Outputs(outputs), world.transport, environment.now, sleep)
    # Sealed with the key of the tests, as what the world writes.
    bucket = outputs["deployment_bucket_name_eu_west_1"]
    carrying._stores[TARGET] = RecordStore(world.transport, TARGET, bucket, seals_of(TARGET, bucket))
    return carrying


def journal_in(folder: Path) -> Journal:
    """A new journal."""
    (folder / "state").mkdir()
    return Journal(open_state((folder / "state").as_uri()), "shop.dev", lambda: datetime.now(UTC))
