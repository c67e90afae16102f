"""CONTRIBUTING says where what lives: every file and folder that it names is there, and no package is left out."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/regionshift"
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MADE_UP = {"carriers/dynamodb.py"}  # of the worked example


def _is_there(name: str) -> bool:
    bases = (ROOT, SOURCE)
    return any(found.exists() for base in bases for found in (base / name, base / f"{name}.py")) or bool(
        list((ROOT / name).parent.glob(f"{Path(name).name}-*.md"))
    )


def test_every_file_that_is_named_is_there() -> None:
    named = set(re.findall(r"`((?:[a-z0-9_]+/)+[a-z0-9_]*(?:\.[a-z]+)?)`", TEXT)) - MADE_UP
    assert len(named) > 30
    assert sorted(name for name in named if not _is_there(name)) == []


def test_every_package_and_file_at_the_top_is_on_the_map() -> None:
    (drawing,) = re.findall(r"```\nsrc/regionshift/\n(.*?)```", TEXT, flags=re.DOTALL)
    top = [f"{path.parent.name}/" for path in SOURCE.glob("*/__init__.py")]
    top += [path.name for path in SOURCE.glob("*.py") if not path.name.startswith("__")]
    assert sorted(name for name in top if f" {name}" not in drawing) == []


def test_every_test_that_soak_runs_is_there() -> None:
    text = (ROOT / "tools/soak.py").read_text(encoding="utf-8")
    for name, value in re.findall(r'^([A-Z]+) = "(tests/.+)"$', text, flags=re.MULTILINE):
        text = text.replace(f"{{{name}}}", value)
    named = set(re.findall(r'"(tests/[^"{}]+)"', text))
    assert len(named) > 10
    assert sorted(name for name in named if not (ROOT / name).exists()) == []
