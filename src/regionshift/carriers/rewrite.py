"""Change values that name the source region so that they name the target's. Off unless an entry asks."""

from __future__ import annotations

import re
from collections.abc import Callable

from regionshift.carriers.carrier import Entry
from regionshift.carriers.named import Value
from regionshift.errors import InputError

RULES = ("arn", "region")
"""``arn``: the region field of ARNs. ``region``: the region's name wherever it stands as a whole word."""


def require_rules(entry: Entry) -> None:
    """Refuse rules that do not exist.

    Raises:
        InputError: one does not.
    """
    if "" in entry.replace:
        raise InputError(
            "An empty text cannot be replaced.",
            where="rewrite.replace",
            remedy="name the text that is to be replaced",
        )
    for rule in entry.rewrite:
        if rule not in RULES:
            raise InputError(
                f"There is no rewrite rule {rule!r}.", where="rewrite", remedy=f"Use {' or '.join(RULES)}."
            )


def rewritten(entry: Entry, value: Value) -> tuple[Value, dict[str, int]]:
    """The value for the target and how often each rule changed it; binary values stay as they are.

    An entry's own texts are replaced last, all of them in one pass, the longest first: what one of them puts
    in is never changed by another.
    """
    if value.text is None or not (entry.rewrite or entry.replace):
        return value, {}
    text = value.text
    counts: dict[str, int] = {}
    for rule in RULES:
        if rule in entry.rewrite:
            text, number = _pattern(rule, entry.source.region).subn(
                lambda match: match[0].replace(entry.source.region, entry.target.region), text
            )
            if number:
                counts[rule] = number
    if entry.replace:
        longest_first = sorted(entry.replace, key=len, reverse=True)
        pattern = re.compile("|".join(re.escape(wanted) for wanted in longest_first))
        text, number = pattern.subn(lambda match: entry.replace[match[0]], text)
        if number:
            counts["replace"] = number
    return Value(text), counts


def told(counts: dict[str, int]) -> str:
    """What a plan says about it; empty when nothing changes."""
    return ", ".join(f"{rule} ×{number}" for rule, number in counts.items())


def rewrites_of(entry: Entry, value: Callable[[], Value]) -> str:
    """What a plan says about one item; its value is read only where the entry has rules."""
    return told(rewritten(entry, value())[1]) if entry.rewrite or entry.replace else ""


def _pattern(rule: str, region: str) -> re.Pattern[str]:
    name = re.escape(region)
    if rule == "arn":
        return re.compile(rf"\barn:aws[a-z-]*:[a-z0-9-]*:{name}:")
    return re.compile(rf"(?<![A-Za-z0-9-]){name}(?![A-Za-z0-9-]|[a-z]\b)")
