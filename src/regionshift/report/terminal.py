"""Tables and live views for a person at a terminal, 80 columns and up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType

from regionshift.report.printer import Rows, Text
from regionshift.report.values import Change, CheckResult, Finding, Outcome, Plan

_MARKS: Mapping[Outcome, tuple[str, str]] = {
    "passed": ("✓", "green"),
    "failed": ("✗", "red bold"),
    "warning": ("!", "yellow"),
    "not applicable": ("–", "dim"),
}
_SEVERITY = {"error": "red bold", "warning": "yellow", "info": "cyan"}
_OPERATIONS = {
    "create": "green",
    "update": "yellow",
    "replace": "magenta",
    "create-replacement": "magenta",
    "delete-replaced": "magenta",
    "delete": "red",
}
_MOST_NAMED = 40
_LONGEST = 200
_ANY_REGION = "{region}"


def findings_table(findings: Sequence[Finding]) -> RenderableType:
    """Findings, worst first, each with where and what to do; once for all regions where it is alike."""
    order = {"error": 0, "warning": 1, "info": 2}
    alike: dict[tuple[str, ...], list[Finding]] = {}
    for finding in sorted(findings, key=lambda each: order[each.severity]):
        message, remedy = (_of_any_region(text, finding.region) for text in (finding.message, finding.remedy))
        alike.setdefault((finding.severity, message, remedy), []).append(finding)
    lines: list[Text] = []
    for (_, message, remedy), found in alike.items():
        one, several = found[0], len(found) > 1
        where = ", ".join(each.region for each in found if each.region)
        line = Text(f"{one.severity:<8}", style=_SEVERITY[one.severity])
        line.append(message if several else one.message, style="default not bold")
        line.append(f" [{where}]" if where else "", style="default not bold")
        lines.append(line)
        if one.remedy:
            lines.append(Text(f"        → {remedy if several else one.remedy}", style="dim"))
    return Group(*lines)


def plan_parts(plan: Plan, *, whole: bool = False) -> list[RenderableType]:
    """A plan, what it opens, and what was found to be wrong with it, in the order in which it is read."""
    return [
        plan_table(plan, whole=whole),
        *([growth_table(plan)] if plan.growth else []),
        *([findings_table(plan.findings)] if plan.findings else []),
    ]


def _of_any_region(text: str, region: str | None) -> str:
    return text.replace(region, "{region}") if region else text


def plan_table(plan: Plan, *, whole: bool = False) -> RenderableType:
    """Regions down, operations across; then each change with its values, once for all regions where it is alike.

    Args:
        whole: name every change and show every value in full, however many and long they are.
    """
    if not plan.changes:
        if plan.errors:
            return Text(f"{plan.environment}: no change can be made as it is")
        said = "only its outputs change" if plan.outputs_differ else "nothing to change"
        return Text(f"{plan.environment}: {said}, {plan.unchanged} resources stay as they are")
    operations = list(plan.counts())
    table = Rows(
        "region",
        *operations,
        title=f"Plan for {plan.environment}",
        rest="right",
        styles={place: _OPERATIONS.get(operation, "") for place, operation in enumerate(operations, 1)},
    )
    places: list[str | None] = [*plan.regions]
    places += sorted({change.region for change in plan.changes if change.region} - set(plan.regions))
    if any(change.region is None for change in plan.changes):
        places.append(None)
    for place in places:
        cells = [str(plan.counts()[operation].get(place, 0) or "·") for operation in operations]
        table.add(place or "all regions", *cells)
    parts: list[RenderableType] = [
        table,
        Text(f"{len(plan.changes)} to {_doing(operations)}, {plan.unchanged} unchanged", style="dim"),
    ]
    alike = _alike(plan.changes)
    # What is only made anew is told last; where that is all there is, as at first, its numbers say enough.
    shown = len(alike) if whole else _MOST_NAMED
    if operations == ["create"] and len(alike) > shown:
        shown = 0
    for change, regions in alike[:shown]:
        parts += _change(change, regions, plan.regions, whole=whole)
    if hidden := sum(len(regions) for _, regions in alike[shown:]):
        more = f"… and {hidden} more" if shown else f"{hidden} of them"
        parts.append(Text(f"  {more}: --verbose names them", "dim"))
    return Group(*parts)


def _alike(changes: Sequence[Change]) -> list[tuple[Change, list[str | None]]]:
    """Changes that differ by their region alone, with those regions; what is created comes last."""
    found: dict[str, tuple[Change, list[str | None]]] = {}
    for change in changes:
        shape = repr((change.op, change.type, change.name, change.properties, change.values))
        if change.region:
            shape = shape.replace(change.region, _ANY_REGION)
            shape = shape.replace(change.region.replace("-", "_"), _ANY_REGION)
        found.setdefault(shape, (change, []))[1].append(change.region)
    return sorted(found.values(), key=lambda each: each[0].op == "create")


def _change(
    change: Change, regions: Sequence[str | None], everywhere: Sequence[str], *, whole: bool
) -> list[RenderableType]:
    named = [region for region in regions if region]
    folded = len(regions) > 1

    def told(text: str) -> str:
        return text.replace(change.region, _ANY_REGION) if folded and change.region else text

    line = Text(f"  {change.op:<8} ", _OPERATIONS.get(change.op, ""))
    line.append(told(change.name), "default").append(f"  {change.type}", "dim")
    if folded:
        is_everywhere = len(named) == len(everywhere)
        line.append(
            f"  in all {len(named)} regions" if is_everywhere else f"  in {', '.join(named)}", "default"
        )
    parts: list[RenderableType] = [line]
    for each in change.values:
        if each.before is None and each.after is None:
            parts.append(Text(f"             {told(each.path)}", "dim"))
            continue
        before, after = (told(_value(value, whole=whole)) for value in (each.before, each.after))
        parts.append(
            Text(f"             {told(each.path)}: ", "dim").append(f"{before} → {after}", "default not dim")
        )
    if not change.values and change.properties:
        parts.append(Text(f"             {told(', '.join(change.properties))}", "dim"))
    return parts


def _value(value: object, *, whole: bool) -> str:
    """A value as JSON, short unless ``whole``; nothing as a dot."""
    text = (
        "·" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    )
    return text if whole or len(text) <= _LONGEST else f"{text[:_LONGEST]}… (--verbose shows all)"


def growth_table(plan: Plan) -> RenderableType:
    """What a plan opens, a subject with its id each where that wants leave; that comes first."""
    wants_leave = any(finding.code == "growth" for finding in plan.findings)
    parts: list[RenderableType] = [Text("What it opens:", "bold")]
    for each in sorted(plan.growth, key=lambda one: (one.is_allowed, not one.is_counted)):
        named = ", ".join(each.regions)
        where = (
            f"in {named}" if len(each.regions) == 1 else f"the same in {len(each.regions)} regions: {named}"
        )
        if len(each.regions) > 1 and set(each.regions) >= set(plan.regions):
            where = f"in all {len(each.regions)} regions"
        leave = each.why
        if each.is_counted:
            leave = f"--allow-broadening {each.id}" if wants_leave else ""
        if each.is_allowed:
            leave = "allowed"

        def told(text: str, regions: Sequence[str] = each.regions) -> str:
            return text if len(regions) > 1 else text.replace(_ANY_REGION, regions[0])

        parts.append(
            Text(f"  {told(each.subject)}  ", "yellow").append(where, "default").append(f"  {leave}", "dim")
        )
        parts += [Text(f"      {told(said)}") for said in each.opens]
    return Group(*parts)


def _doing(operations: Sequence[str]) -> str:
    """The one thing that happens to all, when it is one."""
    return operations[0] if len(operations) == 1 and operations[0] in ("create", "delete") else "change"


def checks_table(results: Sequence[CheckResult], regions: Sequence[str]) -> RenderableType:
    """Checks down, regions across, or a line a region where they are too many; then each failure with its remedy."""
    by_place = {(result.check, result.region): result for result in results}
    checks = list(dict.fromkeys(result.check for result in results))
    by_region = Rows("region", *_MARKS, rest="right")
    for region in regions:
        told = Counter(result.outcome for result in results if result.region == region)
        by_region.add(
            region, *(Text(str(told[o] or "·"), _MARKS[o][1] if told[o] else "dim") for o in _MARKS)
        )
    table = Rows("check", *regions, rest="center", narrow=by_region)
    for check in checks:
        cells = []
        for region in regions:
            result = by_place.get((check, region))
            mark, style = _MARKS[result.outcome] if result else ("", "")
            cells.append(Text(mark, style=style))
        table.add(check, *cells)
    parts: list[RenderableType] = [table]
    for result in results:
        if result.outcome in ("failed", "warning"):
            mark, style = _MARKS[result.outcome]
            parts.append(Text(f"{mark} {result.check} [{result.region}] {result.detail}", style))
            if result.remedy:
                parts.append(Text(f"  → {result.remedy}", style="dim"))
    count = Counter(result.outcome for result in results)
    warnings = f"{count['warning']} warnings, " if count["warning"] else ""
    summary = (
        f"{count['passed']} passed, {count['failed']} failed, {warnings}"
        f"{count['not applicable']} not applicable"
    )
    parts.append(Text(summary, style="red" if count["failed"] else "green"))
    return Group(*parts)


def facts_table(rows: Iterable[tuple[str, str]]) -> RenderableType:
    """Two columns: what, and its value, whole on one line."""
    found = list(rows)
    width = max((len(name) for name, _ in found), default=0)
    return Group(*(Text(f"{name:<{width}}  ", "dim").append(value, "not dim") for name, value in found))


def instant(at: datetime | str) -> str:
    """A moment as a person reads it: ``2026-11-30 05:03:51 UTC``; text that is none stays as it is."""
    try:
        found = datetime.fromisoformat(at) if isinstance(at, str) else at
    except ValueError:
        return str(at)
    if found.tzinfo is None:
        return found.isoformat(" ", "seconds")
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def outputs_view(outputs: Mapping[str, Any]) -> RenderableType:
    """Every output under its region, by its short name; the primary's second telling is left out."""
    regions = [str(outputs.get("primary_region")), *map(str, outputs.get("secondary_regions") or [])]
    endings = {region: "_" + region.replace("-", "_") for region in regions}
    lines: list[Text] = []
    for name, value in outputs.items():
        if not name.endswith(("_primary", *endings.values())):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            lines.append(_fact(name, shown))
    for region, ending in endings.items():
        role = " (primary)" if region == outputs.get("primary_region") else ""
        lines += [Text(""), Text(f"{region}{role}", style="bold")]
        own = [name for name in outputs if name.endswith(ending)]
        lines += [_fact(name.removesuffix(ending), str(outputs[name])) for name in own]
    return Group(*lines)


