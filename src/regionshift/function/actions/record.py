"""Where a migration's record stands in the deployment bucket."""

from __future__ import annotations

from botocore.exceptions import ClientError

from regionshift.function.problems import code_of
from regionshift.function.request import FunctionRequest, RefusedError
from regionshift.function.surroundings import ActionContext


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
