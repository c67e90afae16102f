"""`regionshift explain`: what an id of an error, an id of a rule for policies or an alarm means, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict

from regionshift.cli.options import Choices
from regionshift.cli.show import console, print_json
from regionshift.error_catalogue import AREAS, CATALOGUE, CatalogueEntry
from regionshift.errors import EXIT_INPUT, EXIT_REFUSED, InputError
from regionshift.iam.findings import RULES, PolicyRule
from regionshift.infrastructure.runbooks import RUNBOOKS, Runbook, runbook_of
from regionshift.report.printer import Screen
from regionshift.settings.regions import all_regions

_NEAREST = 3
_ALIKE = 0.8
"""How alike a name must be to be offered (`difflib`): all ids are alike by half."""


def run_explain(choices: Choices, name: str | None) -> None:
    """Print what ``name`` means; without one, list every id and every kind of alarm.

    Raises:
        InputError: there is no such id and no such alarm.
    """
    if name is None:
        _list(choices)
        return
    wanted = name.strip().upper()
    if entry := CATALOGUE.get(wanted):
        _show(choices, wanted, asdict(entry), _of_error(entry))
    elif rule := RULES.get(wanted):
        _show(choices, wanted, asdict(rule), _of_rule(rule))
    elif (found := runbook_of(name)) is not None:
        kind, runbook = found
        _show(choices, kind, asdict(runbook), _of_alarm(runbook, name))
    else:
        known = {each.upper(): each for each in (*CATALOGUE, *RULES, *RUNBOOKS)}
        nearest = [
            known[each] for each in difflib.get_close_matches(wanted, known, n=_NEAREST, cutoff=_ALIKE)
        ]
        raise InputError(
            f"There is no error, rule or alarm {name}.",
            where="explain",
            remedy=f"did you mean {' or '.join(nearest)}?"
            if nearest
            else "`regionshift explain` lists all of them",
            error_id="RS-USAGE-001",
        )


def _list(choices: Choices) -> None:
    if choices.as_json:
        print_json(
            {
                "errors": {name: asdict(entry) for name, entry in CATALOGUE.items()},
                "rules": {name: asdict(rule) for name, rule in RULES.items()},
                "alarms": {kind: asdict(runbook) for kind, runbook in RUNBOOKS.items()},
            }
        )
        return
    screen = console(choices)
    for area, entries in AREAS.items():
        _part(screen, area, [f"{name}  {entry.happened}" for name, entry in entries.items()])
    _part(screen, "Rules for policies", [f"{rule.id}  {rule.title}" for rule in RULES.values()])
    _part(screen, "Alarms", [f"{kind}  {runbook.meaning}" for kind, runbook in RUNBOOKS.items()])


def _show(choices: Choices, name: str, data: dict[str, object], parts: dict[str, Sequence[str]]) -> None:
    if choices.as_json:
        print_json({"id": name, **data})
        return
    screen = console(choices)
    screen.print(name, style="bold")
    for title, lines in parts.items():
        _part(screen, title, lines)


def _part(screen: Screen, title: str, lines: Sequence[str]) -> None:
    screen.print(title, style="bold")
    for line in lines:
        screen.print(f"  {line}")


def _of_error(entry: CatalogueEntry) -> dict[str, Sequence[str]]:
    return {
        "What happened": (entry.happened,),
        "Likely causes": entry.causes,
        "What to do": entry.steps,
        "Exit code": (exit_code_in_words(entry.exit_code),),
    }


def exit_code_in_words(code: int) -> str:
    """The exit code with which an error ends a command, and when it is another one."""
    later = "; 1 once the command has begun to change something"
    return f"{code}{later if code in (EXIT_INPUT, EXIT_REFUSED) else ''}"


def _of_rule(rule: PolicyRule) -> dict[str, Sequence[str]]:
    return {
        "What is wrong": (f"{rule.title} ({rule.severity}). {rule.meaning}",),
        "What to do": (rule.remedy,),
        "Source": (rule.page,),
    }


def _of_alarm(runbook: Runbook, alarm: str) -> dict[str, Sequence[str]]:
    """Fill in the region, where the full name of the alarm says it."""
    region = next((each for each in all_regions() if each in alarm.lower()), "REGION")
    return {
        "What it means": (runbook.meaning,),
        "What to look at": [line.replace("REGION", region) for line in runbook.look_at],
        "What to do": [line.replace("REGION", region) for line in runbook.steps],
    }
