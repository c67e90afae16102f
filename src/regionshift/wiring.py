"""The one place where parts are put together: settings, cloud, state, engine and program."""

from __future__ import annotations

import getpass
import hashlib
import os
import shutil
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionshift import __version__
from regionshift.errors import InputError, Refused
from regionshift.journal.identity import identity_of
from regionshift.settings.config import MigrationConfig
from regionshift.settings.load import load_config
from regionshift.settings.state_url import parse_key_url, parse_state_url

if TYPE_CHECKING:
    from semver import VersionInfo

    from regionshift.aws.clients import Clients
    from regionshift.engine.engine import Engine, Program
    from regionshift.infrastructure.program import ProviderSettings
    from regionshift.journal.journal import Journal
    from regionshift.journal.lock import Holder, Lock, LockLost
    from regionshift.journal.sealing import SecretKey
    from regionshift.journal.store import Slot, StateStore
    from regionshift.local.emulator import LocalCloud
    from regionshift.local.provider.assets import Files
    from regionshift.operations.environment import Environment
    from regionshift.operations.preflight import Machine
    from regionshift.operations.region_scope import RegionScope
    from regionshift.operations.room import Disk
    from regionshift.releases.catalog import ReleaseCatalog
    from regionshift.settings.release import Artifact, Release

HOME = ".regionshift"
Skipped = Collection[str] | Callable[["Journal"], Collection[str]]
"""Regions that get no call at all, or what finds them in the journal."""


@dataclass(frozen=True)
class ProjectFiles:
    """Where the files of one settings file lie: everything under ``.regionshift/`` beside it."""

    config: Path

    @property
    def home(self) -> Path:
        """``.regionshift/`` beside the settings."""
        return self.config.resolve().parent / HOME

    @property
    def cloud(self) -> Path:
        """What the embedded AWS keeps."""
        return self.home / "cloud"

    def state_url(self, config: MigrationConfig) -> str:
        """The state URL as set, else a folder in ``.regionshift/``."""
        return config.state or (self.home / "state").as_uri()


@dataclass(frozen=True)
class Surroundings:
    """The outside, read once: environment variables, clocks, how to stop."""

    variables: Mapping[str, str] = field(repr=False)
    now: Callable[[], datetime]
    monotonic: Callable[[], float]


def surroundings() -> Surroundings:
    """The process's own."""
    return Surroundings(dict(os.environ), lambda: datetime.now(UTC), _seconds)


def _seconds() -> float:
    """Seconds that also pass while the machine sleeps, so that a lease is not trusted when it wakes too late.

    clock_gettime(2): on Linux CLOCK_MONOTONIC stands still in suspend and CLOCK_BOOTTIME does not; on macOS
    CLOCK_MONOTONIC goes on, and Python's own monotonic clock (mach_absolute_time) does not.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@dataclass(frozen=True)
class Wired:
    """An environment ready to be worked on, with what belongs to this run of the command."""

    environment: Environment
    journal: Journal
    catalog: ReleaseCatalog
    store: StateStore
    lock: Lock | None
    machine: Machine
    cloud: LocalCloud | None


def user_name() -> str:
    """Who is at work; a container's user may have a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the second since Python 3.13
        return f"user {os.getuid()}"


def scope_of(config: MigrationConfig) -> str:
    """What keeps this environment apart from others under one state URL."""
    return identity_of(config).scope


def settings(path: Path, overrides: Mapping[str, object], outside: Surroundings) -> MigrationConfig:
    """The checked settings. Raises SettingsError with every mistake."""
    return load_config(path, outside.variables, overrides)


