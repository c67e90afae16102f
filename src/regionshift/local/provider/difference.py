"""Diff: what differs between old and new inputs, and whether AWS can change it in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Handler, Update
from regionshift.local.provider.sameness import same
from regionshift.local.provider.wire import Properties, Unknown

_PLAIN = Field()
_CONTAINERS = (FieldType.LIST, FieldType.MAP, FieldType.OBJECT)


class DiffKind(Enum):
    """What happened to one value."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True)
class ResourceDiff:
    """All that differs.

    Args:
        change: the inputs before and after, and the names of those that differ.
        details: a property path, as the engine writes them, to what happened there.
        replaces: names of inputs that AWS cannot change in place.
        delete_first: the old one stands in the way of the new one.
    """

    change: Update
    details: Mapping[str, DiffKind]
    replaces: frozenset[str]
    delete_first: bool


def difference(handler: Handler, olds: Properties, news: Properties) -> ResourceDiff:
    """Compare old inputs with new ones. An input AWS chooses when not given counts only when given."""
    fields = handler.all_fields()
    names = frozenset(name for name, of in fields.items() if _differs(name, of, olds, news))
    change = Update(olds, news, names)
    replaces = frozenset(name for name in names if fields[name].replaces) | handler.also_replaces(change)
    details: dict[str, DiffKind] = {}
    for name in sorted(names):
        found = dict(_details(olds.get(name), news.get(name), fields[name], name))
        details |= found or {name: DiffKind.CHANGED}
    return ResourceDiff(change, details, replaces, bool(replaces) and _stands_in_the_way(handler, change))


def _differs(name: str, of: Field, olds: Properties, news: Properties) -> bool:
    if of.computed and news.get(name) is None:
        return False
    return not same(olds.get(name), news.get(name), of)


def _stands_in_the_way(handler: Handler, change: Update) -> bool:
    unique = [*handler.unique_by, *([handler.name] if handler.name else [])]
    if handler.regional:
        unique = [*unique, "region"] if unique else []
    known = not any(isinstance(change.news.get(name), Unknown) for name in unique)
    return bool(unique) and known and not change.any_of(*unique)


def _details(old: Any, new: Any, of: Field, path: str) -> Iterator[tuple[str, DiffKind]]:
    if same(old, new, of):
        return
    if old is None:
        yield path, DiffKind.ADDED
    elif new is None:
        yield path, DiffKind.REMOVED
    elif of.shape in _CONTAINERS and isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            inner = of.items.get(name, _shape_of(new.get(name)))
            yield from _details(old.get(name), new.get(name), inner, _joined(path, name))
    elif (
        of.shape is FieldType.LIST
        and isinstance(old, list)
        and isinstance(new, list)
        and len(old) == len(new)
    ):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            inner = Field(FieldType.OBJECT, items=of.items) if of.items else _shape_of(other)
            yield from _details(one, other, inner, f"{path}[{index}]")
    else:
        yield path, DiffKind.CHANGED


def _shape_of(value: Any) -> Field:
    if isinstance(value, Mapping):
        return Field(FieldType.OBJECT)
    return Field(FieldType.LIST) if isinstance(value, list) else _PLAIN


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if name.isidentifier() else f'{path}["{name}"]'
