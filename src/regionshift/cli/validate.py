"""`regionshift validate`: every check of every region, from outside and from inside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from regionshift.cli.opening import opened
from regionshift.cli.options import Choices
from regionshift.cli.show import (
    aside,
    console,
    print_json,
    screen_of,
    working,
)
from regionshift.errors import EXIT_FAILED, EXIT_OK, InputError
from regionshift.operations.validate import Validation, validate
from regionshift.report.junit import write_junit
from regionshift.report.migrations import recovery_lines
from regionshift.report.terminal import checks_table
from regionshift.report.values import CheckResult, as_data
from regionshift.session import Session


def run_validate(choices: Choices, regions: tuple[str, ...], junit: Path | None) -> int:
    """Every check of every region (or of those named)."""
    with opened(choices) as session:
        known = session.environment.regions
        if unknown := [region for region in regions if region not in known]:
            raise InputError(
                f"{', '.join(unknown)} is no region of this environment.",
                where="--region",
                remedy=f"one of {', '.join(known)}",
                error_id="RS-REGION-001",
            )
        done = validated(choices, session, regions)
        name, results, recovery = session.environment.name, done.results, done.recovery.as_json
    if junit:
        write_junit(junit, results, f"regionshift validate {name}", recovery)
    if choices.as_json:
        print_json(
            {"environment": name, "passed": passed(results), "checks": as_data(results), "recovery": recovery}
        )
    return EXIT_OK if passed(results) else EXIT_FAILED


def validated(choices: Choices, session: Session, regions: Sequence[str]) -> Validation:
    """Every check of ``regions``, or of all, shown as they are answered."""
    asked = list(regions) or session.environment.regions
    with working(choices, f"checking {len(asked)} regions") as activity:
        done = validate(
            session.environment,
            session.journal,
            regions=regions,
            listener=lambda result: activity.now(f"{result.check} [{result.region}]: {result.outcome}"),
        )
    if not choices.as_json:
        screen = console(choices)
        screen.print(checks_table(done.results, asked, whole=not choices.quiet))
        aside(choices).print(recovery_lines(done.recovery.as_json))
    if done.unkept:
        screen_of(stderr=True).print(
            f"warning: `status` will not know of these checks: {done.unkept}", style="yellow"
        )
    return done


def passed(results: Sequence[CheckResult]) -> bool:
    """Whether each check is passed, or does not apply."""
    return all(result.passed for result in results)
