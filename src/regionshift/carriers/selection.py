"""Which keys an entry selects, and walking several sorted streams side by side."""

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
    """Whether a key (what follows the prefix) belongs to the entry."""
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
    """The one key that ``pattern`` matches; None when it can match others. Keys can be named by the thousand."""
    name = _ESCAPED.sub(r"\1", pattern)
    return name if glob.escape(name) == pattern else None


def narrowed(entry: Entry, keys: Iterable[str]) -> Entry:
    """The entry as a part of it needs it that has only ``keys``: of keys named one by one just those."""
    if not entry.include or any(_name(pattern) is None for pattern in entry.include):
        return entry
    return replace(entry, include=tuple(glob.escape(entry.within + key) for key in keys))


class Cursor(Generic[_T]):
    """Walks a sorted stream forward; ask it with rising keys."""

    def __init__(self, stream: Iterator[_T], key_of: Callable[[_T], str]) -> None:
        self._stream = stream
        self._key_of = key_of
        self._current = next(stream, None)

    def at(self, key: str) -> _T | None:
        """The element of ``key``, or None; everything before it is passed over."""
        while self._current is not None and self._key_of(self._current) < key:
            self._current = next(self._stream, None)
        if self._current is not None and self._key_of(self._current) == key:
            return self._current
        return None
