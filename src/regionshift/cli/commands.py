"""What each command does between parsing and showing: one operation each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from regionshift.cli.deployments import prune_releases, up_in_waves
from regionshift.cli.opening import opened, topics
from regionshift.cli.options import Choices
from regionshift.cli.running import NewsLines, warn_of_fences
from regionshift.cli.show import confirm, confirm_by_name, console, print_json, screen_of, working
from regionshift.engine.engine import Listener
from regionshift.engine.events import StepProgress
from regionshift.errors import EXIT_FAILED, EXIT_OK, InputError
from regionshift.operations.deploying import deploy, mend
from regionshift.operations.destroy import destroy, propose_destroy, require_destroyable
from regionshift.operations.plan_up import UpOptions, UpPlan, plan_up
from regionshift.operations.up import PlanRefused
from regionshift.operations.validate import Validation, validate
from regionshift.releases import deployed_releases
from regionshift.report.junit import write_junit
from regionshift.report.live import LiveView
from regionshift.report.migrations import recovery_lines
from regionshift.report.printer import Screen
from regionshift.report.terminal import checks_table, findings_table, outputs_view, plan_table
from regionshift.report.values import CheckResult, Plan, as_data, exit_code_of
from regionshift.session import Session


def run_init(
    choices: Choices, project: str, environment: str, primary: str, secondaries: tuple[str, ...]
) -> None:
    """Write a commented settings file; never over one that is there."""
    from regionshift.settings.schema import schema_text
    from regionshift.settings.template import LOCAL_SCHEMA, settings_template

    path = choices.config
    if path.exists() and not choices.yes:
        raise InputError(
            f"{path} is there already.",
            where=str(path),
            remedy="give another --config, or --yes to replace it",
        )
    name = project or path.resolve().parent.name
    text = settings_template(
        project=name,
        environment=environment,
        account=choices.account or "000000000000",
        target=choices.target or "local",
        regions=(primary, *secondaries),
    )
    schema = path.parent / LOCAL_SCHEMA
    schema.parent.mkdir(parents=True, exist_ok=True)
    schema.write_text(schema_text(), encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    if choices.as_json:
        print_json({"config": str(path)})
    else:
        console(choices).print(f"Wrote {path}. Look it over, then: regionshift up")


def run_preview(choices: Choices, options: UpOptions) -> int:
    """The plan, and nothing else; where something stands in the way it ends as `up` would."""
    # The engine takes its own lock for a preview, so two at once would collide without ours.
    with opened(choices, locked=True) as session:
        plan = _planned(choices, session, options).plan
    if choices.as_json:
        print_json({**asdict(plan), "errors": len(plan.errors)})
    else:
        _show_plan(choices, plan)
    return exit_code_of(plan.findings)


def run_up(choices: Choices, options: UpOptions, *, check: bool) -> int:
    """Guard, preflight, plan, confirm, apply in waves or with a live view in one run, validate."""
    with opened(choices, locked=True, skipped=options.skipped) as whole:
        planned = _planned(choices, whole, options)
        session, plan = replace(whole, environment=planned.environment), planned.plan
        environment = session.environment
        if not choices.as_json:
            _show_plan(choices, plan)
        if plan.errors:
            raise PlanRefused(plan.errors)
        if plan.changes:
            confirm(choices, f"Change {len(plan.changes)} resources?", environment.config)
        if environment.scope.fenced:
            warn_of_fences(choices, session)
        if planned.intent is not None:
            return up_in_waves(
                choices,
                session,
                planned.intent,
                plan.findings,
                allow_data_loss=options.allow_data_loss,
                refresh=planned.proposal.refresh,
                despite_alarms=options.despite_alarms,
            )
        if environment.scope.left_out:
            return _nothing_elsewhere(choices, planned)
        screen = console(choices)
        session.catalog.keep(environment.release(), deployed_releases(session.journal).links)
        with _view(screen, f"up {environment.name}", plan) as listener:
            listeners = [NewsLines(screen), topics(session, screen)]
            deploy(environment, session.journal, planned.proposal, listener, listeners)
        if not plan.is_empty:
            prune_releases(choices, session)
        results = _validate(choices, session, ()).results if check else []
        if choices.as_json:
            print_json(
                {
                    "environment": environment.name,
                    "changes": as_data(plan.changes),
                    "findings": as_data(plan.findings),
                    "checks": as_data(results),
                }
            )
    return _code(results)


def _nothing_elsewhere(choices: Choices, planned: UpPlan) -> int:
    """The regions that are called stand as they should; 1 when one that is down does not."""
    behind = planned.left_behind
    if choices.as_json:
        print_json({"changes": [], "findings": as_data(planned.plan.findings), "left_behind": behind})
    elif behind:
        console(choices).print(
            f"Left behind: {', '.join(behind)}; run `regionshift up` again when it is back."
        )
    return EXIT_FAILED if behind else EXIT_OK


def _planned(choices: Choices, session: Session, options: UpOptions) -> UpPlan:
    """What `preview` shows and `up` does. Raises as `plan_up`; all that was found is shown."""
    screen = console(choices)
    try:
        with working(choices, "planning"):
            return plan_up(
                session.environment, session.journal, session.catalog, session.machine, options, screen.print
            )
    except PlanRefused as refused:
        if not choices.as_json:
            screen.print(findings_table(refused.found))
        raise


def run_validate(choices: Choices, regions: tuple[str, ...], junit: Path | None) -> int:
    """Every check of every region (or of those named)."""
    with opened(choices) as session:
        known = session.environment.regions
        if unknown := [region for region in regions if region not in known]:
            raise InputError(
                f"{', '.join(unknown)} is no region of this environment.",
                where="--region",
                remedy=f"one of {', '.join(known)}",
            )
        done = _validate(choices, session, regions)
        name, results, recovery = session.environment.name, done.results, done.recovery.as_json
    if junit:
        write_junit(junit, results, f"regionshift validate {name}", recovery)
    if choices.as_json:
        passed = not _code(results)
        print_json({"environment": name, "passed": passed, "checks": as_data(results), "recovery": recovery})
    return _code(results)


def run_outputs(choices: Choices) -> int:
    """The flat mapping of outputs; 1 when the environment is not up."""
    with opened(choices) as session:
        values = session.environment.engine.outputs()
        name = session.environment.name
    if choices.as_json:
        print_json(values)
    elif values:
        console(choices).print(outputs_view(values))
    if not values:
        screen_of(stderr=True).print(f"The environment {name} is not up: there are no outputs.")
        return EXIT_FAILED
    return EXIT_OK


def run_destroy(choices: Choices) -> int:
    """Show, ask for the name, take down, and look that it is gone."""
    with opened(choices, locked=True) as session:
        environment = (
            session.environment.calling_left_out()
        )  # a deployment that leaves a region out ends here
        require_destroyable(environment)
        remains = mend(environment, session.journal)
        screen = console(choices)
        with working(choices, "planning"):
            plan = propose_destroy(environment)
        if not choices.as_json:
            _show_plan(choices, plan)
        unclear = remains.killed or remains.half_done
        if unclear:
            screen.print("What an earlier run made and did not write down is looked for, and goes too.")
        if plan.changes or unclear:
            confirm_by_name(choices, environment.config)
        with _view(screen, f"destroy {environment.name}", plan) as listener:
            done = destroy(
                environment, session.journal, plan, listener, [NewsLines(screen), topics(session, screen)]
            )
    if choices.as_json:
        print_json(asdict(done))
        return EXIT_OK
    screen.print(f"{done.deleted} resources deleted, {done.emptied} object versions with them.")
    for left in done.kept:
        until = left.until.date().isoformat() if left.until else ""
        screen.print(f"  kept by AWS until {until}: {left.what} [{left.region}]")
    return EXIT_OK


@contextmanager
def _view(screen: Screen, title: str, plan: Plan) -> Iterator[Listener | None]:
    """Shows the engine at work on ``plan``; nothing to do is not shown."""
    if plan.is_empty:
        yield None
        return
    totals = Counter(change.region or "" for change in plan.changes)
    with LiveView(screen, title, plan.regions, totals, time.monotonic) as view:

        def listen(progress: StepProgress) -> None:
            step = progress.step
            if step.changes:
                view.step(progress.phase, step.region, step.urn, step.op, step.name)

        yield listen


def _validate(choices: Choices, session: Session, regions: Sequence[str]) -> Validation:
    asked = list(regions) or session.environment.regions
    with working(choices, f"checking {len(asked)} regions") as activity:
        done = validate(
            session.environment,
            regions=regions,
            listener=lambda result: activity.now(f"{result.check} [{result.region}]: {result.outcome}"),
        )
    if not choices.as_json:
        screen = console(choices)
        screen.print(checks_table(done.results, asked))
        screen.print(recovery_lines(done.recovery.as_json))
    return done


def _show_plan(choices: Choices, plan: Plan) -> None:
    screen = console(choices)
    screen.print(plan_table(plan, whole=choices.verbose))
    if plan.findings:
        screen.print(findings_table(plan.findings))


def _code(results: Sequence[CheckResult]) -> int:
    return EXIT_OK if all(result.passed for result in results) else EXIT_FAILED
