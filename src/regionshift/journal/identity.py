"""The identity of an environment: the names, target and account that it was made with. The state keeps it.

Names become lower case with dashes, so `Feature/SED-1` and `feature-sed-1` have the same names on AWS and the same
place in the state. So the exact names are kept, and a command with other names is refused. An environment on the
embedded AWS and one on AWS have different places.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from regionshift.errors import Refused
from regionshift.journal.store import KeyTakenError, StateDamaged, StateStore
from regionshift.settings.names import Identity

_PROVIDER = "pulumi:providers:aws"


def require_same(store: StateStore, identity: Identity) -> None:
    """Raise unless the environment was made with ``identity``, or does not exist.

    Raises:
        Refused: it was made with other names, for another target or in another account; or an older version kept it
            in another place.
        StateDamaged: the record cannot be read.
    """
    if _bound(store, identity) is None:
        _require_none_of_older(store, identity)


def write_down(store: StateStore, identity: Identity, guard: Callable[[], None]) -> None:
    """Keep the identity in the state. The caller holds the lock and is about to create the environment.

    The record names the newest run of its time. When no newer run follows (the command was killed), the record does not
    count.

    Args:
        guard: raises when this process no longer holds the lock.

    Raises as :func:`require_same`; Refused also when somebody writes another identity at the same moment.
    """
    guard()
    found = _bound(store, identity)
    if found is not None and found.identity == identity:
        return
    if found is not None:
        forget(store, identity)
    record = {**asdict(identity), "after": _newest_run(store, identity)}
    try:
        store.create(_key(identity), json.dumps(record, sort_keys=True).encode())
    except KeyTakenError:
        first = _read(store, identity)
        if first is None or first.identity != identity:
            raise _another(first.identity if first else identity, identity, store) from None


def _require_none_of_older(store: StateStore, identity: Identity) -> None:
    """Raise when the place of an environment on the embedded AWS holds one on AWS, from an older version.

    Older versions had one place for all targets. The engine's state there names its account, and its providers have
    endpoints only on the embedded AWS. A command on the embedded AWS would use that state as its own.
    """
    older, own = replace(identity, target="local"), replace(identity, target="aws")
    if identity == own and _newest_run(store, own):
        return
    kept = store.get(f"{older.engine_folder}/{_stack_file(older)}")
    if kept is None or not _is_on_aws(kept.body, identity.account):
        return
    raise Refused(
        f"An older version of regionshift made {identity.environment} on AWS and kept its state as {older.scope}."
        f" This version keeps the state of the embedded AWS there. It looks for the state of AWS in {own.scope},"
        " which is empty.",
        where=store.url,
        remedy=f"under that URL rename {older.scope} to {own.scope} in journal/, releases/, artifacts/ and zones/,"
        f" move {older.engine_folder}/{_stack_file(older)} to {own.engine_folder}/{_stack_file(own)}, then run"
        " `regionshift history --seal` with the target aws; or take it down with the version that made it",
        error_id="RS-STATE-005",
    )


def _stack_file(identity: Identity) -> str:
    return f".pulumi/stacks/{identity.engine_project}/{identity.stack}.json"


def _is_on_aws(state: bytes, account: str) -> bool:
    try:
        latest = json.loads(state)["checkpoint"].get("latest") or {}
        found = [each["inputs"] for each in latest.get("resources") or () if each["type"] == _PROVIDER]
        return any(
            account in str(inputs.get("allowedAccountIds")) and "endpoints" not in inputs for inputs in found
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return False  # nothing that says so


def is_written(store: StateStore, identity: Identity) -> bool:
    """Whether an environment with that identity exists."""
    found = _read(store, identity)
    return found is not None and _binds(store, found)


def forget(store: StateStore, identity: Identity) -> None:
    """Remove the record: the environment is gone, so its names are free."""
    store.delete([_key(identity)])


@dataclass(frozen=True)
class _Record:
    """The identity of an environment, and the newest run before it was made."""

    identity: Identity
    after: str


def _bound(store: StateStore, identity: Identity) -> _Record | None:
    """The record that is there. Raises when it is of another identity and counts."""
    found = _read(store, identity)
    if found is not None and found.identity != identity and _binds(store, found):
        raise _another(found.identity, identity, store)
    return found


def _binds(store: StateStore, record: _Record) -> bool:
    return _newest_run(store, record.identity) > record.after


def _newest_run(store: StateStore, identity: Identity) -> str:
    runs = [name for name in store.folders(f"journal/{identity.scope}/runs") if name.isdigit()]
    return runs[-1] if runs else ""


def _another(made_with: Identity, asked: Identity, store: StateStore) -> Refused:
    if (made_with.project, made_with.environment) != (asked.project, asked.environment):
        why, remedy = (
            "names that differ only in case or in signs are one environment on AWS",
            f"write project and environment exactly as {made_with.project} and {made_with.environment}, or choose"
            " names that differ in letters or digits; `destroy` with the names it was made with frees them",
        )
    else:
        why, remedy = (
            "it is another one",
            "give the account and target that it was made with, or another `state`",
        )
    return Refused(
        f"This environment was made as {made_with}, and the settings say {asked}: {why}.",
        where=store.url,
        remedy=remedy,
        error_id="RS-STATE-005",
    )


def _read(store: StateStore, identity: Identity) -> _Record | None:
    kept = store.get(_key(identity))
    if kept is None:
        return None
    try:
        found = json.loads(kept.body)
        said = Identity(*(str(found[name]) for name in ("project", "environment", "target", "account")))
        return _Record(said, str(found.get("after", "")))
    except (ValueError, KeyError, TypeError) as error:
        raise StateDamaged(
            "what the environment was made with cannot be read",
            where=f"{store.url}/{_key(identity)}",
            remedy="restore that object from a backup; if you are sure that the settings are those of the"
            " environment, delete it",
        ) from error


def _key(identity: Identity) -> str:
    return f"identity/{identity.scope}.json"
