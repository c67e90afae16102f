"""Select the keys of an entry, and join sorted streams by key."""

from __future__ import annotations

import fnmatch
import glob
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Generic, TypeVar

from regionshift.carriers.carrier import Entry

_T = TypeVar("_T")
_ESCAPED = re.compile(r"\[([*?[])\]")


def selector(entry: Entry) -> Callable[[str], bool]:
    """Return a function: whether the entry selects a key (without the prefix)."""
    include, exclude = _any_of(entry.include), _any_of(entry.exclude)
    owned, prefix, within = entry.owned, entry.source.prefix, entry.within

    def selects(key: str) -> bool:
        if owned and (prefix + key).startswith(owned):
            return False
        key = within + key
        return (include is None or include(key)) and (exclude is None or not exclude(key))

    return selects


def _any_of(patterns: tuple[str, ...]) -> Callable[[str], bool] | None:
    if not patterns:
        return None
    names, rest = set[str](), list[str]()
    for pattern in patterns:
        if (name := _name(pattern)) is None:
            rest.append(pattern)
        else:
            names.add(name)
    if not rest:
        return names.__contains__
    matcher = re.compile("|".join(map(fnmatch.translate, rest)))
    return lambda key: key in names or matcher.match(key) is not None


def _name(pattern: str) -> str | None:
    """Return the key when ``pattern`` matches only one, else None. An entry can name thousands of keys."""
    name = _ESCAPED.sub(r"\1", pattern)
    return name if glob.escape(name) == pattern else None


def narrowed(entry: Entry, keys: Iterable[str]) -> Entry:
    """Return the entry for a batch with only ``keys``: when it names single keys, it then names only these."""
    if not entry.include or any(_name(pattern) is None for pattern in entry.include):
        return entry
    return replace(entry, include=tuple(glob.escape(entry.within + key) for key in keys))


class Cursor(Generic[_T]):
    """Reads a sorted stream forward. Keys must be asked in rising order."""

    def __init__(self, stream: Iterator[_T], key_of: Callable[[_T], str]) -> None:
        self._stream = stream
        self._key_of = key_of
        self._current = next(stream, None)

    def at(self, key: str) -> _T | None:
        """Return the element of ``key``, or None. Skips all elements before it."""
        while self._current is not None and self._key_of(self._current) < key:
            self._current = next(self._stream, None)
        if self._current is not None and self._key_of(self._current) == key:
            return self._current
        return None
