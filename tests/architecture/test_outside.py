"""The outside (environment variables, clocks, the terminal) is read at the edge and handed in as values."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "regionshift"
# The edge, and what begins a process of its own: the function in Lambda and the artifact's command.
EDGE = {"cli", "wiring.py", "__main__.py", "local"}
OWN_PROCESSES = {
    "function/migration_handler.py",
    "function/migration_worker.py",
    "function/surroundings.py",
    "artifact/__main__.py",
}


def _inner_files() -> list[Path]:
    return [
        path
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).parts[0] not in EDGE
        and path.relative_to(SOURCE).as_posix() not in OWN_PROCESSES
    ]


def _calls(path: Path) -> list[tuple[str, int]]:
    """Dotted names of what the file calls or reads, with their lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [(ast.unparse(node), node.lineno) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]


def _users(names: set[str]) -> list[str]:
    return [
        f"{path.relative_to(SOURCE)}:{line} {name}"
        for path in _inner_files()
        for name, line in _calls(path)
        if name in names
    ]


def test_environment_variables_are_read_at_the_edge_only() -> None:
    assert _users({"os.environ", "os.getenv"}) == []


def test_nothing_below_the_commands_prints() -> None:
    printing = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in _inner_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"print", "input"}
    ]
    assert printing == []


def test_no_clock_is_read_below_the_edge() -> None:
    assert _users({"datetime.now", "time.time", "datetime.datetime.now", "datetime.utcnow"}) == []


def test_nothing_that_changes_stands_at_the_top_of_a_module() -> None:
    """Clients, caches and registries that grow are made by someone and handed on."""
    kept = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if isinstance(value, ast.Call) and ast.unparse(value.func) in {
                "boto3.client",
                "boto3.resource",
                "boto3.Session",
            }:
                kept.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
            if isinstance(value, ast.Dict | ast.List | ast.Set) and not (
                value.keys if isinstance(value, ast.Dict) else value.elts
            ):
                kept.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert kept == []
