"""Estimates the time, the requests and the cost of a plan; and gives the plan as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from regionshift.carriers.carrier import DataLocation, Level
from regionshift.carriers.kinds import KINDS
from regionshift.carriers.plan import EntryPlan, MigrationPlan
from regionshift.operations.migrations.carrying import Workers
from regionshift.settings.config import MigrationConfig

# USD, us-east-1 (Amazon S3 pricing): a copy is a PUT; other regions differ by tenths.
_USD_A_WRITE = 0.005 / 1000
_USD_A_READ = 0.0004 / 1000
_USD_A_GB_BETWEEN_REGIONS = 0.02

MANY_ITEMS = 10_000_000
"""Items to copy in one migration: from here on the plan names the tool of AWS that does it (docs/scale.md)."""

_NOTHING = "selects nothing at the source: look at its prefix, path, name, tags and patterns"


@dataclass(frozen=True)
class Rates:
    """The rates of the estimate: assumptions for AWS (docs/scale.md), measurements for the embedded AWS.

    Args:
        starting: seconds until the first item is copied, and from the last one's proof to the end.
        pinned: items a second with this level of proof.
        full: the same with that level.
        copied: bytes a second that S3 copies of all objects.
        copied_alone: the same of one object.
        read: bytes a second that the proof reads of all objects.
        read_alone: the same of one object.
    """

    starting: float
    pinned: float
    full: float
    copied: float
    copied_alone: float
    read: float
    read_alone: float

    def of(self, workers: Workers) -> Rates:
        """The rates for a number of workers. One object is always copied by one worker."""
        share = workers.number / workers.most
        return replace(
            self,
            pinned=self.pinned * share,
            full=self.full * share,
            copied=max(self.copied * share, self.copied_alone),
            read=max(self.read * share, self.read_alone),
        )


_RATES = {
    "aws": Rates(8.0, 2000, 1000, 2e9, 400e6, 1e9, 40e6),
    "local": Rates(6.0, 100, 30, 100e6, 100e6, 20e6, 20e6),
}


@dataclass(frozen=True)
class Estimate:
    """The estimated time, requests and cost (USD) of a plan.

    ``read``: the most bytes that the proof reads on each side. Items with a stored checksum are not read.
    """

    seconds: float
    requests: int
    usd: float
    read: int = 0


def estimate(config: MigrationConfig, made: MigrationPlan, workers: Workers) -> Estimate:
    """Estimate the plan. The bytes to read come from the other region, as the copies do."""
    costs = [part.cost for part in made.entries]
    read = sum(cost.read for cost in costs)
    usd = (
        sum(cost.writes for cost in costs) * _USD_A_WRITE
        + sum(cost.reads for cost in costs) * _USD_A_READ
        + (made.bytes + read) / 1e9 * _USD_A_GB_BETWEEN_REGIONS
    )
    seconds = _seconds(_RATES[config.target].of(workers), made, read) if made.to_copy else 0.0
    return Estimate(seconds, sum(cost.requests for cost in costs), usd, read)


def _seconds(rates: Rates, made: MigrationPlan, read: int) -> float:
    """Seconds: copies run in parallel, and so do proofs. Each waits for its slowest item."""
    items = made.to_copy / (rates.full if made.level is Level.FULL else rates.pinned)
    copied = max(part.cost.copied_alone for part in made.entries)
    alone = max(part.cost.read_alone for part in made.entries)
    copying = max(items, made.bytes / rates.copied, copied / rates.copied_alone)
    return rates.starting + copying + max(read / rates.read, alone / rates.read_alone)


def as_json(
    made: MigrationPlan, about: Estimate, workers: Workers, *, source: str, target: str, on_failure: str
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
        "newer": sum(part.newer for part in made.entries),
        "bytes": made.bytes,
        "batches": made.batches,
        "estimate": {
            "seconds": about.seconds,
            "requests": about.requests,
            "usd": about.usd,
            "read_bytes": about.read,
        },
        "workers": asdict(workers),
        "entries": [_entry(part) for part in made.entries],
        "conflicts": [{"item": item, "reason": reason} for item, reason in made.conflicts],
    }


def _entry(part: EntryPlan) -> Mapping[str, Any]:
    entry = part.entry
    copied = sum(part.counts.get(kind, 0) for kind in ("new", "changed"))
    bigger = better_tool(entry.kind, copied)
    selected = sum(part.counts.values())
    return {
        "kind": entry.kind,
        "source": place(entry.source),
        "target": place(entry.target),
        "counts": dict(part.counts),
        "bytes": part.bytes,
        "rewrite": [*entry.rewrite, *(["replace"] if entry.replace else [])],
        "rewritten": part.rewritten,
        "rewrites": [{"item": name, "what": what} for name, what in part.rewrites],
        "newer": part.newer,
        "would_overwrite_newer": [{"item": name, "why": why} for name, why in part.newest],
        "not_carried": dict(part.left),
        "not_carried_of": [{"item": name, "what": what} for name, what in part.left_by],
        "undo_until": part.undo_until,
        "notes": [*part.notes, *([bigger] if bigger else []), *([] if selected else [_NOTHING])],
    }


def better_tool(kind: str, items: int) -> str:
    """A sentence on the AWS tool that fits this many items better; empty while a migration is the right tool.

    S3 Batch Replication copies objects that are older than the replication rule, from a list by S3 Inventory or S3
    itself (S3 User Guide, "Replicating existing objects with Batch Replication").
    """
    tool = KINDS[kind].bulk_tool
    if not tool or items < MANY_ITEMS:
        return ""
    return f"{items:,} objects: {tool}, would do this; it keeps no way back. See docs/scale.md"


def place(where: DataLocation) -> str:
    """A place without its region, which the plan names once: ``bucket/prefix``, a path, or the prefix of names."""
    return f"{where.bucket}/{where.prefix}" if where.bucket else where.prefix or "by tags"
