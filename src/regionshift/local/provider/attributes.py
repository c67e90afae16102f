"""Attributes that AWS takes and gives as texts (SNS, SQS), as plain values of the fields' shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.wire import Properties

_READERS: Mapping[FieldType, Callable[[str], Any]] = MappingProxyType(
    {FieldType.FLAG: lambda text: text.lower() == "true", FieldType.INTEGER: int}
)


def to_texts(values: Properties, names: Mapping[str, str]) -> dict[str, str]:
    """AWS's attributes for those of ``names`` (property to attribute) that have a value."""
    return {names[name]: _text(values[name]) for name in names if values.get(name) is not None}


def from_texts(texts: Mapping[str, str], names: Mapping[str, str], fields: Mapping[str, Field]) -> Properties:
    """The properties behind AWS's attributes; an empty text means that there is none."""
    return {
        name: _READERS.get(fields[name].shape, str)(texts[attribute])
        for name, attribute in names.items()
        if texts.get(attribute)
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
