"""Migrations at a terminal: the plan, what was copied and proven, what was undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType

from regionshift.report.printer import Rows, Text
from regionshift.report.terminal import duration, facts_table, instant, size

_KINDS = (("new", "green"), ("changed", "yellow"), ("same", "dim"), ("conflict", "red"))
_MOST_NAMED = 20
_OF_A_REASON = 3
_IF_UNPROVEN = {
    "rollback": "if an item cannot be proven, everything that was written is undone",
    "stop": "if an item cannot be proven, the migration stops there until you decide",
}
_STATUS = {"completed": "green", "rolled_back": "yellow", "incomplete": "red"}


def plan_table(plan: Mapping[str, Any]) -> RenderableType:
    """A plan from its JSON: a row for each entry, then conflicts, notes and until when it can be undone."""
    table = Rows(
        "what, and where to",
        "kind",
        *(kind for kind, _ in _KINDS),
        "bytes",
        title=f"Migration {plan['source']} → {plan['target']}",
        rest="right",
        styles={place: style for place, (_, style) in enumerate(_KINDS, 2)},
    )
    for entry in plan["entries"]:
        counts = [str(entry["counts"].get(kind, 0) or "·") for kind, _ in _KINDS]
        table.add(_way(entry), entry["kind"], *counts, size(entry["bytes"]))
    about = plan["estimate"]
    said = (
        f"{plan['to_copy']} items, {size(plan['bytes'])}; about {duration(about['seconds'])}, "
        f"{about['requests']} requests, {about['usd']:.2f} USD; proof: {plan['level']}"
        + (f", reads up to {size(about['read_bytes'])} of each side" if about.get("read_bytes") else "")
    )
    lines: list[RenderableType] = [table, Text(said, style="bold")]
    if plan["to_copy"]:
        lines.append(Text(_IF_UNPROVEN[plan["on_failure"]], style="dim"))
    if plan["workers"]["why"] and plan["to_copy"]:
        lines.append(Text(f"note: {plan['workers']['why']}", style="yellow"))
    lines.extend(Text(f"undo: {text}", style="dim") for text in dict.fromkeys(_undo(plan["entries"])))
    for entry in plan["entries"]:
        lines.extend(_rewrites(entry))
        lines.extend(_newer(entry))
        lines.extend(_not_carried(entry))
        lines.extend(Text(f"note: {text}", style="yellow") for text in entry["notes"])
    lines.extend(_named("conflict", ((each["item"], each["reason"]) for each in plan["conflicts"])))
    if more := plan["counts"]["conflict"] - len(plan["conflicts"]):
        lines.append(Text(f"conflict: and {more} more items", style="red"))
    return Group(*lines)


def migrations_table(migrations: Sequence[Mapping[str, Any]]) -> RenderableType:
    """One line a migration, the newest first, then what may be done about those that are not finished."""
    table = Rows("migration", "into", "status", "started", "items")
    for each in migrations[:_MOST_NAMED]:
        status = str(each["status"])
        table.add(
            str(each["migration_id"]),
            str(each["region"]),
            Text(status.replace("_", " "), style=_STATUS.get(status, "cyan")),
            instant(each["started"]),
            str(each["counts"].get("written", 0)),
        )
    lines: list[RenderableType] = [table]
    if len(migrations) > _MOST_NAMED:
        lines.append(Text(f"… and {len(migrations) - _MOST_NAMED} older ones", style="dim"))
    for each in migrations:
        if each.get("running"):
            lines.append(Text(f"{each['migration_id']} is running", style="cyan"))
        elif each["status"] not in ("completed", "rolled_back"):
            lines.append(Text(f"{each['migration_id']} is not finished", style="yellow"))
            lines.append(
                Text(
                    f"  → regionshift migrate --from {each['source']} --to {each['region']} "
                    f"--id {each['migration_id']}, or regionshift rollback {each['migration_id']}",
                    style="dim",
                )
            )
    return Group(*lines)


def recovery_lines(recovery: Mapping[str, Any]) -> RenderableType:
    """What was measured against the target in the settings: one line, then a warning for each that is missed."""
    delay = recovery["rpo_seconds"]
    rpo = "not measured" if delay is None else f"{delay:.2f} s"
    lines: list[RenderableType] = [
        Text(
            f"replication delay (RPO) {rpo}, target {duration(recovery['rpo_target_seconds'])}; "
            f"took {recovery['seconds']:.1f} s",
            style="dim",
        )
    ]
    lines.extend(Text(f"warning: {text}", style="yellow") for text in recovery["warnings"])
    return Group(*lines)


def summary_table(
    metadata: Mapping[str, Any], facts: Mapping[str, str] | None = None, *, whole: bool = True
) -> RenderableType:
    """How a migration stands, from its own record; without ``whole`` only what is wrong and how it ended."""
    status = str(metadata.get("status"))
    counts = metadata.get("counts") or {}
    rows = {
        "migration": str(metadata.get("migration_id")),
        "status": status.replace("_", " "),
        "region": str(metadata.get("region")),
        "level": str(metadata.get("level")),
        "items": ", ".join(f"{number} {name}" for name, number in counts.items()) or "none",
        "bytes": size(metadata.get("bytes") or 0),
        "undo": "; ".join(metadata.get("undo_until") or ()),
        "rewritten": str(metadata.get("rewritten") or ""),
        "checksum": str(metadata.get("checksum") or ""),
        **(facts or {}),
    }
    lines: list[RenderableType] = []
    if whole:
        lines.append(facts_table((name, value) for name, value in rows.items() if value))
        lines.extend(Text(f"note: {text}", style="yellow") for text in metadata.get("notes") or ())
    problems = [(_item(each), each["reason"]) for each in metadata.get("problems") or ()]
    lines.extend(_named("not proven", problems))
    conflicts = [(_item(each), each["reason"]) for each in metadata.get("conflicts") or ()]
    lines.extend(_named("not copied", conflicts))
    named = "" if whole else f"{rows['migration']}: {rows['items']}; "
    lines.append(Text(f"{named}{_verdict(metadata, bool(problems))}", style=_STATUS.get(status, "cyan")))
    return Group(*lines)


def known_table(metadata: Mapping[str, Any]) -> RenderableType:
    """What an unfinished migration copies, from where to where; shown before it continues."""
    planned = metadata.get("plan") or {}
    rows = {
        "migration": str(metadata.get("migration_id")),
        "status": str(metadata.get("status")).replace("_", " "),
        "planned": ", ".join(f"{number} {name}" for name, number in planned.items()) or "nothing yet",
        "bytes": size(metadata.get("planned_bytes") or 0),
    }
    ways = [part["entry"] for part in metadata.get("entries") or ()]
    named = [(f"{way['kind']} {_end(way['source'])}", f"to {_end(way['target'])}") for way in ways]
    return Group(facts_table(rows.items()), *_named("carries", named))


def _end(place: Mapping[str, str]) -> str:
    return "/".join(part for part in (place["region"], place["bucket"], place["prefix"]) if part)


def _verdict(metadata: Mapping[str, Any], has_problems: bool) -> str:
    """How it ended and, where something is left to do, what."""
    name = metadata.get("migration_id")
    status = str(metadata.get("status"))
    if status == "rolled_back" and has_problems:
        return "rolled back: not every item could be proven, so everything that was written was undone"
    if status in ("completed", "rolled_back"):
        return status.replace("_", " ")
    return f"{status}: run migrate again with --id {name}, or: regionshift rollback {name}"


def proven_table(proven: Mapping[str, Any]) -> RenderableType:
    """What a second look at a finished migration found."""
    count, unproven = proven["proven"], proven["unproven"]
    problems = [(_item(each), each["reason"]) for each in proven["problems"]]
    said = f"verified again ({proven['level']}): {count} items are as they were written"
    lines: list[RenderableType] = [
        Text(f"{said}, {unproven} are not" if unproven else said, style="red" if unproven else "green")
    ]
    lines.extend(_named("not as written", problems))
    if (more := unproven - len(problems)) > 0:
        lines.append(Text(f"not as written: and {more} more items", style="red"))
    return Group(*lines)


def undo_table(record: Mapping[str, Any], seconds: float) -> RenderableType:
    """What a rollback did, from its own record."""
    counts = ", ".join(f"{number} {name}" for name, number in record["counts"].items()) or "nothing to undo"
    lines: list[RenderableType] = [Text(f"{counts}, in {seconds:.1f} s", style="bold")]
    lines.extend(_named("left alone", ((_item(each), each["reason"]) for each in record["conflicts"])))
    return Group(*lines)


def _way(entry: Mapping[str, Any]) -> str:
    rewritten = f" (rewrites: {', '.join(entry['rewrite'])})" if entry["rewrite"] else ""
    if entry["source"] == entry["target"]:
        return f"{entry['source']}{rewritten}"
    return f"{entry['source']} → {entry['target']}{rewritten}"


def _rewrites(entry: Mapping[str, Any]) -> list[RenderableType]:
    """How many values change on their way, and the first of them by name and rule."""
    lines: list[RenderableType] = [
        Text(f"rewritten: {each['item']} ({each['what']})", style="yellow") for each in entry["rewrites"]
    ]
    if more := entry["rewritten"] - len(lines):
        lines.append(Text(f"rewritten: and {more} more values", style="yellow"))
    if entry["rewritten"]:
        lines.insert(
            0, Text(f"rewritten: {entry['rewritten']} values of {entry['source']}", style="bold yellow")
        )
    return lines


def _item(line: Mapping[str, Any]) -> str:
    """An item's whole name; records of earlier releases have only what follows the prefix."""
    return str(line.get("item", line["key"]))


