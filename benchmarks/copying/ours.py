"""Regionshift's contenders: a whole migration through Step Functions, and its core by itself."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from benchmarks.copying.arena import PREFIX, SOURCE, TARGET, Arena, Case, Run, Targets
from botocore.credentials import ReadOnlyCredentials

from regionshift.carriers.bounds import Bounds, Route
from regionshift.carriers.carrier import DataLocation, Entry, Level
from regionshift.carriers.migration import Migrations
from regionshift.carriers.records import RecordStore
from regionshift.carriers.s3.multipart import MultipartSizes
from regionshift.carriers.s3.objects import Objects
from regionshift.carriers.seals import Seals
from regionshift.carriers.transport import Response, S3Request, Transport
from regionshift.journal.journal import Journal
from regionshift.operations.environment import Outputs
from regionshift.operations.migrations import migrate as operation
from regionshift.operations.migrations.carrying import Carrying
from regionshift.operations.migrations.taking_back import take_back
from regionshift.session import open_session
from regionshift.surroundings import Surroundings

_COMMAND_CONNECTIONS = 16  # of the command itself


class _Far(Transport):
    """A transport with a delay of ``held`` seconds before each request."""

    held = 0.0

    def _once(self, request: S3Request) -> Response:
        time.sleep(self.held)
        return super()._once(request)


def transport(arena: Arena, connections: int, *, administrator: bool = False, held: float = 0.0) -> Transport:
    """Return a transport with the rights of all contenders, or of the ``administrator``."""
    key = ReadOnlyCredentials(arena.cloud.access_key, arena.cloud.secret_key, None)
    credentials = key if administrator else arena.contender
    made = (_Far if held else Transport)(
        lambda: credentials,
        lambda _: arena.endpoint,
        arena.cloud.account,
        ca_bundle=str(arena.cloud.ca_bundle),
        connections=connections,
    )
    if isinstance(made, _Far):
        made.held = held
    return made


@dataclass
class Through:
    """Migrations through Step Functions, as ``regionshift migrate`` and ``rollback`` run them."""

    carrying: Carrying
    journal: Journal
    targets: dict[str, Targets]

    def fresh(self, case: Case, level: Level) -> operation.MigrationRequest:
        """Return a migration of the case to an empty target."""
        entry = Entry("s3", DataLocation(SOURCE, case.source), self.targets[case.name].take())
        return operation.MigrationRequest(SOURCE, TARGET, level, f"bench-{uuid.uuid4().hex[:12]}", (entry,))

    def migrate(self, wanted: operation.MigrationRequest, proven: int) -> None:
        """Run a migration. Each item must be proven."""
        report = operation.migrate(self.carrying, self.journal, wanted, clock=time.monotonic)
        assert report.completed and report.metadata["counts"].get("proven", 0) == proven, report.metadata

    def again(self, wanted: operation.MigrationRequest) -> operation.MigrationRequest:
        """Return a new migration of the same items, which are all unchanged."""
        return operation.MigrationRequest(
            SOURCE, TARGET, wanted.level, f"again-{uuid.uuid4().hex[:12]}", wanted.entries
        )

    def take_back(self, wanted: operation.MigrationRequest, undone: int) -> None:
        """Roll a migration back."""
        done = take_back(self.carrying, self.journal, wanted.migration_id, "bench", clock=time.monotonic)
        assert done.whole and done.record["counts"]["undone"] == undone, done.record


@contextmanager
def through(arena: Arena, targets: dict[str, Targets]) -> Iterator[Through]:
    """Open the environment of the arena as the command does. The worker uses the arena's endpoint."""
    variables = {name: value for name, value in arena.variables.items() if not name.startswith("AWS_")}
    proxied = arena.endpoint != arena.cloud.endpoint
    if proxied:
        variables |= {name: value for name, value in arena.variables.items() if name.startswith("AWS_")}
        # The command runs as the administrator; the worker copies with its own role.
        del variables["AWS_SESSION_TOKEN"]
        variables["AWS_ACCESS_KEY_ID"] = arena.cloud.access_key
        variables["AWS_SECRET_ACCESS_KEY"] = arena.cloud.secret_key
        variables["REGIONSHIFT_CA_BUNDLE"] = str(arena.cloud.ca_bundle)
    outside = Surroundings(variables, lambda: datetime.now(UTC), time.monotonic)
    settings = arena.folder / "regionshift.yaml"
    with open_session(
        settings, {}, outside, endpoint=arena.endpoint if proxied else None, locked=True
    ) as wired:
        outputs = Outputs(wired.environment.engine.outputs())
        _point_worker_at(arena, outputs)
        requests = transport(arena, _COMMAND_CONNECTIONS, administrator=True)
        carrying = Carrying(wired.environment, outputs, requests, lambda: datetime.now(UTC), time.sleep)
        yield Through(carrying, wired.journal, targets)
        requests.close()


def _point_worker_at(arena: Arena, outputs: Outputs) -> None:
    machine = outputs.get("state_machine_arn", TARGET)
    definition = arena.clients.get("stepfunctions", TARGET).describe_state_machine(stateMachineArn=machine)
    name = definition["definition"].split(":function:")[1].split('"')[0]
    functions: Any = arena.clients.get("lambda", TARGET)
    known = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    wanted = {**known, "AWS_ENDPOINT_URL_S3": arena.endpoint}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": wanted})


@dataclass
class Core:
    """A migration without Step Functions: plan, record, copy, prove, record."""

    arena: Arena
    case: Case
    connections: int
    sizes: MultipartSizes | None = None
    held: float = 0.0

    def __post_init__(self) -> None:
        self.target = self.arena.bucket(TARGET)
        requests = transport(self.arena, self.connections, held=self.held)
        records = self.arena.bucket(TARGET)
        seals = Seals(
            lambda message: hashlib.sha256(message).digest(), TARGET, records, lambda: datetime.now(UTC)
        )
        store = RecordStore(requests, TARGET, records, seals)
        bounds = Bounds(
            records,
            (Route("s3", DataLocation(SOURCE, self.case.source), DataLocation(TARGET, self.target, PREFIX)),),
        )
        carriers = {"s3": Objects(requests, self.sizes)}
        self._migrations = Migrations(store, carriers, bounds, lambda: datetime.now(UTC))

    def run(self, level: Level) -> Run:
        """Return a run of one migration of the whole case."""
        entry = Entry("s3", DataLocation(SOURCE, self.case.source), DataLocation(TARGET, self.target, PREFIX))

        def migrate() -> None:
            done = self._migrations.of("bench").migrate([entry], level)
            assert done["counts"]["proven"] == self.case.objects, done

        return migrate
