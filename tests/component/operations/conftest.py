"""What tests of operations share: the settings file of a whole command, and a call that hangs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regionshift.local.emulator import LocalCloud


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
