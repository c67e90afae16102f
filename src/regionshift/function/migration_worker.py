"""The worker's entry, in the zip ``migration_worker.handler``: what the state machine calls.

``{"step": "copy", "migration_id", "batch"}`` runs one line of the manifest; ``plan`` (with ``entries``,
``level`` and ``keys``, which must all be there) records a plan, ``finish`` adds up, ``undo`` (with
``reason``) takes back. The answer says whether there is ``more`` to do, and then the same call is made
again. No value of a secret is in either.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from regionshift.carriers.carrier import Level
from regionshift.carriers.lines import read_entry
from regionshift.carriers.migration import Migrations
from regionshift.carriers.records import RecordStore
from regionshift.function.carrying import all_carriers, of_session
from regionshift.function.clients import PATIENCE
from regionshift.function.notification import Notification, log_group_link, send_notification
from regionshift.function.problems import AWS_PROBLEMS
from regionshift.function.surroundings import Invocation, utc_now

SERVICE = "migration-worker"
_RESERVE_MS = 30_000
"""Kept at the end of a call for what is begun already: its proof, its record and the answer."""

Answer = dict[str, Any]
Tell = Callable[[str, str, str, Mapping[str, int]], None]
"""Told of an end: the event (migrate, rollback), the migration, its status, the counts."""


def handler(event: Mapping[str, Any], context: object) -> Answer:
    """One step of one migration; errors go to the state machine, which tries again.

    Raises:
        RegionshiftError, botocore.exceptions.ClientError: the step failed as a whole.
    """
    invocation = Invocation.of(context)
    region = os.environ["REGION"]
    migrations = replace(
        _migrations(region, os.environ["DEPLOYMENT_BUCKET"]),
        call_seconds=lambda: invocation.remaining_ms() / 1000,
    )
    step = event.get("step", "copy")
    worker = Worker(migrations, _teller(region, os.environ))
    answer = worker.run(step, event, lambda: invocation.remaining_ms() > _RESERVE_MS)
    answer = {"migration_id": event["migration_id"], "step": step, **answer}
    Logger(service=SERVICE).info("step done", extra=answer)
    return answer


@lru_cache(maxsize=1)
def _migrations(region: str, bucket: str) -> Migrations:
    """Kept for as long as Lambda keeps the process: connections and clients are made once."""
    session = boto3.session.Session(region_name=region)
    transport = of_session(session, os.environ).transport()
    return Migrations(RecordStore(transport, region, bucket), all_carriers(transport, session), utc_now)


@dataclass(frozen=True)
class Worker:
    """The steps of migrations.

    Args:
        tell: told when a migration or a rollback has come to its end.
    """

    migrations: Migrations
    tell: Tell

    def run(self, step: str, event: Mapping[str, Any], has_time: Callable[[], bool]) -> Answer:
        """One step; ``plan``, ``copy``, ``finish`` or ``undo``."""
        steps = {"plan": self._plan, "copy": self._copy, "finish": self._finish, "undo": self._undo}
        return steps[step](event, has_time)

    def _plan(self, event: Mapping[str, Any], _has_time: Callable[[], bool]) -> Answer:
        entries = [read_entry(line) for line in event["entries"]]
        metadata = self.migrations.begin(event["migration_id"], entries, Level(event["level"]))
        if event.get("keys"):
            self.migrations.require_keys(event["migration_id"], event["keys"])
        return {"batches": metadata["batches"], "more": False}

    def _copy(self, event: Mapping[str, Any], has_time: Callable[[], bool]) -> Answer:
        answer = self.migrations.run_batch(event["migration_id"], event["batch"], has_time)
        return {"batch": answer.batch, "more": answer.more, "counts": dict(answer.counts)}

    def _finish(self, event: Mapping[str, Any], _has_time: Callable[[], bool]) -> Answer:
        migration_id = event["migration_id"]
        metadata = self.migrations.finish_unless_stopped(migration_id)
        if metadata is None:
            # To go on later, or to take it back by hand: neither is a failure to act on.
            return {"status": "stopped", "counts": {}, "more": False}
        self.tell("migrate", migration_id, metadata["status"], metadata["counts"])
        return {"status": metadata["status"], "counts": metadata["counts"], "more": False}

    def _undo(self, event: Mapping[str, Any], has_time: Callable[[], bool]) -> Answer:
        migration_id = event["migration_id"]
        record = self.migrations.rollback(migration_id, event.get("reason", ""), has_time)
        done = record["status"] == "completed"
        if done:
            self.tell("rollback", migration_id, record["status"], record["counts"])
        return {"status": record["status"], "counts": record["counts"], "more": not done}


def _teller(region: str, env: Mapping[str, str]) -> Tell:
    """Sends the notification; a topic that does not answer stops no migration."""

    def tell(event: str, migration_id: str, status: str, counts: Mapping[str, int]) -> None:
        topic = env.get("NOTIFICATION_TOPIC")
        if not topic:
            return
        notification = Notification(
            event=event,
            environment=env.get("ENVIRONMENT", ""),
            region=region,
            status="success" if status == "completed" else "error",
            time=utc_now().isoformat(),
            summary=f"The {_NOUNS[event]} {migration_id} in {region} ended as {status}.",
            link=log_group_link(region, env.get("AWS_LAMBDA_LOG_GROUP_NAME", "")),
            migration_id=migration_id,
            counts=dict(counts),
        )
        try:
            send_notification(_topics(region), topic, notification)
        except AWS_PROBLEMS:
            Logger(service=SERVICE).exception("The end could not be told.")

    return tell


_NOUNS = {"migrate": "migration", "rollback": "rollback of"}


@lru_cache(maxsize=1)
def _topics(region: str) -> Any:
    return boto3.session.Session(region_name=region).client("sns", config=PATIENCE)
