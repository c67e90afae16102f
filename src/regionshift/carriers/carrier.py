"""The interface of all carriers, and its arguments and results.

A carrier moves one kind of data (objects, parameters, secrets) from one place to another. Its arguments and results
are frozen values that can be written to a record. They never contain the data, so the value of a secret cannot reach
a record, a log or a report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from regionshift.errors import InputError

WRITTEN_SINCE = "someone else has written here since; left alone"
"""Why undo does not change an item."""


class OutOfTimeError(Exception):
    """Time ran out. The progress is recorded, and the next call continues."""


class ItemState(StrEnum):
    """The state of one item in a plan."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    CONFLICT = "conflict"


class Level(StrEnum):
    """How each item is proven. ``PINNED``: by version and listing. ``FULL``: by contents, metadata and tags too."""

    PINNED = "pinned"
    FULL = "full"


@dataclass(frozen=True)
class DataLocation:
    """Where data is: a region, a prefix of keys, paths or names, and for objects a bucket.

    ``account``: the owner of the bucket, when it is not the environment's account.
    """

    region: str
    bucket: str = ""
    prefix: str = ""
    account: str = ""

    def __str__(self) -> str:
        return f"{self.bucket or self.region}/{self.prefix}"


@dataclass(frozen=True)
class Entry:
    """One entry of ``carry``: data to move, its source and its target.

    Args:
        kind: the carrier's kind: ``s3``, ``ssm`` or ``secrets``.
        include: patterns (shell style, ``*`` also matches ``/``) on the key after the prefix; none: all.
        exclude: patterns of keys to leave out, although ``include`` selects them.
        history: carry the older versions too, oldest first (objects only).
        storage_class: ``keep`` or the class that every copy gets (objects only).
        kms_key: alias, id or ARN of a key in the target's region; none: the target's own default.
        keys: more KMS keys that may be used in the target's region. An item encrypted with any other key is a
            conflict. When empty, keys are not checked.
        rewrite: rules for values that name the source region: ``arn``, ``region`` (parameters, secrets).
        replace: literal texts to replace, each with its replacement (parameters, secrets).
        tags: only what has all of these tags (secrets only).
        owned: prefixes of whole keys at the source that belong to the program and are never carried.
        within: put before each key when patterns are matched, for an entry that is a part of a larger one.
    """

    kind: str
    source: DataLocation
    target: DataLocation
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    history: bool = False
    storage_class: str = "keep"
    kms_key: str | None = None
    keys: tuple[str, ...] = ()
    rewrite: tuple[str, ...] = ()
    replace: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    owned: tuple[str, ...] = ()
    within: str = ""

    def __post_init__(self) -> None:
        if (self.source, self.kind) == (self.target, self.kind):
            raise InputError(
                "Source and target are the same place.",
                where=str(self.source),
                remedy="Give the target another region, bucket or prefix.",
                error_id="RS-CARRY-002",
            )


class VersionIdentity(NamedTuple):
    """Identifies one version: by its id, and where an id can be used again also by its date and etag.

    A parameter that is deleted and created again has version 1 again. A secret that is created again can have the
    same version ids. The version ``null`` of an object is overwritten while versioning is suspended.

    Args:
        date: UTC, as ``date_of`` writes it; empty where the id alone is enough.
    """

    id: str
    date: str = ""
    etag: str = ""

    def __str__(self) -> str:
        """Return the form for records."""
        return " ".join(filter(None, self))

    @classmethod
    def read(cls, recorded: str) -> VersionIdentity:
        """Read the form that ``str`` gives. The id has no spaces."""
        return cls(*recorded.split(" ", 2))

    def is_recorded_as(self, recorded: str, until: str | None = None) -> bool:
        """Whether a record names this version.

        Records of earlier releases have the id alone. Then the version must also be older than ``until`` (UTC, the
        end of the migration that wrote the record). Without ``until``, the id alone decides.
        """
        if recorded == str(self):
            return True
        return bool(self.date) and recorded == self.id and (until is None or self.date <= until)


