"""The environment's migrations by region: their records in the deployment bucket, and their executions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed, told_plainly
from regionshift.carriers.carrier import Carrier
from regionshift.carriers.executions import WORKERS, Executions, workers_in
from regionshift.carriers.kinds import CarrierAccess, all_carriers
from regionshift.carriers.migration import Metadata, Migration, Migrations
from regionshift.carriers.records import Layout, RecordStore
from regionshift.carriers.seals import Seals, Unsealed, by_kms
from regionshift.carriers.transport import Transport
from regionshift.errors import Refused, RegionshiftError, WorkFailed
from regionshift.operations.environment import Environment, Outputs
from regionshift.operations.migrations.entries import bounds_of
from regionshift.runs.messages import RunListener
from regionshift.runs.state import RunStep
from regionshift.settings import components as named

# Seconds between two looks at an execution, also as shares of the time waited so far. So a late look costs little of
# the whole time. Step Functions Developer Guide, "Quotas": DescribeExecution
# is refilled with 10 to 15 a second.
_SHORTEST_PAUSE, _COMMON_PAUSE, _LONGEST_PAUSE = 0.06, 0.2, 5.0
_EARLY_SHARE, _LATER_SHARE = 1 / 8, 1 / 16
_BETWEEN_LOOKS = 0.2
_BUCKET = "deployment_bucket_name"  # the output


@dataclass(frozen=True)
class Workers:
    """How many workers copy in parallel, and why not ``most``; empty when there are as many."""

    number: int
    most: int
    why: str = ""


Look = Callable[[], float | None]
"""Called now and then while an execution runs, and at its end; foretells the seconds to it (under 0: overdue), or
None."""


def no_forecast() -> None:
    """A `Look` that knows nothing."""


@dataclass(frozen=True)
class Carrying:
    """The tools of this command for migrations.

    Args:
        outputs: of the environment, which is up.
        transport: sends our own S3 requests.
        now: the time. sleep: waits (seconds). listeners: get the messages of each migration.
    """

    environment: Environment
    outputs: Outputs
    transport: Transport
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    listeners: Sequence[RunListener[RunStep]] = ()
    _stores: dict[str, RecordStore] = field(default_factory=dict, init=False, repr=False)

    def migrations(self, region: str) -> Migrations:
        """Migrations into ``region``, with the rights of the caller."""
        store = self.store(region)
        bounds = bounds_of(self.environment.config, region, store.bucket)
        return Migrations(store, self.carriers(), bounds, self.now)

    def migration(self, region: str, migration_id: str) -> Migration:
        """One migration into ``region``, even if it has not begun. Raises InputError: it is no valid id."""
        return self.migrations(region).of(migration_id)

    def carriers(self) -> dict[str, Carrier]:
        """A carrier of each kind, with the rights of the caller."""
        at = self.environment
        return all_carriers(CarrierAccess(self.transport, at.clients.named, waiter=at.waiter))

    def store(self, region: str) -> RecordStore:
        """Where the records of migrations into ``region`` lie."""
        if region not in self._stores:
            bucket = self.outputs.get(_BUCKET, region)
            config, clients = self.environment.config, self.environment.clients
            key = named.RECORDS_KEY.name(config.names, region)
            seals = Seals(by_kms(partial(_generate_mac, clients, region), key), region, bucket, self.now)
            self._stores[region] = RecordStore(self.transport, region, bucket, seals)
        return self._stores[region]

    def find(self, migration_id: str) -> tuple[str, Metadata]:
        """The region that a migration wrote to, and its summary.

        Raises:
            InputError: it is no valid id.
            Unsealed: there is a record that this environment did not write.
            WorkFailed: no region has a record of it.
        """
        name = Layout(migration_id).metadata
        forged: Unsealed | None = None
        # The settings may name a region that is not up yet, and no longer name one that is.
        regions = self.environment.scope.called(self.outputs.regions(_BUCKET))
        for region in regions:
            try:
                found = self.store(region).get_json(name)
            except Unsealed as problem:
                forged = problem  # or a replica: no region accepts the record of another
                continue
            if found is not None:
                return region, found
        if forged is not None:
            raise forged
        raise WorkFailed(
            f"There is no migration {migration_id}.",
            where=", ".join(regions),
            remedy="see: regionshift status",
            error_id="RS-MIGRATION-001",
        )

    def workers(self, region: str) -> Workers:
        """How many workers may copy into ``region`` now. The most when that is not known: a call without room waits."""
        most = WORKERS[self.environment.config.target]
        try:
            settings = self.environment.clients.call(region, "lambda", "get_account_settings")
        except AwsFailed as problem:
            return Workers(
                most, most, f"how many functions may run at once cannot be seen: {problem.message}"
            )
        number, limit = workers_in(settings, most), settings["AccountLimit"]
        if number == most:
            return Workers(most, most)
        return Workers(
            number,
            most,
            f"{number} of {most} workers copy at once: the account runs {limit['ConcurrentExecutions']} functions at"
            f" once in {region}, {limit['UnreservedConcurrentExecutions']} of them without a reserve, and half are left"
            " to others; Service Quotas (lambda, Concurrent executions) has more",
        )

    def start(self, migration: Migration, step: str, **fields: Any) -> str:
        """Start the state machine of its region, and return the execution's ARN. The input holds no value.

        When an execution of the same step is running, that one is returned.
        """
        with told_plainly(migration.region):
            return self._executions(migration).start(step, **fields).arn

    def running(self, migration: Migration) -> list[str]:
        """The running executions of this migration, also those of a killed command."""
        with told_plainly(migration.region):
            return [each.arn for each in self._executions(migration).running()]

    def stop(self, migration: Migration) -> None:
        """Stop the copying of a migration and wait for its end. A running undo may finish.

        Worker calls that are running when their execution is stopped continue. The undo waits for them.
        """
        migration.stop()
        undoing = migration.store.exists(migration.records.rollback)
        for execution in self.running(migration):
            if not undoing:
                self._stop_execution(migration.region, execution)
            self.wait_for_end(migration.region, execution, no_forecast)

    def wait(self, migration: Migration, execution: str, look: Look) -> None:
        """Wait for the end of an execution of a migration; ``look`` is called again and again meanwhile.

        Raises:
            WorkFailed: it did not succeed.
        """
        found = self.wait_for_end(migration.region, execution, look)
        if found["status"] != "SUCCEEDED":
            # While a migration is being undone, its id is refused for anything else.
            undoing = migration.undone() is not None
            rollback = f"regionshift rollback {migration.records.id}"
            command = rollback if undoing else "the same command with the same --id"
            raise WorkFailed(
                f"The execution ended as {found['status']}: {found.get('error', '')}",
                where=execution,
                remedy=f"run {command}: it goes on where it was",
                error_id="RS-MIGRATION-002",
            )

    def wait_for_end(self, region: str, execution: str, look: Look) -> Mapping[str, Any]:
        """As `wait`, however it ends. Returns the description by Step Functions."""
        waited, looked, ends = 0.0, 0.0, None
        while True:
            pause = _pause(waited, None if ends is None else ends - waited)
            self.sleep(pause)
            waited += pause
            found = self._describe(region, execution)
            has_ended = found["status"] != "RUNNING"
            if has_ended or waited - looked >= _BETWEEN_LOOKS:
                looked, foretold = waited, look()
                ends = None if foretold is None else waited + foretold
            if has_ended:
                return found

    def _executions(self, migration: Migration) -> Executions:
        client = self.environment.clients.get("stepfunctions", migration.region)
        machine = self.outputs.get("state_machine_arn", migration.region)
        return Executions(migration.records, client, machine, self.environment.waiter)

    def _describe(self, region: str, execution: str) -> Mapping[str, Any]:
        return self.environment.waiter.past(
            lambda: self.environment.clients.call(
                region, "stepfunctions", "describe_execution", executionArn=execution
            ),
            # It was just started: DescribeExecution is eventually consistent (API Reference).
            lambda error: isinstance(error, AwsFailed) and error.code == "ExecutionDoesNotExist",
        )

    def _stop_execution(self, region: str, execution: str) -> None:
        try:
            self.environment.clients.call(
                region,
                "stepfunctions",
                "stop_execution",
                executionArn=execution,
                cause="the migration is taken back",
            )
        except RegionshiftError:
            # It may have ended since it was listed. Then there is nothing to stop.
            if self._describe(region, execution)["status"] == "RUNNING":
                raise


def _generate_mac(clients: Clients, region: str, **parameters: Any) -> Mapping[str, Any]:
    """Raises Refused when the environment has no key for its records yet."""
    try:
        return clients.call(region, "kms", "generate_mac", **parameters)
    except AwsFailed as problem:
        if problem.code != "NotFoundException":
            raise
        raise Refused(
            "The environment has no key that the records of migrations are sealed with.",
            where=f"{region}: {parameters['KeyId']}",
            remedy="run `regionshift up`, which makes it; it stands with an older release",
            error_id="RS-MIGRATION-010",
        ) from problem


def _pause(waited: float, foretold: float | None) -> float:
    """Seconds to the next look: shorter when the end is near, longer when it is overdue."""
    early = min(max(_SHORTEST_PAUSE, waited * _EARLY_SHARE), _COMMON_PAUSE)
    pause = min(max(early, waited * _LATER_SHARE), _LONGEST_PAUSE)
    return pause if foretold is None else min(pause, max(_SHORTEST_PAUSE, abs(foretold) / 2))
