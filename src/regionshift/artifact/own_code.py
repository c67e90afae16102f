"""Our part of the artifact: the packages that run in Lambda and the module that Lambda calls."""

from __future__ import annotations

from pathlib import Path

import regionshift

# Packages of ours that may run in Lambda: pydantic-free, Pulumi-free, boto3 and Powertools only.
PACKAGES = ("function",)

# Lambda is told migration_handler.handler; the code keeps its one import path, regionshift.function.
_ENTRY = '''"""What Lambda is told to call."""

from regionshift.function.migration_handler import handler

__all__ = ["handler"]
'''


def own_files() -> dict[str, bytes]:
    """Contents by path in the zip."""
    root = Path(regionshift.__file__).parent
    sources = [root / "__init__.py"]
    for package in PACKAGES:
        sources += (root / package).rglob("*.py")
    files = {f"regionshift/{source.relative_to(root).as_posix()}": source.read_bytes() for source in sources}
    return files | {"migration_handler.py": _ENTRY.encode()}
