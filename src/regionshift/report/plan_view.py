"""A plan for a person, in sections: the same ones, in the same order, at a terminal, in Markdown and in its JSON."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType

from regionshift.report.folding import HERE, Alike, folded, where
from regionshift.report.printer import Rows, Text
from regionshift.report.terminal import finding_lines, findings_in_order
from regionshift.report.values import LOSS, Change, Finding, Growth, Loss, MonthlyCost, Plan, ValueChange

_OPERATIONS = {
    "create": "green",
    "update": "yellow",
    "replace": "magenta",
    "create-replacement": "magenta",
    "delete-replaced": "magenta",
    "delete": "red",
}
CHANGES = "What changes"
_WHOLE = ("delete", "create")
_MOST_NAMED = 40
_MOST_KINDS = 12
_MOST_APART = 3
_MOST_ROWS = 8
_LONGEST = 200
_BEFORE_A_DIFFERENCE = 20
_INDENT = " " * 13
_BESIDE = " " * 11
"""Below the first word behind an operation."""


@dataclass(frozen=True)
class PlanEntry:
    """One entry of a part, in lines. ``count``: how many resources, findings … it stands for."""

    lines: tuple[Text, ...]
    count: int = 1


@dataclass(frozen=True)
class PlanSection:
    """A part of the plan. ``title``: "" if its head says enough. ``hidden``: how many entries are left out."""

    title: str
    entries: tuple[PlanEntry, ...] = ()
    head: RenderableType | None = None
    hidden: int = 0


def plan_sections(plan: Plan, *, whole: bool = False, most: int | None = None) -> list[PlanSection]:
    """What a plan opens, loses, costs and changes, and what was found to be wrong with it; alike regions together.

    Args:
        whole: show every value and name every region, however long and many they are.
        most: name no more changes than this; None for all.
    """
    sections = [
        PlanSection("", head=_summary(plan, whole=whole)),
        PlanSection("What it opens", tuple(_growth_entries(plan, whole=whole))),
        PlanSection("What is lost", tuple(_loss_entries(plan, whole=whole))),
        PlanSection("What it costs a month", tuple(_cost_entries(plan))),
        _changes(plan, whole=whole, most=most),
        # A loss says itself what it needs.
        findings_section([each for each in plan.findings if each.code != LOSS], whole=whole),
    ]
    return [each for each in sections if each.head or each.entries or each.hidden]


def findings_section(findings: Sequence[Finding], *, whole: bool = False) -> PlanSection:
    """Findings, also where there is no plan."""
    entries = (
        PlanEntry(tuple(finding_lines(each, whole=whole)), len(each.things))
        for each in findings_in_order(findings)
    )
    return PlanSection("Findings", tuple(entries))


def plan_parts(plan: Plan, *, whole: bool = False, changes: bool = True) -> list[RenderableType]:
    """The sections for a terminal; the many changes are cut short unless ``whole``.

    Args:
        changes: show them, and the summary of them.
    """
    sections = plan_sections(plan, whole=whole, most=None if whole else _MOST_NAMED)
    return [_shown(each) for each in sections if changes or each.title not in ("", CHANGES)]


def _shown(section: PlanSection) -> RenderableType:
    lines: list[RenderableType] = [section.head] if section.head else []
    if section.title:
        lines.append(Text(f"{section.title}:", "bold"))
    lines += [line for entry in section.entries for line in entry.lines]
    if section.hidden:
        lines.append(Text(f"  … and {section.hidden} more: --verbose names them", "dim"))
    return Group(*lines)


def _summary(plan: Plan, *, whole: bool) -> RenderableType:
    """How many resources each operation touches in each region; regions with the same numbers together if many."""
    if not plan.changes:
        if plan.errors:
            return Text(f"{plan.environment}: no change can be made as it is")
        said = "only its outputs change" if plan.outputs_differ else "nothing to change"
        return Text(f"{plan.environment}: {said}, {plan.unchanged} resources stay as they are")
    counts = plan.counts()
    operations = list(counts)
    table = Rows(
        "region",
        *operations,
        title=f"Plan for {plan.environment}",
        rest="right",
        styles={place: _OPERATIONS.get(operation, "") for place, operation in enumerate(operations, 1)},
    )
    named = {change.region for change in plan.changes}
    places: list[str | None] = [*plan.regions, *sorted(set(filter(None, named)) - set(plan.regions))]
    places += [None] if None in named else []
    rows: dict[tuple[str, ...], list[str]] = {}
    for place in places:
        cells = tuple(str(counts[operation].get(place, 0) or "·") for operation in operations)
        alone = () if len(places) > _MOST_ROWS and not whole else (str(place),)
        rows.setdefault((*cells, *alone), []).append(place or "all regions")
    for cells, alike in rows.items():
        more = f" and {len(alike) - 1} more, each" if len(alike) > 1 else ""
        table.add(f"{alike[0]}{more}", *cells[: len(operations)])
    total = f"{len(plan.changes)} to {_doing(operations)}, {plan.unchanged} unchanged"
    return Group(table, Text(total, style="dim"))


def _doing(operations: Sequence[str]) -> str:
    """The one thing that happens to all, when it is one."""
    return operations[0] if len(operations) == 1 and operations[0] in ("create", "delete") else "change"


def _growth_entries(plan: Plan, *, whole: bool) -> Iterator[PlanEntry]:
    """Each subject, with its id if it needs permission; those come first."""
    wants_leave = any(finding.code == "growth" for finding in plan.findings)
    for each in sorted(plan.growth, key=lambda one: (one.is_allowed, not one.is_counted)):
        leave = each.why
        if each.is_counted:
            leave = f"--allow-broadening {each.id}" if wants_leave else ""
        if each.is_allowed:
            leave = "allowed"
        line = Text(f"  {_of_one(each, each.subject)}  ", "yellow")
        line.append(where(each.regions, plan.regions, whole=whole), "default").append(f"  {leave}", "dim")
        yield PlanEntry((line, *(Text(f"      {_of_one(each, said)}") for said in each.opens)))


def _of_one(growth: Growth, text: str) -> str:
    return text if len(growth.regions) > 1 else text.replace(HERE, growth.regions[0])


def _loss_entries(plan: Plan, *, whole: bool) -> Iterator[PlanEntry]:
    """What goes, a line for what is of one kind and in the same regions; what needs leave comes first."""
    found: dict[tuple[str, ...], list[Alike[Loss]]] = {}
    alike = folded(plan.losses, lambda each: each.region, lambda each: (each.name, each.type, each.holds))
    for each in sorted(alike, key=lambda one: not one.one.leave):
        place = where(each.regions, plan.regions, whole=whole) if len(each.things) > 1 else ""
        needs = "allowed by" if all(loss.is_allowed for loss in each.things) else "only with"
        leave = f"{needs} {each.one.leave}" if each.one.leave else ""
        found.setdefault((each.one.type, each.one.holds, place, leave), []).append(each)
    for (kind, holds, place, leave), those in found.items():
        names = ", ".join(each.told(each.one.name) for each in those)
        line = Text(f"  {names}  ", "red").append(f"{place}  " if place else "", "default")
        said = Text(f"      {holds}").append(f"  {leave}" if leave else "", "dim")
        yield PlanEntry((line.append(_kind(kind), "dim"), said), sum(len(each.things) for each in those))


def _kind(kind: str) -> str:
    """The engine's ``aws:s3/bucket:Bucket`` as ``s3/bucket``."""
    package, _, rest = kind.partition(":")
    return rest.partition(":")[0] if package == "aws" and "/" in rest else kind


