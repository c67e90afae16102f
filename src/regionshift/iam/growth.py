"""Find what documents allow that earlier ones did not, by their meaning and not by their text.

A request is an action on a resource by a principal in a context. It is allowed when a statement allows it, here or
elsewhere, and none denies it (IAM User Guide, "Policy evaluation logic"). So documents allow more in two cases: they
allow, and do not deny, what was not allowed, or they deny less. Both are compared as sets of requests. Something
unknown counts as allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

from regionshift.iam.actions import expanded
from regionshift.iam.conditions import Bound, bound_of, ways_of_key
from regionshift.iam.documents import ALL, EVERY, Condition, Part, Policy, Statement
from regionshift.iam.patterns import Pattern, Strings, TooIntricate, held_by, may_meet

Aspect = Literal["action", "resource", "principal", "condition", "denied"]


@dataclass(frozen=True)
class Opened:
    """Something that is allowed now and was not before.

    Args:
        aspect: the new part of it: the action, the resource or the principal. A weaker or lost condition is
            "condition", a lost deny is "denied".
        actions, resources, principals: the new ones, as the statement writes them; empty where it names none.
        conditions: all conditions of the statement.
        today: for a wildcard of actions, the new ones among those that AWS has today.
        why: why it counts although it is not certain; "" where it is certain.
    """

    aspect: Aspect
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principals: tuple[str, ...]
    conditions: tuple[Condition, ...]
    today: tuple[str, ...] = ()
    why: str = ""

    @property
    def is_public(self) -> bool:
        """Whether everybody is allowed, without a condition."""
        return EVERY in self.principals and not self.conditions and self.aspect != "denied"


def opened(old: Sequence[Policy], new: Sequence[Policy]) -> list[Opened]:
    """Return what the documents ``new`` together allow that the documents ``old`` together did not."""
    before, after = ([_Set(each) for document in end for each in document] for end in (old, new))
    allowed, denied = _by_effect(before)
    allowed_now, denied_now = _by_effect(after)
    let_in, same, found = [*allowed, *denied_now], {each.meaning for each in before}, _Collected()
    for each in allowed_now:
        if each.meaning not in same:
            for part in each.parts():
                if (why := _why_new(part, let_in)) is not None:
                    found.add(part, _aspect(part, allowed), why, _new_today(part, let_in))
    same = {each.meaning for each in after}
    for each in denied:
        if each.meaning not in same:
            for part in each.parts():
                if (why := _why_new(part, denied_now)) is not None:
                    found.add(part, "denied", why)
    return list(found)


@dataclass(frozen=True)
class _Set:
    """The requests that a statement covers."""

    statement: Statement

    @cached_property
    def actions(self) -> Strings:
        return _names(self.statement.actions, is_folded=True)

    @cached_property
    def resources(self) -> Strings:
        return _names(self.statement.resources or ALL)

    @property
    def principals(self) -> Part:
        return self.statement.principals or ALL

    @cached_property
    def bounds(self) -> Mapping[str, tuple[Bound, ...]]:
        found: dict[str, tuple[Bound, ...]] = {}
        for bound in map(bound_of, self.statement.conditions):
            found[bound.key] = (*found.get(bound.key, ()), bound)
        return found

    @cached_property
    def meaning(self) -> object:
        """A value that is equal for statements that differ only in order, in the case of actions, or in name."""
        said = self.statement
        conditions = frozenset(
            (one.operator, one.key.lower(), frozenset(one.values)) for one in said.conditions
        )
        parts = (said.actions, said.resources or ALL, self.principals)
        named = tuple((frozenset(part.values), part.is_all_but) for part in parts)
        folded = frozenset(value.lower() for value in said.actions.values)
        return said.effect, folded, *named[1:], said.actions.is_all_but, conditions

    def parts(self) -> Iterator[_Set]:
        """Split the set into single actions, resources and principals."""
        said = self.statement
        for actions in _singly(said.actions):
            for resources in _singly(said.resources) if said.resources else [None]:
                for principals in _singly(said.principals) if said.principals else [None]:
                    one = _Set(replace(said, actions=actions, resources=resources, principals=principals))
                    one.__dict__["bounds"] = self.bounds
                    yield one


def _by_effect(sets: Sequence[_Set]) -> tuple[list[_Set], list[_Set]]:
    allow, deny = ([each for each in sets if each.statement.effect == effect] for effect in ("Allow", "Deny"))
    return allow, deny


def _singly(part: Part) -> list[Part]:
    return [part] if part.is_all_but else [Part((value,)) for value in dict.fromkeys(part.values)]


def _names(part: Part, *, is_folded: bool = False) -> Strings:
    return Strings(tuple(Pattern(value, is_folded) for value in part.values), part.is_all_but)


def _why_new(part: _Set, others: Sequence[_Set]) -> str | None:
    """Return None when ``others`` cover each request of ``part``. Otherwise return why that is uncertain; "" where it
    is certain.

    Args:
        part: a set of single actions, resources and principals.
    """
    near = [other for other in others if _may_meet(part, other)]
    # Mostly a single statement covers it. That can be seen even where all together are too intricate.
    if any(_is_held_by(part, other) for other in near):
        return None
    try:
        if _all_held(part, near) or _is_empty(part):
            return None
    except TooIntricate:
        return "its wildcards meet others in too many ways to be compared"
    strange = (
        bound
        for each in (part, *near)
        for bounds in each.bounds.values()
        for bound in bounds
        if bound.is_strange
    )
    if (bound := next(strange, None)) is not None:
        return f"what {bound.written.operator} of {bound.written.key} admits is not known"
    return "what its variable stands for is not known" if part.resources.has_variable else ""


def _is_held_by(part: _Set, other: _Set) -> bool:
    try:
        return _all_held(part, [other])
    except TooIntricate:
        return False


def _is_empty(part: _Set) -> bool:
    """Return whether ``part`` covers no request: all but everything, or two conditions that contradict each other."""
    ways = (_ways(part.actions, ()), _ways(part.resources, ()), _ways_of_principals(part.principals, ()))
    return not all((*ways, *(_ways_of_key(part, key, ()) for key in part.bounds)))


def _may_meet(part: _Set, other: _Set) -> bool:
    """Return quickly whether the two sets may have a request in common."""
    pairs = ((part.actions, other.actions), (part.resources, other.resources))
    return all(
        ours.is_all_but
        or theirs.is_all_but
        or any(may_meet(a, b) for a in ours.patterns for b in theirs.patterns)
        for ours, theirs in pairs
    )


def _all_held(part: _Set, others: Sequence[_Set]) -> bool:
    """Return whether ``others`` cover all of ``part``: one dimension after the other, for each way in which its
    requests lie in them.
    """
    keys = sorted({key for each in (part, *others) for key in each.bounds})
    dimensions: list[Callable[[Sequence[_Set]], Iterable[frozenset[int]]]] = [
        lambda left: _ways(part.actions, [each.actions for each in left]),
        lambda left: _ways(part.resources, [each.resources for each in left]),
        lambda left: _ways_of_principals(part.principals, [each.principals for each in left]),
        *(partial(_ways_of_key, part, key) for key in keys),
    ]

    def held(depth: int, left: Sequence[_Set]) -> bool:
        if not left or depth == len(dimensions):
            return bool(left)
        ways = set(dimensions[depth](left))
        least = [way for way in ways if not any(other < way for other in ways)]
        return all(held(depth + 1, [left[number] for number in sorted(way)]) for way in least)

    return held(0, others)


def _ways(base: Strings, others: Sequence[Strings]) -> Iterable[frozenset[int]]:
    """Compare names. Patterns that cannot meet the base are dropped first, because they only cost time."""
    if not base.is_all_but:
        others = [replace(names, patterns=_near(base, names)) for names in others]
    return held_by((base,), tuple(others))


def _near(base: Strings, names: Strings) -> tuple[Pattern, ...]:
    if not names.is_all_but and {*base.patterns} <= {*names.patterns}:
        return base.patterns
    return tuple(each for each in names.patterns if any(may_meet(one, each) for one in base.patterns))


def _ways_of_principals(base: Part, others: Sequence[Part]) -> set[frozenset[int]]:
    """Return the ways of each principal that is named, and of one that nobody names.

    A role is not the root of its account. The root stands for what IAM of the account allows (KMS Developer Guide,
    "Default key policy").
    """
    named = {value for part in (base, *others) for value in part.values if value != EVERY}
    return {
        frozenset(number for number, part in enumerate(others) if _has(part, who))
        for who in (*named, "somebody else")
        if _has(base, who)
    }


def _has(part: Part, who: str) -> bool:
    return (who in part.values or EVERY in part.values) != part.is_all_but


def _ways_of_key(part: _Set, key: str, left: Sequence[_Set]) -> set[frozenset[int]]:
    return ways_of_key(part.bounds.get(key, ()), [each.bounds.get(key, ()) for each in left])


def _aspect(part: _Set, allowed: Sequence[_Set]) -> Aspect:
    """Return in what ``part`` exceeds the nearest of ``allowed``; the action where it exceeds it in several ways."""
    nearest: list[Aspect] = ["action", "resource"]
    for other in (each for each in allowed if _may_meet(part, each)):
        asked: dict[Aspect, Callable[[], Iterable[frozenset[int]]]] = {
            "action": lambda other=other: _ways(part.actions, [other.actions]),  # type: ignore[misc]
            "resource": lambda other=other: _ways(part.resources, [other.resources]),  # type: ignore[misc]
            "principal": lambda other=other: _ways_of_principals(part.principals, [other.principals]),  # type: ignore[misc]
            "condition": lambda other=other: [
                way for key in other.bounds for way in _ways_of_key(part, key, [other])
            ],  # type: ignore[misc]
        }
        try:
            lacking = [aspect for aspect, ways in asked.items() if not all(ways())]
        except TooIntricate:
            continue
        nearest = min(nearest, lacking, key=len)
    return nearest[0] if len(nearest) == 1 else "action"


def _new_today(part: _Set, let_in: Sequence[_Set]) -> tuple[str, ...]:
    """Return the new ones of today's actions that the wildcard of one service names."""
    said = part.statement.actions
    if said.is_all_but or "*" not in "".join(said.values) or "*" in said.values[0].partition(":")[0]:
        return ()
    every = (_Set(replace(part.statement, actions=Part((action,)))) for action in expanded(said.values[0]))
    return tuple(one.statement.actions.values[0] for one in every if _why_new(one, let_in) is not None)


