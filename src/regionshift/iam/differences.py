"""Compare two policy documents statement by statement, as they are written. `growth` compares what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from regionshift.iam.documents import Condition, Part, Policy, Statement


@dataclass(frozen=True)
class PolicyDifference:
    """Something that a document has only before, only after, or with another value.

    Args:
        statement: its Sid, else its index: in the new document, or in the old one for a removed statement.
        part: ``Action[]``, ``NotResource[]``, ``Condition`` …, as IAM calls it; "" for the whole statement.
        before, after: as text; None where it does not exist.
    """

    statement: str
    part: str
    before: str | None
    after: str | None


def differences(old: Policy | None, new: Policy | None) -> list[PolicyDifference]:
    """Return what is removed, added and changed; nothing where only the order of statements or values differs."""
    before, after = list(old or ()), list(new or ())
    became = _became(before, after)
    found = [
        PolicyDifference(_name(before, place), "", sentence(was), None)
        for place, was in enumerate(before)
        if place not in became.values()
    ]
    for place, now in enumerate(after):
        name = _name(after, place)
        if place in became:
            found += (PolicyDifference(name, *each) for each in _inside(before[became[place]], now))
        else:
            found.append(PolicyDifference(name, "", None, sentence(now)))
    return found


def sentence(statement: Statement) -> str:
    """Return a statement on one line: ``Allow s3:GetObject on arn:… to Service:… if StringEquals …``."""
    said = f"{statement.effect} {_listed(statement.actions)}"
    said += f" on {_listed(statement.resources)}" if statement.resources else ""
    said += f" to {_listed(statement.principals)}" if statement.principals else ""
    return said + (f" if {' and '.join(map(str, statement.conditions))}" if statement.conditions else "")


def _sid(statements: Sequence[Statement], place: int) -> str:
    """Return the Sid, which has only letters and digits; "" where there is none, or another statement has it too."""
    label = statements[place].label
    return label if label.isalnum() and [each.label for each in statements].count(label) == 1 else ""


def _name(statements: Sequence[Statement], place: int) -> str:
    return _sid(statements, place) or str(place)


def _became(before: Sequence[Statement], after: Sequence[Statement]) -> dict[int, int]:
    """Return {new index: old index} of the statements that stay: matched by Sid, then by the most common values."""
    by_sid = {sid: place for place in range(len(before)) if (sid := _sid(before, place))}
    found = {
        place: by_sid[sid] for place in range(len(after)) if (sid := _sid(after, place)) and sid in by_sid
    }
    ranked = sorted(
        (-shared, now, was)
        for now in range(len(after))
        for was in range(len(before))
        if now not in found and was not in found.values()
        if (shared := _in_common(before[was], after[now]))
    )
    for _, now, was in ranked:
        if now not in found and was not in found.values():
            found[now] = was
    return found


def _in_common(one: Statement, other: Statement) -> int:
    """Return how many values two statements share; 0 where their actions and resources differ completely."""
    if one.effect != other.effect:
        return 0
    actions, resources = _shared(one.actions, other.actions), _shared(one.resources, other.resources)
    if not actions and (not resources or set(_values(one.resources)) != set(_values(other.resources))):
        return 0
    alike = (one.principals == other.principals) + (one.conditions == other.conditions)
    return actions + resources + alike


def _values(part: Part | None) -> tuple[str, ...]:
    return part.values if part else ()


def _shared(one: Part | None, other: Part | None) -> int:
    return len({*_values(one)} & {*_values(other)})


def _inside(old: Statement, new: Statement) -> Iterator[tuple[str, str | None, str | None]]:
    if old.effect != new.effect:
        yield "Effect", old.effect, new.effect
    yield from _of_part("Action", old.actions, new.actions)
    yield from _of_part("Resource", old.resources, new.resources)
    yield from _of_part("Principal", old.principals, new.principals)
    was, now = _by_key(old.conditions), _by_key(new.conditions)
    for key in dict.fromkeys([*was, *now]):
        before, after = was.get(key), now.get(key)
        if before is None or after is None:
            yield f"Condition.{key}", _joined(before), _joined(after)
        else:
            yield from _of_values(f"Condition.{key}[]", before, after)


def _of_part(name: str, old: Part | None, new: Part | None) -> Iterator[tuple[str, str | None, str | None]]:
    if old and new and old.is_all_but != new.is_all_but:
        yield name, _listed(old), _listed(new)
        return
    path = f"Not{name}[]" if (new or old or Part(())).is_all_but else f"{name}[]"
    yield from _of_values(path, _values(old), _values(new))


def _of_values(
    path: str, old: Sequence[str], new: Sequence[str]
) -> Iterator[tuple[str, str | None, str | None]]:
    yield from ((path, each, None) for each in dict.fromkeys(old) if each not in new)
    yield from ((path, None, each) for each in dict.fromkeys(new) if each not in old)


def _listed(part: Part) -> str:
    return f"all but {', '.join(part.values)}" if part.is_all_but else ", ".join(part.values)


def _joined(values: Sequence[str] | None) -> str | None:
    return None if values is None else ", ".join(values)


def _by_key(conditions: Sequence[Condition]) -> dict[str, tuple[str, ...]]:
    return {f"{each.operator}.{each.key}": each.values for each in conditions}