def _fact(name: str, value: str) -> Text:
    return Text(f"  {name:<34}", style="dim").append(value, style="default not dim")


_FACTS = {
    "to_copy": "not replicated, to be copied",
    "bytes": "bytes of that",
    "conflicts": "changed there by others",
    "not_replicated": "copied, as replication had not",
    "replication_seconds": "replication delay (RPO)",
    "turned_in_seconds": "without replication",
    "rto_seconds": "until it served (RTO)",
    "seconds": "all of it",
}
# When the old primary is gone, what was lost with it is unknown, and the delay is that of what replicates now.
_FACTS_WITHOUT_SOURCE = {
    **_FACTS,
    "rpo_seconds": "what was lost (RPO)",
    "replication_seconds": "replication delay now",
}


def run_facts_table(facts: Mapping[str, object]) -> RenderableType:
    """What is known or was measured, two columns; names that are not known here are left out."""
    meanings = _FACTS_WITHOUT_SOURCE if facts.get("source_lost") else _FACTS
    known = [(meaning, name) for name, meaning in meanings.items() if name in facts and facts[name] != 0]
    return facts_table((meaning, _run_fact(name, facts[name])) for meaning, name in known)


def _run_fact(name: str, value: object) -> str:
    if not isinstance(value, int | float):
        return "unknown" if name == "rpo_seconds" else "not measured"
    if name == "bytes":
        return size(value)
    if name.endswith("seconds"):
        return duration(value) if value >= 10 else f"{value:.2f} s"
    return str(value)


def size(count: float) -> str:
    """Bytes in words: ``1.5 MB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("the last unit returns")


def duration(seconds: float) -> str:
    """Seconds in words: ``40 s``, ``3 min 20 s``, ``2 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    (large, small), units = (
        (divmod(whole, 60), ("min", "s")) if whole < 3600 else (divmod(whole // 60, 60), ("h", "min"))
    )
    return f"{large} {units[0]}" + (f" {small} {units[1]}" if small else "")
