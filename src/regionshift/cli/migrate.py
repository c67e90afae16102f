"""`regionshift migrate`, and `rollback` and `status` of a migration."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from regionshift.aws.errors import told_plainly
from regionshift.carriers.migration import Metadata
from regionshift.carriers.plan import MigrationPlan, refused_for
from regionshift.cli.opening import carrying_in, opened
from regionshift.cli.options import Choices
from regionshift.cli.running import shown
from regionshift.cli.show import aside, confirm, console, print_json, working
from regionshift.errors import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_REFUSED,
    InputError,
    Interrupted,
    WorkFailed,
)
from regionshift.operations.migrations import migrate as operation
from regionshift.operations.migrations.carrying import Carrying
from regionshift.operations.migrations.entries import require_rights, require_something
from regionshift.operations.migrations.estimating import as_json, estimate
from regionshift.operations.migrations.listing import SETTLED, migration_named
from regionshift.operations.migrations.taking_back import TakenBack, require_takeable, take_back
from regionshift.operations.migrations.verifying import verify_again
from regionshift.operations.unfinished import OpenMigration
from regionshift.releases import deployed_releases
from regionshift.report.migrations import (
    known_table,
    plan_table,
    proven_table,
    recovery_lines,
    summary_table,
    undo_table,
)
from regionshift.report.terminal import instant
from regionshift.session import Session, Skipped
from regionshift.settings.config import MigrationConfig


def run_migrate(
    choices: Choices,
    *,
    source: str | None,
    target: str | None,
    migration_id: str | None,
    level: str | None,
    plan_only: bool,
    deep: bool,
) -> int:
    """Validate the target, plan, show, confirm, copy and prove inside AWS, report."""
    with _carrying(choices, locked=not plan_only) as (session, carrying):
        regions = _regions(session.environment.config, source, target)
        wanted = operation.want(carrying, *regions, level=level, migration_id=migration_id, deep=deep)
        screen = console(choices)
        known = _known(carrying, wanted) if migration_id and not plan_only else None
        if known is not None:
            if not choices.as_json:
                aside(choices, asks=True).print(known_table(known))
            confirm(
                choices,
                f"Continue {migration_id}, from {wanted.source} to {wanted.target}?",
                session.environment.config,
            )
        else:
            with working(choices, "looking at the data to copy"):
                made, shown = _plan(carrying, wanted)
            to_copy = shown["to_copy"]
            if not choices.as_json:
                (screen if plan_only else aside(choices, asks=True)).print(plan_table(shown))
            # Before the plan as JSON: an error is a document of its own.
            require_something(made, wanted.source)
            if plan_only:
                if choices.as_json:
                    print_json(shown)
                return EXIT_REFUSED if shown["conflicts"] else EXIT_OK
            _require_startable(session, wanted, shown)
            with told_plainly(wanted.target):
                migration = carrying.migration(wanted.target, wanted.migration_id)
                migration.require_beginnable(wanted.entries, planned=True)
            confirm(
                choices,
                f"Copy {to_copy:,} items from {wanted.source} to {wanted.target}?"
                if to_copy
                else f"Nothing is left to copy to {wanted.target}. Run {wanted.migration_id} all the same?",
                session.environment.config,
            )
            if not choices.yes:
                # The migration plans again when it begins, and refuses any other plan than the confirmed one.
                wanted = replace(wanted, confirmed=made.digest)
        report = _follow(choices, session, carrying, wanted)
    if choices.as_json:
        print_json(_report(report))
    else:
        screen.print(summary_table(report.metadata, whole=not choices.quiet))
        aside(choices).print(recovery_lines(report.recovery.as_json))
    return EXIT_OK if report.completed else EXIT_FAILED


def _plan(carrying: Carrying, wanted: operation.MigrationRequest) -> tuple[MigrationPlan, dict[str, Any]]:
    """The plan, and as it is shown."""
    config = carrying.environment.config
    made, workers = operation.plan(carrying, wanted), carrying.workers(wanted.target)
    return made, as_json(
        made,
        estimate(config, made, workers),
        workers,
        source=wanted.source,
        target=wanted.target,
        on_failure=config.migration.on_failure,
    )


def _require_startable(session: Session, wanted: operation.MigrationRequest, shown: dict[str, Any]) -> None:
    """Raises Refused: no rights for what would be carried, or conflicts that would undo it."""
    config = session.environment.config
    digest = deployed_releases(session.journal).releases.get(wanted.target)
    if digest:
        require_rights(config, session.catalog.store.find(digest).content, wanted.target)
    if shown["conflicts"] and config.migration.on_failure == "rollback":
        # With a conflict a migration is never completed, so all of it would be rolled back at its end.
        raise refused_for(
            shown["counts"]["conflict"], [(each["item"], each["reason"]) for each in shown["conflicts"]]
        )


def _follow(
    choices: Choices, session: Session, carrying: Carrying, wanted: operation.MigrationRequest
) -> operation.Report:
    """Validate the target, then copy, shown as a run.

    Raises:
        Interrupted: Ctrl-C; what is under way ends, nothing further begins.
    """
    with working(choices, f"checking {wanted.target}"):
        validated = operation.require_valid_target(carrying, wanted.target)
    aside(choices).print(f"{len(validated.results)} checks of {wanted.target} passed.")
    with shown(choices, f"migrate {wanted.migration_id}") as view:
        try:
            return operation.migrate(
                replace(carrying, listeners=view.listeners(session)),
                session.journal,
                wanted,
                clock=time.monotonic,
                delays=validated.delays,
            )
        except KeyboardInterrupt:
            raise Interrupted(
                f"Interrupted: migration {wanted.migration_id} starts no further batch.",
                where=wanted.target,
                remedy=_go_on(wanted),
            ) from None
        except WorkFailed as error:
            error.add_note(f"to continue: {_go_on(wanted)}")
            raise


def _go_on(wanted: operation.MigrationRequest) -> str:
    name = wanted.migration_id
    return (
        f"regionshift migrate --from {wanted.source} --to {wanted.target} --id {name}, "
        f"or undo it: regionshift rollback {name}"
    )


def _report(report: operation.Report) -> dict[str, Any]:
    return {
        **report.metadata,
        "seconds": report.recovery.seconds,
        "replication_seconds": report.recovery.delay,
        "recovery": report.recovery.as_json,
        "warnings": list(report.recovery.warnings),
        "execution": report.execution,
    }


def _regions(config: MigrationConfig, source: str | None, target: str | None) -> tuple[str, str]:
    """Return the source and the target: by default the primary and the first secondary.

    Raises:
        InputError: there is no secondary.
    """
    source = source or config.regions.primary
    others = [region for region in config.all_regions if region != source]
    if target is None and not others:
        raise InputError(
            "There is no second region to copy to.",
            where="regions.secondaries",
            remedy="name one in the settings, then: regionshift up",
            error_id="RS-REGION-001",
        )
    return source, target or others[0]


def run_rollback(choices: Choices, migration_id: str, reason: str) -> int:
    """Roll a migration back."""
    done = rollback_migration(choices, migration_id, reason)
    if choices.as_json:
        print_json(done.as_json)
    return EXIT_OK if done.whole else EXIT_FAILED


def rollback_migration(
    choices: Choices, migration_id: str, reason: str, *, skipped: Skipped = ()
) -> TakenBack:
    """Show a migration, ask, undo it, and show the result; the caller prints the JSON.

    Args:
        skipped: regions that get no call.
    """
    with _carrying(choices, locked=True, skipped=skipped) as (session, carrying):
        migration_id = migration_named(session.journal, migration_id)
        region, found = carrying.find(migration_id)
        if not choices.as_json:
            aside(choices, asks=True).print(summary_table(found))
        require_takeable(carrying, migration_id)
        confirm(choices, f"Undo what {migration_id} wrote in {region}?", session.environment.config)
        try:
            with shown(choices, f"rollback {migration_id}") as view:
                followed = replace(carrying, listeners=view.listeners(session))
                done = take_back(followed, session.journal, migration_id, reason, clock=time.monotonic)
        except KeyboardInterrupt:
            raise Interrupted(
                f"Interrupted: AWS finishes the batches of the rollback of {migration_id} that have begun.",
                where=region,
                remedy=f"regionshift status {migration_id} shows how far it is; to finish: "
                f"regionshift rollback {migration_id}",
            ) from None
    if not choices.as_json:
        console(choices).print(undo_table(done.record, done.seconds))
    return done


def run_migration_status(choices: Choices, migration_id: str, *, verify: bool = False) -> int:
    """How one migration stands, from its record; exit code 1 unless it is completed or rolled back.

    Args:
        verify: also look whether everything is as it was written; exit code 1 unless it is.
    """
    with _carrying(choices, locked=False) as (session, carrying):
        migration_id = migration_named(session.journal, migration_id)
        with working(choices, "reading what was written"):
            region, found = carrying.find(migration_id)
            undone = carrying.migration(region, migration_id).undone()
            proven = verify_again(carrying, region, found) if verify else None
    if choices.as_json:
        print_json({**found, "rollback": undone, **({"verified": asdict(proven)} if proven else {})})
    else:
        facts = {"started": instant(found["started"]), "ended": instant(found["ended"] or "not yet")}
        if undone:
            facts["rolled back"] = f"{instant(undone['timestamp'])}, {undone['reason'] or 'no reason given'}"
        console(choices).print(summary_table(found, facts))
        if proven:
            console(choices).print(proven_table(asdict(proven)))
    settled = found["status"] in SETTLED
    return EXIT_OK if settled and (proven is None or proven.whole) else EXIT_FAILED


def resume_migration(choices: Choices, left: OpenMigration, *, back: bool) -> int:
    """Continue a migration or roll it back; a rollback that began always continues."""
    name, back = left.migration_id, back or left.going_back
    what = "rolling it back" if back else "continuing"
    aside(choices).print(f"Migration {name} is {left.status}; {what}.")
    if back:
        return run_rollback(choices, name, "" if left.going_back else "resume --back")
    return run_migrate(
        choices,
        source=left.source,
        target=left.target,
        migration_id=name,
        level=left.level,
        plan_only=False,
        deep=False,
    )


@contextmanager
def _carrying(choices: Choices, *, locked: bool, skipped: Skipped = ()) -> Iterator[tuple[Session, Carrying]]:
    with (
        opened(choices, locked=locked, skipped=skipped) as session,
        carrying_in(choices, session) as carrying,
    ):
        yield session, carrying


def _known(carrying: Carrying, wanted: operation.MigrationRequest) -> Metadata | None:
    """The summary of an id whose plan is on record: then there is nothing to plan."""
    try:
        found = carrying.find(wanted.migration_id)[1]
    except WorkFailed:
        return None
    return None if found["status"] == "planning" else found
