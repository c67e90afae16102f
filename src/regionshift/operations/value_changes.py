"""What an update changes, value by value: policies compared as JSON, secrets never shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from regionshift.engine.events import SECRET, ResourceStep, masked
from regionshift.report.values import ValueChange

_ABSENT = object()
# What holds a secret's value by its nature, whatever the engine knows of it.
_NEVER_SHOWN = {
    "aws:secretsmanager/secretVersion:SecretVersion": ("secretString", "secretBinary"),
    "aws:ssm/parameter:Parameter": ("value", "insecureValue"),
}


def value_changes(step: ResourceStep) -> tuple[ValueChange, ...]:
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
    elif isinstance(old, list) and isinstance(new, list):
        yield from _walk_lists(path, old, new)
    elif old != new:
        yield ValueChange(path, *(None if value is _ABSENT else value for value in (old, new)))


def _walk_lists(path: str, old: list[object], new: list[object]) -> Iterator[ValueChange]:
    """Statements of a policy by their Sid, as many objects by their place, all else by what is gone and what is new."""
    by_sid = _by_sid(old), _by_sid(new)
    if by_sid[0] is not None and by_sid[1] is not None:
        for sid in dict.fromkeys([*by_sid[0], *by_sid[1]]):
            yield from _walk(f"{path}[{sid}]", by_sid[0].get(sid, _ABSENT), by_sid[1].get(sid, _ABSENT))
    elif len(old) == len(new) and all(isinstance(each, Mapping) for each in (*old, *new)):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _walk(f"{path}[{place}]", one, other)
    else:
        gone, made = [e for e in old if e not in new], [e for e in new if e not in old]
        yield from (ValueChange(f"{path}[]", each, None) for each in gone)
        yield from (ValueChange(f"{path}[]", None, each) for each in made)
        if old != new and not gone and not made:  # only the order or the count differs
            yield ValueChange(path, old, new)


def _by_sid(statements: list[object]) -> dict[str, object] | None:
    found: dict[str, object] = {
        str(each["Sid"]): each for each in statements if isinstance(each, Mapping) and "Sid" in each
    }
    return found if found and len(found) == len(statements) else None


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
