"""One migration at a time onto a target, whoever starts it and from where."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

from regionshift.carriers.carrier import Entry
from regionshift.carriers.lines import dump
from regionshift.carriers.records import LOCKS, RecordStore
from regionshift.errors import Refused


def acquire(store: RecordStore, migration_id: str, entries: Sequence[Entry]) -> None:
    """Take every target of ``entries`` for ``migration_id``; taking again what is taken already is fine.

    Raises:
        Refused: another migration has one of them; none is kept.
    """
    taken: list[str] = []
    for name in _names(entries):
        holder = _take(store, name, migration_id)
        if holder is None:
            taken.append(name)
        elif holder != migration_id:
            for mine in taken:
                store.delete(mine)
            raise _refusal(store, name, holder)


def require_free(
    store: RecordStore, migration_id: str, entries: Sequence[Entry], after: Collection[str] = ()
) -> None:
    """See that nobody but ``migration_id`` has a target of ``entries``; takes nothing.

    Args:
        after: migrations that will have given their targets back by then.

    Raises:
        Refused: another migration has one of them.
    """
    for name in _names(entries):
        holder = (store.get_json(name) or {}).get("migration_id", migration_id)
        if holder != migration_id and holder not in after:
            raise _refusal(store, name, str(holder))


def holders(store: RecordStore, entries: Sequence[Entry]) -> set[str]:
    """The migrations that have a target of ``entries``."""
    found = (store.get_json(name) for name in _names(entries))
    return {str(lock["migration_id"]) for lock in found if lock}


def release(store: RecordStore, migration_id: str, entries: Sequence[Entry]) -> None:
    """Give the targets back; what others hold stays theirs."""
    for name in _names(entries):
        holder = (store.get_json(name) or {}).get("migration_id")
        if holder == migration_id:
            store.delete(name)


def _take(store: RecordStore, name: str, migration_id: str) -> str | None:
    """Who has it already; None when nobody had."""
    while True:
        if store.create(name, dump({"migration_id": migration_id}).encode()):
            return None
        found = store.get_json(name)
        # Given back since: then it is there to be taken.
        if found is not None:
            return str(found["migration_id"])


def _refusal(store: RecordStore, name: str, holder: str) -> Refused:
    return Refused(
        f"Migration {holder} is not done with the same target.",
        where=f"s3://{store.bucket}/{name}",
        remedy=f"Wait for {holder}, go on with it, or roll it back: regionshift rollback {holder}",
    )


def _names(entries: Sequence[Entry]) -> list[str]:
    # Prefixes can contain each other, so a bucket is locked whole; always in the same order.
    targets = {f"{entry.kind} {entry.target.region} {entry.target.bucket}" for entry in entries}
    return [
        f"migrations/{LOCKS}/{hashlib.sha256(target.encode()).hexdigest()[:32]}.json"
        for target in sorted(targets)
    ]
