"""One object under the state URL, by its key."""

from __future__ import annotations

from dataclasses import dataclass

from regionshift.journal.store import StateStore


@dataclass(frozen=True)
class Slot:
    """The object ``key`` of ``store``; durable when `write` returns."""

    store: StateStore
    key: str

    def read(self) -> bytes | None:
        """What is in it; None when it is empty."""
        found = self.store.get(self.key)
        return found.body if found else None

    def write(self, body: bytes) -> None:
        """Put ``body`` into it."""
        self.store.put(self.key, body)

    def clear(self) -> None:
        """Empty it."""
        self.store.delete([self.key])
