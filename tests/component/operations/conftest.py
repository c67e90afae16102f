"""What tests of whole commands share: settings beside which nothing of this machine's surroundings counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regionshift.local.emulator import LocalCloud


@pytest.fixture
def command_file(tmp_path: Path, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the settings of a command in this process are to be written; it asks the embedded AWS that is there."""
    for name in list(os.environ):
        if name.startswith(("REGIONSHIFT_", "PULUMI_", "AWS_", "ENVIRONMENT_SUFFIX")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REGIONSHIFT_ENDPOINT", cloud.endpoint)
    monkeypatch.setenv("REGIONSHIFT_CA_BUNDLE", str(cloud.ca_bundle))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", cloud.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", cloud.secret_key)
    return tmp_path / "regionshift.yaml"
