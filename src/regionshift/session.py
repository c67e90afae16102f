"""A session: one environment opened from its settings. All parts are put together here."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionshift import __version__
from regionshift.engine_setup import EngineSetup
from regionshift.errors import InputError, Refused, WorkFailed
from regionshift.settings.components import state_bucket
from regionshift.settings.config import MigrationConfig
from regionshift.settings.load import load_config
from regionshift.settings.names import Identity
from regionshift.settings.state_url import parse_key_url, parse_state_url
from regionshift.surroundings import ProjectFiles, Surroundings, free_memory_mb, user_name
from regionshift.waiting import AT_ONCE, Waiter, settling

if TYPE_CHECKING:
    from regionshift.aws.clients import Clients
    from regionshift.engine.engine import Engine, Program
    from regionshift.journal.journal import Journal
    from regionshift.journal.lock import Holder, Lock
    from regionshift.journal.sealing import SecretKey
    from regionshift.journal.store import StateStore
    from regionshift.local.emulator import LocalCloud
    from regionshift.local.provider.assets import Files
    from regionshift.operations.bootstrap import BootstrapPart
    from regionshift.operations.environment import Environment, RegionScope
    from regionshift.operations.migrations.carrying import Carrying
    from regionshift.operations.preflight import Machine
    from regionshift.operations.room import Disk
    from regionshift.operations.zones import Zones
    from regionshift.releases import ReleaseCatalog
    from regionshift.report.values import Finding
    from regionshift.runs.messages import RunListener
    from regionshift.runs.state import RunStep
    from regionshift.settings.release import Artifact, Release

_CONNECTIONS = 16
Skipped = Collection[str] | Callable[["Journal"], Collection[str]]
"""Regions that get no call, or what finds them in the journal."""


def load_settings(path: Path, overrides: Mapping[str, object], outside: Surroundings) -> MigrationConfig:
    """The checked settings. Raises SettingsError with every mistake."""
    return load_config(path, outside.variables, overrides)


@dataclass(frozen=True)
class Session:
    """An environment ready to be worked on, with what belongs to this run of the command."""

    environment: Environment
    journal: Journal
    catalog: ReleaseCatalog
    store: StateStore
    lock: Lock | None
    machine: Machine
    cloud: LocalCloud | None

    @property
    def identity(self) -> Identity:
        """Whose environment it is."""
        return self.environment.config.identity

    @contextmanager
    def carrying(self, listeners: Sequence[RunListener[RunStep]] = ()) -> Iterator[Carrying]:
        """How this command works with migrations; it reports them to ``listeners``.

        Raises:
            WorkFailed: the environment is not up.
        """
        from botocore.credentials import ReadOnlyCredentials

        from regionshift.function.clients import TransportAccess
        from regionshift.operations.environment import Outputs
        from regionshift.operations.migrations.carrying import Carrying

        environment, cloud = self.environment, self.cloud
        values = environment.engine.outputs()
        if not values:
            raise WorkFailed(
                f"The environment {environment.name} is not up.",
                remedy="run `regionshift up` first",
                error_id="RS-ENVIRONMENT-001",
            )

        def credentials() -> ReadOnlyCredentials:
            key = environment.clients.credentials()
            return ReadOnlyCredentials(key.access_key, key.secret_key, key.session_token)

        access = TransportAccess(
            credentials,
            environment.config.account,
            cloud.endpoint if cloud else None,
            str(cloud.ca_bundle) if cloud else None,
            connections=_CONNECTIONS,
        )
        transport = access.transport()
        try:
            yield Carrying(environment, Outputs(values), transport, environment.now, time.sleep, listeners)
        finally:
            transport.close()


@contextmanager
def open_session(
    path: Path,
    overrides: Mapping[str, object],
    outside: Surroundings,
    *,
    endpoint: str | None = None,
    locked: bool = False,
    force: Callable[[Holder, MigrationConfig], None] | None = None,
    skipped: Skipped = (),
    rejoining: Collection[str] = (),
    naming: Collection[str] = (),
    without_engine: bool = False,
    changing: Callable[[], None] = lambda: None,
    unsealed: bool = False,
    patience: float = 0.0,
    waiting: Callable[[Holder | None], None] = lambda _: None,
) -> Iterator[Session]:
    """Everything that a command needs, after the guards: the account of the credentials is the one in the settings.

    Args:
        locked: whether the command changes anything; then it holds the environment's lock.
        force: break a held lock, unless this function raises for its holder.
        skipped: regions that get no call, or a function that finds them in the journal; in addition to fenced
            regions, and to those that an unfinished deployment leaves out.
        rejoining: fenced regions that are called again.
        naming: regions that count as if the settings named them as the last secondaries.
        without_engine: continue if no engine fits; the machine then says why, and no run may begin.
        changing: called when a change begins (see `Journal`).
        unsealed: accept an unsealed journal although the command changes something. No step may follow it.
        patience: seconds to wait for a lock of somebody else; ``waiting`` gets its holder once.

    Raises:
        InputError: the settings, or what they need, are wrong.
        Refused: another account, an endpoint that is not loopback, a lock held by somebody else, or an unsealed
            journal that the command would follow.
    """
    from regionshift.aws.guard import require_readable_proxies
    from regionshift.journal.identity import require_same
    from regionshift.journal.journal import Journal

    require_readable_proxies(outside.variables)
    named = _naming(load_settings(path, overrides, outside), naming)
    parts = SessionParts(named, ProjectFiles(path), outside, endpoint)
    parts.files.make_home()
    with ExitStack() as stack:
        require_same(parts.store, parts.identity)
        parts.require_key_file()
        seen = Journal(parts.store, parts.identity.scope, outside.now)
        scope = _scope(skipped, seen, named, rejoining)
        parts.narrow(scope)
        if locked:
            parts.require_room()
        stops: list[Callable[[], None]] = []
        lock = stack.enter_context(parts.locked(force, stops, patience, waiting)) if locked else None
        acted_on = locked and not unsealed
        journal = Journal(
            parts.store,
            parts.identity.scope,
            outside.now,
            *((lock.check, lock.working_on, user_name()) if lock else ()),
            changing=changing,
            key=parts.key,
            acted_on=acted_on,
        )
        if lock:
            require_same(parts.store, parts.identity)  # whoever held it may have made another one
        if acted_on and _scope(skipped, journal, named, rejoining) != scope:
            # They were told before the lock was held and AWS asked for the key: by another command's run, or by
            # a copy of a run's end that somebody made up.
            raise Refused(
                "The set of regions that get no call changed while the command began.",
                where=parts.store.url,
                remedy="run it again; if that fails too, `regionshift doctor` names what in the journal has no seal",
                error_id="RS-STATE-008",
            )
        setup = parts.engine_setup()
        engine, problem = stack.enter_context(setup.running(exclusive=locked, may_miss=without_engine))
        stops.append(engine.interrupt)
        yield Session(
            environment=parts.environment(engine, scope),
            journal=journal,
            catalog=parts.catalog(lock),
            store=parts.store,
            lock=lock,
            machine=parts.machine(problem),
            cloud=parts.cloud,
        )


@dataclass(frozen=True)
class BootstrapSession:
    """What `bootstrap` works on.

    Args:
        config: the settings afterwards. given: the values that it adds to them.
        account, pipeline: its two parts. identities: of both. findings: shown before their plans.
        aside: the state on this machine. inside: the state in the bucket, which must exist.
        is_inside: which of the two is used.
        has_bucket: whether the bucket exists. today: in UTC.
        environments: where environments have their states in the bucket.
    """

    config: MigrationConfig
    given: Mapping[str, str]
    account: BootstrapPart
    pipeline: BootstrapPart
    identities: tuple[Identity, Identity]
    findings: tuple[Finding, ...]
    aside: Callable[[], StateStore]
    inside: Callable[[], StateStore]
    environments: Callable[[], StateStore]
    is_inside: bool
    has_bucket: bool
    today: date


@contextmanager
def open_bootstrap(
    path: Path,
    overrides: Mapping[str, object],
    outside: Surroundings,
    *,
    endpoint: str | None = None,
    force: Callable[[Holder, MigrationConfig], None] | None = None,
    patience: float = 0.0,
    waiting: Callable[[Holder | None], None] = lambda _: None,
    region: str | None = None,
    take_over: bool = False,
) -> Iterator[BootstrapSession]:
    """Both parts of `bootstrap`, locked, with their state at its current place.

    Args:
        force, patience, waiting: see `open_session`.
        region: the region of a new bucket; by default `default_region`.
        take_over: an identity provider of somebody else becomes a part of the account's.

    Raises:
        InputError: the settings are wrong, or the bucket is in another region.
        Refused: another account, a lock held by somebody else.
    """
    from regionshift.aws.guard import require_account
    from regionshift.infrastructure.bootstrap import account_stack, issuer_host, pipeline_stack, taking_over
    from regionshift.infrastructure.program import ProviderSettings
    from regionshift.infrastructure.site import Site
    from regionshift.journal.identity import is_written
    from regionshift.operations import bootstrap

    config, files = load_settings(path, overrides, outside), ProjectFiles(path)
    first = SessionParts(config, files, outside, endpoint)
    require_account(first.clients, config.account, [config.regions.primary])
    stands_in = bootstrap.region_of_bucket(first.clients, config)
    if region and stands_in and region != stands_in:
        raise InputError(
            f"The bucket {state_bucket(config.account)} exists already, in {stands_in}.",
            where="--region",
            remedy="leave it out",
            error_id="RS-USAGE-001",
        )
    place = stands_in or region or bootstrap.default_region(config)
    keeps_state = (
        not config.state and (files.home / "state").exists() and is_written(first.store, config.identity)
    )
    given = bootstrap.settings_after(config, place, keeps_state=keeps_state)
    config = bootstrap.with_values(config, given)
    shared = bootstrap.account_settings(config, place)

    def parts(of: MigrationConfig, url: str) -> SessionParts:
        bare = of.model_copy(update={"state": url, "state_secrets": None})
        return SessionParts(bare, files, outside, endpoint)

    def url_in(folder: str) -> str:
        return f"s3://{state_bucket(config.account)}/{folder}?region={place}"

    beside = (files.home / bootstrap.STATE_FOLDER).as_uri()
    identities = shared.identity, config.identity
    inside = parts(shared, url_in(bootstrap.STATE_FOLDER))
    marker = bootstrap.state_object(identities[0])
    is_inside = stands_in is not None and inside.store.get(marker) is not None
    settings = ProviderSettings(first.cloud.endpoint if first.cloud else None)
    with ExitStack() as stack:

        def opened(of: MigrationConfig, build: Callable[[Site], None]) -> BootstrapPart:
            own = parts(of, inside.state_url if is_inside else beside)
            own.files.make_home()
            stops: list[Callable[[], None]] = []
            stack.enter_context(own.locked(force, stops, patience, waiting))
            running = own.engine_setup(without_secrets=True).running(exclusive=True, may_miss=False)
            engine, _ = stack.enter_context(running)
            stops.append(engine.interrupt)
            site = Site.by_settings(of, place)
            return bootstrap.BootstrapPart(
                of, place, own.clients, engine, lambda imports: taking_over(lambda: build(site), imports)
            )

        issuer = bootstrap.issuer_of(first.clients, config, place) if config.pipeline.repository else None
        findings: list[Finding] = []
        issuers: list[str] = []
        account = opened(shared, lambda site: account_stack(site, settings, issuers=issuers))
        issuers += bootstrap.known_issuers(account.engine)
        is_theirs = issuer is not None and issuer[1].get("ManagedBy") != "regionshift"
        if issuer_host(config) not in issuers and config.pipeline.repository:
            if issuer is not None and is_theirs and not take_over:
                findings = bootstrap.issuer_findings(first.clients, place, issuer[0])
            else:
                issuers.append(issuer_host(config))
        yield BootstrapSession(
            config=config,
            given=given,
            account=account,
            pipeline=opened(config, lambda site: pipeline_stack(site, settings)),
            identities=identities,
            findings=(
                *bootstrap.state_findings(config, keeps_state=keeps_state),
                *findings,
                *bootstrap.reach_findings(config),
            ),
            today=outside.now().date(),
            aside=lambda: parts(shared, beside).store,
            inside=lambda: parts(shared, inside.state_url).store,
            environments=lambda: parts(shared, url_in(bootstrap.ENVIRONMENTS)).store,
            is_inside=is_inside,
            has_bucket=stands_in is not None,
        )


def waiter_of(cloud: LocalCloud | None) -> Waiter:
    """How long answers may be stale: the embedded AWS is only late in its weather, and then like AWS."""
    return AT_ONCE if cloud and cloud.weather == "calm" else settling("aws")


def _naming(config: MigrationConfig, more: Collection[str]) -> MigrationConfig:
    """The settings with the regions in ``more`` as secondaries too."""
    new = tuple(region for region in more if region not in config.all_regions)
    secondaries = (*config.regions.secondaries, *new)
    regions = config.regions.model_copy(update={"secondaries": secondaries})
    return config.model_copy(update={"regions": regions}) if new else config


def _scope(
    skipped: Skipped, journal: Journal, config: MigrationConfig, rejoining: Collection[str]
) -> RegionScope:
    """The regions without calls, read in the journal before the first call."""
    from regionshift.operations.environment import RegionScope
    from regionshift.operations.moving.proposing import given_up_regions
    from regionshift.operations.waves.deploying import left_out_by_open_run

    asked = skipped(journal) if callable(skipped) else skipped
    fenced = given_up_regions(journal) & set(config.all_regions)
    return RegionScope(left_out_by_open_run(journal).union(asked), fenced=frozenset(fenced - set(rejoining)))


@dataclass
class SessionParts:
    """The parts of a session; each is created at its first use."""

    config: MigrationConfig
    files: ProjectFiles
    outside: Surroundings
    endpoint: str | None = None

    @cached_property
    def identity(self) -> Identity:
        """Whose environment it is."""
        return self.config.identity

    def narrow(self, scope: RegionScope) -> None:
        """From now on fenced regions are not named. Raises Refused when a region that is called has another account."""
        from regionshift.aws.guard import require_account
        from regionshift.operations.environment import without_regions

        primary = self.config.regions.primary
        called = scope.called(self.config.all_regions) or [primary]
        require_account(self.clients, self.config.account, called)
        self.config = without_regions(self.config, scope.fenced)

    # AWS, real or embedded

    @cached_property
    def cloud(self) -> LocalCloud | None:
        """The embedded AWS of this folder, started if necessary, or the one at the endpoint. None on AWS.

        Its key is the administrator's, or that of the role that a variable names.
        """
        from regionshift.aws.guard import require_loopback

        role = self.outside.variables.get("REGIONSHIFT_LOCAL_ROLE")
        if self.config.target == "aws":
            if self.endpoint is not None:
                raise InputError(
                    "--endpoint works with the local target only.",
                    where="--endpoint",
                    remedy="leave it out, or give --target local",
                    error_id="RS-USAGE-001",
                )
            if role:
                raise InputError(
                    f"{role} is a role of the embedded AWS, and the target is aws.",
                    where="REGIONSHIFT_LOCAL_ROLE",
                    remedy="unset it: on AWS the credentials alone say who asks",
                    error_id="RS-LOCAL-005",
                )
            return None
        if self.endpoint is not None:
            require_loopback(self.endpoint)
        try:
            from regionshift.local import emulator
        except ImportError as error:
            raise InputError(
                f"The local target needs a package that is not installed: {error.name}.",
                where="target",
                remedy="pip install 'regionshift[local]'",
                error_id="RS-LOCAL-004",
            ) from error
        if self.endpoint is None:
            cloud = emulator.up(self.files.cloud, self.config.account)
        else:
            own = emulator.status(self.files.cloud)
            is_own = own is not None and own.endpoint == self.endpoint.rstrip("/")
            cloud = own if own is not None and is_own else self._foreign_cloud(self.endpoint)
        require_loopback(cloud.endpoint)
        return emulator.as_role(cloud, role) if role else cloud

    def _foreign_cloud(self, endpoint: str) -> LocalCloud:
        from regionshift.local.emulator import LocalCloud

        variables = self.outside.variables
        try:
            return LocalCloud(
                endpoint=endpoint.rstrip("/"),
                account=self.config.account,
                ca_bundle=Path(variables["REGIONSHIFT_CA_BUNDLE"]),
                pid=0,
                access_key=variables["AWS_ACCESS_KEY_ID"],
                secret_key=variables["AWS_SECRET_ACCESS_KEY"],
                state_dir=self.files.cloud,
            )
        except KeyError as missing:
            raise InputError(
                f"The endpoint {endpoint} is not our own embedded AWS, and {missing} is not set.",
                where="--endpoint",
                remedy="set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and REGIONSHIFT_CA_BUNDLE for it",
                error_id="RS-AWS-013",
            ) from missing

    @cached_property
    def clients(self) -> Clients:
        """AWS's clients with the caller's credentials."""
        from regionshift.aws.clients import Clients
        from regionshift.aws.guard import require_aws

        account, cloud = self.config.account, self.cloud
        if cloud is None:
            clients = Clients(profile=self.outside.variables.get("REGIONSHIFT_PROFILE"), account=account)
            require_aws(self.outside.variables, clients.configured_endpoints())
            return clients
        return Clients(
            key=cloud.key,
            endpoint=cloud.endpoint,
            ca_bundle=cloud.ca_bundle,
            account=account,
        )

    @cached_property
    def _readable(self) -> Files | None:
        """What the local provider may read of this machine's files."""
        if self.cloud is None:
            return None
        from regionshift.local.provider.assets import Files

        return Files()

    # The state

    @property
    def state_url(self) -> str:
        """The state URL of the settings, else a folder in ``.regionshift/``."""
        return self.config.state or (self.files.home / "state").as_uri()

    @cached_property
    def store(self) -> StateStore:
        """The state, opened."""
        from regionshift.journal.backends import open_state
        from regionshift.journal.store import Credentials, S3Access

        clients, cloud = self.clients, self.cloud

        def credentials() -> Credentials:
            key = clients.credentials()
            # Session credentials end some day; asking again after minutes finds boto's renewed ones.
            soon = self.outside.now() + timedelta(minutes=5) if key.session_token else None
            return Credentials(key.access_key, key.secret_key, key.session_token, soon)

        return open_state(
            self.state_url,
            S3Access(
                region=self.config.regions.primary,
                credentials=credentials,
                endpoint=cloud.endpoint if cloud else None,
                ca_bundle=cloud.ca_bundle.read_bytes() if cloud else None,
            ),
        )

    @property
    def _key_file(self) -> Path:
        return self.files.home / "state.key"

    def require_key_file(self) -> None:
        """Raises Refused if another machine's key file made the state: a new key would open nothing."""
        if parse_key_url(self.config.state_secrets) is not None or self._key_file.exists():
            return
        if not self.store.folders(f"journal/{self.identity.scope}/runs"):
            return
        raise Refused(
            "The secrets in this state are sealed with a key file that this machine does not have.",
            where=str(self._key_file),
            remedy="copy that file from the machine that made the state; for an environment that any machine may go"
            " on with, set `state_secrets: awskms://…` before its first `up`",
            error_id="RS-STATE-004",
        )

    @cached_property
    def key(self) -> SecretKey:
        """The key of the releases' secrets and of all seals: in the state under KMS, or from the key file."""
        from regionshift.journal.sealing import key_from_file, key_from_kms

        key = parse_key_url(self.config.state_secrets)
        if key is not None:
            region = key.region or self.config.regions.primary
            return key_from_kms(_Kms(self.clients, region), key.key, self.store, self.identity.scope)
        return key_from_file(self._key_file)

    @contextmanager
    def locked(
        self,
        force: Callable[[Holder, MigrationConfig], None] | None,
        stops: Sequence[Callable[[], None]],
        patience: float,
        waiting: Callable[[Holder | None], None],
    ) -> Iterator[Lock]:
        """The environment's lock; if it is lost, ``stops`` end the work. For the other arguments see `open_session`."""
        from regionshift.journal.lock import Holder, LeaseTerms, LockLost, acquire, current_holder

        me = Holder(
            owner=user_name(),
            host=socket.gethostname(),
            pid=os.getpid(),
            since=self.outside.now(),
            token=uuid.uuid4().hex,
        )
        held = current_holder(self.store, self.identity.scope) if force else None
        if force and held:
            _require_dead(held)
            force(held, self.config)

        def on_lost(_: LockLost) -> None:
            for stop in stops:
                stop()

        told: list[str | None] = []

        def wait(other: Holder | None, seconds: float) -> None:
            token = other.token if other else None
            if token not in told:
                told.append(token)
                waiting(other)
            time.sleep(seconds)

        terms = LeaseTerms(elapsed=self.outside.monotonic, on_lost=on_lost, patience=patience, wait=wait)
        with acquire(self.store, self.identity.scope, me, terms, held.token if held else None) as lock:
            yield lock

    @cached_property
    def zones(self) -> Zones:
        """The environment's availability zones."""
        from regionshift.operations.zones import Zones

        return Zones(self.store, self.identity.scope)

    def catalog(self, lock: Lock | None) -> ReleaseCatalog:
        """The releases that are kept. With the first one, under the ``lock``, whose environment it is and its zones."""
        from regionshift.journal.identity import write_down
        from regionshift.journal.releases import ReleaseStore
        from regionshift.releases import ReleaseCatalog

        def keeping() -> None:
            if lock:
                write_down(self.store, self.identity, lock.check)
                self.zones.keep()

        return ReleaseCatalog(
            ReleaseStore(self.store, self.identity.scope, self.key),
            self.config,
            self.files.home / "artifacts",
            user_name(),
            self.outside.now,
            keeping=keeping,
        )

    # What an operation gets

    def engine_setup(self, *, without_secrets: bool = False) -> EngineSetup:
        """How the engine is run; ``without_secrets`` as `EngineSetup` has it."""
        from regionshift.journal.store import Slot

        return EngineSetup(
            self.config,
            self.files.home,
            self.state_url,
            self._key_file,
            self.outside.variables,
            Slot(self.store, f"aside/{self.identity.scope}.json"),
            self.cloud,
            self._readable,
            without_secrets,
        )

    def environment(self, engine: Engine, scope: RegionScope) -> Environment:
        """The environment; its release is read at its first use."""
        from regionshift.operations.environment import Environment

        release = cache(lambda: self._release(scope))
        return Environment(
            config=self.config,
            clients=self.clients,
            engine=engine,
            program=lambda releases, *, links="newest", **options: self._program(
                engine, releases, release() if isinstance(links, str) else links, **options
            ),
            release=release,
            state_dir=self.files.home,
            now=self.outside.now,
            scope=scope,
            waiter=waiter_of(self.cloud),
        )

    def _release(self, scope: RegionScope) -> Release:
        from importlib.metadata import version

        from regionshift.operations.secret_values import read_secrets
        from regionshift.releases import program_digest
        from regionshift.settings.release import Release

        config, clients, regions = self.config, self.clients, self.config.all_regions
        folder = self.files.config.resolve().parent
        values = read_secrets(config, clients, scope.called(regions), self.outside.variables, folder)
        count = config.network.zones
        return Release(
            config=config,
            artifact=self._artifact(),
            zones=self.zones.choose(clients, regions, count, scope.uncalled),
            secrets=values,
            secrets_digest=self.key.digest_all(values),
            tool_version=__version__,
            plugin_version=version("pulumi-aws"),
            program=program_digest(),
        )

    def _artifact(self) -> Artifact:
        """The function's zip, built from this tool, or a test's own."""
        from regionshift import artifact
        from regionshift.settings.release import Artifact

        brought = self.outside.variables.get("REGIONSHIFT_TEST_ARTIFACT")
        if brought is None:
            return artifact.build(self.files.home / "artifacts")
        path = Path(brought)
        return Artifact(path, hashlib.sha256(path.read_bytes()).hexdigest())

    def _program(
        self, engine: Engine, releases: Mapping[str, Release], links: Release | None, **options: Any
    ) -> Program:
        import pulumi

        from regionshift.infrastructure.program import ProviderSettings, environment

        cloud = self.cloud
        provider = (
            ProviderSettings(cloud.endpoint, cloud.access_key, cloud.secret_key, cloud.session_token)
            if cloud
            else ProviderSettings()
        )
        for release in [*releases.values(), *([links] if links else [])]:
            values = (value.get_secret_value() for value in release.secrets.values())
            engine.hide(values, release.config.shown)
            if self._readable is not None:
                self._readable.allow(release.artifact.path.absolute(), release.artifact.sha256)

        def program() -> None:
            for name, value in environment(
                releases, provider_settings=provider, links=links, **options
            ).items():
                pulumi.export(name, value)

        return program

    # This machine

    def machine(self, engine_problem: InputError | None) -> Machine:
        """What this machine offers."""
        from importlib.metadata import version

        from regionshift.operations.preflight import Machine

        variables = self.outside.variables
        home = Path(variables.get("PULUMI_HOME") or Path(variables.get("HOME", "/")) / ".pulumi")
        return Machine(
            free_memory_mb=free_memory_mb(),
            plugin_missing=not (home / "plugins" / f"resource-aws-v{version('pulumi-aws')}").exists(),
            engine_problem=engine_problem,
            disks=self._disks,
            folder=self.files.home.parent,
        )

    @cached_property
    def _disks(self) -> tuple[Disk, ...]:
        """Where a run writes on this machine; a state in S3 has no end."""
        from regionshift.operations.room import Disk

        where = {"work": self.files.home}
        if self.cloud is not None:
            where["cloud"] = self.files.cloud
        if (state := parse_state_url(self.state_url).folder) is not None:
            where["state"] = state
        found = []
        for use, path in where.items():
            there = next(each for each in (path, *path.parents) if each.exists())
            found.append(Disk(use, str(there), there.stat().st_dev, shutil.disk_usage(there).free))
        return tuple(found)

    def require_room(self) -> None:
        """Raises Refused when a disk is too full for a run: it would be stopped half way."""
        from regionshift.operations.room import room_findings

        if findings := room_findings(self._disks, len(self.config.all_regions)):
            first = findings[0]
            raise Refused(f"No room for a run: {first.message}.", remedy=first.remedy, error_id="RS-FILE-005")


@dataclass(frozen=True)
class _Kms:
    """The calls that open the releases' key, with AWS's errors in plain words."""

    clients: Clients
    region: str

    def generate_data_key(self, **parameters: Any) -> Mapping[str, object]:
        return self.clients.call(self.region, "kms", "generate_data_key", **parameters)

    def decrypt(self, **parameters: Any) -> Mapping[str, object]:
        return self.clients.call(self.region, "kms", "decrypt", **parameters)


def _require_dead(held: Holder) -> None:
    """Raises Refused when ``held`` is a process of this machine that lives: its run must not be called killed."""
    from regionshift.machine import is_running

    if held.host != socket.gethostname() or held.pid == os.getpid() or not is_running(held.pid):
        return
    raise Refused(
        f"The lock is held by {held}, and that process is alive on this machine.",
        where=f"process {held.pid}",
        remedy=f"wait until it is done, or end it first: kill -INT {held.pid}",
        error_id="RS-LOCK-001",
    )
