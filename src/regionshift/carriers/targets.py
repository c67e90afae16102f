"""What a plan must not write: the program's own objects, names that cannot be, and one target twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from regionshift.carriers.carrier import Entry, Item, ItemState
from regionshift.carriers.kinds import KINDS
from regionshift.carriers.records import PROGRAMS_OWN
from regionshift.carriers.selection import selector


@dataclass
class Targets:
    """Judges the items of one plan, entry by entry in the plan's order.

    What two entries write is remembered only where both select it, which the settings refuse: nothing grows with
    the number of items.

    Args:
        records_bucket: where the migration's own records are.
    """

    entries: Sequence[Entry]
    records_bucket: str
    _seen: set[bytes] = field(default_factory=set)

    def judged(self, items: Iterator[Item], place: int) -> Iterator[Item]:
        """The items of the entry at ``place``; a conflict where one of them must not be written."""
        entry = self.entries[place]
        rivals = [other for at, other in enumerate(self.entries) if at != place and _may_meet(entry, other)]
        selects = [(other.target.prefix, selector(other)) for other in rivals]
        for item in items:
            name = entry.target.prefix + item.key
            # Remembered also of what is the same or in conflict: another entry must not write over that either.
            shared = any(name.startswith(prefix) and wants(name[len(prefix) :]) for prefix, wants in selects)
            problem = self._problem(entry, item, name) or (self._twice(entry, name) if shared else "")
            if problem and item.kind is not ItemState.CONFLICT:
                yield replace(item, kind=ItemState.CONFLICT, versions=(), reason=problem, rewrites="")
            else:
                yield item

    def _problem(self, entry: Entry, item: Item, name: str) -> str:
        if item.kind is ItemState.SAME:
            return ""
        # Otherwise records, locks and code could be forged by whoever can write at the source.
        if entry.target.bucket == self.records_bucket and name.startswith(PROGRAMS_OWN):
            return "the program keeps its own objects there"
        if not name:
            whole = f"{entry.source}{item.key}"
            return (
                f"{whole} has nothing left of its name behind the prefix, and none can be empty: exclude it"
            )
        return KINDS[entry.kind].too_long(name)

    def _twice(self, entry: Entry, name: str) -> str:
        digest = hashlib.blake2b(
            "\0".join((entry.kind, entry.target.region, entry.target.bucket, name)).encode(), digest_size=16
        ).digest()
        if digest in self._seen:
            return "another entry of the plan writes it too: exclude it in one of them"
        self._seen.add(digest)
        return ""


def _may_meet(one: Entry, other: Entry) -> bool:
    """Whether one name can lie in both targets."""
    here, there = one.target, other.target
    if (one.kind, here.region, here.bucket) != (other.kind, there.region, there.bucket):
        return False
    return here.prefix.startswith(there.prefix) or there.prefix.startswith(here.prefix)
