"""Writes the parts of the docs that are generated from the code.

From the settings' models: the JSON Schema and the tables in docs/settings.md. From the rules for policies: the table in
docs/findings.md. From the catalogue of errors: docs/errors.md. From the runbooks of alarms: docs/runbooks.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from regionshift.cli.explain import exit_code_in_words
from regionshift.error_catalogue import AREAS, CatalogueEntry
from regionshift.iam.findings import RULES
from regionshift.infrastructure.runbooks import PAGE, RUNBOOKS
from regionshift.settings.fields import DURATION_PATTERN, format_duration
from regionshift.settings.mistakes import FieldPath
from regionshift.settings.schema import SCHEMA_FILE, Schema, Shape, schema_text

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "<!-- fields: made by tools/publish_settings.py -->"
END = "<!-- end of fields -->"
BEGIN_RULES = "<!-- rules: made by tools/publish_settings.py -->"
END_RULES = "<!-- end of rules -->"
BEGIN_ERRORS = "<!-- errors: made by tools/publish_settings.py -->"
END_ERRORS = "<!-- end of errors -->"
BEGIN_RUNBOOKS = "<!-- runbooks: made by tools/publish_settings.py -->"
END_RUNBOOKS = "<!-- end of runbooks -->"


def with_reference(document: str) -> str:
    """Return ``document`` with new fields of the settings between its marks."""
    return _between(document, BEGIN, reference(), END)


def with_rules(document: str) -> str:
    """Return ``document`` with a new table of rules between its marks."""
    return _between(document, BEGIN_RULES, rules(), END_RULES)


def with_errors(document: str) -> str:
    """Return ``document`` with the new entries of the catalogue between its marks."""
    return _between(document, BEGIN_ERRORS, errors(), END_ERRORS)


def with_runbooks(document: str) -> str:
    """Return ``document`` with the new runbooks between its marks."""
    return _between(document, BEGIN_RUNBOOKS, runbooks(), END_RUNBOOKS)


def _between(document: str, begin: str, made: str, end: str) -> str:
    before, rest = document.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n\n{made}\n{end}{after}"


def rules() -> str:
    """Return Markdown: a row for each rule."""
    rows = (
        (rule.id, rule.severity, f"{rule.title}. {rule.meaning}", rule.remedy, rule.page)
        for rule in RULES.values()
    )
    cells = (" | ".join(each.replace("|", "\\|") for each in row) for row in rows)
    head = "| id | severity | what is wrong | what to do | source |\n|---|---|---|---|---|"
    return "\n".join((head, *(f"| {row} |" for row in cells))) + "\n"


def errors() -> str:
    """Return Markdown: a heading for each area, with a heading for each error."""
    return "\n".join(
        f"## {area}\n\n" + "\n".join(_entry(name, entry) for name, entry in entries.items())
        for area, entries in AREAS.items()
    )


def _entry(name: str, entry: CatalogueEntry) -> str:
    code = exit_code_in_words(entry.exit_code)
    return (
        f"### {name}\n\n{entry.happened}\n\n{_items('Likely causes', entry.causes)}"
        f"{_items('What to do', entry.steps)}Exit code: {code}.\n"
    )


def runbooks() -> str:
    """Return Markdown: a heading for each kind of alarm, to which the alarm's description links."""
    return "\n".join(
        f"## {kind}\n\n{runbook.meaning}\n\n{_items('What to look at', runbook.look_at)}"
        f"{_items('What to do', runbook.steps)}".removesuffix("\n")
        for kind, runbook in RUNBOOKS.items()
    )


def _items(title: str, lines: Sequence[str]) -> str:
    return f"{title}:\n\n" + "".join(f"- {line}\n" for line in lines) + "\n"


def reference() -> str:
    """Return Markdown: a table for each section, with a row for each field."""
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
    """Return the path of the section in the field at ``path``, or in its list or map; None when there is none."""
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
    # A row is one line, but a field's docstring can have several.
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
    """Write all of them."""
    published = ROOT / SCHEMA_FILE
    published.parent.mkdir(exist_ok=True)
    published.write_text(schema_text(), encoding="utf-8")
    page = ROOT / "docs" / "settings.md"
    page.write_text(with_reference(page.read_text(encoding="utf-8")), encoding="utf-8")
    page = ROOT / "docs" / "findings.md"
    page.write_text(with_rules(page.read_text(encoding="utf-8")), encoding="utf-8")
    page = ROOT / "docs" / "errors.md"
    page.write_text(with_errors(page.read_text(encoding="utf-8")), encoding="utf-8")
    page = ROOT / PAGE
    page.write_text(with_runbooks(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
