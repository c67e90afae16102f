"""How the engine runs for one environment: its command, variables and state, the local provider, Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from regionshift.errors import InputError
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import Identity
from regionshift.settings.state_url import parse_key_url, parse_state_url

if TYPE_CHECKING:
    from semver import VersionInfo

    from regionshift.engine.engine import Engine
    from regionshift.journal.store import Slot
    from regionshift.local.emulator import LocalCloud
    from regionshift.local.provider.assets import Files


@dataclass(frozen=True)
class EngineSetup:
    """What the engine is run with.

    Args:
        home: the folder for all that belongs to the settings. key_file: the key of a state without a KMS key.
        given: the environment variables of the command.
        slot: where resources that a run must not know of are kept meanwhile.
        cloud: the embedded AWS; None on AWS. readable: what the local provider may read of this machine's files.
        without_secrets: the state is that of `bootstrap`. Nothing in it is secret, and any machine opens it.
    """

    config: MigrationConfig
    home: Path
    state_url: str
    key_file: Path
    given: Mapping[str, str]
    slot: Slot
    cloud: LocalCloud | None = None
    readable: Files | None = None
    without_secrets: bool = False

    @property
    def identity(self) -> Identity:
        """Whose environment it is."""
        return self.config.identity

    def found(self, *, may_miss: bool) -> tuple[Path, VersionInfo, InputError | None]:
        """The engine's command and version, and why none can be used. Raises InputError unless it ``may_miss``."""
        from regionshift.engine.cli import OLDEST

        try:
            return *_engine_of(self.inherited()), None
        except InputError as problem:
            if not may_miss:
                raise
            return Path("pulumi"), OLDEST, problem

    @contextmanager
    def running(self, *, exclusive: bool, may_miss: bool) -> Iterator[tuple[Engine, InputError | None]]:
        """The engine with its local provider, stopped by Ctrl-C; and why it can do nothing, where it ``may_miss``.

        Raises:
            InputError: there is none that fits.
        """
        from regionshift.engine.engine import Engine, EngineSettings

        command, version, problem = self.found(may_miss=may_miss)
        with ExitStack() as stack:
            variables = self.variables()
            if self.cloud is not None:
                from regionshift.local.provider.server import serve

                port = stack.enter_context(serve(self.cloud, files=self.readable))
                variables |= {"PULUMI_DEBUG_PROVIDERS": f"aws:{port}"}
            engine = Engine(
                EngineSettings(
                    command=command,
                    version=version,
                    backend=self._backend(),
                    project=self.identity.engine_project,
                    stack=self.identity.stack,
                    work_dir=self._work_dir,
                    environment=variables,
                    secrets_provider=self._secrets_provider(),
                    exclusive=exclusive,
                    parallel=self.config.deployment.max_parallel,
                    slot=self.slot,
                )
            )
            stack.callback(engine.close)
            with _stops_on_interrupt(engine):
                yield engine, problem

    @property
    def _work_dir(self) -> Path:
        """The engine's workspace, where it keeps what it knows of the stack's key: one of each state."""
        scope = self.identity.scope
        return self.home / "engine" / (f"{scope}.bootstrap" if self.without_secrets else scope)

    def inherited(self) -> dict[str, str]:
        """The environment variables for programs that are started: without those that hold the application's secrets.

        Every process of the same user can read another's variables (proc(5), ``/proc/PID/environ``), and the engine
        hands its own to each of its plugins.
        """
        secret = {source.env for source in self.config.application.secrets.values()}
        return {name: value for name, value in self.given.items() if name not in secret}

    def variables(self) -> dict[str, str]:
        """The engine's environment variables."""
        from regionshift.journal.sealing import key_file

        cloud = self.cloud
        kept = {name: value for name, value in self.inherited().items() if not name.startswith("PULUMI_")}
        variables = kept | {
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
            # A machine that never worked on the stack knows its key from the state, not from a file of the workspace.
            "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        }
        if self.without_secrets:
            variables["PULUMI_CONFIG_PASSPHRASE"] = ""
        elif self.config.state_secrets is None:
            variables["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(key_file(self.key_file))
        if cloud is None:
            return _with_profile(variables)
        # Nothing of a real account may reach the engine of a local run.
        variables = {name: value for name, value in variables.items() if not name.startswith("AWS_")}
        # A quarter less processor time of the engine for some 100 MB (docs/scale-regions.md). On AWS the plugins, one
        # a region and larger than the engine, would inherit it.
        variables.setdefault("GOGC", "400")
        if cloud.session_token:
            variables["AWS_SESSION_TOKEN"] = cloud.session_token
        return variables | {
            "AWS_ACCESS_KEY_ID": cloud.access_key,
            "AWS_SECRET_ACCESS_KEY": cloud.secret_key,
            "AWS_REGION": self.config.regions.primary,
            "AWS_CA_BUNDLE": str(cloud.ca_bundle),
            "AWS_ENDPOINT_URL_KMS": cloud.endpoint,
            "PULUMI_HOME": str(self.home / "engine" / "home"),
            # The plugin of 700 MB is not what a local run uses: the engine must not go and ask for it.
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # Safe only because the local provider adopts what a killed run made and did not record.
            "PULUMI_EXPERIMENTAL": "true",
            "PULUMI_SKIP_CHECKPOINTS": "true",
        }

    def _secrets_provider(self) -> str:
        """Who encrypts secrets in the engine's state: the key of `state_secrets`, else the key file's passphrase."""
        key = parse_key_url(self.config.state_secrets)
        if key is None:
            return self.config.state_secrets or "passphrase"
        # Of the two SDKs in the engine only the second can be sent to an endpoint of ours (AWS_ENDPOINT_URL_KMS).
        more = {"awssdk": "v2"} if self.cloud is not None else {}
        return key.text(self.config.regions.primary, **more)

    def _backend(self) -> str:
        state, folder = parse_state_url(self.state_url), self.identity.engine_folder
        if state.folder is not None:
            (state.folder / folder).mkdir(parents=True, exist_ok=True)
        endpoint = self.cloud.endpoint if self.cloud else None
        return state.engine_url(folder, self.config.regions.primary, endpoint)


def versions(variables: Mapping[str, str]) -> dict[str, str]:
    """The versions of the command, of the engine that ``variables`` lead to, and of the AWS plugin, by name."""
    from importlib.metadata import version

    from regionshift import __version__

    try:
        engine = str(_engine_of(variables)[1])
    except InputError:
        engine = "(none that fits; `regionshift doctor` says what to install)"
    return {"regionshift": __version__, "pulumi": engine, "pulumi-aws": version("pulumi-aws")}


def _engine_of(variables: Mapping[str, str]) -> tuple[Path, VersionInfo]:
    from regionshift.engine.cli import find_pulumi

    return find_pulumi(variables, [Path(sys.prefix) / "bin"])


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
