"""Whoever gave something wrong, or is refused, is told what to do next: every such error says its remedy."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "regionshift"
ROOTS = {"InputError", "Refused"}
# The engine is told by a text alone (gRPC status), and a person reads it inside of the engine's own failure.
TEXT_ALONE = {
    "local/provider/assets.py": 2,
    "local/provider/server.py": 2,
}


def _derived(trees: Iterable[ast.Module]) -> dict[str, ast.ClassDef | None]:
    """Every class of error that is one of the roots, by its name."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found: dict[str, ast.ClassDef | None] = dict.fromkeys(ROOTS)
    while more := {
        each.name: each
        for each in classes
        if each.name not in found and not found.keys().isdisjoint(_bases(each))
    }:
        found |= more
    return found


def _bases(each: ast.ClassDef) -> set[str]:
    return {_last(base) for base in each.bases}


def _last(name: ast.expr) -> str:
    return ast.unparse(name).rpartition(".")[2]


def _says_itself(name: str, classes: Mapping[str, ast.ClassDef | None]) -> bool:
    """Whether the class, or the one that it comes from, gives the remedy, whoever raises it."""
    each = classes.get(name)
    if each is None:
        return False
    for method in each.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            given = {argument.arg for argument in (*method.args.args, *method.args.kwonlyargs)}
            return "remedy" not in given and any(
                _is_said(call) for call in ast.walk(method) if isinstance(call, ast.Call)
            )
    return any(_says_itself(base, classes) for base in _bases(each))


def _is_said(call: ast.Call) -> bool:
    said = [keyword.value for keyword in call.keywords if keyword.arg == "remedy"]
    ends = [
        end for each in said for end in ([each.body, each.orelse] if isinstance(each, ast.IfExp) else [each])
    ]
    return bool(ends) and not any(isinstance(end, ast.Constant) and not end.value for end in ends)


def _silent(texts: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """File and line of every error made without a remedy."""
    trees = {name: ast.parse(text) for name, text in texts.items()}
    classes = _derived(trees.values())
    for name, tree in trees.items():
        for node in ast.walk(tree):
            error = _last(node.func) if isinstance(node, ast.Call) else None
            if error in classes and not _is_said(node) and not _says_itself(error, classes):
                yield name, node.lineno


def test_every_refusal_says_what_to_do_next() -> None:
    texts = {path.relative_to(SOURCE).as_posix(): path.read_text("utf-8") for path in SOURCE.rglob("*.py")}
    silent = list(_silent(texts))
    assert [f"{name}:{line}" for name, line in silent if name not in TEXT_ALONE] == []
    assert {each: [name for name, _ in silent].count(each) for each in TEXT_ALONE} == TEXT_ALONE


def test_a_refusal_without_one_is_found() -> None:
    text = """
class Own(errors.Refused):
    def __init__(self, what): super().__init__(what, remedy="do this")
class Heir(Own): pass
class Passes(InputError):
    def __init__(self, what, remedy=None): super().__init__(what, remedy=remedy)
raise Own("a")
raise Heir("a")
raise Passes("a", remedy="b")
raise Refused("a", remedy=why if told else None)
raise errors.InputError("a", where="b")
raise Passes("a")
found = Refused("a", remedy="")
raise WorkFailed("a")
"""
    assert [line for _, line in _silent({"text.py": text})] == [10, 11, 12, 13]
