"""Tables and live views for a person at a terminal, 80 columns and up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType

from regionshift.report.folding import Alike, folded, listed
from regionshift.report.printer import Rows, Text
from regionshift.report.values import CheckResult, Finding, Outcome

_MARKS: Mapping[Outcome, tuple[str, str]] = {
    "passed": ("✓", "green"),
    "failed": ("✗", "red bold"),
    "warning": ("!", "yellow"),
    "not applicable": ("–", "dim"),
}
_SEVERITY = {"error": "red bold", "warning": "yellow", "info": "cyan"}


def findings_table(findings: Iterable[Finding]) -> RenderableType:
    """Findings, worst first, each with where and what to do; once for all regions where it is alike."""
    return Group(*(line for each in findings_in_order(findings) for line in finding_lines(each)))


def findings_in_order(findings: Iterable[Finding]) -> list[Alike[Finding]]:
    """Alike findings together, the worst first."""
    order = {"error": 0, "warning": 1, "info": 2}
    return folded(
        sorted(findings, key=lambda each: order[each.severity]),
        lambda each: each.region,
        lambda each: (each.severity, each.message, each.remedy),
    )


def finding_lines(alike: Alike[Finding], *, whole: bool = False) -> Iterator[Text]:
    """What is wrong and where, and what to do."""
    one, named = alike.one, list(dict.fromkeys(filter(None, alike.regions)))
    line = Text(f"{one.severity:<8}", style=_SEVERITY[one.severity])
    line.append(alike.told(one.message), style="default not bold")
    yield line.append(f" [{listed(named, whole=whole)}]" if named else "", style="default not bold")
    if one.remedy:
        yield Text(f"        → {alike.told(one.remedy)}", style="dim")


def checks_table(
    results: Sequence[CheckResult], regions: Sequence[str], *, whole: bool = True
) -> RenderableType:
    """Checks down, regions across, or a line a region where they are too many; then each failure with its remedy.

    Args:
        whole: show the table too.
    """
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
    parts: list[RenderableType] = [table] if whole else []
    for result in results:
        if result.outcome in ("failed", "warning"):
            mark, style = _MARKS[result.outcome]
            parts.append(Text(f"{mark} {result.check} [{result.region}] {result.detail}", style))
            if result.remedy:
                parts.append(Text(f"  → {result.remedy}", style="dim"))
    count = Counter(result.outcome for result in results)
    warnings = (
        f"{count['warning']} warning{'' if count['warning'] == 1 else 's'}, " if count["warning"] else ""
    )
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


_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


def short(text: str) -> str:
    """``text`` with the first 12 characters of each digest (SHA-256, hex) in it."""
    return _DIGEST.sub(r"\1", text)


def value_text(value: object) -> str:
    """A value of the settings that differs, its digests short."""
    return "·" if value is None else short(str(value))


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
