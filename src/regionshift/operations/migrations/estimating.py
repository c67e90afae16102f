"""About how long a plan takes, how many requests and how much money; the plan as pipelines read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regionshift.carriers.carrier import Place
from regionshift.carriers.plan import EntryPlan, MigrationPlan
from regionshift.operations.migrations.scale import hint
from regionshift.settings.config import MigrationConfig

# USD, us-east-1 (Amazon S3 pricing; AWS Lambda pricing): a copy is a PUT; other regions differ by tenths.
_USD_A_REQUEST = 0.005 / 1000
_USD_A_GB_BETWEEN_REGIONS = 0.02
# Items a second that one state machine reaches at least.
_ITEMS_A_SECOND = {"aws": 2000.0, "local": 100.0}
# Seconds until the first item is copied: the execution, its first workers.
_STARTING = {"aws": 5.0, "local": 3.0}


@dataclass(frozen=True)
class Estimate:
    """About how long, how many requests and how much money (USD) a plan takes."""

    seconds: float
    requests: int
    usd: float


def estimate(config: MigrationConfig, made: MigrationPlan) -> Estimate:
    """About what the plan takes."""
    requests = sum(part.requests for part in made.entries)
    usd = requests * _USD_A_REQUEST + made.bytes / 1e9 * _USD_A_GB_BETWEEN_REGIONS
    seconds = (
        _STARTING[config.target] + made.to_copy / _ITEMS_A_SECOND[config.target] if made.to_copy else 0.0
    )
    return Estimate(seconds, requests, usd)


def as_json(
    made: MigrationPlan, about: Estimate, *, source: str, target: str, on_failure: str
) -> dict[str, Any]:
    """A plan for pipelines."""
    return {
        "migration_id": made.migration_id,
        "source": source,
        "target": target,
        "level": made.level.value,
        "on_failure": on_failure,
        "counts": made.counts,
        "to_copy": made.to_copy,
        "bytes": made.bytes,
        "batches": made.batches,
        "estimate": {"seconds": about.seconds, "requests": about.requests, "usd": about.usd},
        "entries": [_entry(part) for part in made.entries],
        "conflicts": [{"item": item, "reason": reason} for item, reason in made.conflicts],
    }


def _entry(part: EntryPlan) -> Mapping[str, Any]:
    entry = part.entry
    copied = sum(part.counts.get(kind, 0) for kind in ("new", "changed"))
    bigger = hint(entry.kind, copied)
    return {
        "kind": entry.kind,
        "source": place(entry.source),
        "target": place(entry.target),
        "counts": dict(part.counts),
        "bytes": part.bytes,
        "rewrite": [*entry.rewrite, *(["replace"] if entry.replace else [])],
        "rewritten": part.rewritten,
        "rewrites": [{"item": name, "what": what} for name, what in part.rewrites],
        "undo_until": part.undo_until,
        "notes": [*part.notes, *([bigger] if bigger else [])],
    }


def place(where: Place) -> str:
    """A place without its region, which the plan names once: ``bucket/prefix``, a path, a name's beginning."""
    return f"{where.bucket}/{where.prefix}" if where.bucket else where.prefix or "by tags"