@contextmanager
def wire(
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
) -> Iterator[Wired]:
    """Everything a command needs, guarded: the account behind the credentials is the configured one.

    Args:
        locked: whether the command changes anything; then it holds the environment's lock.
        force: break a lock that is held, unless this raises when it is told the holder.
        skipped: regions that get no call, or what finds them in the journal; beside those that are fenced,
            and those that an unfinished deployment leaves out.
        rejoining: fenced regions that are called again.
        naming: regions to be looked at as if the settings named them as the last secondaries.
        without_engine: go on when no engine fits; the machine then says why, and no run may be asked for.
        changing: is told when something begins to be changed (see `Journal`).
        unsealed: take a journal as it stands though the command changes something. Nothing may be done by it.

    Raises:
        InputError: the settings, or what they need, are wrong.
        Refused: another account, an endpoint that is not loopback, a lock held by somebody else, a journal that is
            acted on and not sealed.
    """
    config = _naming(settings(path, overrides, outside), naming)
    place = ProjectFiles(path)
    place.home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        access = _access(config, place, endpoint, outside)
        from regionshift.aws.guard import require_account
        from regionshift.journal.identity import require_same, written_down
        from regionshift.journal.journal import Journal
        from regionshift.journal.store import Slot
        from regionshift.operations.region_scope import without_regions

        store = _store(config, place, access, outside)
        require_same(store, identity_of(config))
        _require_key(config, place, store)
        told = Journal(store, scope_of(config), outside.now)
        scope = _scope(skipped, told, config, rejoining)
        called = scope.called(config.all_regions)
        require_account(access.clients, config.account, called or [config.regions.primary])

        named, config = config, without_regions(config, scope.fenced)
        disks = _disks(config, place, access)
        if locked:
            _require_room(disks, config)
        stops: list[Callable[[], None]] = []
        lock = stack.enter_context(_lock(store, config, outside, stops, force)) if locked else None
        key = _state_key(config, place, access, store)
        acted_on = locked and not unsealed
        journal = Journal(
            store,
            scope_of(config),
            outside.now,
            *((lock.check, lock.working_on, user_name()) if lock else ()),
            changing=changing,
            key=key,
            acted_on=acted_on,
        )
        if lock:
            stack.enter_context(written_down(store, identity_of(config), lock.check))
        if acted_on and _scope(skipped, journal, named, rejoining) != scope:
            # They were told before the lock was held and AWS asked for the key: by another command's run, or by
            # a copy of a run's end that somebody made up.
            raise Refused(
                "Which regions get no call is not what it was when the command began.",
                where=store.url,
                remedy="run it again; if it says so again, `regionshift doctor` tells what in the journal has no seal",
            )
        found = _find_engine(_inherited(config, outside), may_miss=without_engine)
        slot = Slot(store, f"aside/{scope_of(config)}.json")
        engine = stack.enter_context(_engine(config, place, access, outside, found, slot, exclusive=locked))
        stops.append(engine.interrupt)
        machine = _machine(place, outside, found.problem, disks)
        yield _wired(
            config,
            place,
            access,
            outside,
            store=store,
            lock=lock,
            engine=engine,
            machine=machine,
            journal=journal,
            key=key,
            scope=scope,
        )


def _naming(config: MigrationConfig, more: Collection[str]) -> MigrationConfig:
    """The settings with the regions in ``more`` as secondaries too."""
    new = tuple(region for region in more if region not in config.all_regions)
    secondaries = (*config.regions.secondaries, *new)
    regions = config.regions.model_copy(update={"secondaries": secondaries})
    return config.model_copy(update={"regions": regions}) if new else config


def _scope(
    skipped: Skipped, journal: Journal, config: MigrationConfig, rejoining: Collection[str]
) -> RegionScope:
    """Who gets no call, read in the journal before any is made."""
    from regionshift.operations.moving.proposing import given_up_regions
    from regionshift.operations.region_scope import RegionScope
    from regionshift.operations.waves.deploying import left_out_by_open_run

    asked = skipped(journal) if callable(skipped) else skipped
    fenced = given_up_regions(journal) & set(config.all_regions)
    return RegionScope(left_out_by_open_run(journal).union(asked), fenced=frozenset(fenced - set(rejoining)))


@dataclass(frozen=True)
class AwsAccess:
    """How AWS, real or embedded, is reached."""

    clients: Clients
    cloud: LocalCloud | None
    files: Files | None = None
    """What the local provider may read of this machine's files."""


def _access(
    config: MigrationConfig, place: ProjectFiles, endpoint: str | None, outside: Surroundings
) -> AwsAccess:
    from regionshift.aws.clients import AccessKey, Clients
    from regionshift.aws.guard import require_aws, require_loopback

    if config.target == "aws":
        if endpoint is not None:
            raise InputError(
                "An endpoint goes with the local target only.",
                where="--endpoint",
                remedy="leave it out, or give --target local",
            )
        clients = Clients(profile=outside.variables.get("REGIONSHIFT_PROFILE"), account=config.account)
        require_aws(outside.variables, clients.configured_endpoints())
        return AwsAccess(clients, None)
    if endpoint is not None:
        require_loopback(endpoint)
    cloud = _cloud(config, place, endpoint, outside)
    require_loopback(cloud.endpoint)
    from regionshift.local.provider.assets import Files

    clients = Clients(
        key=AccessKey(cloud.access_key, cloud.secret_key),
        endpoint=cloud.endpoint,
        ca_bundle=cloud.ca_bundle,
        account=config.account,
    )
    return AwsAccess(clients, cloud, Files())


