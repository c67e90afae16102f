"""``rollback``: undo the writes of a migration into this region."""

from __future__ import annotations

from dataclasses import replace

from regionshift.carriers.migration import Metadata, Migration
from regionshift.carriers.summary import entries_of
from regionshift.errors import RegionshiftError
from regionshift.function.actions import allowed_places
from regionshift.function.actions.own_migrations import (
    announce_start,
    failure_answer,
    has_time,
    own_migrations,
    require_configuration,
    require_record,
    start_machine,
)
from regionshift.function.answer import Answer
from regionshift.function.request import FunctionRequest, RefusedError
from regionshift.function.surroundings import ActionContext


def rollback(request: FunctionRequest, surroundings: ActionContext) -> Answer:
    """Return 200: done; 202: call again, or the state machine runs it; 404: this region has no such record."""
    require_record(request, surroundings)
    try:
        return _take_back(request, surroundings)
    except RegionshiftError as error:
        return failure_answer(request, error)


def _take_back(request: FunctionRequest, surroundings: ActionContext) -> Answer:
    migration_id = str(request.migration_id)
    migration = own_migrations(surroundings).of(migration_id)
    metadata = migration.metadata()
    region = metadata.get("region", surroundings.variables.region)
    if region != surroundings.variables.region:
        raise RefusedError(
            404, "NoSuchMigration", f"migration_id {migration_id} has its record in {region}, not here."
        )
    migration = _within_bounds(surroundings, migration, metadata)
    migration.require_free()
    announce_start(request, surroundings)
    if not _is_own(metadata, surroundings.variables.deployment_bucket):
        execution = start_machine(request, surroundings, "undo")
        sentence = f"Rollback of {migration_id} runs in the state machine."
        return _answer(request, 202, sentence, {"execution": execution.arn})
    record = migration.rollback(request.reason or "", has_time(surroundings))
    fields = {name: record[name] for name in ("counts", "conflicts", "original_migration", "reason")}
    if record.get("waiting"):
        sentence = f"Rollback of {migration_id} waits for a call that is still copying; call again."
        return _answer(request, 202, sentence, fields)
    if record["status"] != "completed":
        sentence = f"Rollback of {migration_id} has more to do; call again with the same id."
        return _answer(request, 202, sentence, fields)
    kept = f"; {len(record['conflicts'])} were changed since and left alone" if record["conflicts"] else ""
    answer = _answer(request, 200, f"Migration {migration_id} is rolled back{kept}.", fields)
    return replace(answer, partly=bool(kept))


def _within_bounds(surroundings: ActionContext, migration: Migration, metadata: Metadata) -> Migration:
    """Return the migration with bounds for its objects. The worker checks parameters and secrets.

    Raises:
        OutOfBounds: the settings do not name its places today.
        RefusedError: 403, the configuration cannot be read.
    """
    variables = surroundings.variables
    own = allowed_places.Own(variables.region, variables.deployment_bucket)
    entries = [entry for entry in entries_of(metadata) if entry.kind == "s3"]
    here = (own.region, own.bucket)
    ends = [place for entry in entries for place in (entry.source, entry.target)]
    if any((place.region, place.bucket) != here for place in ends):
        configuration = require_configuration(surroundings, 403, "NotNamed")
        migration = own_migrations(surroundings, allowed_places.routes(own, configuration)).of(
            migration.records.id
        )
    migration.means.bounds.require(entries, metadata["migration_id"])
    return migration


def _is_own(metadata: Metadata, bucket: str) -> bool:
    """Whether all writes are in the region's own bucket."""
    entries = [part["entry"] for part in metadata.get("entries", ())]
    return all(entry["kind"] == "s3" and entry["target"]["bucket"] == bucket for entry in entries)


def _answer(request: FunctionRequest, status: int, sentence: str, fields: dict[str, object]) -> Answer:
    return Answer(status, request.action, sentence, fields=fields, migration_id=request.migration_id)
