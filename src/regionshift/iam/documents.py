"""Read a policy document into statements, with lists where AWS takes a string or a list.

IAM User Guide, "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

Effect = Literal["Allow", "Deny"]
EVERY = "*"
"""The action, resource or principal that stands for all."""
_FIELDS = frozenset(
    {
        "Action",
        "Condition",
        "Effect",
        "NotAction",
        "NotPrincipal",
        "NotResource",
        "Principal",
        "Resource",
        "Sid",
    }
)


class PolicyKind(StrEnum):
    """What a document is attached to: an identity, a role as its trust, or a resource."""

    IDENTITY = "identity"
    TRUST = "trust"
    RESOURCE = "resource"


class Unreadable(ValueError):
    """The document is unknown or no policy document. The message says why."""


@dataclass(frozen=True)
class Part:
    """The actions, resources or principals of a statement: those named, or all but those.

    ``values`` are as written. A principal is ``AWS:…``, ``Service:…``, ``Federated:…``, ``CanonicalUser:…`` or ``*``.
    An account's root is ``AWS:`` with its number, however it is written.
    """

    values: tuple[str, ...]
    is_all_but: bool = False


ALL = Part((EVERY,))


@dataclass(frozen=True)
class Condition:
    """One key under one operator, as written. One of ``values`` must fit; with a negated operator, none may."""

    operator: str
    key: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.operator} {self.key} {', '.join(self.values)}"


@dataclass(frozen=True)
class Statement:
    """One statement. All of ``conditions`` must hold.

    Args:
        resources: None where it names none, as in the trust of a role.
        principals: None in the policy of an identity.
        label: how a person finds it: its Sid, else its number from 1.
    """

    effect: Effect
    actions: Part
    resources: Part | None
    principals: Part | None
    conditions: tuple[Condition, ...]
    label: str


@dataclass(frozen=True)
class Policy:
    """The statements of a policy, in order."""

    statements: tuple[Statement, ...]

    def __iter__(self) -> Iterator[Statement]:
        return iter(self.statements)


def parse(document: str | Mapping[str, Any]) -> Policy:
    """Read a policy document: JSON, or the parsed form of it.

    Raises:
        Unreadable: it is no policy document.
    """
    read = _json(document) if isinstance(document, str) else document
    if not isinstance(read, Mapping) or "Statement" not in read:
        raise Unreadable("it is no policy document")
    found = read["Statement"]
    reader = _Reader(has_variables=read.get("Version") == "2012-10-17")
    statements = found if isinstance(found, list) else [found]
    return Policy(tuple(reader.statement(each, f"statement {n}") for n, each in enumerate(statements, 1)))


def _json(text: str) -> Any:
    """Parse JSON, and refuse a name that occurs twice: nobody knows which one AWS uses."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) < len(pairs):
            raise Unreadable("a name is in it twice")
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise Unreadable("it is no JSON") from error


@dataclass(frozen=True)
class _Reader:
    """``has_variables``: whether ``${…}`` is a variable. Before version 2012-10-17, and without a version, it is plain
    text (IAM User Guide, "IAM JSON policy elements: Version").
    """

    has_variables: bool

    def statement(self, found: object, place: str) -> Statement:
        if not isinstance(found, Mapping):
            raise Unreadable(f"{place} is no object")
        if strange := sorted(str(name) for name in found.keys() - _FIELDS):
            raise Unreadable(f"{place} has {', '.join(strange)}")
        effect, label = found.get("Effect"), str(found.get("Sid") or place)
        if effect not in ("Allow", "Deny"):
            raise Unreadable(f"{label} neither allows nor denies")
        actions = self._part(found, "Action", label)
        if actions is None:
            raise Unreadable(f"{label} names no action")
        return Statement(
            effect,
            actions,
            self._part(found, "Resource", label),
            self._part(found, "Principal", label),
            tuple(self._conditions(found.get("Condition", {}), label)),
            label,
        )

    def _part(self, found: Mapping[str, Any], name: str, label: str) -> Part | None:
        if name in found and f"Not{name}" in found:
            raise Unreadable(f"{label} has both {name} and Not{name}")
        for key in (name, f"Not{name}"):
            if key in found:
                read = self._principals if name == "Principal" else self._strings
                return Part(tuple(read(found[key], label)), is_all_but=key != name)
        return None

    def _principals(self, found: object, label: str) -> Iterator[str]:
        """Read principals. ``"*"`` and ``{"AWS": "*"}`` are everyone (IAM User Guide, "IAM JSON policy elements:
        Principal").
        """
        if found == EVERY:
            yield EVERY
            return
        if not isinstance(found, Mapping):
            raise Unreadable(f"the principal of {label} is neither * nor an object")
        for kind, names in found.items():
            for name in self._strings(names, label):
                parts = name.split(":")
                is_root = kind == "AWS" and len(parts) == 6 and parts[5] == "root"
                yield EVERY if kind == "AWS" and name == EVERY else f"{kind}:{parts[4] if is_root else name}"

    def _conditions(self, found: object, label: str) -> Iterator[Condition]:
        if not isinstance(found, Mapping):
            raise Unreadable(f"the condition of {label} is no object")
        for operator, keys in found.items():
            if not isinstance(keys, Mapping):
                raise Unreadable(f"the condition {operator} of {label} is no object")
            for key, values in keys.items():
                yield Condition(str(operator), str(key), tuple(self._strings(values, label)))

    def _strings(self, value: object, label: str) -> Iterator[str]:
        """Read a list. AWS takes text, a number, true or false as a list of one."""
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, bool):
                yield str(each).lower()
            elif isinstance(each, str | int | float):
                yield str(each) if self.has_variables else str(each).replace("${", "${$}{")
            else:
                raise Unreadable(f"{label} has what is neither text nor number nor true or false")
