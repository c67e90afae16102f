"""The table of every field, for docs/settings.md, made from the schema so that none is forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from regionshift.settings.durations import PATTERN, format_duration
from regionshift.settings.mistakes import Path
from regionshift.settings.schema import Schema, Shape

BEGIN = "<!-- fields: made by tools/publish_settings.py -->"
END = "<!-- end of fields -->"


def with_reference(document: str) -> str:
    """``document`` with what stands between its two marks made new."""
    before, rest = document.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def reference() -> str:
    """Markdown: one table a section, one row a field."""
    shape = Shape()
    return "\n".join(_section((), "The file", shape))


def _section(path: Path, title: str, shape: Shape) -> Iterator[str]:
    here = shape.at(path) or {}
    yield f"### {title}\n\n{here.get('description', '')}\n"
    yield "| field | default | allowed | meaning |\n|---|---|---|---|"
    inner: list[tuple[Path, str]] = []
    for name in shape.fields(path):
        field = shape.at((*path, name)) or {}
        deeper = _section_inside((*path, name), shape)
        if deeper is not None:
            inner.append((deeper, _title((*path, name), deeper)))
        yield _row(name, path, field, shape)
    yield ""
    for deeper, title_inside in inner:
        yield from _section(deeper, title_inside, shape)


def _section_inside(path: Path, shape: Shape) -> Path | None:
    """The section that the field at ``path`` holds: itself, each of a list, or each of a map."""
    for inside in (path, (*path, 0), (*path, "NAME")):
        if shape.fields(inside):
            return inside
    return None


def _title(field: Path, section: Path) -> str:
    name = ".".join(str(part) for part in field if part != 0)
    if section == field:
        return f"`{name}`"
    return f"Each of `{name}`"


def _row(name: str, path: Path, field: Schema, shape: Shape) -> str:
    allowed = _short(shape.describe((*path, name))).replace("|", "\\|")
    # A row is one line: a field's docstring may have several.
    meaning = " ".join(str(field.get("description", "")).split()).replace("|", "\\|")
    required = name in (shape.at(path) or {}).get("required", ())
    default = "required" if required else _default(field)
    return f"| `{name}` | {default} | {allowed} | {meaning} |"


def _short(words: str) -> str:
    return "an AWS region" if words.startswith("one of us-east-1") else words


def _default(field: Schema) -> str:
    value: Any = field.get("default")
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, dict):
        return "see below"
    timed = any(choice.get("pattern") == PATTERN for choice in field.get("anyOf", ()))
    return f"`{format_duration(value)}`" if timed else f"`{json.dumps(value).strip(chr(34))}`"
