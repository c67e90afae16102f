"""Migrations for a person at a terminal: plan, progress, what was copied and proven, what was taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from regionshift.report.terminal import facts_table

_KINDS = (("new", "green"), ("changed", "yellow"), ("same", "dim"), ("conflict", "red"))
_MOST_NAMED = 20
_STATUS = {"completed": "green", "rolled_back": "yellow", "incomplete": "red"}


def size(count: float) -> str:
    """Bytes in words: ``1.5 MB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("the last unit returns")


def plan_table(plan: Mapping[str, Any]) -> RenderableType:
    """A plan as JSON has it: an entry a row, then conflicts, notes and until when it can be undone."""
    table = Table(
        title=f"Migration {plan['source']} → {plan['target']}", title_justify="left", box=None, pad_edge=False
    )
    for name in ("kind", "from", "to"):
        table.add_column(name, overflow="fold")
    for kind, style in _KINDS:
        table.add_column(kind, justify="right", style=style)
    table.add_column("bytes", justify="right", no_wrap=True)
    for entry in plan["entries"]:
        counts = [str(entry["counts"].get(kind, 0) or "·") for kind, _ in _KINDS]
        table.add_row(entry["kind"], entry["source"], entry["target"], *counts, size(entry["bytes"]))
    about = plan["estimate"]
    lines: list[RenderableType] = [table]
    lines.append(
        Text(
            f"{plan['to_copy']} items, {size(plan['bytes'])}; about {about['seconds']:.0f} s, "
            f"{about['requests']} requests, {about['usd']:.2f} USD; proof: {plan['level']}",
            style="bold",
        )
    )
    lines.extend(Text(f"undo: {text}", style="dim") for text in dict.fromkeys(_undo(plan["entries"])))
    lines.extend(
        Text(f"note: {text}", style="yellow") for entry in plan["entries"] for text in entry["notes"]
    )
    lines.extend(_named("conflict", ((each["item"], each["reason"]) for each in plan["conflicts"])))
    return Group(*lines)


def summary_table(
    metadata: Mapping[str, Any], facts: Mapping[str, str], warnings: Sequence[str]
) -> RenderableType:
    """How a migration stands, from its own record."""
    status = str(metadata.get("status"))
    counts = metadata.get("counts") or {}
    rows = {
        "migration": str(metadata.get("migration_id")),
        "status": status,
        "region": str(metadata.get("region")),
        "level": str(metadata.get("level")),
        "items": ", ".join(f"{number} {name}" for name, number in counts.items()) or "none",
        "bytes": size(metadata.get("bytes") or 0),
        "undo": "; ".join(metadata.get("undo_until") or ()),
        "checksum": str(metadata.get("checksum") or ""),
        **facts,
    }
    lines: list[RenderableType] = [facts_table((name, value) for name, value in rows.items() if value)]
    lines.append(Text(status.replace("_", " "), style=_STATUS.get(status, "cyan")))
    problems = ((each["key"], each["reason"]) for each in metadata.get("problems") or ())
    lines.extend(_named("not proven", problems))
    lines.extend(Text(f"warning: {text}", style="yellow") for text in warnings)
    return Group(*lines)


def undo_table(record: Mapping[str, Any], seconds: float) -> RenderableType:
    """What a rollback did, from its own record."""
    counts = ", ".join(f"{number} {name}" for name, number in record["counts"].items()) or "nothing to undo"
    lines: list[RenderableType] = [Text(f"{counts}, in {seconds:.1f} s", style="bold")]
    lines.extend(_named("left alone", ((each["key"], each["reason"]) for each in record["conflicts"])))
    return Group(*lines)


def standing_line(done: int, of_bytes: int, rate: float, seconds_left: float | None) -> str:
    """Bytes, rate and time left behind a progress bar."""
    until = "" if seconds_left is None else f", {seconds_left:.0f} s left"
    return f"{size(done)} of {size(of_bytes)}, {rate:.0f}/s{until}"


def progress_bar(console: Console) -> Progress:
    """A bar with items; ``said`` (a field of the task) stands behind it."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[said]}"),
        console=console,
    )


def _undo(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{entry['kind']}: {entry['undo_until']}" for entry in entries]


def _named(what: str, pairs: Any) -> list[RenderableType]:
    found = list(pairs)
    lines: list[RenderableType] = [
        Text(f"{what}: {item}: {reason}", style="red") for item, reason in found[:_MOST_NAMED]
    ]
    if len(found) > _MOST_NAMED:
        lines.append(Text(f"… and {len(found) - _MOST_NAMED} more", style="red"))
    return lines
