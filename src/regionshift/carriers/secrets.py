"""The carrier of secrets in Secrets Manager.

A key is a secret's name without the entry's prefix. The id of a version that a migration writes is computed from the
migration, the name and the source's version, so that the write is idempotent. The migration puts staging labels on
its own version and on the earlier one; without a label, Secrets Manager would remove them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from regionshift.carriers.carrier import (
    WRITTEN_SINCE,
    Before,
    Carried,
    Conflict,
    DataLocation,
    Entry,
    Item,
    ItemState,
    Level,
    Limits,
    SourceVersion,
    Undone,
    VersionIdentity,
    Work,
    newer_at_target,
)
from regionshift.carriers.keys import Keys
from regionshift.carriers.named_values import (
    Both,
    ClientSource,
    ConcurrentWriteError,
    Description,
    NamedCarrier,
    NamedError,
    ThrottledError,
    batch_seen,
    decide,
    is_not_visible_yet,
    listed,
    looked_at_together,
    require_rules,
    rewrites_of,
    rewritten,
    tags_of,
)
from regionshift.carriers.secrets_access import (
    BEFORE,
    CURRENT,
    EXISTS,
    KEPT,
    MADE,
    MOST_LABELS,
    NOT_FOUND,
    PREVIOUS,
    Vault,
    changed,
    created,
    identity_of,
    in_the_way,
    no_room,
    not_carried,
    of_migration,
    replica_regions,
    rotation,
    staged,
    stages_of,
)
from regionshift.carriers.selection import Cursor, selector
from regionshift.settings.quotas import TAGS
from regionshift.waiting import AT_ONCE, Waiter

_NAMESPACE = uuid.UUID("6c0e7b0a-5d0c-5a52-9a43-6f2b1c1f7a11")
_PREVIOUS = "AWSPREVIOUS"
_BEGUN = "regionshift:migration"
_LONGEST_NAME = 512
_NAMED = 20  # secrets that rotate
_UNDO = (
    f"while fewer than {KEPT} later migrations have written the secret: AWS allows {MOST_LABELS} labels on one, "
    "so only the newest migrations keep the earlier version"
)


class Secrets(NamedCarrier):
    """Carries secrets. Values are read and written one by one and never stored."""

    kind = "secrets"
    what = "Secrets"

    def __init__(self, clients: ClientSource, waiter: Waiter = AT_ONCE) -> None:
        self._waiter = waiter
        self._clients = clients

    def check(self, entry: Entry) -> Limits:
        """See ``Carrier.check``."""
        require_rules(entry)
        Keys(self._clients, entry).require()
        for vault in self._vaults(entry):
            with listed("secrets", vault.region):
                next(vault.listing(), None)
        return Limits(_UNDO, tuple(self._rotations(entry)))

    def _rotations(self, entry: Entry) -> list[str]:
        """Return a note for each secret that rotates at the source. The target gets the value without the rotation."""
        source, start = self._vaults(entry)[0], len(entry.source.prefix)
        rotating = [
            found["Name"]
            for found in self._selected(entry)
            if found.get("RotationEnabled") and not found.get("DeletedDate")
        ]
        told = [
            f"{name} rotates at the source ({_rotation_of(source, name[start:])}); rotation is not carried"
            for name in sorted(rotating)[:_NAMED]
        ]
        if more := len(rotating) - len(told):
            told.append(f"{more} more secrets rotate at the source; rotation is not carried")
        return told

    def inventory(
        self, entry: Entry, carried: Iterator[Carried], *, deep: bool = False, left_behind: bool = False
    ) -> Iterator[Item]:
        """See ``Carrier.inventory``.

        A list can be five minutes old (Secrets Manager API Reference, "ListSecrets"), so it gives only the names. A
        plan needs current metadata: "DescribeSecret" gives it for one secret.
        """
        source, target = self._vaults(entry)
        ours, keys = Cursor(carried, lambda line: line.key), Keys(self._clients, entry)
        start = len(entry.source.prefix)

        def look(key: str, known: Carried | None) -> Item | None:
            """Return None for a secret that was deleted or has other tags by now."""
            one, other = source.described(key), target.described(key)
            if one is None or one.get("DeletedDate") or not _has_tags(one, entry):
                return None
            item = self._plan(entry, keys, (key, one, other), known)
            if deep and item.kind is ItemState.SAME and other:
                item = self._deepened(entry, item, one, other)
            if item.kind not in (ItemState.NEW, ItemState.CHANGED):
                return item
            policy = source.policy(key) if left_behind else ""
            return replace(
                item,
                rewrites=rewrites_of(entry, lambda: source.value(key, item.versions[-1].id)),
                newer=newer_at_target(changed(one), changed(other)) if other and not known else "",
                left=(*([policy] if policy else []), *not_carried(one)),
            )

        names = sorted(str(found["Name"])[start:] for found in self._selected(entry))
        yield from looked_at_together(self.what, look, ((key, ours.at(key)) for key in names))

    def _deepened(self, entry: Entry, item: Item, found: Mapping[str, Any], there: Mapping[str, Any]) -> Item:
        """Return the item, as ``changed`` when its value, description or tags differ from the source's."""
        one, other = identity_of(found), identity_of(there)
        assert one and other, "what is the same has values"
        again = Item(item.key, ItemState.CHANGED, (SourceVersion(one.id, date=one.date),))
        reason = self._problem(entry, again, other, Level.FULL, (found, there))
        # A replica refuses writes.
        if not reason or _cannot_write(there, other.id, entry.target.region):
            return item
        return replace(again, reason=reason)

    def describe_before(self, work: Work) -> Mapping[str, Before]:
        """See ``Carrier.describe_before``."""
        _, target = self._vaults(work.entry)
        with batch_seen(self.what, work.entry):
            return {item.key: _before(item.key, target.described(item.key)) for item in work.items}

    def recover(self, work: Work, before: Mapping[str, Before]) -> Mapping[str, tuple[str, ...]]:
        """See ``Carrier.recover``. The version's id is computed from the plan."""
        del before
        _, target = self._vaults(work.entry)
        found: dict[str, tuple[str, ...]] = {}
        for item in work.items:
            with batch_seen(self.what, work.entry):
                there = target.described(item.key) or {}
            # Labels without our version must be removed too.
            marked = of_migration(there, work.migration_id)
            if _has(there, _token(work, item)) or _is_begun(there, work) or marked:
                found[item.key] = (_token(work, item),)
        return found

    def _described(self, place: DataLocation, keys: Sequence[str]) -> Callable[[str], Description | None]:
        del keys  # there is no call for several secrets
        return Vault(self._clients, place).described

    def _carry(self, work: Work, item: Item, before: Before, both: Both, made: list[str]) -> None:
        made[:] = [_token(work, item)]
        try:
            made[:] = [str(self._write(work, item, before, both))]
        except ConcurrentWriteError:
            made.clear()  # this call wrote nothing; `recover` finds the writes of an earlier call
            raise

    def _vaults(self, entry: Entry) -> tuple[Vault, Vault]:
        return Vault(self._clients, entry.source), Vault(self._clients, entry.target)

    def _selected(self, entry: Entry) -> Iterator[dict[str, Any]]:
        selects, source = selector(entry), self._vaults(entry)[0]
        start = len(entry.source.prefix)
        with listed("secrets", source.region):
            every = list(source.listing())
        for found in every:
            if selects(found["Name"][start:]) and _has_tags(found, entry):
                yield found

    @staticmethod
    def _plan(
        entry: Entry,
        keys: Keys,
        named: tuple[str, Mapping[str, Any], Mapping[str, Any] | None],
        ours: Carried | None,
    ) -> Item:
        key, one, other = named
        version = identity_of(one)
        if version is None:
            return Item(key, ItemState.CONFLICT, reason="it has no value at the source")
        theirs = identity_of(other) if other else None
        if other and theirs and theirs.id == version.id and _are_one(one, other):
            return Item(key, ItemState.SAME)
        current = theirs.id if theirs else None
        if other and (problem := _cannot_write(other, current, entry.target.region)):
            return Item(key, ItemState.CONFLICT, reason=problem)
        kind, reason = decide(ours, version, theirs)
        if kind in (ItemState.SAME, ItemState.CONFLICT):
            return Item(key, kind, reason=reason)
        if other and (unusable := keys.why_unusable(other.get("KmsKeyId"))):
            return Item(key, ItemState.CONFLICT, reason=f"at the target it is under {unusable}")
        return Item(key, kind, (SourceVersion(version.id, date=version.date),), reason)

    def _write(self, work: Work, item: Item, before: Before, both: Both) -> VersionIdentity:
        """Write one secret, unless it is written already. Return its version."""
        source, target = self._vaults(work.entry)
        token = _token(work, item)
        found, there = both
        if found is None:
            raise NamedError(NOT_FOUND, "DescribeSecret")
        if item.versions[-1].date not in ("", created(found)):
            raise NamedError("SecretRecreated", "DescribeSecret")
        description, tags = found.get("Description", ""), tags_of(found.get("Tags"))
        # The record can be days old when a migration is resumed.
        if there and not _is_as_left(there, before, token):
            raise ConcurrentWriteError("PutSecretValue")
        if not _has(there or {}, token):
            value, _ = rewritten(work.entry, source.value(item.key, item.versions[-1].id))
            if before.absent:
                # Refused when somebody created it meanwhile: undo would delete their secret too.
                if not _is_begun(there or {}, work):
                    # With the source's tags from the start: the worker's rights can depend on them.
                    begun = {**_with_room(tags, work.entry.tags), _BEGUN: work.migration_id}
                    self._create(work, target, item.key, begun)
            else:
                self._keep(work, target, before)
            self._waiter.past(
                lambda: target.put(item.key, token, value),
                lambda error: before.absent and is_not_visible_yet(error, {NOT_FOUND}, work.has_time),
            )
            there = self._until(work, target, item.key, lambda found: _has(found, token))
        if there is None or not _has(there, token):
            if not work.has_time() or (there and staged(there, CURRENT) in (None, before.version)):
                raise ThrottledError("no version of ours yet", "DescribeSecret")
            # It was deleted since, or two newer versions have replaced ours.
            raise ConcurrentWriteError("DescribeSecret")
        target.mark(item.key, work.migration_id, MADE, token)
        target.describe(item.key, there, description, work.entry.kms_key)
        target.set_tags(item.key, there, tags)
        return VersionIdentity(token, created(there))

    def _create(self, work: Work, target: Vault, key: str, tags: Mapping[str, str]) -> None:
        """Create the secret. Succeeds when this migration has created it, which reads may not show yet."""
        try:
            target.create(key, tags, work.entry.kms_key)
        except NamedError as error:
            if error.code != EXISTS:
                raise
            there = self._until(work, target, key, bool)
            if there is None and not work.has_time():
                raise ThrottledError(error.code, error.operation) from error
            if not _is_begun(there or {}, work):
                raise

    def _until(
        self, work: Work, target: Vault, key: str, is_told: Callable[[Description], bool]
    ) -> Description | None:
        """Return the metadata from DescribeSecret, as soon as it shows the write."""
        return self._waiter.until(
            lambda: target.described(key), lambda found: is_told(found or {}) or not work.has_time()
        )

    def _shows(self, there: Description | None, made: VersionIdentity) -> bool:
        return _has(there or {}, made.id)

    @staticmethod
    def _keep(work: Work, target: Vault, before: Before) -> None:
        """Label the present versions, so that Secrets Manager keeps them after ours is written.

        Labels of older migrations are removed to make room. Those migrations have ended: an unfinished one would have
        locked the target.
        """
        for mark in in_the_way(target.described(before.key) or {}, work.migration_id):
            target.unlabel(before.key, mark.label)
        if before.version:
            target.mark(before.key, work.migration_id, BEFORE, before.version)
        if before.detail.get("previous"):
            target.mark(before.key, work.migration_id, PREVIOUS, before.detail["previous"])

    def _problem(self, entry: Entry, item: Item, made: VersionIdentity, level: Level, both: Both) -> str:
        source, target = self._vaults(entry)
        one, other = both
        current = identity_of(other) if other else None
        if other is None or current is None or not current.is_recorded_as(str(made)):
            return "what was written is not the current version"
        if level is Level.PINNED:
            return ""
        wanted, _ = rewritten(entry, source.value(item.key, item.versions[-1].id))
        if wanted != target.value(item.key, made.id):
            return "values differ"
        if one is not None and one.get("Description", "") != other.get("Description", ""):
            return "descriptions differ"
        if one is not None and tags_of(one.get("Tags")) != tags_of(other.get("Tags")):
            return "tags differ"
        return ""

    def _take_back(
        self, work: Work, item: Item, before: Before, written: VersionIdentity, there: Description | None
    ) -> Undone | Conflict:
        key, (_, target) = item.key, self._vaults(work.entry)
        if there is None:
            return Undone(key, "untouched") if before.absent else Conflict(key, "someone deleted it since")
        current, made = staged(there, CURRENT), written.id
        as_written = VersionIdentity(made, created(there)).is_recorded_as(str(written))
        if not as_written or not _is_secret_of(there, before):
            return Conflict(key, WRITTEN_SINCE)
        if before.version is None:
            if not _is_ours_alone(there, work, made):
                return Conflict(key, WRITTEN_SINCE)
            if regions := replica_regions(there):
                return Conflict(key, f"it has replicas in {', '.join(regions)} since: remove them first")
            target.delete(key)
            return Undone(key, "deleted")
        if current not in (made, before.version) or not _came_on_top(there, before.version, made):
            return Conflict(key, WRITTEN_SINCE)
        previous = before.detail.get("previous", "")
        for version in filter(None, (before.version, previous)):
            if version not in stages_of(there):
                return Conflict(key, _forgotten(version))
        moved: Description | None = there
        if current == made:
            target.move(key, CURRENT, before.version, made)
            moved = self._until(work, target, key, lambda found: staged(found, CURRENT) == before.version)
        _restore_previous(target, key, previous, staged(moved or {}, _PREVIOUS))
        target.describe(key, there, before.detail["description"], before.detail["key"])
        target.set_tags(key, there, json.loads(before.detail["tags"]))
        for mark in of_migration(target.described(key) or {}, work.migration_id):
            target.unlabel(key, mark.label)
        return Undone(key, "restored")


