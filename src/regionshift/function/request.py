"""Parse an event into a ``FunctionRequest``, or refuse it with a sentence. Unknown fields are ignored. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

VALIDATE = "validate"
MIGRATE = "migrate"
ROLLBACK = "rollback"
UNKNOWN = "unknown"
ACTION_NAMES = (VALIDATE, MIGRATE, ROLLBACK)

LARGEST_EVENT = 1024**2
"""Bytes of an asynchronous event (Lambda API Reference, "Invoke": 1 MB; 6 MB for a synchronous one). The same limit
holds for synchronous events and for documents."""

MOST_KEYS = 10_000
_MOST_BYTES_OF_KEYS = 1_000_000
LONGEST_TEXT = 1024
"""Bytes of UTF-8 in any other text: the limit of S3's keys (S3 User Guide, "Naming Amazon S3 objects")."""

# An id becomes a folder of the deployment bucket. It cannot be only dots, because HTTP libraries resolve these.
ID_LONGEST = 128
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_ONLY_DOTS = re.compile(r"\.+")
_TYPE_NAMES = {
    str: "a string",
    dict: "an object",
    list: "a list",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


class RefusedError(Exception):
    """The request is refused and nothing was changed.

    Attributes:
        status_code: 4xx.
        code: one word for programs.
        sentence: names the field.
        action, migration_id: those of the request, if they could be read.
    """

    def __init__(self, status_code: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status_code = status_code
        self.code = code
        self.sentence = sentence
        self.action = UNKNOWN
        self.migration_id: str | None = None


@dataclass(frozen=True)
class MigrationEnd:
    """Source or target of a migration. None means the default. ``label``: a name that is only recorded."""

    bucket: str | None = None
    prefix: str | None = None
    region: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class FunctionRequest:
    """A request with all fields checked. ``migration_id`` is None only for the action validate.

    ``keys``: carry only these whole keys of the source; empty: everything under its prefix. ``linked``: False before
    replication is created, so that it is not checked.
    """

    action: str
    migration_id: str | None = None
    source: MigrationEnd = MigrationEnd()
    target: MigrationEnd = MigrationEnd()
    keys: tuple[str, ...] = ()
    config_key: str | None = None
    reason: str | None = None
    linked: bool = True


def parse(event: object) -> FunctionRequest:
    """Parse and check ``event``.

    Raises:
        RefusedError: 400, with the action and the id if they could be read.
    """
    if not isinstance(event, Mapping):
        raise RefusedError(400, "InvalidEvent", f"The event must be an object, found {_type_name(event)}.")
    fields = cast("Mapping[str, object]", event)
    try:
        return _request(fields)
    except RefusedError as refused:
        refused.action = _readable_action(fields.get("action", VALIDATE))
        refused.migration_id = _readable_id(fields.get("migration_id"))
        raise


def _request(fields: Mapping[str, object]) -> FunctionRequest:
    action = _action(fields)
    if action == VALIDATE:
        return FunctionRequest(action, linked=_linked(fields))
    migration_id = _migration_id(fields)
    if action == ROLLBACK:
        return FunctionRequest(action, migration_id, reason=_text(fields, "reason"))
    return FunctionRequest(
        action,
        migration_id,
        source=_place(fields, "source"),
        target=_place(fields, "target"),
        keys=_keys(fields),
        config_key=_text(fields, "config_key", may_be_empty=False),
    )


def _action(fields: Mapping[str, object]) -> str:
    action = fields.get("action", VALIDATE)
    if not isinstance(action, str):
        raise _wrong_type("action", "a string", action)
    if action not in ACTION_NAMES:
        allowed = ", ".join(ACTION_NAMES)
        found = _shown(action)
        raise RefusedError(400, "UnknownAction", f"action must be one of {allowed}; found {found}.")
    return action


def _linked(fields: Mapping[str, object]) -> bool:
    found = fields.get("linked", True)
    if not isinstance(found, bool):
        raise _wrong_type("linked", "a boolean", found)
    return found


def _migration_id(fields: Mapping[str, object]) -> str:
    if "migration_id" not in fields:
        raise RefusedError(400, "MissingField", "migration_id is missing.")
    found = fields["migration_id"]
    if not isinstance(found, str):
        raise _wrong_type("migration_id", "a string", found)
    if not found:
        raise RefusedError(400, "InvalidField", "migration_id must not be empty.")
    if not _ID.fullmatch(found) or _ONLY_DOTS.fullmatch(found):
        raise RefusedError(
            400,
            "InvalidField",
            f"migration_id may hold only letters, digits, '.', '_' and '-' (not dots alone),"
            f" up to {ID_LONGEST} characters.",
        )
    return found


def _place(fields: Mapping[str, object], end: str) -> MigrationEnd:
    place = MigrationEnd()
    if end in fields:
        found = fields[end]
        if isinstance(found, str):
            place = MigrationEnd(label=_bounded(end, found))
        elif isinstance(found, Mapping):
            place = _named_place(found, end)
        else:
            raise _wrong_type(end, "an object or a string", found)
    short = _text(fields, f"{end}_prefix")
    if short is None:
        return place
    if place.prefix is not None and place.prefix != short:
        raise RefusedError(400, "InvalidField", f"{end}_prefix and {end}.prefix must not differ.")
    return replace(place, prefix=short)


def _keys(fields: Mapping[str, object]) -> tuple[str, ...]:
    """Return the whole keys in ``source.keys``."""
    source = fields.get("source")
    found = source.get("keys", []) if isinstance(source, Mapping) else []
    if not isinstance(found, list):
        raise _wrong_type("source.keys", "a list", found)
    for number, key in enumerate(found):
        if not isinstance(key, str):
            raise _wrong_type(f"source.keys[{number}]", "a string", key)
        if not key:
            raise RefusedError(400, "InvalidField", f"source.keys[{number}] must not be empty.")
    size = sum(len(_unicode("source.keys", key).encode()) for key in found)
    if len(found) > MOST_KEYS or size > _MOST_BYTES_OF_KEYS:
        raise RefusedError(
            400,
            "InvalidField",
            f"source.keys has {len(found):,} keys of {size:,} bytes; one migration takes up to {MOST_KEYS:,} of"
            f" {_MOST_BYTES_OF_KEYS:,} bytes together: name a prefix, or split the keys over several ids.",
        )
    return tuple(_bounded("source.keys", key) for key in found)


def _named_place(found: Mapping[str, object], end: str) -> MigrationEnd:
    return MigrationEnd(
        bucket=_text(found, "bucket", within=end, may_be_empty=False),
        prefix=_text(found, "prefix", within=end),
        region=_text(found, "region", within=end, may_be_empty=False),
    )


def _text(
    fields: Mapping[str, object], name: str, *, within: str = "", may_be_empty: bool = True
) -> str | None:
    if name not in fields:
        return None
    path = f"{within}.{name}" if within else name
    found = fields[name]
    if not isinstance(found, str):
        raise _wrong_type(path, "a string", found)
    if not found and not may_be_empty:
        raise RefusedError(400, "InvalidField", f"{path} must not be empty.")
    return _bounded(path, found)


def _bounded(path: str, found: str) -> str:
    """Return the text if it is short enough: no name in S3 is longer."""
    if (size := len(_unicode(path, found).encode())) > LONGEST_TEXT:
        raise RefusedError(400, "InvalidField", f"{path} has {size:,} bytes; the limit is {LONGEST_TEXT:,}.")
    return found


def _unicode(path: str, found: str) -> str:
    """Return the text if it is valid Unicode. JSON can have half of a surrogate pair, which no AWS API accepts."""
    try:
        found.encode()
    except UnicodeEncodeError:
        raise RefusedError(400, "InvalidField", f"{path} is not valid Unicode.") from None
    return found


def _wrong_type(path: str, wanted: str, found: object) -> RefusedError:
    return RefusedError(400, "InvalidField", f"{path} must be {wanted}, found {_type_name(found)}.")


def _type_name(found: object) -> str:
    return _TYPE_NAMES.get(type(found), type(found).__name__)


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "...")


def _readable_action(found: object) -> str:
    return found if isinstance(found, str) and found in ACTION_NAMES else UNKNOWN


def _readable_id(found: object) -> str | None:
    return found[:ID_LONGEST] if isinstance(found, str) else None
