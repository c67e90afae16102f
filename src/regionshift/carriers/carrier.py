"""The one interface of all carriers, and the values that cross it.

A carrier moves one kind of data (objects, parameters, secrets) from one place to another. What it is
given and what it answers are frozen values that can be written to a record; none of them ever holds the
data itself, so a secret's value cannot reach a record, a log or a report by way of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from regionshift.errors import InputError


class OutOfTimeError(Exception):
    """The time was not enough; what is done is noted and the next call goes on."""


class ItemState(StrEnum):
    """What planning found about one item."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    CONFLICT = "conflict"


class Level(StrEnum):
    """How much is proven of each item: pinned copy and listings, or contents and all that hangs on them."""

    PINNED = "pinned"
    FULL = "full"


@dataclass(frozen=True)
class DataLocation:
    """Where data is: a region, for objects a bucket, and what its keys, paths or names begin with.

    ``account``: whose the bucket is, when it is not the environment's.
    """

    region: str
    bucket: str = ""
    prefix: str = ""
    account: str = ""

    def __str__(self) -> str:
        return f"{self.bucket or self.region}/{self.prefix}"


@dataclass(frozen=True)
class Entry:
    """One thing that belongs to the environment, and where it goes.

    Args:
        kind: the carrier's kind: ``s3``, ``ssm`` or ``secrets``.
        include: patterns (shell style, ``*`` also matches ``/``) on the key after the prefix; none: all.
        exclude: patterns that leave out what ``include`` let in.
        history: carry the older versions too, oldest first (objects only).
        storage_class: ``keep`` or the class that every copy gets (objects only).
        kms_key: alias, id or ARN of a key in the target's region; none: the target's own default.
        keys: further keys of the target's region that may be used. What lies there under any other key is a
            conflict; where none is named, nothing is judged by its key.
        rewrite: rules for values that name the source region: ``arn``, ``region`` (parameters, secrets).
        replace: other texts to replace, as written, and what takes their place (parameters, secrets).
        tags: only what has all of these tags (secrets only).
        owned: beginnings of whole keys at the source that belong to the program and are never carried.
        within: what patterns see before each key, when only a part of what they were written for is carried.
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
    """What one version is told by: its id, and where the same id can come again also its date (and etag).

    A parameter that is deleted and made anew counts from 1 again, a secret that is made anew can be given the
    same version ids, and the version ``null`` of an object is written over while versioning is suspended.

    Args:
        date: UTC, as ``date_of`` writes it; empty where the id alone is enough.
    """

    id: str
    date: str = ""
    etag: str = ""

    def __str__(self) -> str:
        """As it stands in records."""
        return " ".join(filter(None, self))

    @classmethod
    def read(cls, recorded: str) -> VersionIdentity:
        """What ``str`` wrote, of an id without blanks."""
        return cls(*recorded.split(" ", 2))

    def is_recorded_as(self, recorded: str, until: str | None = None) -> bool:
        """Whether a record means this version.

        Records of earlier releases hold the id alone. Then it is this one if it was made before ``until`` (UTC, the
        end of the migration that left the record); where that is not known (None), the id decides.
        """
        if recorded == str(self):
            return True
        return bool(self.date) and recorded == self.id and (until is None or self.date <= until)


def date_of(moment: datetime) -> str:
    """A time as identities have it: UTC, microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def newer_at_target(source: str, target: str) -> str:
    """What a plan says of an item whose target was written after its source (``date_of`` both); empty when not."""
    if not source or target <= source:
        return ""
    return f"the target's is of {_to_seconds(target)}, the source's of {_to_seconds(source)}"


def _to_seconds(date: str) -> str:
    return f"{date[:19]}Z"


@dataclass(frozen=True)
class SourceVersion:
    """One version of an item at the source; ``marker`` means that it says 'deleted'. Size in bytes.

    ``date``: when it was made, where its id alone does not tell it (``VersionIdentity``).
    """

    id: str
    etag: str = ""
    size: int = 0
    marker: bool = False
    storage_class: str = ""
    date: str = ""

    @property
    def identity(self) -> VersionIdentity:
        """What it is told by."""
        return VersionIdentity(self.id, self.date, self.etag if self.date else "")


