"""``migrate``: copy within the region's own bucket here and now; from elsewhere, by the state machine."""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from regionshift.carriers.carrier import Entry, Level, Place
from regionshift.carriers.lines import entry_line, place_line
from regionshift.carriers.migration import Metadata, Migrations, Progressed
from regionshift.carriers.records import OWNED, Layout
from regionshift.errors import RegionshiftError
from regionshift.function.actions import naming
from regionshift.function.actions.carried import (
    has_time,
    numbers,
    own_migrations,
    start_machine,
    tell_start,
    told,
)
from regionshift.function.answer import Answer
from regionshift.function.configuration import ConfigurationError, read_configuration
from regionshift.function.problems import code_of
from regionshift.function.request import MIGRATE, RefusedError, Request, parse
from regionshift.function.request import Place as Asked
from regionshift.function.surroundings import Surroundings

_ABSENT = ("404", "NoSuchKey", "NotFound")


def migrate(request: Request, surroundings: Surroundings) -> Answer:
    """200 all done; 202 more is left, or the state machine has it; 4xx refused; 500 failed and undone."""
    request = _with_document(request, surroundings)
    variables = surroundings.variables
    own = naming.Own(variables.region, variables.deployment_bucket)
    source, target, on_failure, kms_key = _places(request, surroundings, own)
    entries = _entries(request, own, source, target, kms_key)
    _require_keys(request, surroundings, source)
    try:
        if own.has(source) and own.has(target):
            return _here(request, surroundings, entries, (source, target))
        return _elsewhere(request, surroundings, entries, on_failure)
    except RegionshiftError as error:
        return told(request, error)


def _with_document(request: Request, surroundings: Surroundings) -> Request:
    """The request, with what it leaves open taken from the document that ``config_key`` names."""
    if request.config_key is None:
        return request
    try:
        body = surroundings.clients.s3.get_object(
            Bucket=surroundings.variables.deployment_bucket, Key=request.config_key
        )["Body"].read()
    except ClientError as problem:
        if code_of(problem) not in _ABSENT:
            raise
        raise RefusedError(
            404, "NoSuchObject", f"config_key {request.config_key} is not in the deployment bucket."
        ) from problem
    try:
        document = json.loads(body)
    except ValueError:
        raise RefusedError(400, "InvalidField", "config_key does not name a JSON document.") from None
    if not isinstance(document, dict):
        raise RefusedError(400, "InvalidField", "config_key does not name a JSON object.")
    read = parse({**document, "action": MIGRATE, "migration_id": request.migration_id})
    return replace(
        request,
        source=_merged(request.source, read.source),
        target=_merged(request.target, read.target),
        keys=request.keys or read.keys,
    )


def _merged(asked: Asked, document: Asked) -> Asked:
    return Asked(
        bucket=asked.bucket if asked.bucket is not None else document.bucket,
        prefix=asked.prefix if asked.prefix is not None else document.prefix,
        region=asked.region if asked.region is not None else document.region,
        label=asked.label if asked.label is not None else document.label,
    )


def _places(
    request: Request, surroundings: Surroundings, own: naming.Own
) -> tuple[Place, Place, str, str | None]:
    """Source, target, and what the settings say: ``rollback`` or ``stop`` for one that fails, a key of their own."""
    source_here, target_here = (naming.is_own(own, asked) for asked in (request.source, request.target))
    if source_here and target_here:
        source = naming.in_own_bucket(own, request.source, "source")
        # What is copied by the call itself is undone by it: nobody else would.
        return source, naming.in_own_bucket(own, request.target, "target"), "rollback", None
    try:
        configuration = read_configuration(surroundings.variables, surroundings.clients)
    except ConfigurationError as problem:
        # What cannot be seen to be named is not named.
        raise RefusedError(403, "NotNamed", f"What the settings name cannot be read: {problem}.") from problem
    if source_here:
        source = naming.in_own_bucket(own, request.source, "source")
    else:
        source = naming.named_source(own, request.source, configuration)
    if target_here:
        target = naming.in_own_bucket(own, request.target, "target")
        naming.require_writable(own, target, configuration)
    else:
        target = naming.named_target(own, request.target, configuration)
    return source, target, configuration.on_failure, naming.key_of(own, target, configuration)


def _entries(
    request: Request, own: naming.Own, source: Place, target: Place, kms_key: str | None
) -> list[Entry]:
    """One entry, or none at all when the request names nothing to carry.

    Raises:
        RefusedError: 400, source and target are the same place.
    """
    named = [
        field
        for asked in (request.source, request.target)
        for field in (asked.bucket, asked.prefix, asked.region)
        if field is not None
    ]
    if source == target:
        if named or request.keys:
            raise RefusedError(
                400, "InvalidField", f"source and target are the same: {source.bucket}/{source.prefix}."
            )
        return []
    return [
        Entry(
            "s3",
            source,
            target,
            # A pattern in which every character stands for itself.
            include=tuple(glob.escape(key.removeprefix(source.prefix)) for key in request.keys),
            kms_key=kms_key,
            owned=OWNED if own.has(source) else (),
        )
    ]