def _cloud(
    config: MigrationConfig, place: ProjectFiles, endpoint: str | None, outside: Surroundings
) -> LocalCloud:
    """Our own embedded AWS, started when it does not run; or the one at ``endpoint``."""
    try:
        from regionshift.local import emulator
    except ImportError as error:
        raise InputError(
            f"The local target needs a package that is not installed: {error.name}.",
            where="target",
            remedy="pip install 'regionshift[local]'",
        ) from error
    if endpoint is None:
        return emulator.up(place.cloud, config.account)
    own = emulator.status(place.cloud)
    if own is not None and own.endpoint == endpoint.rstrip("/"):
        return own
    variables = outside.variables
    try:
        return emulator.LocalCloud(
            endpoint=endpoint.rstrip("/"),
            account=config.account,
            ca_bundle=Path(variables["REGIONSHIFT_CA_BUNDLE"]),
            pid=0,
            access_key=variables["AWS_ACCESS_KEY_ID"],
            secret_key=variables["AWS_SECRET_ACCESS_KEY"],
            state_dir=place.cloud,
        )
    except KeyError as missing:
        raise InputError(
            f"The endpoint {endpoint} is not our own embedded AWS, and {missing} is not set.",
            where="--endpoint",
            remedy="set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and REGIONSHIFT_CA_BUNDLE for it",
        ) from missing


def _store(
    config: MigrationConfig, place: ProjectFiles, access: AwsAccess, outside: Surroundings
) -> StateStore:
    from regionshift.journal.backends import open_state
    from regionshift.journal.store import Credentials, S3Access

    cloud = access.cloud

    def credentials() -> Credentials:
        key = access.clients.credentials()
        # Session credentials end some day; asking again after minutes finds boto's renewed ones.
        soon = outside.now() + timedelta(minutes=5) if key.session_token else None
        return Credentials(key.access_key, key.secret_key, key.session_token, soon)

    return open_state(
        place.state_url(config),
        S3Access(
            region=config.regions.primary,
            credentials=credentials,
            endpoint=cloud.endpoint if cloud else None,
            ca_bundle=cloud.ca_bundle.read_bytes() if cloud else None,
        ),
    )


@contextmanager
def _lock(
    store: StateStore,
    config: MigrationConfig,
    outside: Surroundings,
    stops: Sequence[Callable[[], None]],
    force: Callable[[Holder, MigrationConfig], None] | None,
) -> Iterator[Lock]:
    """The environment's lock; when it is lost, ``stops`` end what goes on under it."""
    from regionshift.journal.lock import Holder, LeaseTerms, acquire, current_holder

    me = Holder(
        owner=user_name(),
        host=socket.gethostname(),
        pid=os.getpid(),
        since=outside.now(),
        token=uuid.uuid4().hex,
    )
    held = current_holder(store, scope_of(config)) if force else None
    if force and held:
        _require_dead(held)
        force(held, config)

    def on_lost(_: LockLost) -> None:
        for stop in stops:
            stop()

    terms = LeaseTerms(elapsed=outside.monotonic, on_lost=on_lost)
    with acquire(store, scope_of(config), me, terms, held.token if held else None) as lock:
        yield lock


def _require_dead(held: Holder) -> None:
    """Raises Refused when ``held`` is a process of this machine that lives: its run must not be called killed."""
    from regionshift.machine import lives

    if held.host != socket.gethostname() or held.pid == os.getpid() or not lives(held.pid):
        return
    raise Refused(
        f"The lock is held by {held}, and that process is alive on this machine.",
        where=f"process {held.pid}",
        remedy=f"wait until it is done, or end it first: kill -INT {held.pid}",
    )


@dataclass(frozen=True)
class _FoundEngine:
    command: Path
    version: VersionInfo
    problem: InputError | None = None


