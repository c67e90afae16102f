"""``migrate``: copy within the region's own bucket in this call, and between other places by the state machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from regionshift.carriers.carrier import DataLocation, Entry, Level
from regionshift.carriers.lines import dump, entry_line, place_line
from regionshift.carriers.migration import Metadata, Migration, Progressed
from regionshift.carriers.plan import Asked
from regionshift.errors import RegionshiftError
from regionshift.function.actions import allowed_places
from regionshift.function.actions.own_migrations import (
    announce_start,
    failure_answer,
    has_time,
    own_migrations,
    require_configuration,
    require_no_copying,
    require_valid_target,
    start_machine,
)
from regionshift.function.answer import Answer, code_of, numbers
from regionshift.function.request import (
    LARGEST_EVENT,
    MIGRATE,
    FunctionRequest,
    MigrationEnd,
    RefusedError,
    parse,
)
from regionshift.function.surroundings import ActionContext

_FIELDS = ("source", "target", "source_prefix", "target_prefix")
_KEYS_AT_ONCE = 10  # as many connections as a client keeps
ABSENT = ("404", "NoSuchKey", "NotFound")
"""S3's codes for a missing object."""


def with_document(request: FunctionRequest, surroundings: ActionContext) -> FunctionRequest:
    """Return the request with missing fields, except labels, from the document ``config_key``.

    Raises:
        RefusedError: 404, no such document; 400, it is not a JSON object, or one of its fields is wrong.
    """
    if request.config_key is None:
        return request
    try:
        body = surroundings.clients.s3.get_object(
            Bucket=surroundings.variables.deployment_bucket, Key=request.config_key
        )["Body"].read(LARGEST_EVENT + 1)
    except ClientError as problem:
        if code_of(problem) not in ABSENT:
            raise
        raise RefusedError(
            404, "NoSuchObject", f"config_key {request.config_key} is not in the deployment bucket."
        ) from problem
    if len(body) > LARGEST_EVENT:
        raise RefusedError(
            400, "InvalidField", f"config_key names a document of more than {LARGEST_EVENT:,} bytes."
        )
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
    """Return the refusal of a document without its contents.

    ``config_key`` can name any object of the bucket, and the caller may have no right to read it.
    """
    return RefusedError(
        refused.status_code,
        refused.code,
        "The document under config_key is refused. Its contents are not shown: put its fields into the call itself to"
        " see which one is wrong.",
    )


def _merged(asked: MigrationEnd, document: MigrationEnd) -> MigrationEnd:
    return MigrationEnd(
        bucket=asked.bucket if asked.bucket is not None else document.bucket,
        prefix=asked.prefix if asked.prefix is not None else document.prefix,
        region=asked.region if asked.region is not None else document.region,
        label=asked.label,
    )


def migrate(request: FunctionRequest, surroundings: ActionContext) -> Answer:
    """Return 200: done; 202: call again, or the state machine runs it; 4xx: refused; 500: failed and undone."""
    asked = with_document(request, surroundings)
    try:
        return _migrate(asked, surroundings)
    except RefusedError as refused:
        if asked == request:
            raise
        raise without_values(refused) from None


def _migrate(request: FunctionRequest, surroundings: ActionContext) -> Answer:
    own = allowed_places.Own(surroundings.variables.region, surroundings.variables.deployment_bucket)
    try:
        if allowed_places.is_own(own, request.source) and allowed_places.is_own(own, request.target):
            return _within(request, surroundings, own)
        return _from_elsewhere(request, surroundings, own)
    except RegionshiftError as error:
        return failure_answer(request, error)


def _within(request: FunctionRequest, surroundings: ActionContext, own: allowed_places.Own) -> Answer:
    entry = allowed_places.own_entry(own, request)
    if entry is None:
        return _here(request, surroundings, [])
    _require_keys(request, surroundings, entry)
    require_valid_target(request, surroundings, require_configuration(surroundings, 409, "TargetNotValid"))
    return _here(request, surroundings, [entry])


def _from_elsewhere(request: FunctionRequest, surroundings: ActionContext, own: allowed_places.Own) -> Answer:
    # Without the configuration, nothing counts as named.
    configuration = require_configuration(surroundings, 403, "NotNamed")
    entry = allowed_places.named_entry(own, request, configuration)
    _require_keys(request, surroundings, entry)
    require_valid_target(request, surroundings, configuration)
    return _elsewhere(request, surroundings, entry, configuration.on_failure)


def _require_keys(request: FunctionRequest, surroundings: ActionContext, entry: Entry) -> None:
    """Check that the requested keys exist, if the source is the deployment bucket. Otherwise the plan checks them.

    Raises:
        RefusedError: 404, naming the key.
    """
    bucket = entry.source.bucket
    if bucket != surroundings.variables.deployment_bucket:
        return
    s3 = surroundings.clients.s3

    def look(key: str) -> None:
        try:
            s3.head_object(Bucket=bucket, Key=key)
        except ClientError as problem:
            if code_of(problem) not in ABSENT:
                raise
            raise RefusedError(404, "NoSuchObject", f"source.keys: {key} does not exist.") from problem

    with ThreadPoolExecutor(_KEYS_AT_ONCE) as pool:
        list(pool.map(look, request.keys))


