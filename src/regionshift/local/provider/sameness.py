"""When two values of one input mean the same to AWS: order, spelling and defaults do not count."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.wire import contains_unknown


def same(one: Any, other: Any, of: Field) -> bool:
    """Whether two values mean the same to AWS. What is not known yet is never the same."""
    if contains_unknown(one) or contains_unknown(other):
        return False
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        one, other = _asked_of_both(one, other, of), _asked_of_both(other, one, of)
    return bool(normal(one, of) == normal(other, of))


def _asked_of_both(value: Mapping[str, Any], other: Mapping[str, Any], of: Field) -> dict[str, Any]:
    """``value`` without what AWS chose itself, which is what the other side does not name."""
    chosen = {name for name, inner in of.items.items() if inner.computed and other.get(name) is None}
    return {name: item for name, item in value.items() if name not in chosen}


def normal(value: Any, of: Field) -> Any:
    """One form for all values that mean the same; None for what means 'not given'."""
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
    """A policy in which single values are lists and lists have one order, as IAM reads them."""
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
