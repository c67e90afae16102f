"""What a killed engine leaves in a state folder that it could not read again itself.

Beside each file the engine keeps a small one with its content type, `<name>.attrs`, which it writes in place, while
the file itself is replaced at once (gocloud.dev/blob/fileblob: "sidecar" files). Killed between the two it leaves an
empty one, and every later command fails with "failed to load checkpoint: EOF", though the state is whole (tried with
3.200). Without the small file it reads the state well.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

_FOLDERS = ("stacks", "locks")


def remove_torn(backend: str) -> None:
    """Remove the half-written small files of a ``file://`` backend. Only while no engine is at work there."""
    parts = urlsplit(backend)
    if parts.scheme != "file":
        return
    for folder in _FOLDERS:
        for path in (Path(unquote(parts.path)) / ".pulumi" / folder).rglob("*.attrs"):
            if not _is_whole(path):
                path.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True
