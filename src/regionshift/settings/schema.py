"""The JSON Schema of the settings, for editors, and what it says about one value, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from regionshift.settings.config import MigrationConfig
from regionshift.settings.durations import PATTERN as DURATION_PATTERN
from regionshift.settings.durations import format_duration
from regionshift.settings.mistakes import Path

SCHEMA_FILE = "schema/regionshift.schema.json"
Schema = Mapping[str, Any]


def schema() -> dict[str, Any]:
    """The schema of a settings file (JSON Schema, draft 2020-12)."""
    made = MigrationConfig.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def schema_text() -> str:
    """What stands in the published file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


class Shape:
    """Answers what may stand at a path of the settings. Made once for a reading, from one schema."""

    def __init__(self, root: Schema | None = None) -> None:
        self._root: Schema = schema() if root is None else root

    def at(self, path: Path) -> Schema | None:
        """The schema of the value at ``path``; None when nothing may stand there."""
        here: Schema | None = self._resolve(self._root)
        for part in path:
            here = None if here is None else self._step(here, part)
        return here

    def fields(self, path: Path) -> tuple[str, ...]:
        """The fields of the section at ``path``; empty when it is no section."""
        return tuple((self.at(path) or {}).get("properties", ()))

    def is_map(self, path: Path) -> bool:
        """Whether names of the user's own stand at ``path``."""
        here = self.at(path) or {}
        return here.get("type") == "object" and "properties" not in here

    def places_of(self, field: str) -> Iterator[Path]:
        """Every section's path where ``field`` stands, with the field."""
        for section in self.fields(()):
            if field in self.fields((section,)):
                yield (section, field)

    def describe(self, path: Path) -> str:
        """What may stand at ``path``, in words."""
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
