"""With a provider that adopts nothing, as the ordinary plugin: what a killed engine made is found and taken over."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

import pulumi
import pytest
from pydantic import SecretStr
from recorder import ACCOUNT, built, config, release

from plain_engine import engine_settings
from regionshift import artifact
from regionshift.aws.clients import Clients
from regionshift.aws.resource_finders import FINDS, MADE_AGAIN, Look
from regionshift.engine.engine import Engine, EngineFailed, Program
from regionshift.infrastructure.program import ProviderSettings
from regionshift.infrastructure.program import environment as build
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.journal.releases import ReleaseStore
from regionshift.journal.sealing import SecretKey
from regionshift.journal.store import Slot
from regionshift.local.emulator import LocalCloud
from regionshift.local.provider.assets import Files
from regionshift.local.provider.handler import Context, Handler
from regionshift.local.provider.handlers import BY_TOKEN
from regionshift.local.provider.server import serve
from regionshift.operations.deploying import deploy, mend
from regionshift.operations.environment import Environment, RegionScope
from regionshift.operations.leftovers import look_for_leftovers, still_there
from regionshift.operations.moving.engine_runs import PromotionApplier
from regionshift.operations.moving.proposing import take_over_engine
from regionshift.operations.orphans import Recovered, recover
from regionshift.operations.up import propose
from regionshift.operations.waves.applier import Applier, StepFailed
from regionshift.releases import ReleaseCatalog
from regionshift.settings.config import MigrationConfig
from regionshift.settings.release import Release

pytestmark = pytest.mark.component
REGION, SECOND = "eu-central-1", "eu-north-1"
SECRETS = {"secrets": {"database": {"env": "DATABASE"}}}


def settings(account: str = ACCOUNT, **more: object) -> MigrationConfig:
    return config(
        **{
            "project": "recovery",
            "account": account,
            "regions": {"primary": REGION},
            "network": {"vpc_cidr": "10.0.0.0/16", "function_in_vpc": True},
            **more,
        }
    )


@dataclass
class Killer:
    """Counts what is made (of ``kind``), and kills the engine the moment that the n-th is made, before it is told."""

    engine: list[Engine] = field(default_factory=list)
    at: int = 0
    kind: str = ""
    made: int = 0
    under_way: int = 0
    killed: list[str] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def around(self, token: str) -> Iterator[None]:
        with self.lock:
            self.under_way += 1
        try:
            yield
        finally:
            with self.lock:
                self.under_way -= 1
                self.made += not self.kind or token == self.kind
                if self.made == self.at and token == (self.kind or token):
                    process = self.engine[0]._command._running
                    assert process is not None
                    os.kill(process.pid, signal.SIGKILL)
                    self.killed.append(token)

    def wait(self) -> None:
        """Until AWS has done what it was asked for before the kill."""
        until = time.monotonic() + 60
        while self.under_way and time.monotonic() < until:
            time.sleep(0.05)


def adopting_nothing(killer: Killer) -> Mapping[str, Handler]:
    def plain(handler: Handler) -> Handler:
        kind = cast(Any, type(handler))

        class Plain(kind):  # type: ignore[misc]
            def find(self, *_: object) -> str | None:
                return None

            def create(self, context: Context, inputs: Mapping[str, Any]) -> str:
                with killer.around(kind.token):
                    return str(super().create(context, inputs))

            def read(self, context: Context, identity: str) -> Any:
                killer.read.add(context.region)
                return super().read(context, identity)

        return cast(Handler, Plain())

    return {token: plain(handler) for token, handler in BY_TOKEN.items()}


@pytest.fixture
def killer() -> Killer:
    return Killer()


@pytest.fixture
def chosen(cloud: LocalCloud) -> MigrationConfig:
    return settings(cloud.account, application=SECRETS)


@pytest.fixture
def offline() -> dict[str, str]:
    """Variables that the engine has offline only."""
    return {}


@pytest.fixture
def environment(
    cloud: LocalCloud,
    clients: Clients,
    tmp_path: Path,
    killer: Killer,
    chosen: MigrationConfig,
    offline: dict[str, str],
) -> Iterator[Environment]:
    one = release(chosen, artifact=artifact.build(tmp_path / "artifact"))
    access = ProviderSettings(cloud.endpoint, cloud.access_key, cloud.secret_key)
    files = Files()

    def program(
        releases: Mapping[str, Release], *, links: Release | Literal["newest"] | None = "newest", **_: object
    ) -> Program:
        for one_of in (*releases.values(), *((links,) if isinstance(links, Release) else ())):
            files.allow(one_of.artifact.path.absolute(), one_of.artifact.sha256)

        def run() -> None:
            between = one if isinstance(links, str) else links
            for name, value in build(releases, provider_settings=access, links=between).items():
                pulumi.export(name, value)

        return run

    with serve(cloud, adopting_nothing(killer), files=files) as port:
        no_backups = {"PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true"}
        slot = Slot(open_state((tmp_path / "aside").as_uri()), "aside.json")
        settings = engine_settings(
            tmp_path, project="recovery", port=port, exclusive=True, slot=slot, **no_backups, **offline
        )
        engine = Engine(settings)
        killer.engine.append(engine)
        yield Environment(
            config=chosen,
            clients=clients,
            engine=engine,
            program=cast(Any, program),
            release=lambda: one,
            state_dir=tmp_path,
            now=lambda: datetime.now(UTC),
        )
        engine.close()


def look(environment: Environment, resource: Mapping[str, Any], region: str) -> Look:
    name = str(resource["urn"]).rsplit("::", 1)[-1]
    owner = {"Project": environment.config.project, "Environment": "dev", "Name": name}
    return Look(environment.clients, environment.config.account, region, resource["inputs"], owner)


def of_aws(environment: Environment) -> list[dict[str, Any]]:
    return [one for one in environment.engine.resources() if one["type"].startswith("aws:")]


def open_creations(engine: Engine) -> set[str]:
    return {str(note["resource"]["urn"]) for note in engine.pending() if note["type"] == "creating"}


def require_one_of_each(environment: Environment) -> None:
    """AWS has of everything in the state what the state names, and no second one."""
    for resource in of_aws(environment):
        if resource["type"] in FINDS:
            region = str(resource["provider"]).rpartition("::")[0].rpartition("::aws-")[2]
            (found,) = FINDS[resource["type"]](look(environment, resource, region))
            assert found.partition("/")[0] == resource["id"].partition("/")[0] or found == resource["id"]


def test_what_a_killed_engine_made_is_taken_over_and_nothing_is_made_twice(
    environment: Environment, killer: Killer, tmp_path: Path
) -> None:
    journal = Journal(open_state((tmp_path / "journal").as_uri()), "recovery.dev", environment.now)
    taken = 0
    for at in (2, 20, 0):
        findings = mend(environment, journal).findings
        assert not [one for one in findings if one.severity != "info"]
        taken += len(findings)
        killer.made, killer.at = 0, at
        if at:
            with pytest.raises(EngineFailed):
                deploy(environment, journal, propose(environment))
            killer.wait()
        else:
            deploy(environment, journal, propose(environment))
    assert len(killer.killed) == 2
    assert taken >= 2, "else no kill left anything behind, and nothing was tried"
    assert propose(environment).plan.is_empty
    require_one_of_each(environment)
    (tmp_path / "state/.pulumi/stacks/recovery/dev.json.attrs").write_bytes(b"")
    assert environment.engine.pending() == [], "a kill tore the file beside the state, not the state"
    environment.engine.destroy(lambda: None)
    assert still_there(look_for_leftovers(environment.clients, environment.config, [REGION])) == []


def require_taken(kind: str, found: Recovered | None) -> None:
    """One of ``kind`` was being made when the engine was killed; beside it others of the links may have been."""
    assert found is not None
    assert len([urn for urn in found.taken if f"{kind}::" in urn]) == 1, found
    assert all("regionshift:infrastructure:Links$" in urn for urn in found.taken), found


def secret_in(one: Release) -> Release:
    """The release with a secret, which is made beside what stands."""
    application = settings(application=SECRETS).application
    return replace(
        one,
        config=one.config.model_copy(update={"application": application}),
        secrets={"database": SecretStr("value of database")},
    )


def shelf_with(environment: Environment, *releases: Release) -> ReleaseCatalog:
    folder = environment.state_dir
    store = ReleaseStore(open_state((folder / "releases").as_uri()), "recovering.dev", SecretKey(b"k" * 32))
    catalog = ReleaseCatalog(store, releases[0].config, folder / "cache", "me", environment.now)
    for each in releases:
        catalog.add_unsaved(each)
    return catalog


@pytest.mark.thorough
class TestTwoRegions:
    """A wave, and a change of primary: what goes on with them finds what the killed engine made."""

    @pytest.fixture
    def chosen(self, cloud: LocalCloud) -> MigrationConfig:
        return settings(
            cloud.account,
            project="recovering",
            regions={"primary": REGION, "secondaries": [SECOND]},
            network={"vpc_cidr": "10.0.0.0/16", "flow_logs": False},
        )

    @pytest.fixture
    def offline(self) -> dict[str, str]:
        """No checkpoints, but in runs that change what stands."""
        return {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}

    def test_a_killed_wave_and_a_killed_turn_are_gone_on_with(
        self, environment: Environment, killer: Killer, tmp_path: Path
    ) -> None:
        journal = Journal(open_state((tmp_path / "journal").as_uri()), "recovering.dev", environment.now)
        deploy(environment, journal, propose(environment))
        one, engine = environment.release(), environment.engine
        with_secret = secret_in(one)
        turned = one.config.regions.model_copy(update={"primary": SECOND, "secondaries": (REGION,)})
        other = replace(with_secret, config=with_secret.config.model_copy(update={"regions": turned}))
        catalog = shelf_with(environment, one, with_secret, other)

        goal: dict[str, str | None] = {REGION: one.digest, SECOND: with_secret.digest}
        applier = Applier(environment, catalog)
        killer.made, killer.at = 0, 1
        with pytest.raises(StepFailed):
            applier.regions([SECOND], goal, one.digest)
        killer.wait()
        recover(environment)
        applier.regions([SECOND], goal, one.digest, doubt=True)
        assert engine.pending() == []

        goal[REGION] = with_secret.digest
        applier.regions([REGION], goal, one.digest)
        applier = PromotionApplier(environment, catalog)
        applier.links(goal, None, doubt=False)
        after = dict.fromkeys(goal, other.digest)
        # The role of the new replication: made twice it would be refused.
        killer.made, killer.at, killer.kind = 0, 1, "aws:iam/role:Role"
        with pytest.raises(EngineFailed):
            applier.turn(after, other.digest, doubt=False)
        killer.wait()
        run = journal.start("promotion", {})
        require_taken("aws:iam/role:Role", take_over_engine(environment, journal, run.run_id))
        assert [event.step for event in journal.events(run.run_id)] == ["run", "recovery"]
        # Under a living command nobody takes over before the way back, so that looks itself.
        killer.made, killer.kind = 0, "aws:iam/rolePolicy:RolePolicy"
        with pytest.raises(EngineFailed):
            applier.turn(after, other.digest, doubt=False)
        killer.wait()
        turned = applier.turn(after, other.digest, doubt=True)
        require_taken("aws:iam/rolePolicy:RolePolicy", turned.recovered)
        assert turned.said()["recovery"]
        assert len(killer.killed) == 3
        assert engine.pending() == []
        require_one_of_each(environment)

        self.leave_open(environment)
        killer.read.clear()
        away = recover(replace(environment, scope=RegionScope(frozenset({REGION}))))
        waits = {urn: why for urn, why in away.unclear.items() if REGION in urn}
        assert set(waits.values()) == {"its region gets no call now"}
        lost = PromotionApplier(environment, catalog, frozenset({REGION}))
        lost.turn({SECOND: other.digest}, other.digest, doubt=True)
        assert open_creations(engine) == waits.keys()
        assert REGION not in killer.read, "a lost region gets no call when a turn is gone on with"
        environment.engine.destroy(lambda: None)
        assert (
            still_there(look_for_leftovers(environment.clients, environment.config, [REGION, SECOND])) == []
        )

    def test_what_was_left_open_in_a_region_waits_until_the_region_is_called_again(
        self, environment: Environment, killer: Killer, tmp_path: Path
    ) -> None:
        journal = Journal(open_state((tmp_path / "journal").as_uri()), "recovering.dev", environment.now)
        deploy(environment, journal, propose(environment))
        one, engine = environment.release(), environment.engine
        with_secret = secret_in(one)
        catalog = shelf_with(environment, one, with_secret)
        goal: dict[str, str | None] = {REGION: one.digest, SECOND: with_secret.digest}

        killer.made, killer.at = 0, 1
        with pytest.raises(StepFailed):
            Applier(environment, catalog).regions([SECOND], goal, one.digest)
        killer.wait()
        waits = open_creations(engine)
        assert waits
        killer.read.clear()

        # Without the region another one changes, and its engine is killed too.
        without = replace(environment, scope=RegionScope(frozenset({SECOND})))
        assert recover(without).unclear.keys() == waits
        goal[REGION] = with_secret.digest
        killer.made = 0
        with pytest.raises(StepFailed):
            Applier(without, catalog).regions([REGION], goal, one.digest)
        killer.wait()
        found = recover(without)
        assert found.taken and found.unclear.keys() == waits
        Applier(without, catalog).regions([REGION], goal, one.digest, doubt=True)
        assert open_creations(engine) == waits
        assert SECOND not in killer.read

        assert journal.history(limit=1)[0].outcome == "succeeded", "so nothing else asks for a look"
        told = mend(environment, journal).findings
        assert {each.code for each in told} == {"recovered"}
        Applier(environment, catalog).regions([SECOND], goal, one.digest)
        assert len(killer.killed) == 2
        assert engine.pending() == []
        require_one_of_each(environment)
        engine.destroy(lambda: None)
        assert (
            still_there(look_for_leftovers(environment.clients, environment.config, [REGION, SECOND])) == []
        )

    def leave_open(self, environment: Environment) -> None:
        """The state as a killed engine leaves it that had noted a creation in each region."""
        file = environment.state_dir / "state/.pulumi/stacks/recovery/dev.json"
        state = json.loads(file.read_text())
        latest = state["checkpoint"]["latest"]
        buckets = [one for one in latest["resources"] if one["type"] == "aws:s3/bucket:Bucket"]
        latest["pending_operations"] = [
            {"type": "creating", "resource": {k: v for k, v in one.items() if k not in ("id", "outputs")}}
            for one in buckets
        ]
        file.write_text(json.dumps(state))
        assert len(environment.engine.pending()) == len(buckets) > 0


@pytest.mark.parametrize("store", ["ssm", "secretsmanager"])
def test_every_type_of_the_program_is_found_or_made_again(store: str) -> None:
    application = {"store": store, "secrets": {"database": {"env": "DATABASE"}}}
    whole = config(application=application, network={"vpc_cidr": "10.0.0.0/8", "function_in_vpc": True})
    types = {one.type for one in built(whole).plain if not one.type.startswith("pulumi:")}
    assert types <= {*FINDS, *MADE_AGAIN}
    assert not FINDS.keys() & MADE_AGAIN
