"""Builds a broken function: the real artifact with another handler around the real one, for the demo and the tests.

``python tools/broken_artifact.py FOLDER at-once|later`` writes FOLDER/broken.zip and prints its path.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from regionshift import artifact

_HANDLER = "regionshift/function/migration_handler.py"
_REAL = "regionshift/function/real_handler.py"

BREAKS_AT_ONCE = """
def handler(event, context):
    raise RuntimeError("this release is broken")
"""

BREAKS_LATER = """
from regionshift.function import real_handler

calls = []


def handler(event, context):
    calls.append(event)
    if len(calls) > 2:
        raise RuntimeError("this release leaks until it breaks")
    return real_handler.handler(event, context)
"""


def broken_artifact(folder: Path, handler: str) -> Path:
    """Write the artifact's zip with ``handler`` around the real one; return its path."""
    built = artifact.build(folder)
    path = folder / "broken.zip"
    with zipfile.ZipFile(built.path) as real, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as broken:
        for entry in real.infolist():
            name = _REAL if entry.filename == _HANDLER else entry.filename
            broken.writestr(name, real.read(entry))
        broken.writestr(_HANDLER, handler)
    return path


def main() -> None:
    """Write the requested artifact."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    print(broken_artifact(folder, {"at-once": BREAKS_AT_ONCE, "later": BREAKS_LATER}[sys.argv[2]]))


if __name__ == "__main__":
    main()
