"""Shows findings, changes and losses once if they are alike in several regions.

Two things are alike if they are equal except for the name of their own region, as ``eu-west-1`` or ``eu_west_1``.
The one text holds for each region, with the region's own name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Generic, TypeVar

Thing = TypeVar("Thing")
HERE = "{region}"
"""The text that stands for each of the regions."""
_MOST_NAMED = 4
_MOST_MISSING = 2


@dataclass(frozen=True)
class Alike(Generic[Thing]):
    """Things that are alike, with their regions side by side; None for what has no region."""

    things: tuple[Thing, ...]
    regions: tuple[str | None, ...]

    @property
    def one(self) -> Thing:
        """The first of them."""
        return self.things[0]

    def told(self, text: str) -> str:
        """``text`` of `one` as it is true of all."""
        region = self.regions[0]
        return _own(region).sub(HERE, text) if region and len(set(self.regions)) > 1 else text


def folded(
    things: Iterable[Thing], region_of: Callable[[Thing], str | None], said: Callable[[Thing], object]
) -> list[Alike[Thing]]:
    """Alike things together, in the order of the first of each.

    Args:
        said: what must be alike: text, numbers, None, lists, mappings, and dataclasses of such.
    """
    found: dict[Hashable, list[Thing]] = {}
    for thing in things:
        region = region_of(thing)
        found.setdefault((region is None, _shape(said(thing), region)), []).append(thing)
    return [Alike(tuple(each), tuple(map(region_of, each))) for each in found.values()]


def where(regions: Iterable[str | None], everywhere: Sequence[str] = (), *, whole: bool = False) -> str:
    """In which regions something is the same, in words.

    Args:
        everywhere: all regions that there are. whole: name every region, however many they are.
    """
    named = list(dict.fromkeys(filter(None, regions)))
    named.sort(key=lambda region: everywhere.index(region) if region in everywhere else len(everywhere))
    if len(named) < 2:
        return f"in {named[0]}" if named else ""
    missing = [region for region in everywhere if region not in named]
    if everywhere and not missing:
        return f"in all {len(named)} regions"
    if 0 < len(missing) <= _MOST_MISSING and len(named) > _MOST_NAMED and not whole:
        return f"the same in {len(named)} regions: all but {', '.join(missing)}"
    return f"the same in {len(named)} regions: {listed(named, whole=whole)}"


def listed(regions: Sequence[str], *, most: int = _MOST_NAMED, whole: bool = False) -> str:
    """The names; unless ``whole``, the first ``most`` and how many more, where that says less."""
    if whole or len(regions) <= most + 1:
        return ", ".join(regions)
    return f"{', '.join(regions[:most])} and {len(regions) - most} more"


def _own(region: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{re.escape(region)}|{re.escape(region.replace('-', '_'))})(?!\d)")


def _shape(value: Any, region: str | None) -> Hashable:
    """Equal for values that are alike: text in pieces, between which the region stands in one form or the other."""
    if isinstance(value, str):
        if region is None:
            return ("text", value)
        forms = (found.group() == region for found in _own(region).finditer(value))
        return ("text", *_own(region).split(value), *forms)
    if is_dataclass(value):
        return tuple(_shape(getattr(value, each.name), region) for each in fields(value))
    if isinstance(value, Mapping):
        parts = [(_shape(name, region), _shape(each, region)) for name, each in value.items()]
        return ("mapping", *sorted(parts, key=repr))
    if isinstance(value, Iterable):
        return ("list", *(_shape(each, region) for each in value))
    # 1, 1.0 and True are equal, and not the same.
    return (type(value), value)
