"""Which entries of ``carry`` would write the same thing: their targets as shell patterns, compared. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from regionshift.settings.carry import CarryEntry
from regionshift.settings.components import DEPLOYMENT_BUCKET
from regionshift.settings.config import MigrationConfig

Token = tuple[str, str]
"""One character of a pattern: (``text``, itself), (``any``, ``?``), (``set``, ``[...]``) or (``star``, ``*``)."""

Pattern = tuple[Token, ...]
_STAR: Token = ("star", "*")
_Place = tuple[int, int]


@dataclass(frozen=True)
class Target:
    """The names that an entry can write in one region, with any source.

    Args:
        place: the bucket, or empty for kinds without one.
        written: patterns of whole names. left_out: patterns of excluded names.
        tags: tags that the items must have.
    """

    place: str
    written: tuple[Pattern, ...]
    left_out: tuple[Pattern, ...]
    tags: Mapping[str, str] = field(default_factory=dict)

    def meets(self, other: Target) -> bool:
        """Whether both can write one name."""
        if self.place != other.place:
            return False
        if any(other.tags.get(tag, value) != value for tag, value in self.tags.items()):
            return False
        left_out = (*self.left_out, *other.left_out)
        return any(
            can_meet(one, another) and not any(covers(out, one) or covers(out, another) for out in left_out)
            for one in self.written
            for another in other.written
        )


def overlaps(config: MigrationConfig, kind: str) -> Iterator[tuple[int, int]]:
    """Pairs of entries of one kind that can write one name in some region."""
    entries = config.carry.by_kind[kind]
    regions = dict.fromkeys(config.all_regions)
    targets = [[_target(config, entry, region) for region in regions] for entry in entries]
    for later, of_later in enumerate(targets):
        for earlier, of_earlier in enumerate(targets[:later]):
            if any(one.meets(other) for one, other in zip(of_earlier, of_later, strict=True)):
                yield earlier, later
                break


def _target(config: MigrationConfig, entry: CarryEntry, region: str) -> Target:
    bucket, prefix, _ = entry.ends[1]
    if bucket is None:
        place, prefix = "", prefix.replace("{region}", region)
    else:
        place = bucket.replace("{region}", region) or DEPLOYMENT_BUCKET.name(config.names, region)
    begins: Pattern = tuple(("text", character) for character in prefix)
    return Target(
        place,
        tuple(begins + tokens(pattern) for pattern in entry.include or ("*",)),
        tuple(begins + tokens(pattern) for pattern in entry.exclude),
        entry.wanted_tags,
    )


def tokens(pattern: str) -> Pattern:
    """A shell pattern, character by character, as ``fnmatch`` reads it."""
    found: list[Token] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        end = _end_of_set(pattern, at) if character == "[" else -1
        if end > 0:
            found.append(("set", pattern[at:end]))
            at = end
            continue
        found.append({"*": _STAR, "?": ("any", "?")}.get(character, ("text", character)))
        at += 1
    return tuple(found)


def _end_of_set(pattern: str, start: int) -> int:
    """Where ``[...]`` ends; -1 when it does not, and then the bracket stands for itself."""
    first = start + 1
    if pattern[first : first + 1] == "!":
        first += 1
    end = pattern.find("]", first + 1)  # a bracket that comes first is one of the set
    return end + 1 if end > 0 else -1


def can_meet(one: Pattern, other: Pattern) -> bool:
    """Whether some text fits both."""

    def following(at: int, there: int) -> list[_Place]:
        here, yonder = one[at : at + 1], other[there : there + 1]
        # A star stands for nothing, or for one character more of the other side.
        if here == (_STAR,):
            return [(at + 1, there), *([(at, there + 1)] if yonder else [])]
        if yonder == (_STAR,):
            return [(at, there + 1), *([(at + 1, there)] if here else [])]
        both = here and yonder and _share_a_character(here[0], yonder[0])
        return [(at + 1, there + 1)] if both else []

    return _gets_through(one, other, following)


def covers(wide: Pattern, narrow: Pattern) -> bool:
    """Whether every text that fits ``narrow`` is seen to fit ``wide``; false also where that is hard to see."""

    def following(at: int, there: int) -> list[_Place]:
        if wide[at : at + 1] == (_STAR,):
            return [(at + 1, there), *([(at, there + 1)] if there < len(narrow) else [])]
        both = at < len(wide) and there < len(narrow) and _holds_all_of(wide[at], narrow[there])
        return [(at + 1, there + 1)] if both else []

    return _gets_through(wide, narrow, following)


def _gets_through(one: Pattern, other: Pattern, following: Callable[[int, int], list[_Place]]) -> bool:
    """Whether some way of ``following`` leads from the beginning of both to the end of both."""
    waiting, seen = [(0, 0)], {(0, 0)}
    while waiting:
        place = waiting.pop()
        if place == (len(one), len(other)):
            return True
        new = [each for each in following(*place) if each not in seen]
        seen.update(new)
        waiting += new
    return False


def _share_a_character(one: Token, other: Token) -> bool:
    for text, pattern in ((one, other), (other, one)):
        if text[0] == "text":
            return text == pattern or (pattern[0] != "text" and fnmatch.fnmatchcase(text[1], pattern[1]))
    return True


def _holds_all_of(wide: Token, narrow: Token) -> bool:
    if wide == narrow:
        return True
    if narrow == _STAR:
        return False
    return wide[0] == "any" or (narrow[0] == "text" and _share_a_character(wide, narrow))
