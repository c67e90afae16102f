"""Compare sets of strings as policies name them: patterns with ``*`` and ``?``, and all but those.

The comparison is exact. Each pattern is a finite automaton, and the automata are walked side by side. See the IAM User
Guide, "IAM JSON policy elements: Resource", wildcards; "Policy variables"; "Condition operators", ARN. The value of a
policy variable is unknown here: it is only in a set that has the same variable, or ``*``, in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = re.compile(r"\$\{([*?$])\}|\$\{[^}]*\}|\*+|.", re.DOTALL)
_OTHER = "\0"  # stands for every character that no pattern names
_MOST = 20_000
"""The limit of one comparison, in states times patterns: about a second."""
_VARIABLE = re.compile(r"\$\{(?![*?$]\})[^}]*\}")


class TooIntricate(Exception):
    """The patterns meet in more ways than one comparison may look at."""


@dataclass(frozen=True)
class Pattern:
    """One pattern, compiled.

    Args:
        text: as written.
        is_folded: whether case is ignored.
        is_arn: a wildcard stays within its part of the ARN, except in the last part.
    """

    text: str
    is_folded: bool = False
    is_arn: bool = False

    @property
    def has_variable(self) -> bool:
        """Whether a part of it is known only at the time of a request."""
        return any(len(token) > 1 for token in _compiled(self).advance)


class _Automaton:
    """Positions as bits: bit ``n`` is set when the first ``n`` tokens are matched."""

    def __init__(self, pattern: Pattern) -> None:
        self.advance: dict[str, int] = {}  # symbol → positions from which it leads on
        self.any_advance = 0  # by every known character
        self.any_advance_within = 0  # by every known character but a colon
        self.star = 0  # positions that are a wildcard of any length
        self.star_within = 0
        colons = place = 0
        for token in _tokens(pattern.text):
            bit = 1 << place
            is_within = pattern.is_arn and colons < 5
            if token == "*":
                if is_within:
                    self.star_within |= bit
                else:
                    self.star |= bit
            elif token == "?":
                if is_within:
                    self.any_advance_within |= bit
                else:
                    self.any_advance |= bit
            else:
                symbol = token[1:] if token.startswith("\\") else token
                colons += symbol == ":"
                for each in _either_case(symbol) if pattern.is_folded else (symbol,):
                    self.advance[each] = self.advance.get(each, 0) | bit
            place += 1
        self.end = 1 << place
        self.start = self._closed(1)

    def next_symbols(self, positions: int) -> Iterator[str]:
        """Return the symbols that differ from any other character at ``positions``."""
        return (symbol for symbol, places in self.advance.items() if positions & places)

    def _closed(self, positions: int) -> int:
        return positions | (positions & (self.star | self.star_within)) << 1

    def step(self, positions: int, symbol: str) -> int:
        """Return the positions after ``symbol``: a character, a variable, or the character that no pattern names."""
        leads = self.advance.get(symbol, 0)
        stays = self.star
        if len(symbol) == 1:
            leads |= self.any_advance
            if symbol != ":":
                leads |= self.any_advance_within
                stays |= self.star_within
        return self._closed((positions & leads) << 1 | positions & stays)


def _either_case(symbol: str) -> set[str]:
    return {symbol, *(each for each in (symbol.lower(), symbol.upper()) if len(each) == len(symbol))}


@lru_cache(maxsize=20_000)
def _compiled(pattern: Pattern) -> _Automaton:
    return _Automaton(pattern)


@lru_cache(maxsize=20_000)
def _tokens(text: str) -> tuple[str, ...]:
    """Split into characters, ``*``, ``?`` and variables. An escaped wildcard character has a backslash before it."""
    found: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if match[1]:
            found.append("\\" + match[1])
        elif token.startswith("*"):
            found.append("*")  # several in a row are one
        elif len(token) == 1 and token == "\\":
            found.append("\\\\")
        else:
            found.append(token)
    return tuple(found)


@dataclass(frozen=True)
class Strings:
    """A set of strings: those that one of ``patterns`` fits, or all others."""

    patterns: tuple[Pattern, ...]
    is_all_but: bool = False

    @property
    def has_variable(self) -> bool:
        """Whether a part of it is known only at the time of a request."""
        return any(pattern.has_variable for pattern in self.patterns)

    def at_most(self) -> Strings:
        """Return the set with everything unknown included."""
        if self.is_all_but:
            return Strings(tuple(each for each in self.patterns if not each.has_variable), is_all_but=True)
        return Strings(tuple(map(_widest, self.patterns)))

    def at_least(self) -> Strings:
        """Return the set with everything unknown left out."""
        if not self.is_all_but:
            return self
        opened = (
            Pattern(_VARIABLE.sub("*", each.text), each.is_folded, each.is_arn) for each in self.patterns
        )
        return Strings(tuple(map(_widest, opened)), is_all_but=True)


def _widest(pattern: Pattern) -> Pattern:
    """Return the pattern without the limits of an ARN, where it does not have the parts of one."""
    return (
        pattern
        if not pattern.is_arn or pattern.text.count(":") >= 5
        else Pattern(pattern.text, pattern.is_folded)
    )


@lru_cache(maxsize=20_000)
def held_by(base: tuple[Strings, ...], others: tuple[Strings, ...]) -> frozenset[frozenset[int]]:
    """Return in which of ``others`` (by index) the strings lie that are in every set of ``base``: each way that occurs.

    Raises:
        TooIntricate: there are too many ways.
    """
    bounds = [names.at_most() for names in base]
    if len(bounds) > 1:  # the value of a variable may be in the others too
        bounds = [names for names in bounds if not names.has_variable] or bounds[:1]
    sets = [*bounds, *(names.at_least() for names in others)]
    automata = [[_compiled(pattern) for pattern in names.patterns] for names in sets]
    patterns = sum(map(len, automata))
    start = (tuple(tuple(one.start for one in each) for each in automata), False)
    seen, queue, found = {start}, [start], set()
    while queue:
        positions, is_unknown = queue.pop()
        inside = [_holds(*each, is_unknown) for each in zip(sets, automata, positions, strict=True)]
        if all(inside[: len(bounds)]):
            found.add(frozenset(n for n, is_in in enumerate(inside[len(bounds) :]) if is_in))
            if not others:
                break
        for symbol in _next(automata, positions):
            after = tuple(
                tuple(one.step(at, symbol) if at else 0 for one, at in zip(each, places, strict=True))
                for each, places in zip(automata, positions, strict=True)
            )
            if any(not names.is_all_but and not any(at) for names, at in zip(bounds, after, strict=False)):
                continue
            state = (after, is_unknown or len(symbol) > 1)
            if state not in seen:
                if len(seen) * patterns > _MOST:
                    raise TooIntricate
                seen.add(state)
                queue.append(state)
    return frozenset(found)


def _next(automata: Sequence[Sequence[_Automaton]], positions: Sequence[Sequence[int]]) -> set[str]:
    """Return the symbols that make a difference. Only variables of the first set count: no string has those of the
    others.
    """
    found = {_OTHER, ":"}
    for place, (each, places) in enumerate(zip(automata, positions, strict=True)):
        for one, at in zip(each, places, strict=True):
            if at:
                found.update(symbol for symbol in one.next_symbols(at) if place == 0 or len(symbol) == 1)
    return found


def _holds(
    names: Strings, automata: Sequence[_Automaton], positions: Sequence[int], is_unknown: bool
) -> bool:
    """Return whether the set has the string that led here. A set of all but some has no string with a variable."""
    fits = any(at & one.end for one, at in zip(automata, positions, strict=True))
    return fits != names.is_all_but and not (is_unknown and names.is_all_but)


def may_meet(one: Pattern, other: Pattern) -> bool:
    """Return False when no string fits both, as far as their beginnings and ends show."""
    return _alike(_fixed(one), _fixed(other)) and _alike(_fixed(one, -1), _fixed(other, -1))


def _alike(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


@lru_cache(maxsize=20_000)
def _fixed(pattern: Pattern, way: int = 1) -> str:
    found: list[str] = []
    for token in _tokens(pattern.text)[::way]:
        if token in ("*", "?") or len(token) > 2:
            break
        found.append(token[-1])
    text = "".join(found)
    return text.lower() if pattern.is_folded else text


def named(
    values: Iterable[str], *, is_all_but: bool = False, is_folded: bool = False, is_arn: bool = False
) -> Strings:
    """Return the set that ``values`` name."""
    return Strings(tuple(Pattern(value, is_folded, is_arn) for value in dict.fromkeys(values)), is_all_but)
