"""The carrier of Systems Manager parameters.

A key is a parameter's name without the entry's path. Undo reads the earlier value from the parameter's history, so a
migration never records a value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
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
    MEANWHILE,
    Both,
    ClientSource,
    ConcurrentWriteError,
    Description,
    NamedCarrier,
    NamedError,
    batch_seen,
    decide,
    listed,
    looked_at,
    require_rules,
    rewrites_of,
    rewritten,
)
from regionshift.carriers.selection import Cursor, selector
from regionshift.carriers.ssm_access import GONE, NO_POLICIES, Side, changed_policies, identity_of, policies
from regionshift.errors import InputError
from regionshift.waiting import AT_ONCE, Waiter

_LONGEST_NAME, _MOST_LEVELS = 1011, 15
_UNDO = "while the earlier version is among the newest 100 of the parameter's history"

_FIXED_DATA_TYPES = frozenset({"aws:ec2:image", "aws:ssm:integration"})


class Parameters(NamedCarrier):
    """Carries parameters. Values are read and written one by one and never stored.

    Args:
        once: clients without botocore's retries, for writes; None: use ``clients``.
    """

    kind = "ssm"
    what = "Parameters"

    def __init__(
        self, clients: ClientSource, once: ClientSource | None = None, waiter: Waiter = AT_ONCE
    ) -> None:
        self._waiter = waiter
        self._clients = clients
        self._once = once or clients

    def check(self, entry: Entry) -> Limits:
        """See ``Carrier.check``."""
        require_rules(entry)
        Keys(self._clients, entry).require()
        for place in (entry.source, entry.target):
            with listed("parameters", place.region):
                next(self._side(place).listing(), None)
        _require_path(self._side(entry.source), entry)
        return Limits(_UNDO)

    def inventory(
        self, entry: Entry, carried: Iterator[Carried], *, deep: bool = False, left_behind: bool = False
    ) -> Iterator[Item]:
        """See ``Carrier.inventory``. The listings show all properties that are not carried."""
        del left_behind
        source, target = self._sides(entry)
        selects, keys = selector(entry), Keys(self._clients, entry)
        with listed("parameters", entry.target.region):
            there = {found["Name"][len(entry.target.prefix) :]: found for found in target.listing()}
        with listed("parameters", entry.source.region):
            every = sorted(source.listing(), key=lambda each: str(each["Name"]))
        ours = Cursor(carried, lambda line: line.key)
        start = len(entry.source.prefix)

        def look(key: str, found: Mapping[str, Any], known: Carried | None) -> Item:
            other = there.get(key)
            item = self._plan(keys, (key, found, other), known)
            if deep and item.kind is ItemState.SAME and other:
                item = self._deepened(entry, item, found, other)
            if item.kind not in (ItemState.NEW, ItemState.CHANGED):
                return item
            version = identity_of(found)
            return replace(
                item,
                rewrites=rewrites_of(entry, lambda: source.value(key, version)),
                newer=newer_at_target(version.date, identity_of(other).date) if other and not known else "",
                left=("earlier versions and labels",) if int(version.id) > 1 else (),
            )

        for found in every:
            key = found["Name"][start:]
            if selects(key):
                known = ours.at(key)
                if item := looked_at(self.what, key, partial(look, key, found, known)):
                    yield item

    def _deepened(self, entry: Entry, item: Item, found: Mapping[str, Any], there: Mapping[str, Any]) -> Item:
        """Return the item, as ``changed`` when its value, settings or tags differ from the source's."""
        again = Item(item.key, ItemState.CHANGED, (_source_version(found),))
        reason = self._difference(entry, again, identity_of(there), (found, there))
        return replace(again, reason=reason) if reason else item

    def describe_before(self, work: Work) -> Mapping[str, Before]:
        """See ``Carrier.describe_before``."""
        _, target = self._sides(work.entry)
        with batch_seen(self.what, work.entry):
            there = target.named([item.key for item in work.items])
            return {
                item.key: _before(item.key, there[item.key], target.tags(item.key))
                if item.key in there
                else Before(item.key)
                for item in work.items
            }

    def recover(self, work: Work, before: Mapping[str, Before]) -> Mapping[str, tuple[str, ...]]:
        """See ``Carrier.recover``. Our version follows the recorded one and has the value that we would write."""
        source, target = self._sides(work.entry)
        found: dict[str, tuple[str, ...]] = {}
        with batch_seen(self.what, work.entry):
            there = target.named([item.key for item in work.items])
            for item in work.items:
                next_version = _expected(before[item.key])
                if item.key not in there or int(there[item.key]["Version"]) < next_version:
                    continue
                if made := self._newest_of_ours(work.entry, source, target, item, next_version):
                    found[item.key] = (str(made),)
        return found

    def _described(self, place: DataLocation, keys: Sequence[str]) -> Callable[[str], Description | None]:
        return self._side(place).named(keys).get

    def _problem(self, entry: Entry, item: Item, made: VersionIdentity, level: Level, both: Both) -> str:
        one, other = both
        if other is None or not identity_of(other).is_recorded_as(str(made)):
            return "what was written is not the current version"
        return self._difference(entry, item, made, (one, other)) if level is Level.FULL else ""

    def _is_still_ours(
        self, entry: Entry, item: Item, made: VersionIdentity, there: Mapping[str, Any] | None
    ) -> bool:
        """Whether the version with our number is ours, and not one of a parameter that was created again.

        Records of earlier releases have no dates. Then the values are compared.
        """
        if there is None:
            return True
        source, target = self._sides(entry)
        if not made.date:
            return self._equal(entry, source, target, item, made)
        if str(there["Version"]) == made.id:
            return identity_of(there) == made
        try:
            target.value(item.key, made)
        except NamedError as error:
            if error.code in GONE:
                return False
            raise
        return True

    def _sides(self, entry: Entry) -> tuple[Side, Side]:
        return self._side(entry.source), self._side(entry.target)

    def _side(self, place: DataLocation) -> Side:
        client, once = self._clients("ssm", place.region), self._once("ssm", place.region)
        return Side(client, place, once, self._waiter)

    def _shows(self, there: Description | None, made: VersionIdentity) -> bool:
        return there is not None and int(there["Version"]) >= int(made.id)

    @staticmethod
    def _plan(
        keys: Keys, named: tuple[str, Mapping[str, Any], Mapping[str, Any] | None], ours: Carried | None
    ) -> Item:
        key, found, there = named
        version = identity_of(found)
        kind, reason = decide(ours, version, identity_of(there) if there else None)
        if kind is ItemState.CHANGED and there and (fixed := cannot_go_back(found, there)):
            return Item(key, ItemState.CONFLICT, reason=fixed)
        if kind is ItemState.CHANGED and there and (unusable := keys.why_unusable(there.get("KeyId"))):
            return Item(key, ItemState.CONFLICT, reason=f"at the target it is under {unusable}")
        if kind in (ItemState.SAME, ItemState.CONFLICT):
            return Item(key, kind, reason=reason)
        return Item(key, kind, (_source_version(found),), reason)

    def _carry(self, work: Work, item: Item, before: Before, both: Both, made: list[str]) -> None:
        source, target = self._sides(work.entry)
        found, there = both
        if found is None:
            raise NamedError("ParameterNotFound", "DescribeParameters")
        tags = source.tags(item.key)
        if not made:
            # The record can be days old when a migration is resumed.
            if not _is_as_recorded(there, before):
                raise ConcurrentWriteError("PutParameter")
            made.append(str(self._write(work, item, found, before)))
        if not _follows(target, before, VersionIdentity.read(made[-1])):
            raise ConcurrentWriteError("PutParameter")
        target.set_tags(item.key, tags, work.has_time)

    def _write(self, work: Work, item: Item, found: Mapping[str, Any], before: Before) -> VersionIdentity:
        entry = work.entry
        source, target = self._sides(entry)
        value, _ = rewritten(entry, source.value(item.key, item.versions[-1].identity))
        settings = {
            "Type": found["Type"],
            "DataType": found.get("DataType", "text"),
            "Description": found.get("Description", ""),
            # An advanced parameter cannot become standard again, whatever the source is.
            "Tier": "Advanced" if before.detail.get("tier") == "Advanced" else found.get("Tier", "Standard"),
            "AllowedPattern": found.get("AllowedPattern", ""),
            **changed_policies(policies(found), before.detail.get("policies", NO_POLICIES)),
        }
        if found["Type"] == "SecureString" and entry.kms_key:
            settings["KeyId"] = entry.kms_key
        return target.put(item.key, value, settings, _expected(before) - 1, work.has_time)

    def _newest_of_ours(
        self, entry: Entry, source: Side, target: Side, item: Item, first: int
    ) -> VersionIdentity | None:
        """Return the last version from ``first`` on that has the value that we would write."""
        try:
            wanted, _ = rewritten(entry, source.value(item.key, item.versions[-1].identity))
        except NamedError as error:
            if error.code in GONE:
                return None
            raise
        return target.newest_alike(item.key, first, wanted)

    def _equal(self, entry: Entry, source: Side, target: Side, item: Item, made: VersionIdentity) -> bool:
        try:
            wanted, _ = rewritten(entry, source.value(item.key, item.versions[-1].identity))
            return wanted == target.value(item.key, made)
        except NamedError as error:
            if error.code in GONE:
                return False
            raise

    def _difference(
        self,
        entry: Entry,
        item: Item,
        made: VersionIdentity,
        found: tuple[Mapping[str, Any] | None, Mapping[str, Any]],
    ) -> str:
        source, target = self._sides(entry)
        one, other = found
        if not self._equal(entry, source, target, item, made):
            return "values differ"
        if one is None:
            return ""  # the source was deleted, so its settings cannot be compared
        for name in ("Type", "DataType", "Description", "AllowedPattern"):
            if one.get(name) != other.get(name):
                return f"{name} differs"
        if policies(one) != policies(other):
            return "Policies differ"
        return "" if source.tags(item.key) == target.tags(item.key) else "tags differ"

    def _take_back(
        self, work: Work, item: Item, before: Before, made: VersionIdentity, there: Description | None
    ) -> Undone | Conflict:
        """See ``NamedCarrier``. A parameter that existed before gets a new version with the earlier value."""
        key, (_, target) = item.key, self._sides(work.entry)
        if not self._is_still_ours(work.entry, item, made, there):
            return Conflict(key, WRITTEN_SINCE)
        if there is None:
            return Undone(key, "untouched") if before.absent else Conflict(key, "someone deleted it since")
        current = identity_of(there)
        if not _follows(target, before, made):
            return Conflict(key, MEANWHILE)
        if before.version is None:
            if current.id != made.id:
                return Conflict(key, WRITTEN_SINCE)
            target.delete(key)
            return Undone(key, "deleted")
        try:
            earlier = target.value(key, VersionIdentity.read(before.version))
        except NamedError as error:
            if error.code in GONE:
                number = VersionIdentity.read(before.version).id
                return Conflict(key, f"version {number} is no longer in the history")
            raise
        if current.id == made.id:
            current = target.put(key, earlier, _settings(before, there), int(current.id), work.has_time)
        elif not target.all_hold(key, range(int(made.id) + 1, int(current.id) + 1), earlier):
            # Later versions with the earlier value come from our own interrupted undo.
            return Conflict(key, WRITTEN_SINCE)
        target.set_tags(key, json.loads(before.detail["tags"]), work.has_time)
        return Undone(key, "restored", str(current))


