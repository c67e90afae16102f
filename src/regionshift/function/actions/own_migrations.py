"""Shared by ``migrate`` and ``rollback``: the region's own migrations, their checks, and answers to failures."""

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
from regionshift.carriers.records import Layout, MigrationRecords
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
"""Reserved at the end of a call for running items, their record, and the reports."""
# The bucket and the key of all objects and records of migrations into the region.
_CHECKS: Mapping[str, Check] = {"s3_bucket": check_bucket, "encryption": check_encryption}


def own_migrations(surroundings: ActionContext, routes: Sequence[Route] = ()) -> Migrations:
    """Return the migrations within the region's own bucket, with the function's own rights.

    Args:
        routes: more routes, from the settings.

    Raises:
        RefusedError: 501, this function has no key for records.
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
    # Another call may roll the migration back while this one copies.
    return replace(made, call_seconds=lambda: invocation.remaining_ms() / 1000)


@lru_cache(maxsize=1)
def _seals(clients: FunctionClients, variables: Variables) -> Seals:
    """Return the seals. They are kept with the process's clients, so that KMS is asked once."""
    if not variables.records_key_arn:
        raise RefusedError(501, "NotImplemented", "This function has no key for its records.")
    ask = by_kms(clients.kms.generate_mac, variables.records_key_arn)
    return Seals(ask, variables.region, variables.deployment_bucket, utc_now)


def require_configuration(surroundings: ActionContext, status: int, code: str) -> FunctionConfiguration:
    """Return the configuration.

    Raises:
        RefusedError: with ``status`` and ``code``: it cannot be read.
    """
    try:
        return read_configuration(surroundings.variables, surroundings.clients)
    except ConfigurationError as problem:
        raise RefusedError(status, code, f"The configuration cannot be read: {problem}.") from problem


def has_time(surroundings: ActionContext) -> Callable[[], bool]:
    """Return a function: whether there is time to start another item."""
    return lambda: surroundings.invocation.remaining_ms() > _RESERVE_MS


def announce_start(request: FunctionRequest, surroundings: ActionContext) -> None:
    """Publish the start. When the topic does not answer, the migration continues."""
    try:
        surroundings.announce(request)
    except AWS_PROBLEMS:
        surroundings.logger.exception("The notification of the start could not be sent.")


def start_machine(
    request: FunctionRequest, surroundings: ActionContext, step: str, **fields: Any
) -> Execution:
    """Start the region's state machine, or return the execution that runs for this migration already.

    Raises:
        RefusedError: 501, this function has no state machine.
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: it could not be started.
    """
    executions = _executions(request, surroundings)
    return executions.start(step, **{"on_failure": "rollback", "reason": request.reason or "", **fields})


def require_no_copying(request: FunctionRequest, surroundings: ActionContext) -> None:
    """Check that no execution of the command still copies for this migration.

    A stopped execution skips the remaining batches. If this call removed the stop flag, that execution would report
    these batches as missing.

    Raises:
        RefusedError: 409, an execution copies; 501, this function has no state machine.
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: the executions cannot be read.
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
    # Half of the remaining time; the other half is for the work.
    waiter = Waiter(max(0, surroundings.invocation.remaining_ms() - _RESERVE_MS) / 2000)
    return Executions(records, surroundings.clients.stepfunctions, machine, waiter)


def failure_answer(request: FunctionRequest, error: RegionshiftError) -> Answer:
    """Return a carrier's error as an answer: 4xx when nothing was done and another request could succeed."""
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


def require_record(request: FunctionRequest, surroundings: ActionContext) -> None:
    """Check that the migration has a record.

    Raises:
        RefusedError: 404, naming the id.
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: the record cannot be read.
    """
    assert request.migration_id is not None, "only validate comes without an id"
    try:
        surroundings.clients.s3.head_object(
            Bucket=surroundings.variables.deployment_bucket, Key=Layout(request.migration_id).metadata
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
    """Check the region's bucket and key, unless the configuration turns validation off.

    Raises:
        RefusedError: 409, naming the check that failed.
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
                    f"The target fails a check: {name}: {finding.asked}: {finding.answer}."
                    " Nothing was copied; fix it and call again.",
                )
