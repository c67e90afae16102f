"""What ``migrate`` and ``rollback`` share: the region's own migrations, time, and how a failure is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from regionshift.carriers.executions import Execution, Executions
from regionshift.carriers.migration import Migrations
from regionshift.carriers.records import Layout
from regionshift.carriers.transport import S3Error
from regionshift.errors import InputError, Refused, RegionshiftError
from regionshift.function.answer import Answer
from regionshift.function.carrying import object_migrations
from regionshift.function.problems import AWS_PROBLEMS
from regionshift.function.request import RefusedError, Request
from regionshift.function.surroundings import Surroundings

_RESERVE_MS = 15_000
"""Kept at the end of a call for what is begun already, its record, and the reports."""


def own_migrations(surroundings: Surroundings) -> Migrations:
    """Migrations within the region's own bucket, with the function's own rights."""
    variables, invocation = surroundings.variables, surroundings.invocation
    made = object_migrations(
        surroundings.clients.transport, variables.region, variables.deployment_bucket, surroundings.clock
    )
    # Another call may take the migration back while this one copies.
    return replace(made, call_seconds=lambda: invocation.remaining_ms() / 1000)


def has_time(surroundings: Surroundings) -> Callable[[], bool]:
    """Whether something more may be begun."""
    return lambda: surroundings.invocation.remaining_ms() > _RESERVE_MS


def tell_start(request: Request, surroundings: Surroundings) -> None:
    """Announce; a topic that does not answer stops no migration."""
    try:
        surroundings.announce(request)
    except AWS_PROBLEMS:
        surroundings.logger.exception("The start could not be told.")


def start_machine(request: Request, surroundings: Surroundings, step: str, **fields: Any) -> Execution:
    """Start the region's state machine, or join what runs there for this migration already.

    Raises:
        RefusedError: 501, this function knows of none.
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: it could not be started.
    """
    executions = _executions(request, surroundings)
    return executions.start(step, **{"on_failure": "rollback", "reason": request.reason or "", **fields})


def require_no_copying(request: Request, surroundings: Surroundings) -> None:
    """See that no copying that the command began is at its end yet: it may have been stopped.

    It skips what it had not begun, and once the stop is forgotten it would count that as missing.

    Raises:
        RefusedError: 409, it runs; 501, this function knows of no state machine.
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: it cannot be seen.
    """
    for execution in _executions(request, surroundings).running():
        if execution.step == "copy":
            sentence = f"Migration {request.migration_id} still runs in {execution.arn}: call again when it has ended."
            raise RefusedError(409, "Conflict", sentence)


def _executions(request: Request, surroundings: Surroundings) -> Executions:
    machine = surroundings.variables.state_machine_arn
    if not machine:
        raise RefusedError(501, "NotImplemented", "This function has no state machine for other places.")
    layout = Layout(str(request.migration_id))
    return Executions(own_migrations(surroundings).store, layout, surroundings.clients.stepfunctions, machine)


def told(request: Request, error: RegionshiftError) -> Answer:
    """A carrier's error as an answer: 4xx when nothing was done and asking otherwise would help."""
    status, code = 500, "MigrationFailed"
    cause = error.__cause__
    denied = isinstance(cause, S3Error) and cause.status == 403
    if denied or (isinstance(error, S3Error) and error.status == 403):
        status, code = 403, "NotAllowed"
    elif isinstance(error, Refused):
        status, code = 409, "Conflict"
    elif isinstance(error, InputError):
        status, code = 400, "InvalidField"
    where = f" ({error.where})" if error.where else ""
    remedy = f" Next: {error.remedy}" if error.remedy else ""
    sentence = f"{error.message}{where}{remedy}"
    return Answer(status, request.action, sentence, code=code, migration_id=request.migration_id)


def numbers(counts: Mapping[str, Any]) -> dict[str, int]:
    """Just the counts."""
    return {name: number for name, number in counts.items() if isinstance(number, int)}
