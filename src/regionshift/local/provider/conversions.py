"""Convert properties to arguments of AWS's calls, and back: tags, nested names, attributes that are texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.wire import Properties


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that have a value."""
    return {name: value for name, value in arguments.items() if value is not None}


def to_list(tags: Mapping[str, str], *, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Return tags as ``[{"Key": …, "Value": …}]``, sorted by key. Some services use other names."""
    return [{key: name, value: tags[name]} for name in sorted(tags)]


def from_list(tags: Iterable[Mapping[str, str]], *, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Return such a list as a map."""
    return {tag[key]: tag[value] for tag in tags}


def to_api(value: Any, exceptions: Mapping[str, str]) -> Any:
    """Return ``value`` with AWS's names: capitalised, except for ``exceptions`` (ours to AWS's). None is left out.

    Raises:
        ValueError: two names would get the same spelling, so that `from_api` could not distinguish them.
    """
    if isinstance(value, Mapping):
        return {
            _spelled(name, exceptions): to_api(item, exceptions)
            for name, item in value.items()
            if item is not None
        }
    return [to_api(item, exceptions) for item in value] if isinstance(value, list) else value


def _spelled(name: str, exceptions: Mapping[str, str]) -> str:
    if name in exceptions:
        return exceptions[name]
    theirs = name[:1].upper() + name[1:]
    if theirs[:1].lower() + theirs[1:] != name or theirs in exceptions.values():
        raise ValueError(f"{name!r} is not one of our names: {theirs!r} is the spelling of another one")
    return theirs


def from_api(value: Any, exceptions: Mapping[str, str]) -> Any:
    """The reverse of ``to_api``, with the same ``exceptions``."""
    return _named(value, {theirs: ours for ours, theirs in exceptions.items()})


def _named(value: Any, ours: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {
            ours.get(name, name[:1].lower() + name[1:]): _named(item, ours) for name, item in value.items()
        }
    return [_named(item, ours) for item in value] if isinstance(value, list) else value


_READERS: Mapping[FieldType, Callable[[str], Any]] = MappingProxyType(
    {FieldType.FLAG: lambda text: text.lower() == "true", FieldType.INTEGER: int}
)


def to_texts(values: Properties, names: Mapping[str, str]) -> dict[str, str]:
    """Return AWS's attributes for the properties in ``names`` (property to attribute) that have a value."""
    return {names[name]: _text(values[name]) for name in names if values.get(name) is not None}


def from_texts(texts: Mapping[str, str], names: Mapping[str, str], fields: Mapping[str, Field]) -> Properties:
    """Return the properties from AWS's attributes. An empty text means no value."""
    return {
        name: _READERS.get(fields[name].shape, str)(texts[attribute])
        for name, attribute in names.items()
        if texts.get(attribute)
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
