"""Our part of the artifact: the packages that run in Lambda and the modules that Lambda calls."""

from __future__ import annotations

from pathlib import Path

import regionshift

# Packages of ours that may run in Lambda: pydantic-free, Pulumi-free, boto3 and Powertools only.
PACKAGES = ("carriers", "function")
_MODULES = ("__init__.py", "errors.py", "logs.py", "settings/__init__.py", "settings/regions.py")

# Lambda is told migration_handler.handler; the code keeps its one import path, regionshift.function.
ENTRIES = ("migration_handler", "migration_worker")
_ENTRY = '''"""What Lambda is told to call."""

from regionshift.function.{name} import handler

__all__ = ["handler"]
'''


def own_files() -> dict[str, bytes]:
    """Contents by path in the zip."""
    root = Path(regionshift.__file__).parent
    sources = [root / name for name in _MODULES]
    for package in PACKAGES:
        sources += (root / package).rglob("*.py")
    files = {f"regionshift/{source.relative_to(root).as_posix()}": source.read_bytes() for source in sources}
    return files | {f"{name}.py": _ENTRY.format(name=name).encode() for name in ENTRIES}
