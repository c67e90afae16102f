"""The JSON Schema of the settings, for editors; what it says about one value, for people; and pydantic's errors in
these words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from regionshift.settings.config import MigrationConfig
from regionshift.settings.fields import DURATION_PATTERN, format_duration
from regionshift.settings.mistakes import (
    NOT_SHOWN,
    NOTHING,
    UNKNOWN,
    FieldPath,
    Found,
    Mistake,
    is_secret,
    is_secret_key,
    nearest_of,
    show,
    show_key,
    write_path,
)

SCHEMA_FILE = "schema/regionshift.schema.json"
Schema = Mapping[str, Any]


def schema() -> dict[str, Any]:
    """The schema of a settings file (JSON Schema, draft 2020-12)."""
    made = MigrationConfig.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def schema_text() -> str:
    """The text of the published file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


class Shape:
    """Answers what is allowed at a path of the settings. Made once for a reading, from the schema."""

    def __init__(self) -> None:
        self._root: Schema = schema()

    def at(self, path: FieldPath) -> Schema | None:
        """The schema of the value at ``path``; None if no value is allowed there."""
        here: Schema | None = self._resolve(self._root)
        for part in path:
            here = None if here is None else self._step(here, part)
        return here

    def fields(self, path: FieldPath) -> tuple[str, ...]:
        """The fields of the section at ``path``; empty when it is no section."""
        return tuple((self.at(path) or {}).get("properties", ()))

    def is_map(self, path: FieldPath) -> bool:
        """Whether names of the user's own stand at ``path``."""
        here = self.at(path) or {}
        return here.get("type") == "object" and "properties" not in here

    def places_of(self, field: str) -> Iterator[FieldPath]:
        """Every section's path where ``field`` stands, with the field."""
        for section in self.fields(()):
            if field in self.fields((section,)):
                yield (section, field)

    def describe(self, path: FieldPath) -> str:
        """The allowed values at ``path``, in words."""
        here = self.at(path)
        return "nothing of this name" if here is None else self._words(here)

    def _step(self, here: Schema, part: str | int) -> Schema | None:
        for choice in here.get("anyOf", (here,)):
            found = self._inside(self._resolve(choice), part)
            if found is not None:
                return self._resolve(found)
        return None

    @staticmethod
    def _inside(here: Schema, part: str | int) -> Schema | None:
        inside: Schema | None = None
        if isinstance(part, int):
            inside = here.get("items")
        elif "properties" in here:
            inside = here["properties"].get(part)
        elif isinstance(here.get("additionalProperties"), dict):
            inside = here["additionalProperties"]
        elif "patternProperties" in here:
            inside = next(iter(here["patternProperties"].values()))
        return inside

    def _resolve(self, here: Schema) -> Schema:
        if "$ref" not in here:
            return here
        target: Schema = self._root["$defs"][here["$ref"].rsplit("/", maxsplit=1)[-1]]
        return {**target, **{key: value for key, value in here.items() if key != "$ref"}}

    def _words(self, here: Schema) -> str:
        here = self._resolve(here)
        if "anyOf" in here:
            length = _length_of_time(here["anyOf"])
            if length:
                return length
            choices = [choice for choice in here["anyOf"] if choice.get("type") != "null"]
            return " or ".join(dict.fromkeys(self._words(choice) for choice in choices))
        if "enum" in here:
            return "one of " + ", ".join(str(choice) for choice in here["enum"])
        kind = here.get("type")
        if kind in ("integer", "number"):
            return _number(here, "a whole number" if kind == "integer" else "a number")
        if kind == "boolean":
            return "true or false"
        if kind == "array":
            return _list(here)
        if kind == "object":
            return _mapping(here)
        return _text(here)


def _length_of_time(choices: list[Schema]) -> str | None:
    if not any(choice.get("pattern") == DURATION_PATTERN for choice in choices):
        return None
    number = next(choice for choice in choices if choice.get("type") == "integer")
    low, high = number["minimum"], number.get("maximum")
    bounds = f" from {format_duration(low)}" if low else ""
    bounds += f" to {format_duration(high)}" if high else ""
    return f"a length of time{bounds}: a number of seconds, or such as 90s, 10m or 1h30m"


def _number(here: Schema, noun: str) -> str:
    low, high = here.get("minimum"), here.get("maximum")
    if low is not None and high is not None:
        return f"{noun} from {low} to {high}"
    if low is not None:
        return f"{noun} of at least {low}"
    if "exclusiveMinimum" in here and "exclusiveMaximum" in here:
        return f"{noun} above {here['exclusiveMinimum']} and below {here['exclusiveMaximum']}"
    return noun


def _list(here: Schema) -> str:
    if "maxItems" in here:
        return f"a list of up to {here['maxItems']}, such as [a, b]"
    return "a list that is not empty, such as [a, b]" if here.get("minItems") else "a list, such as [a, b]"


def _mapping(here: Schema) -> str:
    if "properties" in here:
        return f"a mapping with the fields {', '.join(here['properties'])}"
    most = here.get("maxProperties")
    return "a mapping of names to values" + (f", up to {most}" if most else "")


def _fits(here: Schema) -> str:
    return f"that fits {here['pattern']}"


def _text(here: Schema) -> str:
    if "examples" in here:
        return f"text such as {here['examples'][0]}" + (f", {_fits(here)}" if "pattern" in here else "")
    if "pattern" in here:
        return f"text {_fits(here)}"
    low, high = here.get("minLength", 0), here.get("maxLength")
    if high is not None:
        return f"text of {low} to {high} characters"
    return f"text of at least {low} characters" if low > 1 else "text that is not empty" if low else "text"


def translate(error: ValidationError, tree: object, shape: Shape) -> list[Found]:
    """Every mistake of ``error``, each with its path in ``tree``; the choices of one union count once."""
    found: dict[FieldPath, Mistake] = {}
    for detail in error.errors(include_url=False):
        path = _path_in(tree, detail["loc"], missing=detail["type"] == "missing")
        # pydantic counts only the entries that are right, and so takes a list of wrong ones for too short.
        if detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]:
            continue
        found.setdefault(path, _mistake(path, dict(detail), tree, shape))
    return list(found.items())


def value_at(tree: object, path: FieldPath) -> object:
    """The value at ``path`` in ``tree``; None if there is none."""
    for part in path:
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def _path_in(tree: object, loc: Iterable[str | int], *, missing: bool) -> FieldPath:
    """``loc`` without pydantic's own parts (``[key]``, the choice of a union), which are not in the tree."""
    path: FieldPath = ()
    for part in loc:
        inside = (isinstance(tree, dict) and part in tree) or (
            isinstance(tree, list) and isinstance(part, int)
        )
        if not inside:
            return (*path, part) if missing else path
        path, tree = (*path, part), value_at(tree, (part,))
    return path


def _mistake(path: FieldPath, detail: dict[str, Any], tree: object, shape: Shape) -> Mistake:
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


def _unknown_field(path: FieldPath, shape: Shape) -> Mistake:
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


def _nearest(value: object, path: FieldPath, shape: Shape) -> str | None:
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
