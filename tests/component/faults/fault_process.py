"""One run of the command over a `World`, put together as `session` does it, with faults where a test wants them.

What is real: AWS, engine, program, provider, journal, lock, releases, checks, bakes and the driver.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, cast

import pulumi
from fault_world import World, expected
from faulty_provider import faulty
from model_regions import Crash, Fault
from model_store import FaultyStore

from regionshift.cli.options import Choices
from regionshift.cli.running import driver
from regionshift.cli.up import up_in_waves
from regionshift.engine.engine import Engine, EngineSettings, Program, RunRecord
from regionshift.infrastructure.program import ProviderSettings
from regionshift.infrastructure.program import environment as build
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.journal.lock import Holder, LeaseTerms, acquire
from regionshift.journal.releases import ReleaseStore
from regionshift.journal.sealing import SecretKey
from regionshift.journal.store import Slot, StateStore
from regionshift.local.provider.assets import Files
from regionshift.local.provider.server import serve
from regionshift.operations.deploying import deploy, mend
from regionshift.operations.environment import Environment
from regionshift.operations.preflight import Machine
from regionshift.operations.unfinished import require_finished
from regionshift.operations.up import propose
from regionshift.operations.waves import deploying
from regionshift.releases import DeployedReleases, ReleaseCatalog, deployed_releases
from regionshift.runs.deployment_state import DeploymentState, fold_deployment
from regionshift.session import Session
from regionshift.settings.release import Release

_CHOICES = Choices(yes=True, as_json=True)
_TERMS = LeaseTerms(elapsed=time.monotonic)
_PATIENCE_S = 60.0


class _Counted(Engine):
    """Tells what it was run for: ``preview``, ``up`` or ``refresh``."""

    def __init__(self, settings: EngineSettings, runs: Counter[str]) -> None:
        super().__init__(settings)
        self._runs = runs

    def _run_once(self, verb: str, *args: Any, **options: Any) -> RunRecord:
        self._runs[verb] += 1
        return super()._run_once(verb, *args, **options)


class Process:
    """Everything in it is made anew, as after a start; ends with the ``with`` block.

    A fault of ``aws`` is met by what is done to what, as ``create flow-log-eu-west-1``, one of ``write`` by the
    journal's step and phase, as ``wave-1/apply after``. Beside those of the provider and of the store there are
    ``interrupt`` (Ctrl-C), ``robbed`` (somebody breaks the lock), ``engine killed`` (it alone, kill -9), ``killed``
    (with the command), and ``alarm`` at the write of a bake: the alarm of that wave's region goes red.
    """

    def __init__(self, world: World, *faults: Fault, program: str = "program") -> None:
        self.world = world
        self.program = program
        self.faults = faults
        self.dead = False
        self.engine_runs = Counter[str]()
        self._mutex = threading.Lock()
        self._under_way = 0
        self._stack = ExitStack()
        self._files = Files()

    def __enter__(self) -> Self:
        world, release = self.world, self.world.wanted_release
        self.scope = release.config.identity.scope
        self.store = open_state((world.folder / "state").as_uri())
        faulty_store = cast(StateStore, FaultyStore(self.store, self))
        self.engine = self._engine()
        self.lock = self._stack.enter_context(acquire(self.store, self.scope, _me(), _TERMS))
        self._stack.callback(self._wait_for_aws)
        self.environment = Environment(
            config=release.config,
            clients=world.clients,
            engine=self.engine,
            program=cast(Any, self._program),
            release=lambda: release,
            state_dir=world.folder,
            now=_now,
        )
        self.journal = Journal(faulty_store, self.scope, _now, self._require_lock)
        releases = ReleaseStore(faulty_store, self.scope, SecretKey(bytes(32)))
        self.catalog = ReleaseCatalog(
            releases, release.config, world.folder / "cache", "tester", _now, program=self.program
        )
        self.wired = Session(
            self.environment, self.journal, self.catalog, faulty_store, self.lock, Machine(None), world.cloud
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    # What a person does

    def up(self) -> None:
        """`regionshift up --yes`."""
        require_finished(self.journal)
        remains = mend(self.environment, self.journal)
        proposal = propose(self.environment, refresh=remains.half_done)
        assert not proposal.plan.errors, proposal.plan.errors
        intent = deploying.plan_deployment(self.environment, self.deployed, proposal.plan)
        if intent is not None:
            up_in_waves(_CHOICES, self.wired, intent, proposal.plan, refresh=proposal.refresh)
        else:
            self.catalog.keep(self.environment.release(), self.deployed.links)
            deploy(self.environment, self.journal, proposal)

    def resume(self, *, back: bool = False) -> None:
        """`regionshift resume`."""
        with driver(_CHOICES, self.wired, "resume") as driving:
            deploying.resume(driving, back=back)

    def rollback(self, run_id: str | None = None) -> None:
        """`regionshift rollback [RUN] --yes`."""
        require_finished(self.journal)
        of, intent = deploying.plan_rollback(self.journal, self.deployed, run_id)
        plan, intent = deploying.preview_rollback(
            self.environment, self.catalog, intent, [], allow_data_loss=False
        )
        assert not plan.errors, plan.errors
        run = self.journal.start("rollback", {**intent.facts.opening(intent.plan), "of": of})
        with driver(_CHOICES, self.wired, "rollback") as driving:
            driving.drive(run)

    # What can be asked of it

    @property
    def deployed(self) -> DeployedReleases:
        return deployed_releases(self.journal)

    @property
    def newest(self) -> str:
        """The id of the newest run."""
        (newest,) = self.journal.history(limit=1)
        return newest.run_id

    @property
    def deployment(self) -> DeploymentState:
        """The newest one."""
        return fold_deployment(self.journal.events(self.newest))

    @property
    def is_open(self) -> bool:
        return bool(self.journal.unfinished())

    def drift(self) -> list[str]:
        """What AWS, read back, is other than the releases that the journal names."""
        deployed = self.deployed
        releases = {region: self.catalog.take(str(digest)) for region, digest in deployed.releases.items()}
        links = self.catalog.take(str(deployed.links))
        record = self.engine.preview(self._program(releases, links=links), refresh=True)
        return [f"{step.op} {step.name} {step.changed}" for step in record.changes]

    # What goes wrong

    def fault(self, where: str, what: str) -> str | None:
        """What goes wrong here and now."""
        if self.dead and where == "aws":
            return None  # AWS does what it was asked for, whoever is dead
        self.require_alive()
        with self._mutex:
            how = next((how for fault in self.faults if (how := fault.now(where, what))), None)
        if how == "alarm":
            number = int(what.removeprefix("wave-").partition("/")[0])
            self.world.set_alarm(self.world.waves[number - 1], "ALARM")
        return how

    def die(self) -> Crash:
        self.dead = True
        return Crash()

    def require_alive(self) -> None:
        if self.dead:
            raise Crash

    def begin(self) -> None:
        with self._mutex:
            self._under_way += 1

    def end(self) -> None:
        with self._mutex:
            self._under_way -= 1

    def meet(self, how: str) -> None:
        if how == "interrupt":
            self.engine.interrupt()
        elif how == "robbed":
            acquire(self.store, self.scope, _me(), _TERMS, self.lock.holder.token).release()
            self.engine.interrupt()  # as the command does when it hears of it
        elif how in ("killed", "engine killed"):
            self.dead = how == "killed"
            running = self.engine._command._running
            assert running is not None
            os.kill(running.pid, signal.SIGKILL)
        else:
            raise AssertionError(how)

    def _wait_for_aws(self) -> None:
        """Until what was asked for before a kill is done."""
        until = time.monotonic() + _PATIENCE_S
        while self._under_way and time.monotonic() < until:
            time.sleep(0.02)

    def _require_lock(self) -> None:
        self.require_alive()
        self.lock.check()

    # How it is put together

    def _engine(self) -> Engine:
        world = self.world
        port = self._stack.enter_context(serve(world.cloud, faulty(self), self._files))
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PULUMI_"))}
        engine = _Counted(
            EngineSettings(
                command=world.command,
                version=world.version,
                backend=(world.folder / "engine").as_uri(),
                project=world.project,
                stack="dev",
                work_dir=world.folder / "work",
                environment={
                    **variables,
                    "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
                    "PULUMI_CONFIG_PASSPHRASE": "test",
                    "PULUMI_HOME": str(world.folder / "home"),
                    "PULUMI_SKIP_UPDATE_CHECK": "true",
                    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                    "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
                    "PULUMI_EXPERIMENTAL": "true",
                    "PULUMI_SKIP_CHECKPOINTS": "true",
                },
                slot=Slot(open_state((world.folder / "slot").as_uri()), "excluded.json"),
                exclusive=True,
            ),
            self.engine_runs,
        )
        self._stack.callback(engine.close)
        return engine

    def _program(
        self, releases: Mapping[str, Release], *, links: Release | str | None = "newest", **_: object
    ) -> Program:
        between = self.environment.release() if isinstance(links, str) else links
        cloud = self.world.cloud
        access = ProviderSettings(cloud.endpoint, cloud.access_key, cloud.secret_key)

        for release in (*releases.values(), *((links,) if isinstance(links, Release) else ())):
            self._files.allow(release.artifact.path.absolute(), release.artifact.sha256)

        def program() -> None:
            for name, value in build(releases, provider_settings=access, links=between).items():
                pulumi.export(name, value)

        return program


def in_region(op: str, region: str, how: str, at: int = 1) -> Fault:
    """A fault in the ``at``-th ``op`` that the provider asks AWS for in the region."""
    return Fault("aws", how, at, lambda what: what.startswith(f"{op} ") and what.endswith(region))


def up_at_the_old_release(world: World) -> World:
    """The same, with its regions up and counted."""
    with Process(world) as process:
        process.up()
    world.census_of_old = {region: world.census(region) for region in world.waves}
    return world


def require(world: World, *numbers: int) -> None:
    """AWS and the journal say both that the waves' regions have these releases, whole and alone; nothing is open.

    The links have the last wave's.
    """
    with Process(world) as process:
        deployed = process.deployed
        assert not process.is_open
    links = world.release(numbers[-1])
    assert deployed.links == links.digest
    assert world.links_run() == [links.config.alerts.replication_latency] * (len(world.waves) - 1)
    for region, number in zip(world.waves, numbers, strict=True):
        release, found = world.release(number), deployed.regions[region]
        assert (found.release, found.settled, found.note) == (release.digest, True, ""), region
        assert world.runs(region) == expected(release), region
        assert world.census(region) == world.expected_census(number, region), region


def _now() -> datetime:
    return datetime.now(UTC)


def _me() -> Holder:
    return Holder("tester", "here", os.getpid(), _now(), uuid.uuid4().hex)