def _cost_entries(plan: Plan) -> Iterator[PlanEntry]:
    cost = plan.cost
    if cost is None or plan.is_empty:
        return
    basis = () if cost.before == cost.after else (Text(f"  {cost.basis}", "dim"),)
    yield PlanEntry((Text(f"  {_cost(cost)}"), *basis))


def _cost(cost: MonthlyCost) -> str:
    if cost.before == cost.after:
        return f"{cost.after:,.2f} US dollars on AWS, as before"
    return f"{cost.before:,.2f} → {cost.after:,.2f} US dollars on AWS ({cost.after - cost.before:+,.2f})"


def _changes(plan: Plan, *, whole: bool, most: int | None) -> PlanSection:
    """Each change with its values, once for all regions where it is alike.

    Changed resources come first; many with the same values share an entry. Deleted or created resources that do not
    fit are counted by their kinds.
    """
    alike = folded(
        plan.changes, lambda each: each.region, lambda each: (each.op, each.type, each.name, each.urn)
    )
    entries: list[PlanEntry] = []
    for ops in ([each for each in plan.counts() if each not in _WHOLE], *([each] for each in _WHOLE)):
        those = [each for each in alike if each.one.op in ops]
        groups = [[each] for each in those] if whole else _with_same_values(those)
        room = len(groups) if most is None else most - len(entries)
        if len(groups) > room and ops[0] in _WHOLE:
            entries.append(_by_kind(ops[0], those))
            continue
        for group in groups[:room]:
            lines = _change(group[0], plan.regions, whole=whole, others=len(group) - 1)
            entries.append(PlanEntry(tuple(lines), sum(len(each.things) for each in group)))
    hidden = len(plan.changes) - sum(each.count for each in entries)
    return PlanSection(CHANGES, tuple(entries), hidden=hidden)