def _require_keys(request: Request, surroundings: Surroundings, source: Place) -> None:
    """Objects that are named one by one are there.

    Raises:
        RefusedError: 400, a key is outside of the prefix; 404, it is not there. Both name it.
    """
    for key in request.keys:
        if not key.startswith(source.prefix) or key.startswith(OWNED):
            raise RefusedError(400, "InvalidField", f"source.keys: {key} is not under {source.prefix!r}.")
        if source.bucket != surroundings.variables.deployment_bucket:
            continue  # only the worker may look there: it names what is missing, and does not complete
        try:
            surroundings.clients.s3.head_object(Bucket=source.bucket, Key=key)
        except ClientError as problem:
            if code_of(problem) not in _ABSENT:
                raise
            raise RefusedError(404, "NoSuchObject", f"source.keys: {key} is not there.") from problem


def _elsewhere(request: Request, surroundings: Surroundings, entries: list[Entry], on_failure: str) -> Answer:
    tell_start(request, surroundings)
    execution = start_machine(
        request,
        surroundings,
        "plan",
        entries=[entry_line(entry) for entry in entries],
        level=Level.FULL.value,
        keys=list(request.keys),
        on_failure=on_failure,
    )
    return Answer(
        202,
        request.action,
        f"Migration {request.migration_id} runs in the state machine.",
        fields={"execution": execution},
        migration_id=request.migration_id,
    )


def _here(
    request: Request, surroundings: Surroundings, entries: list[Entry], places: tuple[Place, Place]
) -> Answer:
    migrations = own_migrations(surroundings)
    done: dict[int, int] = {}

    def watch(progressed: Progressed) -> None:
        counts = progressed.answer.counts
        done[progressed.answer.batch] = counts.get("proven", 0) + counts.get("failed", 0)

    migrations = replace(migrations, watch=watch)
    migration_id = str(request.migration_id)
    metadata = migrations.begin(migration_id, entries, Level.FULL)
    tell_start(request, surroundings)
    if metadata["status"] != "completed":
        if not migrations.run(migration_id, has_time(surroundings)):
            return _more(request, metadata, sum(done.values()))
        metadata = migrations.finish(migration_id)
        if not entries:
            metadata = _labelled(request, migrations, metadata, places)
    if metadata["status"] == "completed":
        return _done(request, metadata)
    return _undone(request, surroundings, migrations, metadata)


def _more(request: Request, metadata: Metadata, done: int) -> Answer:
    planned = metadata["plan"]["new"] + metadata["plan"]["changed"]
    return Answer(
        202,
        request.action,
        f"Migration {request.migration_id}: {planned - done} of {planned} objects are left;"
        " call again with the same id.",
        fields={"left": planned - done, "counts": {"done": done, "left": planned - done}},
        migration_id=request.migration_id,
    )


def _labelled(
    request: Request, migrations: Migrations, metadata: Metadata, places: tuple[Place, Place]
) -> Metadata:
    """Nothing is carried: the record says what the two ends were called."""
    ends: dict[str, Any] = {}
    for end, asked, place in zip(("source", "target"), (request.source, request.target), places, strict=True):
        ends[end] = place_line(place) | ({"label": asked.label} if asked.label is not None else {})
    metadata = metadata | ends
    migrations.store.put_json(Layout(metadata["migration_id"]).metadata, metadata)
    return metadata


def _done(request: Request, metadata: Metadata) -> Answer:
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
    request: Request, surroundings: Surroundings, migrations: Migrations, metadata: Metadata
) -> Answer:
    """What was written goes back, in the same call as far as the time lasts."""
    problems, conflicts = metadata["problems"], metadata["plan"]["conflict"]
    record = migrations.rollback(
        str(request.migration_id), "the migration could not be proven", has_time(surroundings)
    )
    what = (
        f"{len(problems)} objects could not be copied and proven ({_named(problems)})"
        if problems
        else f"{conflicts} objects cannot be carried ({_named(metadata['conflicts'])})"
    )
    return Answer(
        500 if problems else 409,
        request.action,
        f"Migration {request.migration_id}: {what}; what was written is taken back.",
        code="CopyFailed" if problems else "Conflict",
        fields={
            "counts": numbers(metadata["counts"]),
            "problems": problems,
            "rollback": {"status": record["status"], "counts": record["counts"]},
        },
        migration_id=request.migration_id,
    )


def _named(items: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{each['key']}: {each['reason']}" for each in items[:3])