def too_long_parameter(name: str) -> str:
    """Check characters and levels of a parameter's name (Systems Manager API Reference, "PutParameter", Name)."""
    if len(name) > _LONGEST_NAME or name.count("/") > _MOST_LEVELS:
        return (
            f"its name would have more than {_LONGEST_NAME} characters or {_MOST_LEVELS} levels at the target"
        )
    return ""


def _require_path(source: Side, entry: Entry) -> None:
    """Check that the entry's path is not the name of a parameter with nothing under it.

    Raises:
        InputError: it is, so the entry would carry nothing.
        Refused, WorkFailed: the parameters cannot be listed.
    """
    name = entry.source.prefix.rstrip("/")
    with listed("parameters", entry.source.region):
        if not name or next(source.listing(), None) is not None:
            return
        own = source.existing([name, name.removeprefix("/")])
    if own:
        raise InputError(
            f"{own[0]} is a parameter and not a path: there is nothing under {entry.source.prefix}.",
            where=f"{entry.source.region}: carry.ssm",
            remedy="name the path above it, and the parameter in include; a parameter without a path needs one first",
            error_id="RS-CARRY-002",
        )


def cannot_go_back(source: Mapping[str, Any], target: Mapping[str, Any]) -> str:
    """Return why writing ``source`` over ``target`` could not be undone; empty when it could.

    The type cannot change, and an advanced parameter cannot become standard again (Systems Manager API Reference,
    "PutParameter", HierarchyTypeMismatchException and Tier). The data types of images and integrations cannot change
    either (User Guide, "Parameter data types").
    """
    if source["Type"] != target["Type"]:
        return f"its type is {target['Type']} at the target and {source['Type']} at the source"
    data_types = [side.get("DataType", "text") for side in (source, target)]
    if data_types[0] != data_types[1] and not _FIXED_DATA_TYPES.isdisjoint(data_types):
        return f"its data type is {data_types[1]} at the target and {data_types[0]} at the source"
    # AWS may choose the advanced tier for ``Intelligent-Tiering``.
    if source.get("Tier", "Standard") != "Standard" and target.get("Tier", "Standard") == "Standard":
        return "it would become an advanced parameter, which cannot become a standard one again"
    return ""