def _elsewhere(
    request: FunctionRequest, surroundings: ActionContext, entry: Entry, on_failure: str
) -> Answer:
    migration_id = str(request.migration_id)
    migration = own_migrations(surroundings).of(migration_id)
    known = migration.known([entry])
    if known and known["status"] == "completed":
        return _done(request, migration.finish())
    require_no_copying(request, surroundings)
    asked = migration.ask([entry], Level.FULL, request.keys)
    announce_start(request, surroundings)
    execution = start_machine(request, surroundings, "plan", asked=asked, on_failure=on_failure)
    # An execution that an earlier release began has the entries in its input.
    if execution.given.get("asked") != asked and execution.given.get("entries") != [entry_line(entry)]:
        raise RefusedError(
            409,
            "Conflict",
            f"Another migration with the id {migration_id} runs in {execution.arn}: use another id.",
        )
    return Answer(
        202,
        request.action,
        f"Migration {migration_id} runs in the state machine.",
        fields={"execution": execution.arn},
        migration_id=migration_id,
    )


def _here(request: FunctionRequest, surroundings: ActionContext, entries: list[Entry]) -> Answer:
    done: dict[int, int] = {}

    def watch(progressed: Progressed) -> None:
        counts = progressed.answer.counts
        done[progressed.answer.batch] = counts.get("proven", 0) + counts.get("failed", 0)

    migration = replace(own_migrations(surroundings), watch=watch).of(str(request.migration_id))
    metadata = migration.begin(entries, Level.FULL, asked=Asked(request.keys))
    announce_start(request, surroundings)
    if metadata["status"] != "completed":
        if not migration.run(has_time(surroundings)):
            return _more(request, metadata, sum(done.values()))
        # A rollback meanwhile waits for this call to end, or has stopped it.
        finished = migration.finish_unless_stopped()
        if finished is None:
            return _stopped(request)
        metadata = finished if entries else _labelled(request, surroundings, migration, finished)
    if metadata["status"] == "completed":
        return _done(request, metadata)
    return _undone(request, surroundings, migration, metadata)


def _more(request: FunctionRequest, metadata: Metadata, done: int) -> Answer:
    planned = metadata["plan"]["new"] + metadata["plan"]["changed"]
    return Answer(
        202,
        request.action,
        f"Migration {request.migration_id}: {planned - done} of {planned} objects are left;"
        " call again with the same id.",
        fields={"left": planned - done, "counts": {"done": done, "left": planned - done}},
        migration_id=request.migration_id,
    )


def _stopped(request: FunctionRequest) -> Answer:
    return Answer(
        202,
        request.action,
        f"Migration {request.migration_id} was stopped before it was finished; call again with the same id.",
        migration_id=request.migration_id,
    )


def _labelled(
    request: FunctionRequest, surroundings: ActionContext, migration: Migration, metadata: Metadata
) -> Metadata:
    """Add the labels of source and target to the record of a migration that carries nothing."""
    variables = surroundings.variables
    here = place_line(DataLocation(variables.region, variables.deployment_bucket))
    ends: dict[str, Any] = {
        end: here | ({"label": asked.label} if asked.label is not None else {})
        for end, asked in (("source", request.source), ("target", request.target))
    }
    store, name = migration.store, migration.records.metadata
    found = store.look(name)
    # A rollback since has changed the record.
    if found is not None and json.loads(found[0]) == metadata:
        labelled = dump(metadata | ends).encode() + b"\n"
        store.replace(name, labelled, found[1])
    return metadata | ends


def _done(request: FunctionRequest, metadata: Metadata) -> Answer:
    fields = {
        name: metadata[name]
        for name in ("counts", "bytes", "checksum", "started", "ended", "level", "source", "target")
    }
    copied = metadata["counts"].get("written", 0)
    return Answer(
        200,
        request.action,
        f"Migration {request.migration_id} is completed: {copied} objects, each proven.",
        fields=fields,
        migration_id=request.migration_id,
    )


def _undone(
    request: FunctionRequest, surroundings: ActionContext, migration: Migration, metadata: Metadata
) -> Answer:
    """Roll the migration back, as far as this call has time, and return the failure."""
    problems, conflicts = metadata["problems"], metadata["plan"]["conflict"]
    record = migration.rollback("the migration could not be proven", has_time(surroundings))
    what = (
        f"{len(problems)} objects could not be copied and proven ({_named(problems)})"
        if problems
        else f"{conflicts} objects cannot be carried ({_named(metadata['conflicts'])})"
    )
    return Answer(
        500 if problems else 409,
        request.action,
        f"Migration {request.migration_id}: {what}; {_went_back(record)}.",
        code="CopyFailed" if problems else "Conflict",
        fields={
            "counts": numbers(metadata["counts"]),
            "problems": problems,
            "rollback": {"status": record["status"], "counts": record["counts"]},
        },
        migration_id=request.migration_id,
    )


def _went_back(record: Metadata) -> str:
    if record["status"] != "completed":
        return "its rollback is not finished: call rollback with the same id"
    kept = f", except {len(record['conflicts'])} that were changed since" if record["conflicts"] else ""
    return f"all copies are rolled back{kept}"


def _named(items: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{each['item']}: {each['reason']}" for each in items[:3])
