"""Takes what is wrong out of settings, so that the rules between the other fields can be judged too."""

from __future__ import annotations

import copy
import json
from typing import Any

from regionshift.settings.mistakes import Path
from regionshift.settings.regions import all_regions

# What takes the place of a required value that is wrong or missing.
_STAND_INS: dict[Path, object] = {
    ("project",): "project",
    ("environment",): "environment",
    ("account",): "000000000000",
    ("regions",): {"primary": "us-east-1"},
    ("network",): {"vpc_cidr": "10.0.0.0/8"},
    ("network", "vpc_cidr"): "10.0.0.0/8",
}


def without(tree: dict[str, Any], wrong: tuple[Path, ...]) -> dict[str, Any]:
    """A copy of ``tree`` without the paths of ``wrong``, or with others where something must stand."""
    mended = copy.deepcopy(tree)
    # From the end, so that a place taken out of a list moves none that is still to come.
    for path in sorted(wrong, key=lambda path: [str(part).zfill(9) for part in path], reverse=True):
        _take_out(mended, path)
    return mended


def _take_out(tree: dict[str, Any], path: Path) -> None:
    *around, last = path
    holder: Any = tree
    for part in around:
        if not _holds(holder, part):
            return
        holder = holder[part]
    if path in _STAND_INS:
        holder[last] = copy.deepcopy(_STAND_INS[path])
    elif path == ("regions", "primary") or around == ["regions", "secondaries"]:
        # A region that is named nowhere keeps the place, so that the others keep theirs.
        text = json.dumps(tree, default=str)
        holder[last] = next(region for region in reversed(all_regions()) if f'"{region}"' not in text)
    elif _holds(holder, last):
        del holder[last]
    elif around:
        _take_out(tree, tuple(around))  # the entry that lacks a required field


def _holds(holder: object, part: str | int) -> bool:
    if isinstance(holder, dict):
        return part in holder
    return isinstance(holder, list) and isinstance(part, int) and part < len(holder)
