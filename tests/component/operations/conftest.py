"""What tests of operations share: the settings file of a whole command, an environment, and a call that hangs."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from regionshift.aws.clients import Clients
from regionshift.local.emulator import LocalCloud
from regionshift.operations.environment import Environment
from regionshift.settings.load import load_config


@pytest.fixture
def command_file(tmp_path: Path, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the settings of a command in this process are to be written; it asks the embedded AWS that is there.

    No variable of this machine counts.
    """
    for name in list(os.environ):
        if name.startswith(("REGIONSHIFT_", "PULUMI_", "AWS_", "ENVIRONMENT_SUFFIX")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REGIONSHIFT_ENDPOINT", cloud.endpoint)
    monkeypatch.setenv("REGIONSHIFT_CA_BUNDLE", str(cloud.ca_bundle))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", cloud.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", cloud.secret_key)
    return tmp_path / "regionshift.yaml"


@pytest.fixture
def environment_of(clients: Clients, tmp_path: Path) -> Callable[..., Environment]:
    """Makes an environment of the smallest settings and ``more`` of them, of which the engine keeps no resource."""

    def make(aws: Clients = clients, engine: Any = None, **more: object) -> Environment:
        place = {"environment": "dev", "account": "123456789012", "target": "local"}
        file = tmp_path / "regionshift.yaml"
        file.write_text(json.dumps({**place, "network": {"vpc_cidr": "10.0.0.0/16"}, **more}))
        config = load_config(file, {}, {})
        release = SimpleNamespace(zones=dict.fromkeys(config.all_regions, ()))
        return Environment(
            config=config,
            clients=aws,
            engine=engine or cast(Any, SimpleNamespace(resources=list)),
            program=cast(Any, None),
            release=cast(Any, lambda: release),
            state_dir=tmp_path,
            now=lambda: datetime.now(UTC),
        )

    return make


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Hangs until the test ends. Every other thread has ended before its start returns, however slow the machine is."""
    ends, hanging, start = threading.Event(), set[threading.Thread](), threading.Thread.start

    def hang() -> str:
        hanging.add(threading.current_thread())
        assert ends.wait(60), "whoever waited for this call has waited too long"
        return ""

    def started(thread: threading.Thread) -> None:
        start(thread)
        while thread.is_alive() and thread not in hanging:
            time.sleep(0.001)

    monkeypatch.setattr(threading.Thread, "start", started)
    yield hang
    ends.set()
