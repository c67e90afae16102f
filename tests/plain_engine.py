"""The real engine with an empty state of its own, for tests that need no more of a command than that."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from regionshift.engine.cli import find_pulumi
from regionshift.engine.engine import EngineSettings
from regionshift.errors import InputError
from regionshift.journal.backends import open_state
from regionshift.journal.store import Slot

_OWN = (Path(sys.prefix) / "bin", Path(__file__).parents[1] / ".cache" / "bin")


def engine_settings(
    folder: Path,
    *,
    project: str = "lab",
    stack: str = "dev",
    port: int | None = None,
    exclusive: bool = False,
    slot: Slot | None = None,
    **variables: str,
) -> EngineSettings:
    """Its state, home and work lie in ``folder``. Skips the test where there is no Pulumi CLI that fits.

    Args:
        port: where the local provider answers; none for programs without one.
        variables: of the engine's environment, on top of what it always needs.
    """
    try:
        command, version = find_pulumi(os.environ, _OWN)
    except InputError as missing:
        pytest.skip(str(missing))
    (folder / "state").mkdir(parents=True, exist_ok=True)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PULUMI_"))}
    provider = {"PULUMI_DEBUG_PROVIDERS": f"aws:{port}"} if port else {}
    own = {
        "PULUMI_CONFIG_PASSPHRASE": "of a test",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    return EngineSettings(
        command=command,
        version=version,
        backend=(folder / "state").as_uri(),
        project=project,
        stack=stack,
        work_dir=folder / "work",
        environment=inherited | own | provider | variables,
        exclusive=exclusive,
        slot=slot or Slot(open_state((folder / "slot").as_uri()), "excluded.json"),
    )
