"""Writes what is made from the settings' models, so that no field is forgotten: the JSON Schema and the tables in
docs/settings.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regionshift.settings.fields import DURATION_PATTERN, format_duration
from regionshift.settings.mistakes import FieldPath
from regionshift.settings.schema import SCHEMA_FILE, Schema, Shape, schema_text

ROOT = Path(__file__).resolve().parent.parent
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


def _section(path: FieldPath, title: str, shape: Shape) -> Iterator[str]:
    here = shape.at(path) or {}
    yield f"### {title}\n\n{here.get('description', '')}\n"
    yield "| field | default | allowed | meaning |\n|---|---|---|---|"
    inner: list[tuple[FieldPath, str]] = []
    for name in shape.fields(path):
        field = shape.at((*path, name)) or {}
        deeper = _section_inside((*path, name), shape)
        if deeper is not None:
            inner.append((deeper, _title((*path, name), deeper)))
        yield _row(name, path, field, shape)
    yield ""
    for deeper, title_inside in inner:
        yield from _section(deeper, title_inside, shape)


def _section_inside(path: FieldPath, shape: Shape) -> FieldPath | None:
    """The section that the field at ``path`` holds: itself, each of a list, or each of a map."""
    for inside in (path, (*path, 0), (*path, "NAME")):
        if shape.fields(inside):
            return inside
    return None


def _title(field: FieldPath, section: FieldPath) -> str:
    name = ".".join(str(part) for part in field if part != 0)
    if section == field:
        return f"`{name}`"
    return f"Each of `{name}`"


def _row(name: str, path: FieldPath, field: Schema, shape: Shape) -> str:
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
    timed = any(choice.get("pattern") == DURATION_PATTERN for choice in field.get("anyOf", ()))
    return f"`{format_duration(value)}`" if timed else f"`{json.dumps(value).strip(chr(34))}`"


def main() -> None:
    """Write both files."""
    published = ROOT / SCHEMA_FILE
    published.parent.mkdir(exist_ok=True)
    published.write_text(schema_text(), encoding="utf-8")
    page = ROOT / "docs" / "settings.md"
    page.write_text(with_reference(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
