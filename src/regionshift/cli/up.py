"""`regionshift up` and `preview`: plan, confirm, apply in waves or in one run, validate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Any

from regionshift.cli.opening import opened, topics
from regionshift.cli.options import Choices
from regionshift.cli.running import NewsLines, driver, engine_view, warn_of_fences
from regionshift.cli.show import (
    confirm,
    console,
    print_json,
    show_plan,
    working,
)
from regionshift.cli.validate import passed, validated
from regionshift.errors import EXIT_FAILED, EXIT_OK, RegionshiftError
from regionshift.operations.deploying import deploy
from regionshift.operations.plan_up import UpOptions, UpPlan, begun_under, plan_up
from regionshift.operations.up import PlanRefused
from regionshift.operations.waves import deploying
from regionshift.operations.waves.deploying import prune
from regionshift.operations.waves.facts import terms_of
from regionshift.releases import deployed_releases
from regionshift.report.terminal import findings_table
from regionshift.report.values import Finding, as_data, exit_code_of
from regionshift.runs.deployment_state import DeploymentState, Outcome
from regionshift.session import Session


def run_preview(choices: Choices, options: UpOptions) -> int:
    """The plan, and nothing else; where something stands in the way it ends as `up` would."""
    # The engine takes its own lock for a preview, so two at once would collide without ours.
    with opened(choices, locked=True) as session:
        plan = _planned(choices, session, options).plan
    if choices.as_json:
        print_json({**asdict(plan), "errors": len(plan.errors)})
    show_plan(choices, plan)
    return exit_code_of(plan.findings)


def run_up(choices: Choices, options: UpOptions, *, check: bool) -> int:
    """Guard, preflight, plan, confirm, apply in waves or with a live view in one run, validate."""
    with opened(choices, locked=True, skipped=options.skipped) as whole:
        planned = _planned(choices, whole, options)
        session, plan = replace(whole, environment=planned.environment), planned.plan
        environment = session.environment
        show_plan(choices, plan)
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
        with engine_view(screen, f"up {environment.name}", plan) as listener:
            listeners = [NewsLines(screen), topics(session, screen)]
            deploy(environment, session.journal, planned.proposal, listener, listeners)
        if not plan.is_empty:
            prune_releases(choices, session)
        results = validated(choices, session, ()).results if check else []
        if choices.as_json:
            print_json(
                {
                    "environment": environment.name,
                    "changes": as_data(plan.changes),
                    "findings": as_data(plan.findings),
                    "checks": as_data(results),
                }
            )
    return EXIT_OK if passed(results) else EXIT_FAILED


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


def up_in_waves(
    choices: Choices,
    session: Session,
    intent: deploying.Intent,
    findings: Sequence[Finding],
    *,
    allow_data_loss: bool = False,
    refresh: bool = False,
    despite_alarms: bool = False,
) -> int:
    """Do what was planned, wave by wave; ``findings`` of the plan stand in the JSON of its end."""
    deployed = deployed_releases(session.journal)
    terms = terms_of(session.environment.config, refresh=refresh, allow_data_loss=allow_data_loss)
    intent = begun_under(
        session.environment, session.journal, intent, deployed, terms, despite_alarms=despite_alarms
    )
    with driver(choices, session) as driving:
        state = deploying.begin(driving, session.catalog, intent, deployed)
    return ended(choices, session, state, more={"findings": as_data(findings)})


def ended(
    choices: Choices,
    session: Session,
    state: DeploymentState,
    kind: str = "deployment",
    more: Mapping[str, Any] = MappingProxyType({}),
    *,
    back: bool = False,
) -> int:
    """Show how a deployment ended; 0 when what was asked for was done, which with ``back`` is to take it back."""
    regions = state.said_per_region(kind)
    if choices.as_json:
        print_json({"outcome": verdict(state), "regions": regions, "failed": state.failed, **more})
    else:
        screen = console(choices)
        for region, said in regions.items():
            screen.print(f"  {region:<16} {said}")
    prune_releases(choices, session)
    wanted = Outcome.ROLLED_BACK if back else Outcome.SUCCEEDED
    return EXIT_OK if state.verdict is wanted else EXIT_FAILED


def prune_releases(choices: Choices, session: Session) -> None:
    """Remove the releases that are kept no longer. What is done stays done when that cannot be."""
    try:
        prune(session.journal, session.catalog)
    except RegionshiftError as error:
        console(choices).print(
            f"warning: old releases could not be removed: {error.message}; the next `up` tries again.",
            style="yellow",
        )


def verdict(state: DeploymentState) -> str:
    """How a deployment ended, in a word."""
    return str(state.verdict.value if state.verdict else "unfinished")
