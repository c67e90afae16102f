"""What is imported where, beyond import-linter's contracts: light imports, and who drives the engine."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "regionshift"
HEAVY = {
    "boto3",
    "botocore",
    "pulumi",
    "pulumi_aws",
    "grpc",
    "obstore",
    "ministack",
    "rich",
    "aws_lambda_powertools",
}


def _loaded_by(module: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after importing ``module``."""
    script = f"import json, sys, {module}; print(json.dumps([name.split('.')[0] for name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("module", "refused"),
    [
        ("regionshift", HEAVY | {"pydantic", "yaml", "typer"}),
        ("regionshift.errors", HEAVY | {"pydantic", "yaml", "typer"}),
        ("regionshift.settings.names", HEAVY | {"pydantic", "yaml", "typer"}),
        ("regionshift.settings.config", HEAVY | {"yaml", "typer"}),
        ("regionshift.settings.load", HEAVY | {"typer"}),
        ("regionshift.settings.release", HEAVY | {"yaml", "typer"}),
        ("regionshift.function.request", HEAVY | {"pydantic", "typer"}),
        (
            "regionshift.function.migration_handler",
            {"pydantic", "yaml", "pulumi", "pulumi_aws", "typer", "rich"},
        ),
        ("regionshift.report.values", HEAVY | {"typer"}),
        ("regionshift.cli", HEAVY - {"rich"} | {"pydantic", "yaml"}),
    ],
)
def test_a_module_loads_nothing_heavy_that_it_may_not_need(module: str, refused: set[str]) -> None:
    assert _loaded_by(module) & refused == set()


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _importers(name: str) -> set[str]:
    """The parts (folders or modules at the top) that import ``name`` or what is in it."""
    return {
        path.relative_to(SOURCE).parts[0].removesuffix(".py")
        for path in SOURCE.rglob("*.py")
        if any(one == name or one.startswith(f"{name}.") for one in _imported(path))
    }


def test_only_the_engine_drives_pulumi() -> None:
    assert _importers("pulumi.automation") == {"engine"}


def test_only_infrastructure_describes_aws_to_pulumi() -> None:
    assert _importers("pulumi_aws") == {"infrastructure"}


def test_only_local_starts_the_emulator() -> None:
    assert _importers("ministack") <= {"local"}
    assert _importers("grpc") <= {"local"}


def test_every_part_knows_the_errors_and_nobody_the_commands() -> None:
    assert _importers("regionshift.cli") <= {"cli", "__main__"}
    assert _importers("regionshift.session") <= {"cli", "session"}
