"""``config_key``: a document in the deployment bucket that says what the call leaves open."""

from __future__ import annotations

import json
from dataclasses import replace

from botocore.exceptions import ClientError

from regionshift.function.problems import code_of
from regionshift.function.request import MIGRATE, FunctionRequest, MigrationEnd, RefusedError, parse
from regionshift.function.surroundings import ActionContext

_FIELDS = ("source", "target", "source_prefix", "target_prefix")
ABSENT = ("404", "NoSuchKey", "NotFound")
"""S3's codes for an object that is not there."""


def with_document(request: FunctionRequest, surroundings: ActionContext) -> FunctionRequest:
    """The request, with what it leaves open taken from the document that ``config_key`` names; but no label.

    Raises:
        RefusedError: 404, it is not there; 400, it is no JSON object, or a field of it is wrong.
    """
    if request.config_key is None:
        return request
    try:
        body = surroundings.clients.s3.get_object(
            Bucket=surroundings.variables.deployment_bucket, Key=request.config_key
        )["Body"].read()
    except ClientError as problem:
        if code_of(problem) not in ABSENT:
            raise
        raise RefusedError(
            404, "NoSuchObject", f"config_key {request.config_key} is not in the deployment bucket."
        ) from problem
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(400, "InvalidField", "config_key does not name a JSON document.") from None
    if not isinstance(document, dict):
        raise RefusedError(400, "InvalidField", "config_key does not name a JSON object.")
    known = {name: document[name] for name in _FIELDS if name in document}
    read = parse({**known, "action": MIGRATE, "migration_id": request.migration_id})
    return replace(
        request,
        source=_merged(request.source, read.source),
        target=_merged(request.target, read.target),
        keys=request.keys or read.keys,
    )


def without_values(refused: RefusedError) -> RefusedError:
    """The refusal of what a document asks for, without any of it.

    ``config_key`` names any object of the bucket, and who may call the function need not be allowed to read there.
    """
    return RefusedError(
        refused.status_code,
        refused.code,
        "What the document under config_key asks for is refused, and none of it is repeated: put its fields into the"
        " call itself to see which.",
    )


def _merged(asked: MigrationEnd, document: MigrationEnd) -> MigrationEnd:
    return MigrationEnd(
        bucket=asked.bucket if asked.bucket is not None else document.bucket,
        prefix=asked.prefix if asked.prefix is not None else document.prefix,
        region=asked.region if asked.region is not None else document.region,
        label=asked.label,
    )
