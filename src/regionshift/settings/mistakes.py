"""What is wrong with settings, as values: where, what was found, what is allowed, what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from regionshift.errors import InputError

FieldPath = tuple[str | int, ...]
"""The way to a value in the settings: field names, keys and places in lists, from 0."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SECRET_WORDS = re.compile(r"secret|passw|token|credential|private|api_?key", re.IGNORECASE)
_NEVER_SECRET = ("carry", "retention")
_USER_IN_URL = re.compile(r"//[^/@]*@")
_LONGEST_SHOWN = 60
# application.secrets.NAME, and what may stand there (settings.config.SecretSource).
_NAME_OF_SECRET = 3
_SOURCES = (("env",), ("file",), ("secret",))
NOT_SHOWN = "(not shown)"
NOTHING = "nothing"
UNKNOWN = "an unknown field"


@dataclass(frozen=True)
class Mistake:
    """One mistake. ``path`` as in the YAML (``regions.secondaries[1]``); ``source`` is the file and line,
    the environment variable or the option that the value came from. Never holds a secret's value.
    ``meant`` is the path of the field that a misspelt one was probably meant to be.
    """

    path: str
    found: str
    allowed: str
    nearest: str | None = None
    source: str = ""
    meant: str | None = None

    def __str__(self) -> str:
        where = " ".join(part for part in (self.path, f"({self.source})" if self.source else "") if part)
        meant = f"; did you mean {self.nearest}?" if self.nearest else ""
        text = f"found {self.found}; allowed: {self.allowed}{meant}"
        return f"{where}: {text}" if where else text


Found = tuple[FieldPath, Mistake]
"""A mistake with the way to what is wrong."""


class SettingsError(InputError):
    """The settings are wrong; ``mistakes`` has every one of them and nothing was touched."""

    error_id = "RS-SETTINGS-001"

    def __init__(self, mistakes: Sequence[Mistake], *, where: str, remedy: str | None = None) -> None:
        self.mistakes = list(mistakes)
        count = "a mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        lines = "".join(f"\n  {mistake}" for mistake in self.mistakes)
        super().__init__(f"The settings have {count}:{lines}", where=where, remedy=remedy)


def write_path(path: FieldPath, *, lone: bool = False) -> str:
    """``path`` as people write it: ``regions.secondaries[1]``, ``tags["cost centre"]``.

    A key that may be a secret written in the place of a key (``pw: {hunter2}``) is not repeated.

    Args:
        lone: whether nothing stands behind the last key.
    """
    text = ""
    for place, part in enumerate(path):
        if isinstance(part, int):
            text += f"[{part}]"
        elif is_secret_key(path[: place + 1], lone=lone and place == len(path) - 1):
            return text  # what is said of it goes with where it stands
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def show_key(path: FieldPath, *, lone: bool = False) -> str:
    """The key at the end of ``path`` for the eyes of a reader, as :func:`write_path` has it."""
    return f"the key {NOT_SHOWN}" if is_secret_key(path, lone=lone) else f'the key "{path[-1]}"'


def is_secret_key(path: FieldPath, *, lone: bool) -> bool:
    """Whether the key at the end of ``path`` may itself be a secret: it stands where only a value should.

    Args:
        lone: whether nothing stands behind it.
    """
    if path[:2] != ("application", "secrets"):
        return isinstance(path[-1], str) and is_secret(path[:-1])
    if len(path) == _NAME_OF_SECRET:
        return lone
    return len(path) > _NAME_OF_SECRET and path[_NAME_OF_SECRET:] not in _SOURCES


def is_secret(path: FieldPath) -> bool:
    """Whether a value at ``path`` may be a secret, so that it is never repeated."""
    if path[:2] == ("application", "secrets"):
        return True
    if path and path[0] in _NEVER_SECRET:
        return False
    return any(isinstance(part, str) and _SECRET_WORDS.search(part) for part in path)


def show(value: object, path: FieldPath = ()) -> str:
    """``value`` for the eyes of a reader, short; only its kind when it may be a secret."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return NOTHING
    if is_secret(path):
        return f"{'plain text' if isinstance(value, str) else 'a value'} {NOT_SHOWN}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = _USER_IN_URL.sub("//…@", value)
        text = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
        return '"' + text.replace("\n", "\\n") + '"'
    return str(value)


def nearest_of(found: str, choices: Iterable[str]) -> str | None:
    """The choice that ``found`` was most likely meant to be, if any is close."""
    by_folded = {choice.casefold(): choice for choice in choices}
    for folded, choice in by_folded.items():
        # Letters in the wrong order are the commonest slip, and difflib would as soon take another word.
        if sorted(folded) == sorted(found.casefold()):
            return choice
    matches = difflib.get_close_matches(found.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None
