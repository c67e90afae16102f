"""``rollback``: take back what a migration into this region wrote."""

from __future__ import annotations

from dataclasses import replace

from regionshift.carriers.migration import Metadata
from regionshift.errors import RegionshiftError
from regionshift.function.actions.carried import has_time, own_migrations, start_machine, tell_start, told
from regionshift.function.actions.record import require_record
from regionshift.function.answer import Answer
from regionshift.function.request import RefusedError, Request
from regionshift.function.surroundings import Surroundings


def rollback(request: Request, surroundings: Surroundings) -> Answer:
    """200 done, 202 more is left or the state machine has it, 404 no record of this region."""
    require_record(request, surroundings)
    try:
        return _take_back(request, surroundings)
    except RegionshiftError as error:
        return told(request, error)


def _take_back(request: Request, surroundings: Surroundings) -> Answer:
    migrations, migration_id = own_migrations(surroundings), str(request.migration_id)
    metadata = migrations.metadata(migration_id)
    region = metadata.get("region", surroundings.variables.region)
    if region != surroundings.variables.region:
        raise RefusedError(
            404, "NoSuchMigration", f"migration_id {migration_id} has its record in {region}, not here."
        )
    migrations.require_free(migration_id)
    tell_start(request, surroundings)
    if not _is_own(metadata, surroundings.variables.deployment_bucket):
        execution = start_machine(request, surroundings, "undo")
        sentence = f"Rollback of {migration_id} runs in the state machine."
        return _answer(request, 202, sentence, {"execution": execution.arn})
    record = migrations.rollback(migration_id, request.reason or "", has_time(surroundings))
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


def _is_own(metadata: Metadata, bucket: str) -> bool:
    """Whether everything that was written lies in the region's own bucket."""
    entries = [part["entry"] for part in metadata.get("entries", ())]
    return all(entry["kind"] == "s3" and entry["target"]["bucket"] == bucket for entry in entries)


def _answer(request: Request, status: int, sentence: str, fields: dict[str, object]) -> Answer:
    return Answer(status, request.action, sentence, fields=fields, migration_id=request.migration_id)
