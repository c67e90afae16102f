"""The worker's entry in Lambda, ``migration_worker.handler`` in the zip. The state machine calls it.

The event has a ``step``, a ``migration_id`` and the step's own fields:

- ``plan`` (``asked``: digest of the request's record) records a plan;
- ``copy`` (``batch``) runs one line of the manifest;
- ``finish`` (``on_failure``) adds up the results;
- ``undo`` (``reason``) rolls the migration back;
- ``failed`` (``what``, ``error``) reports a step that failed permanently.

When the answer says ``more``, the state machine makes the same call again. The answer to ``plan`` has the number of
``workers`` that may copy concurrently. A step that is ``refused`` would be refused again. Events and answers never
have the value of a secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Protocol

import boto3

from regionshift.carriers.bounds import Bounds, own_bucket
from regionshift.carriers.carrier import Level
from regionshift.carriers.executions import workers_in
from regionshift.carriers.kinds import all_carriers
from regionshift.carriers.lines import read_entry
from regionshift.carriers.migration import Migration, Migrations
from regionshift.carriers.plan import Asked, BeingPlanned
from regionshift.carriers.records import RecordStore
from regionshift.carriers.seals import Seals, by_kms
from regionshift.errors import InputError, Refused, RegionshiftError, without_credentials
from regionshift.function.answer import AWS_PROBLEMS
from regionshift.function.clients import PATIENCE, carrier_access, of_session, read_routes
from regionshift.function.notification import Notification, log_group_link, send_notification
from regionshift.function.surroundings import Invocation, logger_of, utc_now

SERVICE = "migration-worker"
_RESERVE_MS = 30_000
"""Reserved at the end of a call for running items: their proof, their record and the answer."""

_LONGEST_WHY = 10_000
"""Characters of a refusal (Step Functions API Reference, "DescribeExecution": a cause has at most 32,768)."""

Answer = dict[str, Any]


class Tell(Protocol):
    """Called when a migration or a rollback ends."""

    def __call__(
        self, event: str, migration_id: str, status: str, counts: Mapping[str, int], why: str = ""
    ) -> None:
        """``event``: migrate or rollback. ``status``: completed, partly, refused or failed."""


def handler(event: Mapping[str, Any], context: object) -> Answer:
    """Run one step of one migration. The state machine retries after an error.

    Raises:
        RegionshiftError, botocore.exceptions.ClientError: the step failed as a whole. The error becomes the
            execution's cause. If its text has credentials, another error of the same name is raised without them.
    """
    try:
        return _step(event, context)
    except Exception as error:
        said = without_credentials(str(error))
        if said == str(error):
            raise
        raise type(type(error).__name__, (Exception,), {})(said) from None


def _step(event: Mapping[str, Any], context: object) -> Answer:
    invocation = Invocation.of(context)
    region = os.environ["REGION"]
    migrations = replace(
        _migrations(
            region, os.environ["DEPLOYMENT_BUCKET"], os.environ["RECORDS_KEY_ARN"], os.environ["CARRY"]
        ),
        call_seconds=lambda: invocation.remaining_ms() / 1000,
        warn=logger_of(SERVICE).warning,
    )
    step = event.get("step", "copy")
    worker = Worker(migrations, _teller(region, os.environ), partial(_workers, region, os.environ))
    answer = worker.run(step, event, lambda: invocation.remaining_ms() > _RESERVE_MS)
    answer = {"migration_id": event["migration_id"], "step": step, **answer}
    logger_of(SERVICE).info("step done", extra=answer)
    return answer


@lru_cache(maxsize=1)
def _migrations(region: str, bucket: str, key: str, carry: str) -> Migrations:
    """Return the migrations. They are kept while Lambda keeps the process, with their connections and clients."""
    session = boto3.session.Session(region_name=region)
    access = of_session(session, os.environ)
    transport = access.transport()
    kms = session.client("kms", config=PATIENCE)
    store = RecordStore(
        transport, region, bucket, Seals(by_kms(kms.generate_mac, key), region, bucket, utc_now)
    )
    bounds = Bounds(bucket, (own_bucket(region, bucket), *read_routes(carry, region)))
    carriers = all_carriers(carrier_access(transport, session, access.waiter))
    return Migrations(store, carriers, bounds, utc_now)


@dataclass(frozen=True)
class Worker:
    """The steps of migrations.

    Args:
        tell: called when a migration or a rollback ends.
        workers: returns how many workers may copy concurrently.
    """

    migrations: Migrations
    tell: Tell
    workers: Callable[[], int] = lambda: 1

    def run(self, step: str, event: Mapping[str, Any], has_time: Callable[[], bool]) -> Answer:
        """Run one step: ``plan``, ``copy``, ``finish``, ``undo`` or ``failed``."""
        steps = {
            "plan": self._plan,
            "copy": self._copy,
            "finish": self._finish,
            "undo": self._undo,
            "failed": self._failed,
        }
        return steps[step](event, has_time)

    def _plan(self, event: Mapping[str, Any], _has_time: Callable[[], bool]) -> Answer:
        migration = self._migration(event)
        try:
            # An execution that an earlier release began has the request in its input.
            asked = event if "entries" in event else migration.asked(event["asked"])
            entries = [read_entry(line) for line in asked["entries"]]
            metadata = migration.begin(entries, Level(asked["level"]), asked=Asked(asked.get("keys") or ()))
        except BeingPlanned:
            raise  # temporary: the state machine retries
        except (InputError, Refused) as refused:
            return {**self._refused("migrate", event, refused), "batches": 0}
        # A completed migration is not copied again; only its end is reported.
        batches = 0 if metadata["status"] == "completed" else metadata["batches"]
        workers = self.workers() if batches else 1
        return {"status": "planned", "batches": batches, "workers": workers, "more": False}

    def _copy(self, event: Mapping[str, Any], has_time: Callable[[], bool]) -> Answer:
        answer = self._migration(event).run_batch(event["batch"], has_time)
        return {"batch": answer.batch, "more": answer.more, "counts": dict(answer.counts)}

    def _finish(self, event: Mapping[str, Any], _has_time: Callable[[], bool]) -> Answer:
        migration_id = event["migration_id"]
        goes_back = event.get("on_failure") != "stop"
        metadata = self._migration(event).finish_unless_stopped(goes_back=goes_back)
        if metadata is None:
            # The user stopped it, so it is not a failure.
            return {"status": "stopped", "counts": {}, "more": False}
        self.tell("migrate", migration_id, metadata["status"], metadata["counts"])
        return {"status": metadata["status"], "counts": metadata["counts"], "more": False}

    def _undo(self, event: Mapping[str, Any], has_time: Callable[[], bool]) -> Answer:
        migration_id = event["migration_id"]
        try:
            record = self._migration(event).rollback(event.get("reason", ""), has_time)
        except (InputError, Refused) as refused:
            return self._refused("rollback", event, refused)
        done, counts = record["status"] == "completed", record["counts"]
        if done:
            left = (
                f"{counts['conflict']} items were changed since and left alone" if record["conflicts"] else ""
            )
            self.tell("rollback", migration_id, "partly" if left else "completed", counts, left)
        return {"status": record["status"], "counts": counts, "more": not done}

    def _failed(self, event: Mapping[str, Any], _has_time: Callable[[], bool]) -> Answer:
        migration_id = event["migration_id"]
        undoing = event.get("what") == "undo"
        rollback = f"regionshift rollback {migration_id}"
        # A migration whose rollback has begun cannot be resumed.
        following = (
            f"to continue: {rollback}" if undoing else f"to continue: the same id; to undo: {rollback}"
        )
        why = f"{event.get('what', 'a step')}: {event.get('error', 'an error')}; {following}"
        self.tell("rollback" if undoing else "migrate", migration_id, "failed", {}, why)
        return {"status": "told", "more": False}

    def _migration(self, event: Mapping[str, Any]) -> Migration:
        return self.migrations.of(event["migration_id"])

    def _refused(self, what: str, event: Mapping[str, Any], refused: RegionshiftError) -> Answer:
        """Report a refusal. It is not raised, because the state machine would retry."""
        where = f" ({refused.where})" if refused.where else ""
        # The text passes from state to state and becomes the execution's cause.
        why = f"{refused.message}{where}"[:_LONGEST_WHY]
        self.tell(what, event["migration_id"], "refused", {}, why)
        return {"status": "refused", "error": why, "counts": {}, "more": False}


def _teller(region: str, env: Mapping[str, str]) -> Tell:
    """Return a function that sends the notification. When the topic does not answer, the migration continues."""

    def tell(event: str, migration_id: str, status: str, counts: Mapping[str, int], why: str = "") -> None:
        topic = env.get("NOTIFICATION_TOPIC")
        if not topic:
            return
        notification = Notification(
            event=event,
            environment=env.get("ENVIRONMENT", ""),
            region=region,
            status="success" if status == "completed" else "error",
            time=utc_now().isoformat(),
            summary=f"The {_NOUNS[event]} {migration_id} in {region} {_ENDS.get(status, f'ended as {status}')}"
            + (f": {why}." if why else "."),
            link=log_group_link(region, env.get("AWS_LAMBDA_LOG_GROUP_NAME", "")),
            migration_id=migration_id,
            counts=dict(counts),
        )
        try:
            send_notification(_topics(region), topic, notification)
        except AWS_PROBLEMS:
            logger_of(SERVICE).exception("The notification of the end could not be sent.")

    return tell


_NOUNS = {"migrate": "migration", "rollback": "rollback of"}
_ENDS = {"refused": "was refused", "failed": "failed", "partly": "left something"}


def _workers(region: str, env: Mapping[str, str]) -> int:
    """Return how many workers may copy concurrently. Asked for each plan, because AWS can raise the limit."""
    most = int(env["WORKERS"])
    try:
        client = boto3.session.Session(region_name=region).client("lambda", config=PATIENCE)
        return workers_in(client.get_account_settings(), most)
    except AWS_PROBLEMS:
        # A throttled call is repeated, so too many workers only cost time.
        logger_of(SERVICE).exception("The account's limit of concurrent functions could not be read.")
        return most


@lru_cache(maxsize=1)
def _topics(region: str) -> Any:
    return boto3.session.Session(region_name=region).client("sns", config=PATIENCE)
