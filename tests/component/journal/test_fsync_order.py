"""A write on ``file://`` is on the disk when it returns: bytes first, then the name, then the folder that has it.

What a power cut leaves is what was synced. So each sync is watched, with what the folder looked like at that moment.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from regionshift.journal.backends import FileStore, open_state
from regionshift.journal.journal import Journal
from regionshift.journal.store import KeyTakenError

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="tells a descriptor's path by /proc"
)
KEY, BODY = "journal/dev/runs/000001/00000001.json", b'{"step": "run"}' * 100


@dataclass(frozen=True)
class Sync:
    """One fsync: of what, its bytes if it is a file, and what was under the key at that moment."""

    path: Path
    body: bytes | None
    there: bytes | None


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Sync]]:
    real = os.fsync

    def watch(key: str) -> list[Sync]:
        seen: list[Sync] = []
        target = tmp_path / key

        def fsync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").resolve()
            body = path.read_bytes() if path.is_file() else None
            seen.append(Sync(path, body, target.read_bytes() if target.exists() else None))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        return seen

    return watch


def test_bytes_are_synced_before_they_have_a_name_and_the_folder_after(
    tmp_path: Path, watched: Callable[[str], list[Sync]]
) -> None:
    store = FileStore(tmp_path)
    syncs = watched(KEY)
    store.create(KEY, BODY)
    content, *folders = syncs
    assert content.body == BODY
    assert content.path != tmp_path / KEY
    assert content.there is None  # without its name nobody can read half of it
    # The folder that has the name, and, as they are new too, those that have the folders.
    assert [each.path for each in folders] == [tmp_path / KEY, *(tmp_path / KEY).parents][1:6]
    assert all(each.there == BODY for each in folders)

    syncs.clear()
    with pytest.raises(KeyTakenError):
        store.create(KEY, b"another's")
    assert (tmp_path / KEY).read_bytes() == BODY

    syncs.clear()
    store.put(KEY, b"newer")
    assert [(each.body, each.there) for each in syncs] == [(b"newer", BODY), (None, b"newer")]
    assert syncs[-1].path == (tmp_path / KEY).parent

    syncs.clear()
    store.delete([KEY])
    assert [(each.path, each.there) for each in syncs] == [((tmp_path / KEY).parent, None)]


def test_an_event_is_durable_when_it_is_written(tmp_path: Path, watched: Callable[[str], list[Sync]]) -> None:
    journal = Journal(open_state(tmp_path.as_uri()), "dev", lambda: datetime.now(UTC))
    run = journal.start("deployment", {})
    key = "journal/dev/runs/000001/00000002.json"
    syncs = watched(key)
    run.append("wave-1/apply", "before")
    content, folder = syncs
    assert content.body is not None
    assert b"wave-1/apply" in content.body
    assert content.there is None
    assert (folder.path, folder.there) == ((tmp_path / key).parent, content.body)