def _with_same_values(alike: Sequence[Alike[Change]]) -> list[list[Alike[Change]]]:
    """Group changes of different resources whose values are equal, such as those of one tag; a few stay apart."""
    found: dict[str, list[Alike[Change]]] = {}
    for each in alike:
        values = [(change.op, change.region, change.values) for change in each.things]
        found.setdefault(repr(values) if each.one.values else each.one.urn, []).append(each)
    return [
        part
        for group in found.values()
        for part in ([group] if len(group) > _MOST_APART else [[each] for each in group])
    ]


def _by_kind(operation: str, alike: Sequence[Alike[Change]]) -> PlanEntry:
    """How many resources of each kind are created, or deleted."""
    kinds = Counter(_kind(change.type) for each in alike for change in each.things)
    said = [f"{number} {kind}" for kind, number in kinds.most_common(_MOST_KINDS)]
    rest = kinds.total() - sum(number for _, number in kinds.most_common(_MOST_KINDS))
    said += [f"{rest} others"] if rest else []
    # A log is not folded where it is read, so it is folded here.
    first, *more = textwrap.wrap(f"{', '.join(said)}: --verbose names them", 80 - len(_BESIDE))
    line = Text(f"  {operation:<8} ", _OPERATIONS.get(operation, "")).append(first, "default")
    return PlanEntry((line, *(Text(f"{_BESIDE}{each}") for each in more)), kinds.total())


def _change(
    alike: Alike[Change], everywhere: Sequence[str], *, whole: bool, others: int = 0
) -> Iterator[Text]:
    change = alike.one
    line = Text(f"  {change.op:<8} ", _OPERATIONS.get(change.op, ""))
    line.append(f"{alike.told(change.name)}{_beside(alike, everywhere, whole=whole)}  ", "default")
    yield line.append(_kind(change.type), "dim")
    if others:
        yield Text(f"{_BESIDE}and {others} more with the same change: --verbose names them", "dim")
    for value in value_lines(alike.things):
        not_all = {*value.regions} < {*alike.regions}
        place = f"  {where(value.regions, everywhere, whole=whole)}" if not_all else ""
        yield _value_line(value, whole=whole).append(place, "dim")


def value_lines(changes: Sequence[Change]) -> list[Alike[tuple[str | None, ValueChange]]]:
    """Every value that alike changes change, with the regions where it is the same; each property without one too."""
    said = [
        (change.region, value)
        for change in changes
        for value in change.values or [ValueChange(path, None, None) for path in change.properties]
    ]
    return folded(said, lambda each: each[0], lambda each: each[1])


def _value_line(alike: Alike[tuple[str | None, ValueChange]], *, whole: bool) -> Text:
    _, value = alike.one
    line = Text(f"{_INDENT}{alike.told(value.path)}", "dim")
    if value.before is None and value.after is None:
        return line.append(": not shown")
    before, after = _values(value.before, value.after, whole=whole)
    if value.before is None or value.after is None:
        said = f"+ {after}" if value.before is None else f"- {before}"
    else:
        said = f"{before} → {after}"
    return line.append(": ").append(alike.told(said), "default not dim")


def _values(before: object, after: object, *, whole: bool) -> tuple[str, str]:
    """Both as text, short unless ``whole``: from a little before the place where they begin to differ."""
    old, new = _text(before), _text(after)
    if whole or max(len(old), len(new)) <= _LONGEST:
        return old, new
    same = 0
    if before is not None and after is not None:
        pairs = enumerate(zip(old, new, strict=False))
        same = next((place for place, (a, b) in pairs if a != b), min(len(old), len(new)))
    begin = max(0, same - _BEFORE_A_DIFFERENCE)
    return _cut(old, begin), _cut(new, begin)


def _cut(text: str, begin: int) -> str:
    if not begin and len(text) <= _LONGEST:
        return text
    end = begin + _LONGEST
    inside = f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''}"
    return f"{inside} ({len(text):,} characters; --verbose shows all)"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _beside(alike: Alike[Change], everywhere: Sequence[str], *, whole: bool) -> str:
    """In which regions, for what is in several: of one the name says it."""
    return f"  {where(alike.regions, everywhere, whole=whole)}" if len(alike.things) > 1 else ""
