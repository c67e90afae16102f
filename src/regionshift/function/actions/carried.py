"""What ``migrate`` and ``rollback`` share: the region's own migrations, time, and how a failure is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from regionshift.carriers.bounds import Bounds, Way, own_bucket
from regionshift.carriers.executions import Execution, Executions
from regionshift.carriers.migration import Migrations
from regionshift.carriers.records import MigrationRecords
from regionshift.carriers.seals import Seals, by_kms
from regionshift.carriers.transport import S3Error
from regionshift.errors import InputError, Refused, RegionshiftError
from regionshift.function.answer import Answer
from regionshift.function.carrying import object_migrations
from regionshift.function.clients import FunctionClients
from regionshift.function.configuration import ConfigurationError, FunctionConfiguration, read_configuration
from regionshift.function.problems import AWS_PROBLEMS
from regionshift.function.request import FunctionRequest, RefusedError
from regionshift.function.surroundings import ActionContext, utc_now
from regionshift.function.variables import Variables

_RESERVE_MS = 15_000
"""Kept at the end of a call for what is begun already, its record, and the reports."""


def own_migrations(surroundings: ActionContext, ways: Sequence[Way] = ()) -> Migrations:
    """Migrations within the region's own bucket, with the function's own rights.

    Args:
        ways: what the settings name beside.

    Raises:
        RefusedError: 501, this function knows of no key for their records.
    """
    variables, invocation, clients = surroundings.variables, surroundings.invocation, surroundings.clients
    own = own_bucket(variables.region, variables.deployment_bucket)
    made = object_migrations(
        clients.transport,
        variables.region,
        _seals(clients, variables),
        Bounds(variables.deployment_bucket, (own, *ways)),
        surroundings.clock,
    )
    # Another call may take the migration back while this one copies.
    return replace(made, call_seconds=lambda: invocation.remaining_ms() / 1000)


@lru_cache(maxsize=1)
def _seals(clients: FunctionClients, variables: Variables) -> Seals:
    """Kept with the process's clients, so that the key is asked for once."""
    if not variables.records_key_arn:
        raise RefusedError(501, "NotImplemented", "This function was told of no key for its records.")
    ask = by_kms(clients.kms.generate_mac, variables.records_key_arn)
    return Seals(ask, variables.region, variables.deployment_bucket, utc_now)


def require_configuration(surroundings: ActionContext, status: int, code: str) -> FunctionConfiguration:
    """What the settings say.

    Raises:
        RefusedError: with ``status`` and ``code``, it cannot be read.
    """
    try:
        return read_configuration(surroundings.variables, surroundings.clients)
    except ConfigurationError as problem:
        raise RefusedError(status, code, f"What the settings say cannot be read: {problem}.") from problem


def has_time(surroundings: ActionContext) -> Callable[[], bool]:
    """Whether something more may be begun."""
    return lambda: surroundings.invocation.remaining_ms() > _RESERVE_MS


def tell_start(request: FunctionRequest, surroundings: ActionContext) -> None:
    """Announce; a topic that does not answer stops no migration."""
    try:
        surroundings.announce(request)
    except AWS_PROBLEMS:
        surroundings.logger.exception("The start could not be told.")


def start_machine(
    request: FunctionRequest, surroundings: ActionContext, step: str, **fields: Any
) -> Execution:
    """Start the region's state machine, or join what runs there for this migration already.

    Raises:
        RefusedError: 501, this function knows of none.
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: it could not be started.
    """
    executions = _executions(request, surroundings)
    return executions.start(step, **{"on_failure": "rollback", "reason": request.reason or "", **fields})


def require_no_copying(request: FunctionRequest, surroundings: ActionContext) -> None:
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


def _executions(request: FunctionRequest, surroundings: ActionContext) -> Executions:
    machine = surroundings.variables.state_machine_arn
    if not machine:
        raise RefusedError(501, "NotImplemented", "This function has no state machine for other places.")
    records = MigrationRecords(own_migrations(surroundings).store, str(request.migration_id))
    return Executions(records, surroundings.clients.stepfunctions, machine)


def told(request: FunctionRequest, error: RegionshiftError) -> Answer:
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
