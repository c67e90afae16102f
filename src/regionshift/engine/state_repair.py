"""Repairs a state folder after a killed engine or a full disk, when the engine cannot read it any more.

The engine keeps a small file with the content type beside each file, `<name>.attrs` (gocloud.dev/blob/fileblob:
"sidecar" files). It writes this file in place, and replaces the main file atomically. An engine that is killed in
between leaves an empty `.attrs`. Each later command then fails with "failed to load checkpoint: EOF", although the
state is complete (tried with 3.200). Without the `.attrs` file the engine can read the state.

A full disk truncates the state itself ("unexpected end of JSON input"). Before each write the engine copies the state
to `<name>.bak`, which is complete, and older by one write.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from regionshift.errors import WorkFailed
from regionshift.settings.state_url import folder_of

_TORN = ".torn"


def repair_state(backend: str, project: str, stack: str) -> list[str]:
    """Repair one stack of a ``file://`` backend. Return a sentence when an older copy was restored.

    Only while no engine runs on this stack. Other stacks of the backend are not repaired, because an engine may be
    writing them. An incomplete state file is kept as ``<name>.torn``.

    Raises:
        WorkFailed: the state and its copy are both incomplete.
    """
    home = folder_of(backend)
    if home is None:
        return []
    state = home / ".pulumi/stacks" / project / f"{stack}.json"
    # Locks have the full name of the stack; on a backend without organizations it begins with "organization".
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
            remedy=f"restore {path.name} from a backup; without one, move it away: `regionshift up` then finds the"
            " existing resources offline, and on AWS names those with conflicting names",
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
    # The content type is that of the incomplete file; the engine does not need it.
    _attrs(path).unlink(missing_ok=True)
    return (
        f"the engine's state file was incomplete, as after a full disk, and was restored from its copy, which is one"
        f" write older [{path}]; the incomplete file is kept as {path.name}{_TORN}"
    )


def _is_whole(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True