def _newer(entry: Mapping[str, Any]) -> list[RenderableType]:
    """How many items would take the place of something newer, and the first of them."""
    if not entry["newer"]:
        return []
    told = f"writes over what is newer: {entry['newer']} items of {entry['target']}"
    lines: list[RenderableType] = [Text(told, style="bold red")]
    first = entry["would_overwrite_newer"]
    lines.extend(Text(f"newer: {each['item']}: {each['why']}", style="red") for each in first)
    if more := entry["newer"] - len(first):
        lines.append(Text(f"newer: and {more} more items", style="red"))
    return lines


def _not_carried(entry: Mapping[str, Any]) -> list[RenderableType]:
    """What items have and the target does not get: how many of each, and some of them by name."""
    lines: list[RenderableType] = []
    for what, number in entry["not_carried"].items():
        names = [each["item"] for each in entry["not_carried_of"] if each["what"] == what]
        more = ", …" if number > len(names) else ""
        lines.append(
            Text(f"not carried: {what}, of {number} items: {', '.join(names)}{more}", style="yellow")
        )
    return lines


def _undo(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{entry['kind']}: {entry['undo_until']}" for entry in entries]


def _named(what: str, pairs: Iterable[tuple[str, str]]) -> list[RenderableType]:
    """A line for each reason, with the first of the items that have it."""
    by_reason: dict[str, list[str]] = {}
    for item, reason in pairs:
        by_reason.setdefault(reason, []).append(item)
    lines: list[RenderableType] = []
    for reason, items in list(by_reason.items())[:_MOST_NAMED]:
        many = f"{len(items)} items: {reason}: {', '.join(items[:_OF_A_REASON])}"
        more = f" … and {len(items) - _OF_A_REASON} more" if len(items) > _OF_A_REASON else ""
        told = f"{items[0]}: {reason}" if len(items) == 1 else f"{many}{more}"
        lines.append(Text(f"{what}: {told}", style="red"))
    if len(by_reason) > _MOST_NAMED:
        left = sum(len(items) for items in list(by_reason.values())[_MOST_NAMED:])
        lines.append(Text(f"… and {left} more", style="red"))
    return lines
