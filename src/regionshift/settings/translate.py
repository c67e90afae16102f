"""Turns pydantic's errors into mistakes that name what is allowed and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from regionshift.settings.fields import nearest_of
from regionshift.settings.mistakes import (
    NOT_SHOWN,
    NOTHING,
    Mistake,
    Path,
    is_secret,
    is_secret_key,
    show,
    show_key,
    write_path,
)
from regionshift.settings.schema import Shape

Found = tuple[Path, Mistake]
UNKNOWN = "a field that is not there"


def translate(error: ValidationError, tree: object, shape: Shape) -> list[Found]:
    """Every mistake of ``error``, each with its path in ``tree``; the choices of one union count once."""
    found: dict[Path, Mistake] = {}
    for detail in error.errors(include_url=False):
        path = _path_in(tree, detail["loc"], missing=detail["type"] == "missing")
        # pydantic counts only the entries that are right, and so takes a list of wrong ones for too short.
        if detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]:
            continue
        found.setdefault(path, _mistake(path, dict(detail), tree, shape))
    return list(found.items())


def value_at(tree: object, path: Path) -> object:
    """What stands at ``path`` in ``tree``; None when nothing does."""
    for part in path:
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def _path_in(tree: object, loc: Iterable[str | int], *, missing: bool) -> Path:
    """``loc`` without pydantic's own parts (``[key]``, the choice of a union), which are not in the tree."""
    path: Path = ()
    for part in loc:
        inside = (isinstance(tree, dict) and part in tree) or (
            isinstance(tree, list) and isinstance(part, int)
        )
        if not inside:
            return (*path, part) if missing else path
        path, tree = (*path, part), value_at(tree, (part,))
    return path


def _mistake(path: Path, detail: dict[str, Any], tree: object, shape: Shape) -> Mistake:
    value = value_at(tree, path)
    lone = value is None
    where = write_path(path, lone=lone)
    match detail["type"]:
        case "missing":
            where = write_path(path)
            about = (shape.at(path) or {}).get("description", "")
            allowed = shape.describe(path) + (f" ({about.rstrip('.')})" if about else "")
            return Mistake(where, NOTHING, allowed)
        case "extra_forbidden":
            return _unknown_field(path, shape)
        case "wrong":
            context = detail["ctx"]
            is_key = detail["loc"][-1] == "[key]"
            found = show_key(path, lone=lone) if is_key else show(value, path)
            return Mistake(where, found, context["allowed"], context["nearest"])
        case _ if detail["loc"][-1:] == ("[key]",):
            allowed = detail["msg"].removeprefix("String should ")
            return Mistake(where, show_key(path, lone=lone), f"a key that should {allowed}")
        case _:
            nearest = None if is_secret(path) else _nearest(value, path, shape)
            hidden = lone and is_secret_key(path, lone=True)
            found = f"{show_key(path, lone=True)} with nothing behind it" if hidden else show(value, path)
            return Mistake(where, found, shape.describe(path), nearest)


def _unknown_field(path: Path, shape: Shape) -> Mistake:
    # The value is never repeated: nothing says that it is no secret. Nor is a name where a secret's source belongs:
    # `{hunter2}` is a mapping whose name is the secret.
    hidden = is_secret_key(path, lone=False)
    *section, name = path
    known = shape.fields(tuple(section))
    nearest = nearest_of(str(name), known)
    meant = write_path((*section, nearest)) if nearest else None
    if nearest is None:
        elsewhere = next(shape.places_of(str(name)), None)
        nearest = write_path(elsewhere) if elsewhere else None
    found = f"{UNKNOWN} {NOT_SHOWN}" if hidden else UNKNOWN
    allowed = f"one of {', '.join(known)}"
    return Mistake(write_path(path), found, allowed, nearest, meant=meant)


def _nearest(value: object, path: Path, shape: Shape) -> str | None:
    here = shape.at(path) or {}
    choices = here.get("anyOf", (here,))
    kinds = {choice.get("type") for choice in choices}
    offered = [choice for one in choices for choice in one.get("enum", ())]
    if isinstance(value, bool | int | float):
        return _near_number(value, here, offered, text="string" in kinds)
    if not isinstance(value, str):
        return None
    if offered:
        return nearest_of(value, map(str, offered))
    if "boolean" in kinds:
        return {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(value.lower())
    if "integer" in kinds and value.strip().isdecimal():
        return str(int(value))
    if "array" in kinds:
        return f"[{value}]" if value and value.replace("-", "").isalnum() else None
    return None


def _near_number(value: float, here: Any, offered: list[Any], *, text: bool) -> str | None:
    numbers = [choice for choice in offered if isinstance(choice, int)]
    if isinstance(value, bool):
        return None
    if numbers:
        return str(min(numbers, key=lambda choice: abs(choice - value)))
    if text and "enum" not in here and "minimum" not in here and "anyOf" not in here:
        return f'"{value}"'
    bounds = [one for one in here.get("anyOf", (here,)) if "minimum" in one or "maximum" in one]
    for bound in bounds:
        if value < bound.get("minimum", value):
            return str(bound["minimum"])
        if value > bound.get("maximum", value):
            return str(bound["maximum"])
    return None
