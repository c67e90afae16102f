"""Checks before a migration's plan is final: it is the plan that was requested and confirmed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from regionshift.carriers.carrier import Entry, Item
from regionshift.carriers.plan import MigrationPlan
from regionshift.carriers.records import MigrationRecords
from regionshift.carriers.summary import Metadata, entries_of
from regionshift.errors import InputError, Refused

_NAMED = 10


class BeingPlanned(Refused):
    """Another call plans this migration, or was killed while it planned. Try again later."""

    error_id = "RS-MIGRATION-006"


class PlanChanged(Refused):
    """The plan has changed since it was confirmed."""

    error_id = "RS-MIGRATION-007"

    def __init__(self, plan: MigrationPlan) -> None:
        counts = ", ".join(f"{number} {kind}" for kind, number in plan.counts.items())
        super().__init__(
            f"The plan has changed since it was confirmed. It is now: {counts}. Nothing was copied.",
            where=", ".join(str(part.entry.source) for part in plan.entries),
            remedy="look at the new plan and confirm it; --yes accepts any plan",
        )


@dataclass(frozen=True)
class Asked:
    """Conditions for a plan.

    Args:
        keys: whole keys that must exist at the source.
        confirmed: the digest of the plan that was confirmed; None: no plan was shown.
        conflicts: whether items in conflict may be left out.
    """

    keys: Sequence[str] = ()
    confirmed: str | None = None
    conflicts: bool = True


ANYTHING = Asked()


class RequestCheck:
    """Watches a plan while it is made, and then checks the conditions ``asked``."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._missing = set(asked.keys)

    def __call__(self, entry: Entry, item: Item) -> None:
        """Note one selected item of the source."""
        self._missing.discard(entry.source.prefix + item.key)

    def require(self, plan: MigrationPlan) -> None:
        """Check ``plan``, after all of its items were noted.

        Raises:
            InputError: keys are missing at the source.
            PlanChanged: it is not the confirmed plan.
            Refused: it has conflicts, which are not allowed.
        """
        if self._missing:
            _refuse_missing(self._missing, plan)
        if self._asked.confirmed not in (None, plan.digest):
            raise PlanChanged(plan)
        if plan.conflicts and not self._asked.conflicts:
            raise refused_for(plan.counts["conflict"], plan.conflicts)


def refused_for(conflicts: int, named: Sequence[tuple[str, str]]) -> Refused:
    """Return the refusal of a plan that has conflicts.

    Args:
        conflicts: their number.
        named: the first of them, (item, reason).
    """
    return Refused(
        f"{conflicts} items cannot be carried: "
        + ", ".join(f"{item} ({reason})" for item, reason in named[:3]),
        where="migration.on_failure: rollback",
        remedy="exclude them under `carry`, fix them, or set migration.on_failure: stop",
        error_id="RS-CARRY-009",
    )


def require_same(records: MigrationRecords, known: Metadata, entries: Sequence[Entry]) -> None:
    """Check that the summary ``known`` is of a migration of ``entries`` into the region of ``records``.

    It can be another one, because the primary's records are replicated, and an id can be used twice.

    Raises:
        Refused: it is another migration's.
    """
    what = entries_of(known)
    if "status" not in known:
        why = "its record was not written by regionshift"
    elif known.get("region") != records.store.region:
        why = f"it went into {known.get('region')}"
    elif _carried(what) != _carried(entries):
        ways = ", ".join(f"{entry.source} to {entry.target}" for entry in what[:3])
        why = f"it carries {ways or 'nothing'}" + (", or selects otherwise" if what else "")
    else:
        return
    raise Refused(
        f"The id {records.id} belongs to another migration: {why}.",
        where=records.where(records.metadata),
        remedy="Use another id, or ask for the same as that migration.",
        error_id="RS-MIGRATION-005",
    )


def _carried(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries without ``owned``, which can differ between releases of the program."""
    return [replace(entry, owned=()) for entry in entries]


def _refuse_missing(missing: Collection[str], plan: MigrationPlan) -> None:
    shown = sorted(missing)
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    raise InputError(
        f"The source does not have: {', '.join(shown[:_NAMED])}{more}.",
        where=", ".join(str(part.entry.source) for part in plan.entries),
        remedy="Name objects that are there. Nothing was copied.",
        error_id="RS-CARRY-001",
    )
