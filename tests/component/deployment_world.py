"""The real operations with a real journal over regions and an engine that are made up (model_regions.py).

What is real: journal, releases, plans, the deployment's state, the driver and the applier. What is made up beside
the engine: the questions asked of a region, and the alarms.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest
from model_regions import WAVES, Built, Crash, Fault, ModelEngine, World
from model_store import FaultyStore, MemoryStore

from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.journal.lock import LockLost
from regionshift.journal.releases import ReleaseStore
from regionshift.journal.sealing import SecretKey
from regionshift.journal.store import StateStore
from regionshift.operations.alarms import RedAlarm
from regionshift.operations.checks.base import Check, CheckContext, Wrong
from regionshift.operations.deploying import deploy, mend
from regionshift.operations.environment import Environment, RegionScope
from regionshift.operations.unfinished import require_finished
from regionshift.operations.up import propose
from regionshift.operations.waves import deploying, wave_run
from regionshift.operations.waves.applier import Applier
from regionshift.operations.waves.bake import Breach, RegionDown, Watch
from regionshift.operations.waves.facts import Terms, terms_of
from regionshift.operations.waves.wave_run import WaveDriver
from regionshift.releases import DeployedReleases, ReleaseCatalog, deployed_releases
from regionshift.runs.deployment_state import RegionState
from regionshift.settings.release import Release

_ROOT = "arn:aws:iam::123456789012:root"  # whose permissions nobody asks for
__all__ = ["WAVES", "Crash", "Fault", "World"]


class Agrees(Check):
    """The one question asked of a region here: does it run what the journal says, and is that not broken."""

    name: ClassVar[str] = "agrees"
    world: ClassVar[World]

    def ask(self, _: CheckContext, region: str) -> str:
        if region in self.world.down:
            raise Wrong("could not be asked: Connect timeout on endpoint")
        runs = self.world.runs(region)
        if runs is None or runs == "half":
            raise Wrong(f"{region} runs {runs}")
        if self.world.broken.get((runs, region)) == "validate":
            raise Wrong("the function answers with an error")
        return runs


class NoReplication(Agrees):
    """Stands for the check of the links."""

    name: ClassVar[str] = "no replication"
    arrivals: ClassVar[None] = None


@dataclass(frozen=True)
class ModelWatch(Watch):
    """Looks at the world instead of at alarms."""

    world: World = field(kw_only=True)

    def bake(
        self,
        _: Terms,
        regions: Collection[str],
        __: CheckContext,
        ___: Collection[RedAlarm],
        replicated: Collection[str] = (),
    ) -> dict[str, object]:
        for region in regions:
            found = self.world.broken.get((str(self.world.runs(region)), region))
            if found == "bake":
                raise Breach(f"a probe failed [{region}]")
            if found == "alarm":
                raise Breach(f"red: errors [{region}]")
            if found == "silent":
                raise RegionDown(region, TimeoutError("no answer"))
        return {"looks": 1, "replication_seconds": dict.fromkeys(replicated, 0.5)}


@dataclass
class Process:
    """One run of the command: everything in it is made anew, as after a start."""

    world: World
    faults: list[Fault] = field(default_factory=list)
    left_out: frozenset[str] = frozenset()
    dead: bool = False
    locked_out: bool = False

    def __post_init__(self) -> None:
        memory, folder = self.world.memory, (self.world.folder / "state").as_uri()
        inner = open_state(folder) if memory is None else cast(StateStore, MemoryStore(memory))
        store = cast(StateStore, FaultyStore(inner, self))
        self.engine = ModelEngine(self.world, self)
        release = self.world.release(self.world.wanted)
        self.environment = Environment(
            config=release.config,
            clients=cast(Any, SimpleNamespace(call=lambda *_, **__: {"Arn": _ROOT})),
            engine=cast(Any, self.engine),
            program=cast(Any, lambda releases, *, links="newest", **_: self._built(releases, links, release)),
            release=lambda: release,
            state_dir=self.world.folder,
            now=lambda: datetime.now(UTC),
            scope=RegionScope(self.left_out),
        )
        self.journal = Journal(store, "shop.dev", self.environment.now, self._guard)
        self.catalog = ReleaseCatalog(
            ReleaseStore(store, "shop.dev", SecretKey(bytes(32))),
            release.config,
            self.world.folder / "cache",
            "tester",
            self.environment.now,
            program="program",
        )
        watch = ModelWatch(self.environment.clients, lambda: 0.0, lambda _: None, world=self.world)
        self.driver = WaveDriver(
            self.environment,
            self.journal,
            Applier(self.environment, self.catalog),
            watch,
            lambda _: True,
        )

    def up(self, down: Collection[str] = ()) -> None:
        """`regionshift up`, as the command does it; ``down``: what is left out because it does not answer."""
        require_finished(self.journal)
        remains = mend(self.environment, self.journal)
        proposal = propose(self.environment, refresh=remains.half_done)
        deployed = deployed_releases(self.journal)
        intent = deploying.plan_deployment(self.environment, deployed, proposal.plan, down=down)
        if intent is None or proposal.plan.is_empty:
            self.catalog.keep(self.environment.release(), deployed.links)
            deploy(self.environment, self.journal, proposal)
        else:
            terms = terms_of(self.environment.config, refresh=proposal.refresh)
            deploying.begin(self.driver, self.catalog, deploying.under(intent, terms), deployed)

    def resume(self, *, back: bool = False) -> None:
        """`regionshift resume`."""
        deploying.resume(self.driver, back=back)

    def rollback(self) -> None:
        """`regionshift rollback`."""
        require_finished(self.journal)
        deployed = deployed_releases(self.journal)
        of, intent = deploying.plan_rollback(self.journal, deployed, None)
        _, intent = deploying.preview_rollback(
            self.environment, self.catalog, intent, [], allow_data_loss=False
        )
        self.driver.drive(self.journal.start("rollback", {**intent.facts.opening(intent.plan), "of": of}))

    @property
    def deployed(self) -> DeployedReleases:
        return deployed_releases(self.journal)

    @property
    def is_open(self) -> bool:
        return bool(deploying.unfinished(self.journal))

    def fault(self, where: str, what: str) -> str | None:
        self.require_alive()
        return next((how for fault in self.faults if (how := fault.now(where, what))), None)

    def die(self) -> Crash:
        self.dead = True
        return Crash()

    def require_alive(self) -> None:
        if self.dead:
            raise Crash

    def _guard(self) -> None:
        self.require_alive()
        if self.locked_out or self.fault("lock", "guard") == "lost":
            self.locked_out = True  # it never comes back to this process
            raise LockLost("dev", "somebody else has it")

    def _built(self, releases: Mapping[str, Release], links: Release | str | None, newest: Release) -> Built:
        return Built(dict(releases), newest if isinstance(links, str) else links)


def disagreements(world: World) -> list[str]:
    """Where the journal says that a region stands, and it does not stand there."""
    process = Process(world)
    regions: Mapping[str, RegionState] = process.deployed.regions
    for view in deploying.unfinished(process.journal):
        regions = process.driver.state(view.run_id).regions
    return [
        f"{region} runs {world.runs(region)}, the journal says {state.release}"
        for region, state in regions.items()
        if state.settled and state.release != world.runs(region)
    ]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Callable[[World], World]:
    """Asks the world instead of AWS, and does not wait for the disk."""
    monkeypatch.setattr("regionshift.journal.backends._sync", lambda _: None)

    def use(world: World) -> World:
        monkeypatch.setattr(Agrees, "world", world, raising=False)
        monkeypatch.setattr(wave_run, "all_checks", lambda: [Agrees()])
        monkeypatch.setattr(wave_run, "ReplicationCheck", NoReplication)
        return world

    return use