class _Collected:
    """What was found. Entries that differ only in their actions or their resources are merged."""

    def __init__(self) -> None:
        self._found: dict[
            tuple[Aspect, tuple[str, ...], tuple[Condition, ...], str], dict[str, dict[str, tuple[str, ...]]]
        ] = {}

    def add(self, part: _Set, aspect: Aspect, why: str, today: tuple[str, ...] = ()) -> None:
        said = part.statement
        principals = tuple(_words(part.principals)) if said.principals is not None else ()
        by_resource = self._found.setdefault((aspect, principals, said.conditions, why), {})
        for resource in _words(said.resources) if said.resources else [""]:
            by_resource.setdefault(resource, {}).update(dict.fromkeys(_words(said.actions), today))

    def __iter__(self) -> Iterator[Opened]:
        for (aspect, principals, conditions, why), by_resource in self._found.items():
            by_actions: dict[tuple[tuple[str, tuple[str, ...]], ...], list[str]] = {}
            for resource, found in by_resource.items():
                by_actions.setdefault(tuple(sorted(found.items())), []).append(resource)
            for known, resources in by_actions.items():
                actions = tuple(action for action, _ in known)
                today = tuple(dict.fromkeys(each for _, every in known for each in every))
                named = tuple(filter(None, resources))
                yield Opened(aspect, actions, named, principals, conditions, today, why)


def _words(part: Part) -> list[str]:
    return [f"all but {', '.join(part.values)}"] if part.is_all_but else list(part.values)
