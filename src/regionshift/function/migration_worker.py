"""The worker's entry, in the zip ``migration_worker.handler``: what the state machine calls.

``{"step": "copy", "migration_id", "batch"}`` runs one line of the manifest; ``plan`` (with ``entries`` and
``level``) records a plan, ``finish`` adds up, ``undo`` (with ``reason``) takes back. The answer says whether
there is ``more`` to do, and then the same call is made again. No value of a secret is in either.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from regionshift.carriers.carrier import Level
from regionshift.carriers.lines import read_entry
from regionshift.carriers.migration import Migrations
from regionshift.carriers.records import Layout, RecordStore
from regionshift.function.carrying import all_carriers, of_session
from regionshift.function.surroundings import Invocation, utc_now

SERVICE = "migration-worker"
_RESERVE_MS = 30_000
"""Kept at the end of a call for what is begun already: its proof, its record and the answer."""

Answer = dict[str, Any]
Step = Callable[[Migrations, Mapping[str, Any], Callable[[], bool]], Answer]


def handler(event: Mapping[str, Any], context: object) -> Answer:
    """One step of one migration; errors go to the state machine, which tries again.

    Raises:
        RegionshiftError, botocore.exceptions.ClientError: the step failed as a whole.
    """
    invocation = Invocation.of(context)
    migrations = _migrations(os.environ["REGION"], os.environ["DEPLOYMENT_BUCKET"])
    step = event.get("step", "copy")
    answer = _STEPS[step](migrations, event, lambda: invocation.remaining_ms() > _RESERVE_MS)
    answer = {"migration_id": event["migration_id"], "step": step, **answer}
    Logger(service=SERVICE).info("step done", extra=answer)
    return answer


@lru_cache(maxsize=1)
def _migrations(region: str, bucket: str) -> Migrations:
    """Kept for as long as Lambda keeps the process: connections and clients are made once."""
    session = boto3.session.Session(region_name=region)
    transport = of_session(session, os.environ).transport()
    return Migrations(RecordStore(transport, region, bucket), all_carriers(transport, session), utc_now)


def _plan(migrations: Migrations, event: Mapping[str, Any], _has_time: Callable[[], bool]) -> Answer:
    entries = [read_entry(line) for line in event["entries"]]
    metadata = migrations.begin(event["migration_id"], entries, Level(event["level"]))
    return {"batches": metadata["batches"], "more": False}


def _copy(migrations: Migrations, event: Mapping[str, Any], has_time: Callable[[], bool]) -> Answer:
    answer = migrations.run_batch(event["migration_id"], event["batch"], has_time)
    return {"batch": answer.batch, "more": answer.more, "counts": dict(answer.counts)}


def _finish(migrations: Migrations, event: Mapping[str, Any], _has_time: Callable[[], bool]) -> Answer:
    migration_id = event["migration_id"]
    if migrations.store.exists(Layout(migration_id).stop):
        # Somebody stopped it to go on later, or to take it back by hand: neither is a failure to act on.
        return {"status": "stopped", "counts": {}, "more": False}
    metadata = migrations.finish(migration_id)
    return {"status": metadata["status"], "counts": metadata["counts"], "more": False}


def _undo(migrations: Migrations, event: Mapping[str, Any], has_time: Callable[[], bool]) -> Answer:
    record = migrations.rollback(event["migration_id"], event.get("reason", ""), has_time)
    return {"status": record["status"], "counts": record["counts"], "more": record["status"] != "completed"}


_STEPS: Mapping[str, Step] = {"plan": _plan, "copy": _copy, "finish": _finish, "undo": _undo}
