"""`regionshift migrate`, `rollback` and `status`: one operation each, then what it said."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from botocore.credentials import ReadOnlyCredentials

from regionshift.cli.options import Choices
from regionshift.cli.show import confirm, console, print_json
from regionshift.errors import EXIT_FAILED, EXIT_OK, EXIT_REFUSED, InputError, Refused, WorkFailed
from regionshift.function.carrying import Access
from regionshift.operations.migrations import migrate as operation
from regionshift.operations.migrations.carrying import Carrying
from regionshift.operations.migrations.progress import Standing
from regionshift.operations.migrations.taking_back import take_back
from regionshift.operations.outputs import Outputs
from regionshift.report.migrations import (
    plan_table,
    progress_bar,
    standing_line,
    summary_table,
    undo_table,
)
from regionshift.wiring import Wired, surroundings, wire

_CONNECTIONS = 16


def run_migrate(
    choices: Choices,
    *,
    source: str,
    target: str,
    migration_id: str | None,
    level: str | None,
    plan_only: bool,
) -> int:
    """Validate the target, plan, show, confirm, copy and prove inside AWS, report."""
    with _carrying(choices, locked=not plan_only) as (wired, carrying):
        wanted = operation.want(carrying, source, target, level=level, migration_id=migration_id)
        screen = console(choices)
        going_on = migration_id is not None and _known(carrying, wanted)
        shown = {}
        if not going_on:
            made = operation.plan(carrying, wanted)
            shown = dict(operation.as_json(wanted, made, operation.estimate(carrying, made)))
            if not choices.as_json:
                screen.print(plan_table(shown))
            if plan_only:
                if choices.as_json:
                    print_json(shown)
                return EXIT_REFUSED if made.conflicts else EXIT_OK
            if not sum(made.counts.values()):
                raise InputError(
                    "The entries under `carry` select nothing.",
                    where=source,
                    remedy="look at the prefixes, paths, names and patterns under `carry`",
                )
            if made.conflicts and wired.environment.config.migration.on_failure == "rollback":
                # They keep it from being completed, so that it would be taken back in the end.
                raise Refused(
                    f"{made.counts['conflict']} items were changed at the target by somebody else: "
                    + ", ".join(item for item, _ in made.conflicts[:3]),
                    where=target,
                    remedy="exclude them under `carry`, mend them, or set migration.on_failure: stop",
                )
            confirm(choices, f"Carry {made.to_copy} items from {source} to {target}?")
        validated = operation.require_valid_target(carrying, target)
        if not choices.as_json:
            screen.print(
                f"{target} validates ({len(validated.results)} checks). Migration {wanted.migration_id}"
            )
        with progress_bar(screen) as bar:
            task = bar.add_task("carrying", total=shown.get("to_copy", 0), said="")

            def tell(standing: Standing) -> None:
                said = standing_line(standing.bytes, standing.of_bytes, standing.rate, standing.seconds_left)
                bar.update(task, total=standing.of_items, completed=standing.items, said=said)

            report = operation.migrate(
                carrying,
                wired.journal,
                wanted,
                clock=time.monotonic,
                replication_seconds=validated.replication_seconds,
                tell=tell,
            )
    if choices.as_json:
        print_json(
            {
                **report.metadata,
                "seconds": report.seconds,
                "replication_seconds": report.replication_seconds,
                "warnings": list(report.warnings),
                "execution": report.execution,
            }
        )
    else:
        screen.print(summary_table(report.metadata, _facts(report), report.warnings))
    return EXIT_OK if report.completed else EXIT_FAILED


def run_rollback(choices: Choices, migration_id: str, reason: str) -> int:
    """Take a migration back."""
    with _carrying(choices, locked=True) as (wired, carrying):
        region, found = carrying.find(migration_id)
        if not choices.as_json:
            console(choices).print(summary_table(found, {}, ()))
        confirm(choices, f"Take back what {migration_id} wrote in {region}?")
        done = take_back(carrying, wired.journal, migration_id, reason, clock=time.monotonic)
    if choices.as_json:
        print_json({**done.record, "seconds": done.seconds})
    else:
        console(choices).print(undo_table(done.record, done.seconds))
    return EXIT_OK if done.whole else EXIT_FAILED


def run_migration_status(choices: Choices, migration_id: str) -> int:
    """How one migration stands, from its record; exit code 1 unless it is completed or rolled back."""
    with _carrying(choices, locked=False) as (_, carrying):
        _, found = carrying.find(migration_id)
    if choices.as_json:
        print_json(found)
    else:
        console(choices).print(
            summary_table(found, {"started": found["started"], "ended": found["ended"]}, ())
        )
    return EXIT_OK if found["status"] in ("completed", "rolled_back") else EXIT_FAILED


@contextmanager
def _carrying(choices: Choices, *, locked: bool) -> Iterator[tuple[Wired, Carrying]]:
    with (
        wire(
            choices.config,
            choices.overrides,
            surroundings(),
            endpoint=choices.endpoint,
            locked=locked,
            force=choices.force,
        ) as wired,
        carrying_in(wired) as carrying,
    ):
        yield wired, carrying


@contextmanager
def carrying_in(wired: Wired) -> Iterator[Carrying]:
    """How this run of the command works with migrations. Raises WorkFailed when the environment is not up."""
    values = wired.environment.engine.outputs()
    if not values:
        raise WorkFailed(
            f"The environment {wired.environment.name} is not up.", remedy="run `regionshift up` first"
        )
    clients, cloud = wired.environment.clients, wired.cloud

    def credentials() -> ReadOnlyCredentials:
        key = clients.credentials()
        return ReadOnlyCredentials(key.access_key, key.secret_key, key.session_token)

    access = Access(
        credentials,
        cloud.endpoint if cloud else None,
        str(cloud.ca_bundle) if cloud else None,
        connections=_CONNECTIONS,
    )
    transport = access.transport()
    try:
        yield Carrying(wired.environment, Outputs(values), transport, lambda: datetime.now(UTC), time.sleep)
    finally:
        transport.close()


def _known(carrying: Carrying, wanted: operation.Wanted) -> bool:
    """Whether the id has a plan on record already: then there is nothing to plan or to confirm anew."""
    try:
        return bool(carrying.find(wanted.migration_id)[1]["status"] != "planning")
    except WorkFailed:
        return False


def _facts(report: operation.Report) -> dict[str, str]:
    facts = {"duration (RTO)": f"{report.seconds:.1f} s"}
    if report.replication_seconds is not None:
        facts["replication delay (RPO)"] = f"{report.replication_seconds:.2f} s"
    return facts
