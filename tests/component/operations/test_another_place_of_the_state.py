"""A place for the state is one class of URL and one line that opens its store: this one lives in this file alone."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from regionshift.cli.app import app
from regionshift.cli.failure import run
from regionshift.journal import backends
from regionshift.journal.backends import FileStore, open_state
from regionshift.journal.journal import Journal
from regionshift.journal.lock import Holder, LeaseTerms, LockHeld, acquire, living_holder
from regionshift.journal.store import Stored, SwapLostError, SwapStore
from regionshift.settings import state_url
from regionshift.settings.state_url import StateUrl

pytestmark = pytest.mark.component
SETTINGS = """\
project: places
environment: dev
account: "123456789012"
target: local
regions: {primary: eu-west-1}
network: {vpc_cidr: 10.0.0.0/16, flow_logs: false}
"""


class ShelfUrl(StateUrl):
    """``shelf://ROOM/DIRECTORY``: a directory that other machines have too, so that its lock is a lease."""

    form = "shelf://ROOM/DIRECTORY"
    is_shared = True

    @property
    def problem(self) -> str | None:
        return None if urlsplit(self.text).netloc == "room" else self.form

    @property
    def path(self) -> Path:
        return Path(urlsplit(self.text).path)

    def engine_url(self, folder: str, primary: str, endpoint: str | None = None) -> str:  # noqa: ARG002
        place = self.path / folder
        place.mkdir(parents=True, exist_ok=True)
        return place.as_uri()


class ShelfStore:
    """Objects in a directory, each with a number that a swap compares."""

    def __init__(self, url: ShelfUrl) -> None:
        self.url = url.text
        self._files = FileStore(url.path)
        self._mutex = threading.Lock()
        self.create, self.put, self.keys = self._files.create, self._files.put, self._files.keys
        self.get_many, self.folders, self.delete = (
            self._files.get_many,
            self._files.folders,
            self._files.delete,
        )

    def get(self, key: str) -> Stored | None:
        found = self._files.get(key)
        return Stored(found.body, str(hash(found.body)), found.modified) if found else None

    def swap(self, key: str, body: bytes, tag: str) -> str:
        with self._mutex:
            found = self.get(key)
            if found is None or found.tag != tag:
                raise SwapLostError(key)
            self.put(key, body)
        return str(hash(body))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(state_url.STATE_URLS, "shelf", ShelfUrl)
    monkeypatch.setitem(backends.STORES, ShelfUrl, lambda url, _access: ShelfStore(url))
    return f"shelf://room{tmp_path}/shared"


def test_journal_and_lock_are_there(place: str) -> None:
    store = open_state(place)
    assert isinstance(store, SwapStore)
    ann = Holder("ann", "laptop", 1, datetime.now(UTC), "token-1")
    with acquire(store, "shop.dev", ann, LeaseTerms(time.monotonic)) as lock:
        with pytest.raises(LockHeld, match="ann on laptop"):
            acquire(store, "shop.dev", Holder("bob", "b", 2, ann.since, "2"), LeaseTerms(time.monotonic))
        journal = Journal(
            store, "shop.dev", lambda: datetime.now(UTC), guard=lock.check, working_on=lock.working_on
        )
        opened = journal.start("deployment", {"releases": {}})
        opened.close("succeeded")
        holder = living_holder(store, "shop.dev", datetime.now(UTC))
        assert holder is not None and holder.run_id == opened.run_id
    assert [each.outcome for each in journal.history()] == ["succeeded"]
    assert living_holder(store, "shop.dev", datetime.now(UTC)) is None


def test_ordinary_commands_work_on_it(
    command_file: Path, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(*command: str) -> Any:
        code = run(app, [*command, "--config", str(command_file), "--json"])
        out, err = capsys.readouterr()
        assert code in (0, 3), err
        return json.loads(out)

    command_file.write_text(f"{SETTINGS}state: {place}\n")
    journal = Journal(open_state(place), "places.dev", lambda: datetime.now(UTC))
    journal.start("deployment", {"releases": {}}).close("succeeded")
    (command_file.parent / ".regionshift").mkdir(exist_ok=True)
    (command_file.parent / ".regionshift/state.key").touch(0o600)
    assert [each["outcome"] for each in ask("history")] == ["succeeded"]
    codes = [each["code"] for each in ask("doctor")["findings"]]
    assert "state" not in codes and "state-key" in codes, (
        "other machines reach it, and its key lies on this one"
    )
    assert (tmp_path / "shared/engine/.pulumi").is_dir()
    assert not (command_file.parent / ".regionshift/state").exists()


def test_its_url_is_checked_with_the_settings(
    command_file: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command_file.write_text(f"{SETTINGS}state: {place.replace('room', 'attic', 1)}\n")
    assert run(app, ["history", "--config", str(command_file)]) == 2
    assert ShelfUrl.form in capsys.readouterr().err
    command_file.write_text(f"{SETTINGS}state: rack://x\n")
    assert run(app, ["history", "--config", str(command_file)]) == 2
    assert f"file://DIRECTORY or s3://BUCKET/PREFIX or {ShelfUrl.form}" in capsys.readouterr().err