def too_long_secret(name: str) -> str:
    """Check the characters of a secret's name (Secrets Manager API Reference, "CreateSecret", Name)."""
    return (
        f"its name would have more than {_LONGEST_NAME} characters at the target"
        if len(name) > _LONGEST_NAME
        else ""
    )


def _rotation_of(source: Vault, key: str) -> str:
    """Return its rotation rules, or why they cannot be read."""
    try:
        return rotation(source.described(key) or {})
    except NamedError as error:
        return f"its rules cannot be read: {error}"


def _forgotten(version: str) -> str:
    return (
        f"version {version} is no longer kept: {KEPT} or more later migrations have written here, and only the newest "
        f"{KEPT} keep what was before them"
    )


def _restore_previous(target: Vault, key: str, previous: str, holder: str | None) -> None:
    if previous and holder != previous:
        if holder:
            target.move(key, _PREVIOUS, previous, holder)
        else:
            target.label(key, _PREVIOUS, previous)
    elif not previous and holder:
        target.unlabel(key, _PREVIOUS)


def _cannot_write(found: Mapping[str, Any], current: str | None, region: str) -> str:
    """Return why a secret in ``region`` cannot be written; empty when it can.

    A primary with replicas has its own region as ``PrimaryRegion`` (Secrets Manager API Reference, "DescribeSecret").
    """
    if found.get("DeletedDate"):
        return "it is scheduled for deletion at the target: restore it, or wait until it is deleted"
    if found.get("PrimaryRegion", region) != region:
        return f"it is a replica of {found['PrimaryRegion']} at the target and refuses writes"
    if found.get("OwningService"):
        return f"{found['OwningService']} manages it at the target"
    if current is None:
        return "it has no value at the target: give it one, or delete it"
    return no_room(found)