def _find_engine(variables: Mapping[str, str], *, may_miss: bool) -> _FoundEngine:
    from regionshift.engine.cli import OLDEST, find_pulumi

    try:
        return _FoundEngine(*find_pulumi(variables, [Path(sys.prefix) / "bin"]))
    except InputError as problem:
        if not may_miss:
            raise
        return _FoundEngine(Path("pulumi"), OLDEST, problem)


@contextmanager
def _engine(
    config: MigrationConfig,
    place: ProjectFiles,
    access: AwsAccess,
    outside: Surroundings,
    found: _FoundEngine,
    slot: Slot,
    *,
    exclusive: bool,
) -> Iterator[Engine]:
    from regionshift.engine.engine import Engine, EngineSettings

    identity = identity_of(config)
    with ExitStack() as stack:
        environment = _engine_environment(config, place, access, outside)
        if access.cloud is not None:
            from regionshift.local.provider.server import serve

            port = stack.enter_context(serve(access.cloud, files=access.files))
            environment |= {"PULUMI_DEBUG_PROVIDERS": f"aws:{port}"}
        engine = Engine(
            EngineSettings(
                command=found.command,
                version=found.version,
                backend=_backend(config, place, access),
                project=identity.engine_project,
                stack=identity.stack,
                work_dir=place.home / "engine" / identity.scope,
                environment=environment,
                secrets_provider=_secrets_provider(config, access),
                exclusive=exclusive,
                parallel=config.deployment.max_parallel,
                slot=slot,
            )
        )
        stack.callback(engine.close)
        with _stops_on_interrupt(engine):
            yield engine


def _inherited(config: MigrationConfig, outside: Surroundings) -> dict[str, str]:
    """The environment variables for programs that are started: without those that hold the application's secrets.

    Every process of the same user can read another's variables (proc(5), ``/proc/PID/environ``), and the engine
    hands its own to each of its plugins.
    """
    secret = {source.env for source in config.application.secrets.values()}
    return {name: value for name, value in outside.variables.items() if name not in secret}


def _engine_environment(
    config: MigrationConfig, place: ProjectFiles, access: AwsAccess, outside: Surroundings
) -> dict[str, str]:
    inherited = _inherited(config, outside)
    variables = {name: value for name, value in inherited.items() if not name.startswith("PULUMI_")}
    variables |= {"PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true"}
    # A machine that never worked on the stack knows its key from the state, not from a file of the workspace.
    variables["PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER"] = "true"
    if config.state_secrets is None:
        variables["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase_file(place))
    if access.cloud is None:
        return _with_profile(variables)
    for name in [name for name in variables if name.startswith("AWS_")]:
        del variables[name]  # nothing of a real account may reach the engine of a local run
    # A quarter less processor time of the engine for some 100 MB (docs/scale-regions.md). On AWS the plugins, one a
    # region and larger than the engine, would inherit it.
    variables.setdefault("GOGC", "400")
    return variables | {
        "AWS_ACCESS_KEY_ID": access.cloud.access_key,
        "AWS_SECRET_ACCESS_KEY": access.cloud.secret_key,
        "AWS_REGION": config.regions.primary,
        "AWS_CA_BUNDLE": str(access.cloud.ca_bundle),
        "AWS_ENDPOINT_URL_KMS": access.cloud.endpoint,
        "PULUMI_HOME": str(place.home / "engine" / "home"),
        # The plugin of 700 MB is not what a local run uses: the engine must not go and ask for it.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        # Safe only because the local provider adopts what a killed run made and did not record.
        "PULUMI_EXPERIMENTAL": "true",
        "PULUMI_SKIP_CHECKPOINTS": "true",
    }


_KEYS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})


def _with_profile(variables: dict[str, str]) -> dict[str, str]:
    """The engine and its plugin work as the profile whose account and rights were looked at, and as nobody else.

    Keys in the environment go before a profile (AWS SDKs and Tools Reference Guide, "Standardized credential
    providers"), so they are taken away.
    """
    profile = variables.get("REGIONSHIFT_PROFILE")
    if not profile:
        return variables
    left = {name: value for name, value in variables.items() if name not in _KEYS}
    return left | {"AWS_PROFILE": profile}


