"""`regionshift up` and `preview`: plan, confirm, apply in waves or in one run, validate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote

from regionshift import __version__
from regionshift.cli.failure import error_lines
from regionshift.cli.opening import opened
from regionshift.cli.options import Choices
from regionshift.cli.running import driver, shown, warn_of_fences
from regionshift.cli.show import (
    aside,
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
from regionshift.operations.waves.deploying import begun_to_the_same, prune
from regionshift.operations.waves.facts import terms_of
from regionshift.releases import deployed_releases
from regionshift.report.comment import as_comment
from regionshift.report.plan_view import PlanEntry, PlanSection, findings_section, plan_sections
from regionshift.report.printer import Text
from regionshift.report.sarif import write_sarif
from regionshift.report.terminal import findings_table
from regionshift.report.values import Plan, PolicyFinding, as_data, exit_code_of
from regionshift.runs.deployment_state import DeploymentState, Outcome
from regionshift.runs.driver import Waits
from regionshift.session import Session
from regionshift.settings.document import read_document
from regionshift.settings.mistakes import FieldPath

_Done = TypeVar("_Done")


def run_preview(
    choices: Choices, options: UpOptions, comment: Path | None = None, sarif: Path | None = None
) -> int:
    """Show the plan and change nothing; ends with the exit code that `up` would have.

    Args:
        comment: the file that gets what is shown, or why there is no plan, as Markdown.
        sarif: the file that gets the findings of policies; where there is no plan it is not written.
    """
    shown: list[PlanSection] = []
    try:
        # The engine takes its own lock for a preview, so two at once would collide without ours.
        with opened(choices, locked=True) as session:
            plan = _planned(choices, session, options).plan
        shown += plan_sections(plan, whole=choices.verbose)
    except RegionshiftError as error:
        shown.append(PlanSection("", tuple(PlanEntry((Text(line),)) for line in error_lines(error))))
        shown += [findings_section(error.found)] if isinstance(error, PlanRefused) else []
        raise
    finally:
        if comment is not None and shown:
            comment.write_text(as_comment(f"preview {choices.config.as_posix()}", shown), encoding="utf-8")
    if sarif is not None:
        _write_sarif(choices, plan, sarif)
    if choices.as_json:
        print_json(plan.as_data())
    show_plan(replace(choices, quiet=False), plan)
    return exit_code_of(plan.findings)


def _write_sarif(choices: Choices, plan: Plan, path: Path) -> None:
    document = read_document(choices.config.read_text(encoding="utf-8-sig"))

    def line_of(setting: FieldPath) -> int:
        """The line of the value there, else of the nearest section around it."""
        around = (setting[:depth] for depth in range(len(setting), -1, -1))
        return next((document.lines[each] for each in around if each in document.lines), 1)

    found = [each for each in plan.findings if isinstance(each, PolicyFinding)]
    write_sarif(path, found, settings=_in_repository(choices.config), line_of=line_of, version=__version__)


def _in_repository(file: Path) -> str:
    """How the repository that ``file`` lies in calls it; in none, how the folder that the command runs in does.

    GitHub Docs, "SARIF support for code scanning": paths are relative to the root of the repository.
    """
    whole = file.resolve()
    top = next((folder for folder in whole.parents if (folder / ".git").exists()), Path.cwd())
    return quote((whole.relative_to(top) if whole.is_relative_to(top) else Path(whole.name)).as_posix())


def run_up(choices: Choices, options: UpOptions, *, check: bool, hand_over: Path | None = None) -> int:
    """Guard, preflight, plan, confirm, apply in waves or with a live view in one run, validate.

    Args:
        hand_over: see `handing_over`. Then an unfinished deployment of just these settings, whose job was killed,
            continues.
    """
    with opened(choices, locked=True, skipped=options.skipped) as whole:
        if hand_over and begun_to_the_same(whole.journal, whole.environment.release().digest):
            return handing_over(choices, whole, hand_over, lambda: resume_waves(choices, whole)[0])
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
            go = partial(
                up_in_waves,
                choices,
                session,
                planned.intent,
                plan,
                allow_data_loss=options.allow_data_loss,
                refresh=planned.proposal.refresh,
                despite_alarms=options.despite_alarms,
            )
            return handing_over(choices, session, hand_over, go)
        if environment.scope.left_out:
            return _nothing_elsewhere(choices, planned)
        screen = console(choices)
        session.catalog.keep(environment.release(), deployed_releases(session.journal).links)
        with shown(choices, f"up {environment.name}", plan) as view:
            deploy(environment, session.journal, planned.proposal, view.listeners(session))
        if not plan.is_empty:
            prune_releases(choices, session)
        results = validated(choices, session, ()).results if check else []
        if not passed(results) and not choices.as_json:
            screen.print(_AFTER_FAILED_CHECKS)
        if choices.as_json:
            print_json({**plan.as_data(), "checks": as_data(results)})
    return EXIT_OK if passed(results) else EXIT_FAILED


_AFTER_FAILED_CHECKS = (
    "The change is made and stays, but checks failed: follow the remedies after → above,"
    " then run `regionshift validate`."
)


def _nothing_elsewhere(choices: Choices, planned: UpPlan) -> int:
    """Nothing to change in the regions that get calls; returns 1 when a skipped region is behind."""
    behind = planned.left_behind
    if choices.as_json:
        print_json({"changes": [], "findings": as_data(planned.plan.findings), "left_behind": behind})
    elif behind:
        console(choices).print(
            f"Left behind: {', '.join(behind)}; run `regionshift up` again when it is back."
        )
    return EXIT_FAILED if behind else EXIT_OK


def _planned(choices: Choices, session: Session, options: UpOptions) -> UpPlan:
    """Return what `preview` shows and `up` does. Raises as `plan_up`, after it showed the findings."""
    screen = console(choices)
    try:
        with working(choices, "planning"):
            return plan_up(
                session.environment,
                session.journal,
                session.catalog,
                session.machine,
                options,
                aside(choices).print,
            )
    except PlanRefused as refused:
        if not choices.as_json:
            screen.print(findings_table(refused.found))
        raise


def up_in_waves(
    choices: Choices,
    session: Session,
    intent: deploying.Intent,
    plan: Plan,
    *,
    allow_data_loss: bool = False,
    refresh: bool = False,
    despite_alarms: bool = False,
) -> int:
    """Deploy wave by wave; the JSON at the end has the new rights, losses, costs and findings of ``plan``."""
    deployed = deployed_releases(session.journal)
    terms = terms_of(session.environment.config, refresh=refresh, allow_data_loss=allow_data_loss)
    intent = begun_under(
        session.environment, session.journal, intent, deployed, terms, despite_alarms=despite_alarms
    )
    with driver(choices, session, "up", plan) as driving:
        state = deploying.begin(driving, session.catalog, intent, deployed)
    whole = plan.as_data()
    found = {name: whole[name] for name in ("growth", "losses", "cost", "findings")}
    return ended(choices, session, state, more=found)


def resume_waves(
    choices: Choices, session: Session, *, approving: str | None = None, back: bool = False
) -> tuple[int, str]:
    """Continue or undo the open deployment or rollback; returns the exit code, and which of the two it is.

    Args:
        approving: see `running.driver`.
    """
    with driver(choices, session, "resume", approving=approving) as driving:
        run_id, state = deploying.resume(driving, back=back)
    seen = session.journal.view(run_id)
    if not choices.as_json:
        aside(choices).print(f"{seen.kind.capitalize()} {run_id}: {verdict(state)}")
    # To resume a run that a person turned back means to finish the rollback.
    return ended(choices, session, state, seen.kind, back=back or seen.was_turned), seen.kind


def handing_over(
    choices: Choices, session: Session, file: Path | None, work: Callable[[], _Done], *, after: int = 0
) -> _Done | int:
    """Do ``work`` and return its result; for a pipeline whose next job continues.

    If a wave later than ``after`` waits for a person, returns 0 and adds two lines to ``file``: the run and the wave's
    number. They have the form NAME=VALUE, as GitHub's outputs and GitLab's dotenv reports do.
    """
    try:
        return work()
    except Waits:
        waits = deploying.waiting(session.journal)
        if file is None or waits is None or waits.wave <= after:
            raise
    with file.open("a", encoding="utf-8") as handle:
        handle.write(f"regionshift_run={waits.run_id}\nregionshift_wave={waits.wave}\n")
    if choices.as_json:
        print_json({"outcome": "waits", **asdict(waits)})
    else:
        console(choices).print(f"Wave {waits.wave} ({', '.join(waits.regions)}) waits for a person.")
    return EXIT_OK


def ended(
    choices: Choices,
    session: Session,
    state: DeploymentState,
    kind: str = "deployment",
    more: Mapping[str, Any] = MappingProxyType({}),
    *,
    back: bool = False,
) -> int:
    """Print the end of a deployment as JSON; its last message says the same in text.

    Returns 0 when it succeeded, or with ``back`` when it was rolled back.
    """
    regions = state.said_per_region(kind)
    if choices.as_json:
        print_json({"outcome": verdict(state), "regions": regions, "failed": state.failed, **more})
    prune_releases(choices, session)
    wanted = Outcome.ROLLED_BACK if back else Outcome.SUCCEEDED
    if state.verdict is wanted:
        return EXIT_OK
    run = session.journal.history()[0].run_id  # the lock is ours, so the newest run is too
    aside(choices).print(f"next: regionshift history {run}, or regionshift report {run}")
    return EXIT_FAILED


def prune_releases(choices: Choices, session: Session) -> None:
    """Remove old releases. If that fails, the finished change stays."""
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