def _before(key: str, found: Mapping[str, Any], tags: Mapping[str, str]) -> Before:
    detail = {
        "type": found["Type"],
        "tier": found.get("Tier", "Standard"),
        "data_type": found.get("DataType", "text"),
        "description": found.get("Description", ""),
        "allowed_pattern": found.get("AllowedPattern", ""),
        "policies": policies(found),
        "key": found.get("KeyId", ""),
        "tags": json.dumps(dict(tags), sort_keys=True),
    }
    return Before(key, str(identity_of(found)), detail=detail)


def _settings(before: Before, there: Mapping[str, Any]) -> dict[str, Any]:
    detail = before.detail
    settings = {
        "Type": detail["type"],
        "DataType": detail["data_type"],
        "Description": detail["description"],
        "Tier": detail["tier"],
        "AllowedPattern": detail["allowed_pattern"],
        # The migration may have added some where there were none.
        **changed_policies(detail["policies"], policies(there)),
    }
    if detail["type"] == "SecureString" and detail["key"]:
        settings["KeyId"] = detail["key"]
    return settings


def _expected(before: Before) -> int:
    """Return the number of the version that the migration writes: the next one."""
    return int(VersionIdentity.read(before.version).id) + 1 if before.version else 1


def _is_as_recorded(there: Mapping[str, Any] | None, before: Before) -> bool:
    """Whether the target is unchanged since it was recorded."""
    if there is None or before.version is None:
        return there is None and before.version is None
    return identity_of(there).is_recorded_as(before.version)


def _source_version(found: Mapping[str, Any]) -> SourceVersion:
    identity = identity_of(found)
    return SourceVersion(identity.id, date=identity.date)


def _follows(target: Side, before: Before, made: VersionIdentity) -> bool:
    """Whether nobody else wrote between the earlier version and ``made``.

    A repeated write, after a lost answer, can leave the same value twice.
    """
    first = _expected(before)
    number = int(made.id)
    if number <= first:
        return number == first
    return target.all_hold(before.key, range(first, number), target.value(before.key, made))
