"""What an update changes, value by value: policies compared as JSON, secrets never shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from regionshift.engine.events import SECRET, Step, masked
from regionshift.report.values import ValueChange

_ABSENT = object()
# What holds a secret's value by its nature, whatever the engine knows of it.
_NEVER_SHOWN = {
    "aws:secretsmanager/secretVersion:SecretVersion": ("secretString", "secretBinary"),
    "aws:ssm/parameter:Parameter": ("value", "insecureValue"),
}


def value_changes(step: Step) -> tuple[ValueChange, ...]:
    """Every value of ``step`` that differs; of what the engine says differs and may not be shown, the path alone."""
    hidden = _NEVER_SHOWN.get(step.type, ())
    found = [
        ValueChange(each.path, SECRET, SECRET) if _first(each.path) in hidden else each
        for each in _walk("", masked(step.old), masked(step.new))
    ]
    named = {_first(each.path) for each in found}
    told = dict.fromkeys(map(_first, (*step.replaced_by, *step.changed)))
    return (*found, *(ValueChange(path, None, None) for path in told if path not in named))


def _walk(path: str, before: object, after: object) -> Iterator[ValueChange]:
    old, new = _as_json(before), _as_json(after)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            inner = f"{path}.{name}" if path else str(name)
            yield from _walk(inner, old.get(name, _ABSENT), new.get(name, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list) and _are_alike(old, new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _walk(f"{path}[{place}]", one, other)
    elif old != new:
        yield ValueChange(path, *(None if value is _ABSENT else value for value in (old, new)))


def _are_alike(old: list[object], new: list[object]) -> bool:
    """Lists of as many objects: what differs is inside."""
    return len(old) == len(new) and all(isinstance(each, Mapping) for each in (*old, *new))


def _as_json(value: object) -> object:
    """A document that is kept as text, as what it says."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _first(path: str) -> str:
    return path.replace("[", ".").partition(".")[0]
