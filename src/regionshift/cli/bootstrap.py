"""`regionshift bootstrap`: the state bucket and the roles of a pipeline, once for each account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

from regionshift.cli.failure import changes_of_this_command
from regionshift.cli.opening import opened_bootstrap
from regionshift.cli.options import Choices
from regionshift.cli.running import shown
from regionshift.cli.show import (
    aside,
    ask,
    confirm,
    confirm_by_name,
    console,
    person_is_there,
    print_json,
    show_plan,
    working,
)
from regionshift.errors import EXIT_OK, InputError
from regionshift.operations import bootstrap
from regionshift.operations.up import PlanRefused
from regionshift.report.plan_view import plan_parts
from regionshift.report.values import Plan, exit_code_of
from regionshift.runs.state import RunStep
from regionshift.session import BootstrapSession
from regionshift.settings.components import PipelineRole
from regionshift.settings.editing import set_values

_STEPS = (
    RunStep("account", meaning="the bucket of the states, its key, and the identity provider"),
    RunStep("pipeline", meaning="the roles of the pipeline"),
)


def run_bootstrap(
    choices: Choices,
    *,
    repository: str | None,
    region: str | None,
    plan_only: bool,
    take_over: bool,
    allow_broadening: Collection[str] = (),
    gitlab: str | None = None,
) -> int:
    """Plan, ask, create, and show what the settings file needs."""
    with opened_bootstrap(choices, repository, region, take_over=take_over, gitlab=gitlab) as session:
        parts = (session.account, session.pipeline)
        with working(choices, "planning"):
            plans = [bootstrap.plan_part(part, session.today, take_over=take_over) for part in parts]
        plan = bootstrap.plan_of(
            session.config, session.account.region, plans, session.findings, allow_broadening
        )
        _show(choices, plan)
        if plan_only or plan.errors:
            if plan.errors and not plan_only:
                raise PlanRefused(plan.findings)
            if choices.as_json:
                print_json(plan.as_data())
            return exit_code_of(plan.findings)
        if plan.changes:
            confirm(choices, f"Change {len(plan.changes)} resources?", session.config)
            changes_of_this_command().begin()
        with shown(choices, f"create {plan.environment}", plan) as view:
            for step, part, of_part in zip(_STEPS, parts, plans, strict=True):
                part.engine.watch = view.on_resource
                with view.one_step(step):
                    bootstrap.apply_part(part, of_part)
        if not session.is_inside:
            marker = bootstrap.state_object(session.identities[0])
            bootstrap.move_state(session.aside(), session.inside(), marker)
        told = {"pipeline.repository": repository, "pipeline.gitlab": gitlab}
        given = {**session.given, **{path: value for path, value in told.items() if value}}
    return _told(choices, session, plan, given)


def _show(choices: Choices, plan: Plan) -> None:
    """Show a plan. Resources of IAM have no region; the first plan of all is only counted by type."""
    if choices.as_json:
        return
    changes = [
        replace(each, name=each.name.removesuffix(f"-{each.region}"), region=None)
        if each.type.startswith("aws:iam/")
        else each
        for each in plan.changes
    ]
    shown = replace(plan, changes=tuple(changes))
    if choices.verbose or {each.op for each in changes} != {"create"}:
        show_plan(choices, shown)
        return
    screen = aside(choices, asks=True)
    screen.print(f"Plan for {plan.environment}")
    for region in dict.fromkeys(each.region for each in changes):
        kinds = Counter(each.type.rpartition(":")[2] for each in changes if each.region == region)
        made = ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in kinds.items())
        screen.print(f"  create in {region or 'IAM, for all regions'}: {made}")
    screen.print(f"{len(changes)} to create, {plan.unchanged} unchanged; --verbose names them")
    for part in plan_parts(shown, changes=False):
        screen.print(part)


def _told(choices: Choices, session: BootstrapSession, plan: Plan, given: Mapping[str, str]) -> int:
    """Show what was created and the settings that name it, and write them into the file if wanted."""
    config, screen = session.config, console(choices)
    roles = {role.value: role.arn(config) for role in PipelineRole} if config.pipeline.repository else {}
    lines = [f"{path}: {value}" for path, value in given.items()]
    for role, arn in roles.items():
        screen.print(f"  {role:<8} {arn}")
    written = False
    if given:
        screen.print("The settings need:")
        for line in lines:
            screen.print(f"  {line}")
        wanted = choices.yes or (
            person_is_there() and ask(choices, f"Write it into {choices.config}?", config)
        )
        written = wanted and _written(choices, given)
    if choices.as_json:
        print_json({**plan.as_data(), "roles": roles, "settings": dict(given), "written": written})
    return EXIT_OK


def _written(choices: Choices, given: Mapping[str, str]) -> bool:
    """Write ``given`` into the settings file; False, with the reason shown, when the file cannot be edited exactly."""
    text = choices.config.read_bytes().decode()
    try:
        changed = set_values(text, given)
    except InputError as error:
        console(choices).print(f"{error.message} {error.remedy}", style="yellow")
        return False
    choices.config.write_bytes(changed.encode())
    console(choices).print(f"Wrote {choices.config}.")
    return True


def run_bootstrap_destroy(choices: Choices, *, allow_data_loss: bool) -> int:
    """Delete the pipeline of the environment, and the account's part when no other environment needs it."""
    screen = console(choices)
    with opened_bootstrap(choices) as session:
        account, own = session.identities
        store = session.inside() if session.is_inside else session.aside()
        others = bootstrap.other_pipelines(store, account, own)
        parts = [session.pipeline, *([] if others else [session.account])]
        if not others and session.has_bucket:
            held = bootstrap.held_in(session.account, session.environments())
            bootstrap.require_free(held, allow_data_loss=allow_data_loss)
        plans = [bootstrap.doomed(part) for part in parts]
        plans += [bootstrap.kept(session.account)] if others else []
        plan = bootstrap.plan_of(session.config, session.account.region, plans)
        _show(choices, plan)
        if others:
            screen.print(
                f"The bucket, its key and the issuer stay, as others need them: {', '.join(others)}."
            )
        if plan.changes:
            confirm_by_name(choices, session.config)
            changes_of_this_command().begin()
        if not others and session.is_inside:
            # The state leaves the bucket before the bucket is deleted. From here on only this machine can continue.
            bootstrap.move_state(store, session.aside(), bootstrap.state_object(account))
    with opened_bootstrap(choices) as session, shown(choices, f"destroy {plan.environment}", plan) as view:
        deleted = 0
        of_account, of_pipeline = _STEPS
        gone = [(of_pipeline, session.pipeline), *([] if others else [(of_account, session.account)])]
        for step, part in gone:
            part.engine.watch = view.on_resource
            with view.one_step(step):
                deleted += bootstrap.destroy_part(part)
    if choices.as_json:
        print_json({"deleted": deleted, "kept_for": others})
    else:
        screen.print(f"{deleted} resources deleted.")
        if not others:
            days = session.account.config.retention.key_deletion
            screen.print(f"  kept by AWS for {days} days: the key of the states")
    return EXIT_OK