def _before(key: str, found: Mapping[str, Any] | None) -> Before:
    if found is None:
        return Before(key)
    detail = {
        "description": found.get("Description", ""),
        "key": found.get("KmsKeyId", ""),
        "tags": json.dumps(tags_of(found.get("Tags")), sort_keys=True),
        "previous": staged(found, _PREVIOUS) or "",
        "created": created(found),
    }
    return Before(key, staged(found, CURRENT), detail=detail)


def _with_room(tags: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return ``tags`` without the last ones when there is no room for our tag; those in ``wanted`` come first."""
    names = sorted(tags, key=lambda name: (name not in wanted, name))
    return {name: tags[name] for name in names[: TAGS.most - 1]}


def _has_tags(found: Mapping[str, Any], entry: Entry) -> bool:
    return dict(entry.tags).items() <= tags_of(found.get("Tags")).items()


def _has(found: Mapping[str, Any], version: str) -> bool:
    return version in stages_of(found)


def _is_as_left(there: Mapping[str, Any], before: Before, token: str) -> bool:
    """Whether the current version is the earlier one or ours, so that nobody else has written since."""
    current = token if _has(there, token) else before.version
    return staged(there, CURRENT) == current and _is_secret_of(there, before)


def _is_secret_of(there: Mapping[str, Any], before: Before) -> bool:
    """Whether it is the recorded secret, and was not deleted and created again."""
    return before.detail.get("created", "") in ("", created(there))


def _are_one(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether one is a replica of the other. Their versions have the same ids.

    Equal version ids alone prove nothing, because a writer can choose the id (Secrets Manager API Reference,
    "PutSecretValue", ClientRequestToken).
    """
    return bool(one.get("PrimaryRegion")) and one.get("PrimaryRegion") == other.get("PrimaryRegion")


def _is_ours_alone(there: Mapping[str, Any], work: Work, made: str) -> bool:
    """Whether a new secret has no versions but this migration's."""
    return not set(stages_of(there)) - {made} and (staged(there, CURRENT) == made or _is_begun(there, work))


def _came_on_top(there: Mapping[str, Any], before: str, made: str) -> bool:
    """Whether our version directly follows the earlier one, as far as AWSPREVIOUS shows."""
    return staged(there, CURRENT) != made or staged(there, _PREVIOUS) in (None, before)


def _is_begun(found: Mapping[str, Any], work: Work) -> bool:
    """Whether this migration created the secret, but has not set its final tags yet."""
    return tags_of(found.get("Tags")).get(_BEGUN) == work.migration_id


def _token(work: Work, item: Item) -> str:
    """Return the version's id, computed from the migration, the name and the source's version."""
    parts = (work.migration_id, work.entry.target.region, work.entry.target.prefix + item.key)
    return str(uuid.uuid5(_NAMESPACE, "\n".join((*parts, item.versions[-1].id))))