def date_of(moment: datetime) -> str:
    """Return a time as text: UTC, with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def newer_at_target(source: str, target: str) -> str:
    """Return a remark when the target was written after the source, else "". Both dates are from ``date_of``."""
    if not source or target <= source:
        return ""
    return f"the target's is of {_to_seconds(target)}, the source's of {_to_seconds(source)}"


def changed_since(ours: Carried, *, deleted: bool) -> str:
    """Return the reason for a conflict: somebody deleted or overwrote the copy ``ours`` at the target."""
    return f"{'deleted' if deleted else 'written over'} at the target since {ours.migration_id} wrote it"


def _to_seconds(date: str) -> str:
    return f"{date[:19]}Z"


@dataclass(frozen=True)
class SourceVersion:
    """One version of an item at the source; ``marker``: it is a delete marker. Size in bytes.

    ``date``: when it was created, where its id alone does not identify it (``VersionIdentity``).
    """

    id: str
    etag: str = ""
    size: int = 0
    marker: bool = False
    storage_class: str = ""
    date: str = ""

    @property
    def identity(self) -> VersionIdentity:
        """Its identity for records."""
        return VersionIdentity(self.id, self.date, self.etag if self.date else "")


@dataclass(frozen=True)
class Item:
    """One thing to carry. ``key``: its name without the entry's prefix. ``versions``: oldest first.

    ``rewrites``: which of the entry's rules change the value, and how often; never the value. ``newer``: a remark that
    the target is newer, with both dates. ``left``: properties that are not carried, in words that plans count.
    """

    key: str
    kind: ItemState
    versions: tuple[SourceVersion, ...] = ()
    reason: str = ""
    rewrites: str = ""
    newer: str = ""
    left: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes to move, all versions together."""
        return sum(version.size for version in self.versions)


@dataclass(frozen=True)
class Before:
    """The target's state before the first write. Without ``version`` (an identity), it never existed.

    ``detail``: what this carrier needs to restore it (tier, description, …), never a value.
    """

    key: str
    version: str | None = None
    marker: bool = False
    etag: str = ""
    size: int = 0
    detail: Mapping[str, str] = field(default_factory=dict)

    @property
    def absent(self) -> bool:
        """Whether it could not be read: it never existed, or its newest version is a delete marker."""
        return self.version is None or self.marker


@dataclass(frozen=True)
class Written:
    """The versions (identities) that this migration wrote at the target, oldest first.

    ``adopted``: an earlier call wrote them.
    """

    key: str
    versions: tuple[str, ...]
    adopted: bool = False


@dataclass(frozen=True)
class Failed:
    """One item that could not be copied, and why. The other items continue."""

    key: str
    reason: str
    written: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnfinishedItem:
    """One item for which time ran out. The next call continues it."""

    key: str


@dataclass(frozen=True)
class Proof:
    """Whether one item is proven at ``level``; ``evidence``: how, ``reason``: why not."""

    key: str
    level: Level
    proven: bool
    evidence: str = ""
    reason: str = ""


@dataclass(frozen=True)
class WriteAgain:
    """One item whose proof failed, and which must be written again; ``reason``: why."""

    key: str
    reason: str


@dataclass(frozen=True)
class Undone:
    """One item that has its earlier state again; ``how`` is one of deleted, forward, restored, untouched.

    ``version``: the version that undo wrote, where it had to write one.
    """

    key: str
    how: str
    version: str = ""


@dataclass(frozen=True)
class Conflict:
    """One item that undo did not change, and why."""

    key: str
    reason: str


@dataclass(frozen=True)
class Carried:
    """One key that an earlier migration wrote, with its source version and target version (identities).

    ``ended``: when that migration ended (UTC); empty while it runs.
    """

    key: str
    source_version: str
    target_version: str
    migration_id: str
    ended: str = ""


