"""What ``migrate`` and ``rollback`` share: the region's own migrations, time, and how a failure is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from typing import Any

from botocore.exceptions import ClientError

from regionshift.carriers.bounds import Bounds, Route, own_bucket
from regionshift.carriers.executions import Execution, Executions
from regionshift.carriers.migration import Migrations
from regionshift.carriers.records import MigrationRecords
from regionshift.carriers.seals import Seals, by_kms
from regionshift.carriers.transport import S3Error
from regionshift.errors import InputError, Refused, RegionshiftError
from regionshift.function.answer import AWS_PROBLEMS, Answer, code_of
from regionshift.function.checks import Check, Subject, check_bucket, check_encryption
from regionshift.function.clients import FunctionClients, object_migrations
from regionshift.function.configuration import ConfigurationError, FunctionConfiguration, read_configuration
from regionshift.function.request import FunctionRequest, RefusedError
from regionshift.function.surroundings import ActionContext, Variables, utc_now
from regionshift.waiting import Waiter

_RESERVE_MS = 15_000
"""Kept at the end of a call for what is begun already, its record, and the reports."""
# What the objects and the records of every migration into the region rest on.
_CHECKS: Mapping[str, Check] = {"s3_bucket": check_bucket, "encryption": check_encryption}


def own_migrations(surroundings: ActionContext, routes: Sequence[Route] = ()) -> Migrations:
    """Migrations within the region's own bucket, with the function's own rights.

    Args:
        routes: what the settings name beside.

    Raises:
        RefusedError: 501, this function knows of no key for their records.
    """
    variables, invocation, clients = surroundings.variables, surroundings.invocation, surroundings.clients
    own = own_bucket(variables.region, variables.deployment_bucket)
    made = object_migrations(
        clients.transport,
        variables.region,
        _seals(clients, variables),
        Bounds(variables.deployment_bucket, (own, *routes)),
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
    # Half of the time that is left; the other half is for what follows.
    waiter = Waiter(max(0, surroundings.invocation.remaining_ms() - _RESERVE_MS) / 2000)
    return Executions(records, surroundings.clients.stepfunctions, machine, waiter)


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


def record_key(migration_id: str) -> str:
    """``migrations/{id}/metadata.json``; the id was checked when the request was parsed."""
    return f"migrations/{migration_id}/metadata.json"


def require_record(request: FunctionRequest, surroundings: ActionContext) -> None:
    """See that the migration has a record.

    Raises:
        RefusedError: 404, naming the id.
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: it cannot be seen.
    """
    assert request.migration_id is not None, "only validate comes without an id"
    try:
        surroundings.clients.s3.head_object(
            Bucket=surroundings.variables.deployment_bucket, Key=record_key(request.migration_id)
        )
    except ClientError as problem:
        if code_of(problem) not in ("404", "NoSuchKey"):
            raise
        raise RefusedError(
            404, "NoSuchMigration", f"migration_id {request.migration_id} has no record."
        ) from problem


def require_valid_target(
    request: FunctionRequest, surroundings: ActionContext, configuration: FunctionConfiguration
) -> None:
    """Ask the checks of the region's bucket and key, when the configuration wants it.

    Raises:
        RefusedError: 409, one of them is false; it is named.
    """
    if configuration.enable_validation is not True:
        return
    subject = Subject(
        surroundings.variables,
        surroundings.clients,
        configuration=lambda: configuration,
        announce=lambda: surroundings.announce(request),
    )
    with ThreadPoolExecutor(len(_CHECKS)) as pool:
        asked = {name: pool.submit(check, subject) for name, check in _CHECKS.items()}
    for name, answered in asked.items():
        for finding in answered.result():
            if finding.ok is False:
                raise RefusedError(
                    409,
                    "TargetNotValid",
                    f"The target does not validate: {name}: {finding.asked}: {finding.answer}."
                    " Nothing was copied; fix it and call again.",
                )
