"""The journal's store in memory, and one that fails where a test says."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from model_regions import Faults

from regionshift.journal.store import KeyTakenError, StateStore, StateUnreachable, Stored, unusable


@dataclass
class MemoryStore:
    """The promises of a state store, kept by a dictionary."""

    objects: dict[str, bytes]
    url: str = "memory://"

    def create(self, key: str, body: bytes) -> None:
        if key in self.objects:
            raise KeyTakenError(key)
        self.objects[key] = body

    def put(self, key: str, body: bytes) -> None:
        self.objects[key] = body

    def get(self, key: str) -> Stored | None:
        return Stored(self.objects[key], "", datetime.now(UTC)) if key in self.objects else None

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        return {key: self.objects[key] for key in keys if key in self.objects}

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(f"{prefix}/"))

    def folders(self, prefix: str) -> list[str]:
        below = (key.removeprefix(f"{prefix}/") for key in self.keys(prefix))
        return sorted({key.partition("/")[0] for key in below if "/" in key})

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)


@dataclass
class FaultyStore:
    """The journal's store with faults in its creations; after a crash nothing is read or written any more."""

    inner: StateStore
    process: Faults

    @property
    def url(self) -> str:
        return self.inner.url

    def create(self, key: str, body: bytes) -> None:
        self.process.require_alive()
        how = self.process.fault("write", _step_in(key, body)) if key.startswith("journal/") else None
        if how == "lost before":
            raise StateUnreachable("no route to the state")
        if how == "full":
            raise unusable(OSError(errno.ENOSPC, "No space left on device"), key, "")
        if how == "crash before":
            raise self.process.die()
        self.inner.create(key, body)
        if how == "lost after":
            raise StateUnreachable("no answer from the state")
        if how == "crash after":
            raise self.process.die()

    def put(self, key: str, body: bytes) -> None:
        self.process.require_alive()
        self.inner.put(key, body)

    def get(self, key: str) -> Stored | None:
        return self.inner.get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        return self.inner.get_many(keys)

    def keys(self, prefix: str) -> list[str]:
        return self.inner.keys(prefix)

    def folders(self, prefix: str) -> list[str]:
        return self.inner.folders(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        self.process.require_alive()
        self.inner.delete(keys)


def _step_in(key: str, body: bytes) -> str:
    content = json.loads(body)
    return f"{content['step']} {content['phase']}" if "step" in content else f"copy {key}"
