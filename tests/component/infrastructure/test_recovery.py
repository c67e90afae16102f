"""With a provider that adopts nothing, as the ordinary plugin: what a killed engine made is found and taken over."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pulumi
import pytest
from recorder import ACCOUNT, built, config, release

from regionshift import artifact
from regionshift.aws.clients import Clients
from regionshift.engine.cli import find_pulumi
from regionshift.engine.engine import Engine, EngineFailed, EngineSettings, Program
from regionshift.errors import InputError
from regionshift.infrastructure.program import environment as build
from regionshift.infrastructure.providers import ProviderSettings
from regionshift.journal.journal import Journal
from regionshift.journal.store import open_state
from regionshift.local.emulator import LocalCloud
from regionshift.local.provider.handler import Context, Handler
from regionshift.local.provider.handlers import BY_TOKEN
from regionshift.local.provider.server import serve
from regionshift.operations.deploying import deploy, mend
from regionshift.operations.environment import Environment
from regionshift.operations.leftovers import look_for_leftovers, standing
from regionshift.operations.lost import FINDS, MADE_AGAIN, Look
from regionshift.operations.up import propose
from regionshift.settings.config import MigrationConfig
from regionshift.settings.release import Release

pytestmark = pytest.mark.component
REGION = "eu-central-1"


def settings(account: str = ACCOUNT, **more: object) -> MigrationConfig:
    return config(
        project="recovery",
        account=account,
        regions={"primary": REGION},
        network={"vpc_cidr": "10.0.0.0/16", "function_in_vpc": True},
        **more,
    )


@dataclass
class Killer:
    """Counts what is made, and kills the engine the moment that the n-th thing is made, before it is told."""

    engine: list[Engine] = field(default_factory=list)
    at: int = 0
    made: int = 0
    under_way: int = 0
    killed: list[str] = field(default_factory=list)
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
                self.made += 1
                if self.made == self.at:
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

        return cast(Handler, Plain())

    return {token: plain(handler) for token, handler in BY_TOKEN.items()}


@pytest.fixture
def killer() -> Killer:
    return Killer()


@pytest.fixture
def environment(cloud: LocalCloud, clients: Clients, tmp_path: Path, killer: Killer) -> Iterator[Environment]:
    try:
        own = [Path(sys.prefix) / "bin", Path(__file__).parents[3] / ".cache" / "bin"]
        command, version = find_pulumi(os.environ, own)
    except InputError as missing:
        pytest.skip(str(missing))
    (tmp_path / "state").mkdir()
    chosen = settings(cloud.account, application={"secrets": {"database": {"env": "DATABASE"}}})
    one = release(chosen, artifact=artifact.build(tmp_path / "artifact"))
    access = ProviderSettings(cloud.endpoint, cloud.access_key, cloud.secret_key)

    def program(releases: Mapping[str, Release], **_: object) -> Program:
        return lambda: (
            [
                pulumi.export(name, value)
                for name, value in build(releases, provider_settings=access, links=one).items()
            ]
            and None
        )

    with serve(cloud, adopting_nothing(killer)) as port:
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PULUMI_"))}
        variables |= {
            "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_HOME": str(tmp_path / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
        }
        engine = Engine(
            EngineSettings(
                command=command,
                version=version,
                backend=(tmp_path / "state").as_uri(),
                project="recovery",
                stack="dev",
                work_dir=tmp_path / "work",
                environment=variables,
                exclusive=True,
            )
        )
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


def look(environment: Environment, resource: Mapping[str, Any]) -> Look:
    name = str(resource["urn"]).rsplit("::", 1)[-1]
    owner = {"Project": "recovery", "Environment": "dev", "Name": name}
    return Look(environment.clients, environment.config.account, REGION, resource["inputs"], owner)


def of_aws(environment: Environment) -> list[dict[str, Any]]:
    return [one for one in environment.engine.resources() if one["type"].startswith("aws:")]


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
    for resource in of_aws(environment):
        if resource["type"] in FINDS:
            (found,) = FINDS[resource["type"]](look(environment, resource))
            assert found.partition("/")[0] == resource["id"].partition("/")[0] or found == resource["id"]
    (tmp_path / "state/.pulumi/stacks/recovery/dev.json.attrs").write_bytes(b"")
    assert environment.engine.pending() == [], "a kill tore the file beside the state, not the state"
    environment.engine.destroy(lambda: None)
    assert standing(look_for_leftovers(environment.clients, environment.config, [REGION])) == []


@pytest.mark.parametrize("store", ["ssm", "secretsmanager"])
def test_every_type_of_the_program_is_found_or_made_again(store: str) -> None:
    application = {"store": store, "secrets": {"database": {"env": "DATABASE"}}}
    whole = config(application=application, network={"vpc_cidr": "10.0.0.0/8", "function_in_vpc": True})
    types = {one.type for one in built(whole).plain if not one.type.startswith("pulumi:")}
    assert types <= {*FINDS, *MADE_AGAIN}
    assert not FINDS.keys() & MADE_AGAIN
