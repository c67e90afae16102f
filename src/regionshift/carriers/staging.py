"""The staging labels by which migrations keep versions of a secret: how they are called, and which of them go. Pure.

``regionshift/{migration}/{number}/{role}``: the number says which migration came later, as labels have no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

MOST_LABELS = 20
"""On all versions of a secret together (AWS Secrets Manager User Guide, "AWS Secrets Manager quotas")."""

KEPT = 3
"""Migrations whose versions stay labelled, the one under way among them."""

MADE, BEFORE, PREVIOUS = "made", "before", "previous"
_A_MIGRATION = 3  # labels: one for each role
_OF_AWS = frozenset({"AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"})
_BEGINNING = "regionshift/"


class Mark(NamedTuple):
    """One label of a migration, and the version that has it."""

    number: int
    migration_id: str
    label: str
    version: str


def stages_of(found: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """Every version that has a label, and its labels, from what DescribeSecret or ListSecrets says."""
    return found.get("VersionIdsToStages") or found.get("SecretVersionsToStages") or {}


def marks(found: Mapping[str, Any]) -> list[Mark]:
    """Every migration's labels, the oldest first; those written without a number count as the oldest."""
    return sorted(
        Mark(_number(label), label.split("/")[1], label, version)
        for label, version in _labels(found)
        if is_ours(label)
    )


def of_migration(found: Mapping[str, Any], migration_id: str) -> list[Mark]:
    """The labels of one migration."""
    return [mark for mark in marks(found) if mark.migration_id == migration_id]


def name(found: Mapping[str, Any], migration_id: str, role: str) -> str:
    """What a migration's label for ``role`` is called on this secret."""
    own = of_migration(found, migration_id)
    number = own[-1].number if own else 1 + max((mark.number for mark in marks(found)), default=0)
    return f"{_BEGINNING}{migration_id}/{number}/{role}"


def in_the_way(found: Mapping[str, Any], migration_id: str) -> list[Mark]:
    """Labels of older migrations that must go before ``migration_id`` can label three versions.

    Those of the newest stay, as many as `KEPT` and AWS's limit leave.
    """
    others = [mark for mark in marks(found) if mark.migration_id != migration_id]
    ids = list(dict.fromkeys(mark.migration_id for mark in others))
    kept = set(ids[max(0, len(ids) - (KEPT - 1)) :])
    for oldest in ids:
        if sum(mark.migration_id in kept for mark in others) <= _room(found):
            break
        kept.discard(oldest)
    return [mark for mark in others if mark.migration_id not in kept]


def no_room(found: Mapping[str, Any]) -> str:
    """Why no migration can label this secret, whatever else goes; empty when one can."""
    if _room(found) >= 0:
        return ""
    return (
        f"it has {_of_others(found)} staging labels of your own at the target: a secret has {MOST_LABELS} at most, "
        f"and taking a migration back needs {_A_MIGRATION} of them beside AWS's; take some away"
    )


def _room(found: Mapping[str, Any]) -> int:
    """How many labels are left for older migrations."""
    return MOST_LABELS - len(_OF_AWS) - _A_MIGRATION - _of_others(found)


def _of_others(found: Mapping[str, Any]) -> int:
    return sum(label not in _OF_AWS and not is_ours(label) for label, _ in _labels(found))


def _labels(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return ((label, version) for version, labels in stages_of(found).items() for label in labels)


def is_ours(label: str) -> bool:
    """Whether a migration made it."""
    return label.startswith(_BEGINNING)


def _number(label: str) -> int:
    parts = label.split("/")
    return int(parts[2]) if len(parts) == 4 and parts[2].isdigit() else 0
