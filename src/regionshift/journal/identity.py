"""Whose environment this is: what it was made with, kept under the state URL, and never answered for another.

Names become lower case with dashes, so `Feature/SED-1` and `feature-sed-1` have the same names on AWS and the
same place in the state. The exact words that an environment was made with are therefore kept, and whoever comes
with others is refused. A target has a place of its own: an environment of the embedded AWS is none on AWS.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from regionshift.errors import Refused
from regionshift.journal.store import StateDamaged, StateStore
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import normalize_name, shorten

# A folder's name has 255 characters at most on the file systems in use; the engine takes 100 for a stack's.
_LONGEST_PART = 80


@dataclass(frozen=True)
class Identity:
    """An environment as the settings write it: project, environment (the suffix if there is one), target, account."""

    project: str
    environment: str
    target: str
    account: str

    @property
    def scope(self) -> str:
        """What keeps this environment apart from others under one state URL.

        A normalized name holds no dot, so different names have different scopes. Every account of AWS has its own;
        the embedded AWS of a folder has one account.
        """
        own = f"{self.engine_project}.{self.stack}"
        return own if self.target == "local" else f"{own}.{self.target}-{self.account}"

    @property
    def engine_project(self) -> str:
        """The engine's name for the project."""
        return _part(self.project)

    @property
    def stack(self) -> str:
        """The engine's name for it."""
        return _part(self.environment)

    @property
    def engine_folder(self) -> str:
        """Where the engine's state lies under the state URL."""
        return "engine" if self.target == "local" else f"engine/{self.target}-{self.account}"

    def __str__(self) -> str:
        return f'project "{self.project}", environment "{self.environment}", {self.target}, account {self.account}'


def identity_of(config: MigrationConfig) -> Identity:
    """Of the environment that the settings describe."""
    return Identity(config.project, config.suffix, config.target, config.account)


def require_same(store: StateStore, identity: Identity, *, locked: bool) -> None:
    """Goes on only when the environment was made with ``identity``; the first who holds the lock writes it down.

    What was written down by a command that then began nothing binds nobody.

    Raises:
        Refused: it was made with other names, for another target or in another account.
        StateDamaged: what was written down cannot be read.
    """
    made_with = _read(store, identity)
    if made_with == identity:
        return
    if made_with is not None and store.folders(f"journal/{identity.scope}/runs"):
        raise _another(made_with, identity, store)
    if locked:
        store.put(_key(identity), json.dumps(asdict(identity), sort_keys=True).encode())


def forget(store: StateStore, identity: Identity) -> None:
    """The environment is gone: its names are free."""
    store.delete([_key(identity)])


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
    )


def _read(store: StateStore, identity: Identity) -> Identity | None:
    kept = store.get(_key(identity))
    if kept is None:
        return None
    try:
        found = json.loads(kept.body)
        return Identity(*(str(found[name]) for name in ("project", "environment", "target", "account")))
    except (ValueError, KeyError, TypeError) as error:
        raise StateDamaged(
            "what the environment was made with cannot be read",
            where=f"{store.url}/{_key(identity)}",
            remedy="restore that object from a backup; if you are sure that the settings are those of the"
            " environment, delete it",
        ) from error


def _key(identity: Identity) -> str:
    return f"identity/{identity.scope}.json"


def _part(text: str) -> str:
    return shorten(normalize_name(text), _LONGEST_PART)