def _secrets_provider(config: MigrationConfig, access: AwsAccess) -> str:
    """Who encrypts secrets in the engine's state: the key of `state_secrets`, else the passphrase of the key file."""
    key = parse_key_url(config.state_secrets)
    if key is None:
        return config.state_secrets or "passphrase"
    # Of the two SDKs in the engine only the second can be sent to an endpoint of ours (AWS_ENDPOINT_URL_KMS).
    more = {"awssdk": "v2"} if access.cloud is not None else {}
    return key.text(config.regions.primary, **more)


def _key_file(place: ProjectFiles) -> Path:
    return place.home / "state.key"


def _require_key(config: MigrationConfig, place: ProjectFiles, store: StateStore) -> None:
    """Raises Refused when a state was begun with the key file of another machine: a new one would open nothing."""
    if parse_key_url(config.state_secrets) is not None or _key_file(place).exists():
        return
    if not store.folders(f"journal/{scope_of(config)}/runs"):
        return
    raise Refused(
        "The secrets in this state are sealed with a key file that this machine does not have.",
        where=str(_key_file(place)),
        remedy="copy that file from the machine that made the state; for an environment that any machine may go on"
        " with, set `state_secrets: awskms://…` before its first `up`",
    )


def passphrase_file(place: ProjectFiles) -> Path:
    """The key that secrets in the state are encrypted with; made once, for the owner's eyes only."""
    from regionshift.journal.sealing import key_file

    return key_file(_key_file(place))


def _backend(config: MigrationConfig, place: ProjectFiles, access: AwsAccess) -> str:
    state = parse_state_url(place.state_url(config))
    folder = identity_of(config).engine_folder
    if state.folder is not None:
        (state.folder / folder).mkdir(parents=True, exist_ok=True)
    return state.engine_url(folder, config.regions.primary, access.cloud.endpoint if access.cloud else None)


@contextmanager
def _stops_on_interrupt(engine: Engine) -> Iterator[None]:
    """Ctrl-C once: the engine finishes what it is at and writes its state. Twice: as Python does."""

    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, previous)
        engine.interrupt()
        if not engine.running:
            raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, stop)
    terminated = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        signal.signal(signal.SIGTERM, terminated)


def _wired(
    config: MigrationConfig,
    place: ProjectFiles,
    access: AwsAccess,
    outside: Surroundings,
    *,
    store: StateStore,
    lock: Lock | None,
    engine: Engine,
    machine: Machine,
    journal: Journal,
    key: SecretKey,
    scope: RegionScope,
) -> Wired:
    from regionshift.journal.releases import ReleaseStore
    from regionshift.operations.environment import Environment
    from regionshift.releases.catalog import ReleaseCatalog

    release = _once(lambda: _release(config, place, access, store, outside, key, scope))
    environment = Environment(
        config=config,
        clients=access.clients,
        engine=engine,
        program=lambda releases, *, links="newest", **options: _program(
            releases, access, release() if isinstance(links, str) else links, **options
        ),
        release=release,
        state_dir=place.home,
        scope=scope,
        now=outside.now,
    )
    catalog = ReleaseCatalog(
        ReleaseStore(store, scope_of(config), key),
        config,
        place.home / "artifacts",
        user_name(),
        outside.now,
    )
    return Wired(environment, journal, catalog, store, lock, machine, access.cloud)


def _state_key(
    config: MigrationConfig, place: ProjectFiles, access: AwsAccess, store: StateStore
) -> SecretKey:
    """The key of the releases' secrets and of all seals of the state: kept in it under KMS, or that of the key file."""
    from regionshift.journal.sealing import key_from_file, key_from_kms

    key = parse_key_url(config.state_secrets)
    if key is not None:
        return key_from_kms(_Kms(access.clients, key.region or config.regions.primary), key.key, store)
    return key_from_file(_key_file(place))


@dataclass(frozen=True)
class _Kms:
    """The calls that open the releases' key, with AWS's errors told plainly."""

    clients: Clients
    region: str

    def generate_data_key(self, **parameters: Any) -> Mapping[str, object]:
        return self.clients.call(self.region, "kms", "generate_data_key", **parameters)

    def decrypt(self, **parameters: Any) -> Mapping[str, object]:
        return self.clients.call(self.region, "kms", "decrypt", **parameters)


def _once(make: Callable[[], Release]) -> Callable[[], Release]:
    made: list[Release] = []

    def get() -> Release:
        if not made:
            made.append(make())
        return made[0]

    return get