@dataclass(frozen=True)
class Item:
    """One thing to carry. ``key`` is what follows the entry's prefix; ``versions`` go oldest first.

    ``rewrites``: which of the entry's rules change its value, and how often; never the value.
    ``newer``: why what it would write over is newer than it, with both dates. ``left``: what it has and the target
    does not get, in words that plans count by.
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
    """What the target was before the first write: no ``version`` (an identity) means that it never existed.

    ``detail`` is the carrier's own (tier, description, ...), never a value.
    """

    key: str
    version: str | None = None
    marker: bool = False
    etag: str = ""
    size: int = 0
    detail: Mapping[str, str] = field(default_factory=dict)

    @property
    def absent(self) -> bool:
        """Nobody could read it: it never existed, or its newest version says 'deleted'."""
        return self.version is None or self.marker


@dataclass(frozen=True)
class Written:
    """The versions (identities) that this migration made at the target, oldest first.

    ``adopted``: found on resuming.
    """

    key: str
    versions: tuple[str, ...]
    adopted: bool = False


@dataclass(frozen=True)
class Failed:
    """One item that could not be copied, and why; the others go on."""

    key: str
    reason: str
    written: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnfinishedItem:
    """One item for which the time was not enough; the next call goes on with it."""

    key: str


@dataclass(frozen=True)
class Proof:
    """Whether one item is proven at ``level``; ``evidence`` says by what, ``reason`` why not."""

    key: str
    level: Level
    proven: bool
    evidence: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Again:
    """One item that cannot be proven as it was written, and can be when it is written again; why."""

    key: str
    reason: str


@dataclass(frozen=True)
class Undone:
    """One item that is again what it was; ``how`` is one of deleted, forward, restored, untouched.

    ``version``: what undo itself wrote to bring that about, where it had to write.
    """

    key: str
    how: str
    version: str = ""


@dataclass(frozen=True)
class Conflict:
    """One item that undo left alone, and why."""

    key: str
    reason: str


@dataclass(frozen=True)
class Carried:
    """What an earlier migration wrote: source and target version (identities) of one key, by which migration.

    ``ended``: when that migration ended (UTC); empty while it has not.
    """

    key: str
    source_version: str
    target_version: str
    migration_id: str
    ended: str = ""


class ItemProgress(Protocol):
    """Durable notes about one item that is too big for one call (an upload's id, bytes compared)."""

    def read(self, key: str) -> Mapping[str, str]:
        """What was noted about ``key``; empty when nothing was."""

    def note(self, key: str, notes: Mapping[str, str]) -> None:
        """Replace what is noted about ``key``; durable when this returns."""


@dataclass(frozen=True)
class Work:
    """One batch to copy, prove or take back.

    Args:
        after: no item of the batch comes at or before this key (in code point order), none of another
            batch lies between this key and the batch's last.
        has_time: false when no further item should be begun.
        again: keys that proving asked to have written again (``Again``): what is written goes first.
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
    """What carrying items takes, reckoned from their sizes: requests, and bytes that are moved more than once.

    Attributes:
        writes: requests priced as PUT or COPY.
        reads: requests priced as GET.
        read: bytes that the proof reads on each side: of whole objects, and at most those of objects that no
            stored checksum tells of, which is not known before they are asked.
        copied_alone, read_alone: bytes of the largest item: one object is one call's.
    """

    writes: int = 0
    reads: int = 0
    read: int = 0
    copied_alone: int = 0
    read_alone: int = 0

    @property
    def requests(self) -> int:
        """All of them."""
        return self.writes + self.reads

    def batch(self) -> None:
        """One batch's own: its plan, lease, results and listings."""
        self.writes += 3
        self.reads += 3


@dataclass(frozen=True)
class Limits:
    """What stands in the way of taking a migration back later, in words for the plan."""

    undo_until: str
    notes: tuple[str, ...] = ()


class Carrier(Protocol):
    """Knows one kind of data. Safe to use from several threads."""

    @property
    def kind(self) -> str:
        """What entries name it by."""

    def check(self, entry: Entry) -> Limits:
        """Refuse what cannot be carried or undone, before anything is written.

        Raises:
            InputError: a place is not there, or is not kept in versions.
            Refused: no permission, or the target could not be taken back.
        """

    def inventory(
        self, entry: Entry, carried: Iterator[Carried], *, deep: bool = False, left_behind: bool = False
    ) -> Iterator[Item]:
        """Every selected item in code point order of its key. ``carried`` comes in the same order.

        Args:
            deep: what is the same by its versions is also asked for tags, checksums and settings, which can
                change without a new version; what differs is ``changed``.
            left_behind: what is to be written is also asked for what it has and is not carried, where that takes
                requests of its own. What listings show of it is told in any case.

        Raises:
            Refused, WorkFailed: a place cannot be listed, or is asked too often.
        """

    def describe_before(self, work: Work) -> Mapping[str, Before]:
        """What the target is now, for every item of the batch. Changes nothing.

        Raises:
            OutOfTimeError: the target is asked too often; the next call goes on.
            WorkFailed: it does not tell.
        """

    def recover(self, work: Work, before: Mapping[str, Before]) -> Mapping[str, tuple[str, ...] | Conflict]:
        """Versions that an interrupted call of this migration wrote and did not live to record.

        A conflict: there is something that may be ours, and it cannot be told whether it is.

        Raises:
            OutOfTimeError: to tell takes longer; the next call goes on.
            WorkFailed: the target does not tell.
        """

    def copy(
        self, work: Work, before: Mapping[str, Before], written: Mapping[str, tuple[str, ...]]
    ) -> Iterator[Written | Failed | UnfinishedItem]:
        """Write the batch. ``before`` is the first record, even on resuming; ``written`` is there already."""

    def verify(
        self, work: Work, written: Mapping[str, Written], level: Level
    ) -> Iterator[Proof | Again | UnfinishedItem]:
        """Prove each written item at ``level``."""

    def undo(
        self, work: Work, before: Mapping[str, Before], written: Mapping[str, tuple[str, ...]]
    ) -> Iterator[Undone | Conflict | UnfinishedItem]:
        """Make each written item what it was. Doing it again changes nothing."""
