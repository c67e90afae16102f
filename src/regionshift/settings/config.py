"""What the user asked for, checked. Pure: no file, no environment variable and no network is read here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from regionshift.settings.names import Names
from regionshift.settings.network import RegionNetwork, lay_out

Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="An AWS region's code")]
Target = Literal["aws", "local"]


class Section(BaseModel):
    """Base of every part of the settings: immutable, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Regions(Section):
    """Where the environment lives: one primary, any number of secondaries, one to thirty in all."""

    primary: Region
    secondaries: tuple[Region, ...] = Field(default=(), max_length=29)


class Network(Section):
    """Address space of the environment and how the function is placed in it."""

    vpc_cidr: str
    zones: int = Field(default=2, ge=1, le=6)
    region_cidrs: dict[Region, str] = {}
    function_in_vpc: bool = False
    flow_logs: bool = True


class SecretSource(Section):
    """Where a secret's value comes from; exactly one field is given. Never the value itself."""

    env: str | None = None
    file: Path | None = None
    secret: str | None = None


class Application(Section):
    """Configuration values and secrets handed to the application in every region."""

    store: Literal["ssm", "secretsmanager"] = "ssm"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    enable_validation: bool = True
    config: dict[str, str | int | float | bool] = {}
    secrets: dict[str, SecretSource] = {}


class Function(Section):
    """The migration function. Memory in MB, timeout in seconds, concurrency in executions."""

    runtime: str = Field(default="python3.13", pattern=r"^python3\.(1[1-9]|[2-9]\d)$")
    architecture: Literal["x86_64", "arm64"] = "arm64"
    memory: int = Field(default=512, ge=128, le=10240)
    timeout: int = Field(default=300, ge=30, le=900)
    reserved_concurrency: int | None = Field(default=None, ge=1)


class Retention(Section):
    """How long things are kept, in days."""

    logs: int = 30
    old_versions: int = Field(default=30, ge=1)
    access_logs: int = Field(default=90, ge=1)
    aborted_uploads: int = Field(default=7, ge=1)
    key_deletion: int = Field(default=30, ge=7, le=30)
    secret_recovery: int = Field(default=30, ge=0, le=30)


class Alerts(Section):
    """Who is told and when. Durations in seconds, rates as counts in five minutes."""

    emails: tuple[str, ...] = ()
    errors: int = Field(default=1, ge=1)
    throttles: int = Field(default=1, ge=1)
    duration_share: float = Field(default=0.8, gt=0, lt=1)
    replication_latency: int = Field(default=900, ge=60)


class MigrationConfig(Section):
    """One environment of one project in one account, over one to thirty regions."""

    project: str
    environment: str
    environment_suffix: str = ""
    account: Annotated[str, Field(pattern=r"^\d{12}$")]
    target: Target = "local"
    regions: Regions
    state: str = ""
    state_secrets: str | None = None
    network: Network
    application: Application = Application()
    function: Function = Function()
    retention: Retention = Retention()
    alerts: Alerts = Alerts()
    tags: dict[str, str] = {}
    protect: bool | None = None

    @property
    def all_regions(self) -> tuple[str, ...]:
        """The primary first, then the secondaries in their order."""
        return (self.regions.primary, *self.regions.secondaries)

    @property
    def suffix(self) -> str:
        """What names this environment: ``environment_suffix`` when given, else ``environment``."""
        return self.environment_suffix or self.environment

    @property
    def names(self) -> Names:
        """The names of this environment; they carry the suffix."""
        return Names(self.project, self.suffix, self.account)

    @property
    def is_protected(self) -> bool:
        """Whether ``destroy`` refuses: as set, else only for ``prod``."""
        return self.environment == "prod" if self.protect is None else self.protect

    @property
    def networks(self) -> dict[str, RegionNetwork]:
        """The ranges of every region."""
        return lay_out(self.network.vpc_cidr, self.all_regions, self.network.zones, self.network.region_cidrs)


SecretValues = dict[str, SecretStr]
