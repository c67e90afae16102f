"""The outside (environment variables, clocks, the terminal) is read at the edge and handed in as values."""

from __future__ import annotations

import ast
import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "regionshift"
# The edge, and what begins a process of its own: the function in Lambda and the artifact's command.
EDGE = {"cli", "surroundings.py", "__main__.py", "local"}
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


_PRINTERS = {"report/printer.py", "cli/show.py"}
_WAYS_TO_THE_TERMINAL = re.compile(
    r"(builtins\.)?(print|input)|(typer|click)\.(echo|secho|echo_via_pager|confirm|prompt|style|getchar)"
    r"|(\w+\.)*(Console|PrintLogger|PrintLoggerFactory|WriteLogger|from_markup|from_ansi|render_markup)"
    r"|traceback\.print_\w+|sys\.(__)?std(out|err)(__)?\.(write|writelines|buffer\..*)|rich\..*"
)
_PARTS_OF_RICH = {
    "ConsoleOptions",
    "Group",
    "RenderableType",
    "Live",
    "Table",
    "BarColumn",
    "Progress",
    "TextColumn",
}


def _unprinted(node: ast.AST) -> str | None:
    """What ``node`` writes, asks or styles by itself; None for what leaves that to the printer."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        reads_marks = name == "TextColumn" and "markup=False" not in ast.unparse(node)
        return name if reads_marks or _WAYS_TO_THE_TERMINAL.fullmatch(name) else None
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rich":
        return next((each.name for each in node.names if each.name not in _PARTS_OF_RICH), None)
    if isinstance(node, ast.Import):
        return next((each.name for each in node.names if each.name.split(".")[0] == "rich"), None)
    return None


def test_only_the_printer_writes_to_the_terminal() -> None:
    """What comes from outside is escaped in one place, so nothing else may print, ask or make styled text."""
    found = [
        f"{path.relative_to(SOURCE)}:{node.lineno} {what}"
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).as_posix() not in _PRINTERS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (what := _unprinted(node)) and hasattr(node, "lineno")
    ]
    assert found == []
