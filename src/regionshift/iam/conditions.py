"""Compare what the conditions of statements allow for one context key.

IAM User Guide, "IAM JSON policy elements: Condition operators" and "Single-valued vs. multivalued context keys". One
fitting value is enough. A negated operator holds when no value fits, and when the key is missing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from itertools import pairwise
from typing import Any

from regionshift.iam.documents import Condition
from regionshift.iam.patterns import Strings, held_by, named

_OPERATOR = re.compile(r"(?:(ForAnyValue|ForAllValues):)?(\w+?)(IfExists)?", re.IGNORECASE)
_TEXT = {
    # (wildcards count, upper and lower case are alike, parts of an ARN)
    "stringequals": (False, False, False),
    "stringequalsignorecase": (False, True, False),
    "stringlike": (True, False, False),
    "arnequals": (True, False, True),
    "arnlike": (True, False, True),
    "bool": (False, True, False),
    "binaryequals": (False, False, False),
}
_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda value, bound: value == bound,
    "lessthan": lambda value, bound: value < bound,
    "lessthanequals": lambda value, bound: value <= bound,
    "greaterthan": lambda value, bound: value > bound,
    "greaterthanequals": lambda value, bound: value >= bound,
}
_NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
    "notipaddress": "ipaddress",
}


@dataclass(frozen=True)
class Bound:
    """One condition: how it limits the context key ``key``.

    Args:
        of_many: "", or whether any or all of the key's values must fit.
        without: whether it holds without the key.
        names: the text that fits; None where the condition is not about text.
        fits: whether a number, a moment or an address fits.
        points: the values between which nothing changes.
        family: the kind of the values: text, numeric, date, ip, null, or strange for an unknown operator.
    """

    written: Condition
    key: str
    family: str
    of_many: str = ""
    without: bool = False
    names: Strings | None = None
    fits: Callable[[Any], bool] | None = None
    points: tuple[Any, ...] = ()

    @property
    def is_strange(self) -> bool:
        """Whether only the text of the condition is known."""
        return self.family == "strange"

    def implies(self, other: Bound) -> bool:
        """Return whether everything that fits this also fits ``other``; False where that is unknown."""
        if self.written == other.written:
            return True
        if self.names is None or other.names is None or self.of_many != other.of_many:
            return False
        return (other.without or not self.without) and all(held_by((self.names,), (other.names,)))


def bound_of(condition: Condition) -> Bound:
    """Return what ``condition`` says about its key."""
    key = condition.key.lower()
    match = _OPERATOR.fullmatch(condition.operator)
    if match is None:
        return Bound(condition, key, "strange")
    many, operator = (match[1] or "").lower(), match[2].lower()
    plain = _NEGATED.get(operator, operator)
    is_negated = plain != operator
    # Negations, ForAllValues and IfExists hold without the key.
    without = many == "forallvalues" or (not many and (is_negated or bool(match[3])))
    if many == "foranyvalue":
        without = bool(match[3])
    if operator == "null" and not many:
        wanted = {value.lower() for value in condition.values}
        return Bound(condition, key, "null", "", "true" in wanted, fits=lambda _: "false" in wanted)
    if plain in _TEXT:
        with_wildcards, is_folded, is_arn = _TEXT[plain]
        values = condition.values if with_wildcards else map(_literal, condition.values)
        names = named(values, is_all_but=is_negated, is_folded=is_folded, is_arn=is_arn)
        return Bound(condition, key, "text", many, without, names)
    return _of_values(condition, key, plain, is_negated=is_negated, many=many, without=without)


def _of_values(
    condition: Condition, key: str, plain: str, *, is_negated: bool, many: str, without: bool
) -> Bound:
    family = next((each for each in _READ if plain.startswith(each)), "")
    how = plain.removeprefix(family)
    try:
        bounds = [_READ[family](value) for value in condition.values] if family else []
    except (ValueError, InvalidOperation):
        family = ""
    if not family or (family == "ip") != (how == "address") or (family != "ip" and how not in _ORDERED):
        return Bound(condition, key, "strange", many, without)
    compare = _in_network if family == "ip" else _ORDERED[how]

    def fits(value: Any) -> bool:
        return any(compare(value, bound) for bound in bounds) != is_negated

    points = tuple(_beginnings(bounds)) if family == "ip" else tuple(bounds) or (Decimal(0),)
    return Bound(condition, key, family, many, without, fits=fits, points=points)


def _literal(value: str) -> str:
    """Return ``value`` as a pattern that fits only itself. Variables stay variables."""
    return re.sub(
        r"\$\{[^}]*\}|[*?]", lambda match: match[0] if len(match[0]) > 1 else f"${{{match[0]}}}", value
    )


def _number(value: str) -> Decimal:
    found = Decimal(value)
    if not found.is_finite():
        raise ValueError(value)
    return found


def _moment(value: str) -> Decimal:
    """Parse a W3C date and time, or seconds since 1970."""
    if re.fullmatch(r"\d+", value) and len(value) > 4:
        return Decimal(value)
    found = datetime.fromisoformat(value)
    return Decimal(repr((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()))


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _in_network(address: tuple[int, int], network: _Network) -> bool:
    return address[0] == network.version and int(network[0]) <= address[1] <= int(network[-1])


def _beginnings(networks: Iterable[_Network]) -> Iterator[tuple[int, int]]:
    """Return (version, number): the first address of each range in which all addresses are treated alike."""
    yield from ((4, 0), (6, 0))
    for network in networks:
        yield network.version, int(network[0])
        if (after := int(network[-1]) + 1) < 1 << network.max_prefixlen:
            yield network.version, after


_READ: dict[str, Callable[[str], Any]] = {
    "numeric": _number,
    "date": _moment,
    "ip": lambda value: ipaddress.ip_network(value, strict=False),
}


def ways_of_key(base: Sequence[Bound], others: Sequence[Sequence[Bound]]) -> set[frozenset[int]]:
    """Return in which of ``others`` a request can lie, for everything that ``base`` allows for one key: each way that
    occurs.

    An unknown bound in ``base`` counts as no bound. In ``others`` it counts as one that nothing passes, except the same
    bound.

    Raises:
        TooIntricate: there are too many ways.
    """
    every = [*base, *(bound for other in others for bound in other)]
    families = {bound.family for bound in every} - {"null"}
    if "strange" in families or len(families) > 1 or any(bound.of_many for bound in every):
        held = (
            number
            for number, other in enumerate(others)
            if all(any(one.implies(bound) for one in base) for bound in other)
        )
        return {frozenset(held)}
    found = _ways_of_text(base, others) if families <= {"text"} else _ways_of_values(base, others, every)
    if all(bound.without for bound in base):
        found.add(_where(others, lambda bound: bound.without))
    return found


def _where(others: Sequence[Sequence[Bound]], holds: Callable[[Bound], bool]) -> frozenset[int]:
    return frozenset(number for number, other in enumerate(others) if all(map(holds, other)))


def _ways_of_text(base: Sequence[Bound], others: Sequence[Sequence[Bound]]) -> set[frozenset[int]]:
    if not all(bound.names or _fits(None, bound) for bound in base):  # without the key alone
        return set()
    of_base = tuple(bound.names for bound in base if bound.names) or (named("*"),)
    flat = [(number, bound.names) for number, other in enumerate(others) for bound in other if bound.names]
    possible = _where(others, lambda bound: bool(bound.names) or _fits(None, bound))
    found = set()
    for held in held_by(of_base, tuple(names for _, names in flat)):
        missed = {number for place, (number, _) in enumerate(flat) if place not in held}
        found.add(possible - missed)
    return found


def _ways_of_values(
    base: Sequence[Bound], others: Sequence[Sequence[Bound]], every: Sequence[Bound]
) -> set[frozenset[int]]:
    """Try a value at every bound, between each two bounds, and beyond them."""
    points = sorted({point for bound in every for point in bound.points})
    if not isinstance(points[0], tuple):
        between = [(one + other) / 2 for one, other in pairwise(points)]
        points = [points[0] - 1, *points, *between, points[-1] + 1]
    return {
        _where(others, partial(_fits, point)) for point in points if all(_fits(point, one) for one in base)
    }


def _fits(value: Any, bound: Bound) -> bool:
    return bound.fits is not None and bound.fits(value)
