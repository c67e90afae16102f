"""Writes what is made from the settings' models: the JSON Schema and the table in docs/settings.md."""

from __future__ import annotations

from pathlib import Path

from regionshift.settings.reference import with_reference
from regionshift.settings.schema import SCHEMA_FILE, schema_text

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Write both files."""
    published = ROOT / SCHEMA_FILE
    published.parent.mkdir(exist_ok=True)
    published.write_text(schema_text(), encoding="utf-8")
    page = ROOT / "docs" / "settings.md"
    page.write_text(with_reference(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
