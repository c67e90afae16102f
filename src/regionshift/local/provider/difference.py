"""Diff: compare old and new inputs, and find out whether AWS can change them in place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Handler, Update
from regionshift.local.provider.wire import Properties, Unknown, contains_unknown


def same(one: Any, other: Any, of: Field) -> bool:
    """Whether two values mean the same to AWS. An unknown value is never the same."""
    if contains_unknown(one) or contains_unknown(other):
        return False
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        one, other = _asked_of_both(one, other, of), _asked_of_both(other, one, of)
    return bool(normal(one, of) == normal(other, of))


def _asked_of_both(value: Mapping[str, Any], other: Mapping[str, Any], of: Field) -> dict[str, Any]:
    """Return ``value`` without the computed fields that the other side does not have."""
    chosen = {name for name, inner in of.items.items() if inner.computed and other.get(name) is None}
    return {name: item for name, item in value.items() if name not in chosen}


def normal(value: Any, of: Field) -> Any:
    """Return the same form for all values that mean the same; None for values that mean 'not given'."""
    if value is None:
        value = of.default
    if value is None or value == "":
        return None
    form = _NORMAL_FORMS.get(of.shape)
    return value if form is None else form(value, of)


def _normal_item(item: Any, of: Field) -> Any:
    return _normal_object(item, of.items) if isinstance(item, Mapping) else item


def _normal_object(value: Mapping[str, Any], items: Mapping[str, Field]) -> dict[str, Any]:
    if not items:
        return {name: item for name, item in value.items() if item not in (None, "", [], {})}
    parts = {name: normal(value.get(name), of) for name, of in items.items()}
    return {name: part for name, part in parts.items() if part is not None and part != items[name].default}


def _order(item: Any) -> str:
    return json.dumps(item, sort_keys=True, default=str)


def _normal_list(value: Any, of: Field) -> Any:
    return [_normal_item(item, of) for item in value] or None


def _normal_set(value: Any, of: Field) -> Any:
    return sorted((_normal_item(item, of) for item in value), key=_order) or None


_NORMAL_FORMS: Mapping[FieldType, Callable[[Any, Field], Any]] = MappingProxyType(
    {
        FieldType.DOCUMENT: lambda value, _: json.loads(value),
        FieldType.POLICY: lambda value, _: _normal_policy(json.loads(value)),
        FieldType.LIST: _normal_list,
        FieldType.SET: _normal_set,
        FieldType.MAP: lambda value, _: (
            {name: item for name, item in value.items() if item is not None} or None
        ),
        FieldType.OBJECT: lambda value, of: _normal_object(value, of.items) or None,
        FieldType.ASSET: lambda value, _: value.digest,
    }
)


_POLICY_LISTS = frozenset({"Action", "NotAction", "Resource", "NotResource"})


def _normal_policy(policy: Any) -> Any:
    """Return a policy with single values as lists, and with sorted lists, because IAM treats them the same."""
    if not isinstance(policy, Mapping):
        return policy
    statements = policy.get("Statement", [])
    listed = statements if isinstance(statements, list) else [statements]
    return {**policy, "Statement": [_normal_statement(statement) for statement in listed]}


def _normal_statement(statement: Mapping[str, Any]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for name, value in statement.items():
        if name in _POLICY_LISTS:
            parts[name] = _texts(value)
        elif name in ("Principal", "NotPrincipal") and isinstance(value, Mapping):
            parts[name] = {kind: _texts(who) for kind, who in value.items()}
        elif name == "Condition":
            parts[name] = {
                operator: {key: _texts(wanted) for key, wanted in keys.items()}
                for operator, keys in value.items()
            }
        else:
            parts[name] = value
    return parts


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return sorted(str(item).lower() if isinstance(item, bool) else str(item) for item in values)


_PLAIN = Field()
_CONTAINERS = (FieldType.LIST, FieldType.MAP, FieldType.OBJECT)


class DiffKind(Enum):
    """The kind of change of one value."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True)
class ResourceDiff:
    """The differences of a resource.

    Args:
        change: the inputs before and after, and the names of those that differ.
        details: the kind of change by property path, in the engine's format.
        replaces: names of inputs that AWS cannot change in place.
        delete_first: the old resource must be deleted before the new one is created.
    """

    change: Update
    details: Mapping[str, DiffKind]
    replaces: frozenset[str]
    delete_first: bool


def difference(handler: Handler, olds: Properties, news: Properties) -> ResourceDiff:
    """Compare old and new inputs. A computed input is compared only when it is given."""
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
