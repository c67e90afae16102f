"""The inputs of resource types: their types, and the values that AWS would refuse.

For an input of the wrong type, the emulator answers with an internal error that boto3 retries for seconds. So inputs
are checked by these fields before any call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

from regionshift.local.provider.wire import Asset, Unknown


class FieldType(Enum):
    """The type of an input."""

    TEXT = "text"
    INTEGER = "a whole number"
    NUMBER = "a number"
    FLAG = "true or false"
    DOCUMENT = "a JSON document as text"
    POLICY = "a policy document as JSON text"
    LIST = "a list"
    SET = "a list without order"
    MAP = "a map of texts"
    OBJECT = "an object"
    ASSET = "an asset or archive"


@dataclass(frozen=True)
class Field:
    """One input of a resource type.

    Args:
        shape: its type.
        default: AWS's default; Check fills it in.
        required: it must be given.
        replaces: a change replaces the resource, because AWS cannot change it in place.
        computed: AWS chooses a value when none is given, which is not drift.
        opaque: AWS does not return it; Read keeps the earlier value.
        secret: messages must not contain its value.
        allowed: the only texts that AWS accepts.
        pattern: the whole text must match this regular expression.
        minimum, maximum: bounds of a number, inclusive.
        items: the inputs inside an object, or inside each object of a list or set.
    """

    shape: FieldType = FieldType.TEXT
    default: Any = None
    required: bool = False
    replaces: bool = False
    computed: bool = False
    opaque: bool = False
    secret: bool = False
    allowed: tuple[str, ...] = ()
    pattern: str = ""
    minimum: float | None = None
    maximum: float | None = None
    items: Mapping[str, Field] = field(default_factory=dict)


@dataclass(frozen=True)
class InvalidInput:
    """An input that AWS would refuse. The reason never contains the value."""

    path: str
    reason: str


def mistakes(value: Any, of: Field, path: str) -> Iterator[InvalidInput]:
    """Yield the mistakes in ``value``. Unknown values are not checked."""
    if value is None or isinstance(value, Unknown):
        return
    if not _SHAPE_TESTS[of.shape](value):
        yield InvalidInput(path, f"must be {of.shape.value}")
        return
    if of.allowed and value not in of.allowed:
        yield InvalidInput(path, f"must be one of {', '.join(of.allowed)}")
    if of.pattern and not re.fullmatch(of.pattern, value):
        yield InvalidInput(path, f"must match {of.pattern}")
    if of.minimum is not None and value < of.minimum:
        yield InvalidInput(path, f"must be at least {of.minimum:g}")
    if of.maximum is not None and value > of.maximum:
        yield InvalidInput(path, f"must be at most {of.maximum:g}")
    if of.items:
        yield from _mistakes_inside(value, of, path)


def _mistakes_inside(value: Any, of: Field, path: str) -> Iterator[InvalidInput]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, Unknown):
                continue
            if not isinstance(item, Mapping):
                yield InvalidInput(f"{path}[{index}]", "must be an object")
            else:
                yield from object_mistakes(item, of.items, f"{path}[{index}].")
    else:
        yield from object_mistakes(value, of.items, f"{path}.")


def object_mistakes(
    values: Mapping[str, Any], fields: Mapping[str, Field], prefix: str = ""
) -> Iterator[InvalidInput]:
    """Yield the mistakes in an object: unknown names, missing names, wrong values."""
    for name in values:
        if name not in fields:
            yield InvalidInput(prefix + name, "is not supported by the local provider")
    for name, of in fields.items():
        if of.required and values.get(name) is None:
            yield InvalidInput(prefix + name, "is required")
        yield from mistakes(values.get(name), of, prefix + name)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, float)


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(item, str | Unknown) for item in value.values())


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


_SHAPE_TESTS: Mapping[FieldType, Callable[[Any], bool]] = MappingProxyType(
    {
        FieldType.TEXT: _is_text,
        FieldType.INTEGER: _is_integer,
        FieldType.NUMBER: _is_number,
        FieldType.FLAG: lambda value: isinstance(value, bool),
        FieldType.DOCUMENT: lambda value: _is_text(value) and _is_json(value),
        FieldType.POLICY: lambda value: _is_text(value) and _is_json(value),
        FieldType.LIST: _is_list,
        FieldType.SET: _is_list,
        FieldType.MAP: _is_map,
        FieldType.OBJECT: lambda value: isinstance(value, Mapping),
        FieldType.ASSET: lambda value: isinstance(value, Asset),
    }
)
