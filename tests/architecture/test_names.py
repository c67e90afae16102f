"""One name for one thing: of test files, which are imported by their bare name, and of public classes."""

import ast
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src" / "regionshift"


def test_no_two_test_files_share_a_name() -> None:
    names = Counter(path.name for path in TESTS.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_public_classes_share_a_name() -> None:
    """Whoever reads or searches for the name of a class finds one class."""
    classes = [
        (node.name, path.relative_to(SOURCE).as_posix())
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    counted = Counter(name for name, _ in classes)
    assert [each for each in classes if counted[each[0]] > 1] == []
