"""What a killed engine, or a full disk, leaves in a state folder that the engine could not read again itself.

Beside each file the engine keeps a small one with its content type, `<name>.attrs`, which it writes in place, while
the file itself is replaced at once (gocloud.dev/blob/fileblob: "sidecar" files). Killed between the two it leaves an
empty one, and every later command fails with "failed to load checkpoint: EOF", though the state is whole (tried with
3.200). Without the small file it reads the state well.

A disk that is full cuts the state itself ("unexpected end of JSON input"). Before each write the engine keeps the
state as it was in `<name>.bak`; that one is whole, and older by one write.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from regionshift.errors import WorkFailed
from regionshift.settings.state_url import folder_of

_TORN = ".torn"


def repair_state(backend: str, project: str, stack: str) -> list[str]:
    """Mend one stack of a ``file://`` backend from what is whole; a sentence for a state that is older now.

    Only while no engine is at work on this stack. Others under the same backend are not looked at: an engine may be
    writing them. What was cut is kept beside it, as ``<name>.torn``.

    Raises:
        WorkFailed: the state is cut, and so is the copy of it.
    """
    home = folder_of(backend)
    if home is None:
        return []
    state = home / ".pulumi/stacks" / project / f"{stack}.json"
    # Locks stand under the full name of a stack; on a backend without organizations all have this one.
    locks = home / ".pulumi/locks/organization" / project / stack
    for path in (_attrs(state), _attrs(_copy(state)), *locks.glob("*.attrs")):
        if not _is_whole(path):
            path.unlink(missing_ok=True)
    return [] if _is_whole(state) else [_mend(state)]


def _copy(state: Path) -> Path:
    return state.with_name(f"{state.name}.bak")


def _attrs(path: Path) -> Path:
    return path.with_name(f"{path.name}.attrs")


def _mend(path: Path) -> str:
    copy = _copy(path)
    if not copy.exists() or not _is_whole(copy):
        raise WorkFailed(
            "The engine's state file is incomplete, and so is its copy.",
            where=str(path),
            remedy=f"restore it from a backup; without one, move it away: `regionshift up` then finds what is there"
            f" offline, and on AWS names what it would collide with (the cut file: {path.name})",
            error_id="RS-ENGINE-003",
        )
    body = copy.read_bytes()
    aside = path.with_name(f"{path.name}.writing")
    with aside.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    path.replace(path.with_name(f"{path.name}{_TORN}"))
    aside.replace(path)
    # Its content type was that of the cut file; the engine does without.
    _attrs(path).unlink(missing_ok=True)
    return (
        f"the engine's state file was incomplete, as after a full disk, and was restored from its copy, which is one"
        f" write older [{path}]; the incomplete file is beside it as {path.name}{_TORN}"
    )


def _is_whole(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True