def _release(
    config: MigrationConfig,
    place: ProjectFiles,
    access: AwsAccess,
    store: StateStore,
    outside: Surroundings,
    key: SecretKey,
    scope: RegionScope,
) -> Release:
    from importlib.metadata import version

    from regionshift.operations.secret_values import read_secrets
    from regionshift.operations.zones import zones_of
    from regionshift.releases.catalog import program_digest
    from regionshift.settings.release import Release

    called = scope.called(config.all_regions)
    values = read_secrets(config, access.clients, called, outside.variables, place.config.resolve().parent)
    count = config.network.zones
    return Release(
        config=config,
        artifact=_artifact(place, outside),
        zones=zones_of(access.clients, store, scope_of(config), config.all_regions, count, scope.uncalled),
        secrets=values,
        secrets_digest=key.digest_all(values),
        tool_version=__version__,
        plugin_version=version("pulumi-aws"),
        program=program_digest(),
    )


def _artifact(place: ProjectFiles, outside: Surroundings) -> Artifact:
    """The function's zip as built from this tool, or the one that a test brings."""
    from regionshift import artifact
    from regionshift.settings.release import Artifact

    brought = outside.variables.get("REGIONSHIFT_TEST_ARTIFACT")
    if brought is None:
        return artifact.build(place.home / "artifacts")
    path = Path(brought)
    return Artifact(path, hashlib.sha256(path.read_bytes()).hexdigest())


def _program(
    releases: Mapping[str, Release], access: AwsAccess, links: Release | None, **options: Any
) -> Program:
    import pulumi

    from regionshift.infrastructure.program import environment

    if access.files is not None:
        for release in [*releases.values(), *([links] if links else [])]:
            access.files.allow(release.artifact.path.absolute(), release.artifact.sha256)

    def program() -> None:
        outputs = environment(releases, provider_settings=_provider_settings(access), links=links, **options)
        for name, value in outputs.items():
            pulumi.export(name, value)

    return program


def _provider_settings(access: AwsAccess) -> ProviderSettings:
    from regionshift.infrastructure.program import ProviderSettings

    if access.cloud is None:
        return ProviderSettings()
    cloud = access.cloud
    return ProviderSettings(cloud.endpoint, cloud.access_key, cloud.secret_key)


def _machine(
    place: ProjectFiles, outside: Surroundings, engine_problem: InputError | None, disks: tuple[Disk, ...]
) -> Machine:
    from importlib.metadata import version

    from regionshift.operations.preflight import Machine

    home = Path(outside.variables.get("PULUMI_HOME") or Path(outside.variables.get("HOME", "/")) / ".pulumi")
    return Machine(
        free_memory_mb=_free_memory_mb(),
        plugin_missing=not (home / "plugins" / f"resource-aws-v{version('pulumi-aws')}").exists(),
        engine_problem=engine_problem,
        disks=disks,
        folder=place.home.parent,
    )


def _disks(config: MigrationConfig, place: ProjectFiles, access: AwsAccess) -> tuple[Disk, ...]:
    """Where a run writes on this machine; a state in S3 has no end."""
    from regionshift.operations.room import Disk

    where = {"work": place.home}
    if access.cloud is not None:
        where["cloud"] = place.cloud
    if (state := parse_state_url(place.state_url(config)).folder) is not None:
        where["state"] = state
    found = []
    for use, path in where.items():
        there = next(each for each in (path, *path.parents) if each.exists())
        found.append(Disk(use, str(there), there.stat().st_dev, shutil.disk_usage(there).free))
    return tuple(found)


def _require_room(disks: Sequence[Disk], config: MigrationConfig) -> None:
    """Raises Refused when a disk is too full for a run: it would be stopped half way."""
    from regionshift.operations.room import room_findings

    if findings := room_findings(disks, len(config.all_regions)):
        first = findings[0]
        raise Refused(f"No room for a run: {first.message}.", remedy=first.remedy)


def _free_memory_mb() -> int | None:
    """What programs may still take, None when the system does not tell (macOS does not).

    Memory that only caches files counts where the system tells of it.
    """
    told = Path("/proc/meminfo")
    for line in told.read_text(encoding="utf-8").splitlines() if told.exists() else ():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 2**10
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    except (ValueError, OSError):
        return None
