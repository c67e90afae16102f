"""Whether the worker of the target was given its rights for the `carry` that the settings have now."""

from __future__ import annotations

from collections.abc import Mapping

from regionshift.carriers.plan import MigrationPlan
from regionshift.errors import InputError, Refused
from regionshift.settings.config import MigrationConfig


def require_rights(config: MigrationConfig, content: Mapping[str, object], region: str) -> None:
    """The release that the target runs names what the settings name.

    The worker may touch just what `carry` named at the last `up`, so that anything else would fail item by
    item, after writing had begun.

    Args:
        content: of the release that ``region`` runs, as it is kept.

    Raises:
        Refused: `carry` has changed since.
    """
    given = content.get("config")
    known = given.get("carry") if isinstance(given, Mapping) else None
    if known is not None and known != config.model_dump(mode="json")["carry"]:
        raise Refused(
            f"The worker in {region} has no permission for what `carry` names now: it changed since the last `up`.",
            where=f"{region}: carry",
            remedy="regionshift up",
        )


def require_something(made: MigrationPlan, source: str) -> None:
    """Entries that all select nothing are a mistake; one of several that does is noted in the plan.

    Raises:
        InputError: all do; they are named.
    """
    nothing = [str(part.entry.source) for part in made.entries if not sum(part.counts.values())]
    if len(nothing) == len(made.entries):
        raise InputError(
            "The entries under `carry` select nothing.",
            where=f"{source}: {', '.join(nothing)}",
            remedy="look at the prefixes, paths, names and patterns under `carry`",
        )