class ItemProgress(Protocol):
    """Durable progress of items that are too large for one call (the id of an upload, bytes compared)."""

    def read(self, key: str) -> Mapping[str, str]:
        """Return the notes about ``key``; empty when there are none."""

    def note(self, key: str, notes: Mapping[str, str]) -> None:
        """Replace the notes about ``key``. They are durable when this returns."""


@dataclass(frozen=True)
class Work:
    """One batch to copy, prove or undo.

    Args:
        after: all items of the batch come after this key (in code point order). No other batch has an item between
            this key and the last key of the batch.
        has_time: returns False when no other item should start.
        again: keys that must be written again (``WriteAgain``); their present versions are deleted first.
    """

    migration_id: str
    entry: Entry
    items: Sequence[Item]
    progress: ItemProgress
    has_time: Callable[[], bool]
    after: str = ""
    again: frozenset[str] = frozenset()


@dataclass
class Cost:
    """The estimated cost of carrying items: requests and bytes, from the sizes of the items.

    Attributes:
        writes: requests priced as PUT or COPY.
        reads: requests priced as GET.
        read: the most bytes that the proof reads on each side. Stored checksums make it less, but a plan does not
            know them.
        copied_alone, read_alone: bytes of the largest item, because one call handles a whole object.
    """

    writes: int = 0
    reads: int = 0
    read: int = 0
    copied_alone: int = 0
    read_alone: int = 0

    @property
    def requests(self) -> int:
        """All requests."""
        return self.writes + self.reads

    def batch(self) -> None:
        """Add the requests that each batch needs: its plan, lease, results and listings."""
        self.writes += 3
        self.reads += 3


@dataclass(frozen=True)
class Limits:
    """Until when a migration can be undone, and what cannot be undone, in words for the plan."""

    undo_until: str
    notes: tuple[str, ...] = ()


class Carrier(Protocol):
    """Carries one kind of data. Thread-safe."""

    @property
    def kind(self) -> str:
        """The name of the kind in entries."""

    def check(self, entry: Entry) -> Limits:
        """Check that the entry can be carried and undone. Writes nothing.

        Raises:
            InputError: the source or target does not exist, or does not keep versions.
            Refused: no permission, or writes at the target could not be undone.
        """

    def inventory(
        self, entry: Entry, carried: Iterator[Carried], *, deep: bool = False, left_behind: bool = False
    ) -> Iterator[Item]:
        """Yield each selected item in code point order of its key. ``carried`` must have the same order.

        Args:
            deep: for items whose versions are the same, also compare tags, checksums and settings, which can change
                without a new version. Items that differ are ``changed``.
            left_behind: also find properties that are not carried, where that takes additional requests. Those that
                listings show are always reported.

        Raises:
            Refused, WorkFailed: the source or target cannot be listed, or the service throttles.
        """

    def describe_before(self, work: Work) -> Mapping[str, Before]:
        """Return the target's present state of each item in the batch. Changes nothing.

        Raises:
            OutOfTimeError: the service throttles; the next call continues.
            WorkFailed: the service refuses.
        """

    def recover(self, work: Work, before: Mapping[str, Before]) -> Mapping[str, tuple[str, ...] | Conflict]:
        """Return versions that an interrupted call of this migration wrote but did not record, by key.

        A ``Conflict`` means that nobody can know whether a version is this migration's.

        Raises:
            OutOfTimeError: time ran out; the next call continues.
            WorkFailed: the service refuses.
        """

    def copy(
        self, work: Work, before: Mapping[str, Before], written: Mapping[str, tuple[str, ...]]
    ) -> Iterator[Written | Failed | UnfinishedItem]:
        """Write the batch. ``before``: the first record, also on a second call. ``written``: versions that exist."""

    def verify(
        self, work: Work, written: Mapping[str, Written], level: Level
    ) -> Iterator[Proof | WriteAgain | UnfinishedItem]:
        """Prove each written item at ``level``."""

    def undo(
        self, work: Work, before: Mapping[str, Before], written: Mapping[str, tuple[str, ...]]
    ) -> Iterator[Undone | Conflict | UnfinishedItem]:
        """Restore the earlier state of each written item. Idempotent."""
