"""The program's entry for the plain pulumi CLI."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from recorder import Recorder, run_mocked

ENTRY = Path(__file__).parents[3] / "infrastructure"
SETTINGS = """
project: shop
environment: dev
account: "111122223333"
target: aws
regions: {primary: us-east-1, secondaries: [eu-west-1]}
network: {vpc_cidr: 10.0.0.0/8}
"""


def test_it_builds_what_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENVIRONMENT_SUFFIX", raising=False)
    settings = tmp_path / "regionshift.yaml"
    settings.write_text(SETTINGS)
    zones = {region: [f"{region}a", f"{region}b"] for region in ("us-east-1", "eu-west-1")}
    recorder = Recorder()
    run_mocked(
        recorder,
        lambda: runpy.run_path(str(ENTRY / "__main__.py")) and None,
        project="regionshift",
        settings=str(settings),
        zones=json.dumps(zones),
    )
    names = {one.name for one in recorder.run.resources}
    assert {"function-us-east-1", "function-eu-west-1", "replication-us-east-1"} <= names
