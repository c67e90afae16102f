"""The parts of the settings that say what stands in every region. Pure values; no file is read here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from regionshift.settings import fields
from regionshift.settings.fields import wrong


class Section(BaseModel):
    """Base of every part of the settings: immutable, and a misspelt field is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


class Regions(Section):
    """Where the environment lives: one primary, any number of secondaries, one to thirty in all."""

    primary: fields.Region
    """The region where the environment is written."""
    secondaries: tuple[fields.Region, ...] = Field(default=(), max_length=29)
    """The regions where it is mirrored, in the order in which they are shown."""


class Network(Section):
    """Address space of the environment and how the function is placed in it."""

    vpc_cidr: fields.AddressSpace
    """The IPv4 space that every region's VPC takes its own fixed block from."""
    zones: int = Field(default=2, ge=1, le=6)
    """Availability zones a region, each with a private subnet."""
    region_cidrs: dict[fields.Region, fields.VpcBlock] = {}
    """A region's VPC block, where it must be another than its place in `vpc_cidr`."""
    function_in_vpc: bool = False
    """Put the function in the VPC, with the interface endpoints it needs; they cost money by the hour."""
    flow_logs: bool = True
    """Record the VPC's traffic in CloudWatch Logs."""


class SecretSource(Section):
    """Where a secret's value comes from; exactly one field is given. Never the value itself."""

    env: fields.EnvName | None = None
    """The environment variable that holds the value when the command runs; taken as it is."""
    file: Path | None = None
    """The file that holds the value; a relative path starts at the settings file. One
    line end (LF or CRLF) at the very end of a text is no part of the value; everything else is, byte for byte. What is
    no UTF-8 text is binary: kept whole, with store: secretsmanager only."""
    secret: Annotated[str, Field(min_length=1)] | None = None
    """The name or ARN of an existing secret in Secrets Manager, in the primary region; text or binary as it is
    there."""

    @model_validator(mode="after")
    def _exactly_one(self) -> SecretSource:
        if sum(value is not None for value in (self.env, self.file, self.secret)) != 1:
            raise wrong("exactly one of env, file and secret")
        return self


class Application(Section):
    """Configuration values and secrets handed to the application in every region."""

    store: Literal["ssm", "secretsmanager"] = "ssm"
    """Where configuration and secrets are kept: SSM SecureString parameters or Secrets Manager."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """How much the function logs."""
    enable_validation: bool = True
    """Whether the function measures when it is asked to validate."""
    config: dict[fields.ConfigKey, str | int | float | bool] = {}
    """Values added to the deployment configuration, the same in every region; never secrets."""
    secrets: dict[fields.ItemName, SecretSource] = {}
    """The application's secrets by name, each with where its value comes from."""


class Function(Section):
    """The migration function."""

    runtime: str = Field(default="python3.13", pattern=r"^python3\.1[1-4]$", examples=["python3.13"])
    """The Lambda runtime: one that Lambda has and the function's code runs on."""
    architecture: Literal["x86_64", "arm64"] = "arm64"
    """The processor it runs on."""
    memory: int = Field(default=512, ge=128, le=10240)
    """Memory in MB."""
    timeout: fields.Timeout = 300
    """The longest an invocation may take."""
    reserved_concurrency: int | None = Field(default=None, ge=1)
    """Executions kept for the function alone; small accounts refuse it."""


class Access(Section):
    """Who else than the environment's own roles may write what it keeps for itself in its buckets."""

    operators: tuple[fields.Principal, ...] = Field(default=(), max_length=50)
    """ARNs of the roles and users that run the command, * and ? as wildcards. Then nobody else writes the records of
    migrations, artifacts or state in the deployment buckets; without them every writer of the bucket may."""


class Retention(Section):
    """How long things are kept, in days."""

    logs: fields.LogDays = 30
    """Log groups; CloudWatch Logs takes certain numbers only."""
    old_versions: int = Field(default=30, ge=1, le=36500)
    """Versions of objects that are no longer current; a migration can be undone no longer than this."""
    access_logs: int = Field(default=90, ge=1, le=36500)
    """Objects in the log bucket."""
    aborted_uploads: int = Field(default=7, ge=1, le=36500)
    """Parts of uploads that were never finished."""
    key_deletion: int = Field(default=30, ge=7, le=30)
    """How long a key waits for its deletion after `destroy`."""
    secret_recovery: int = Field(default=30, ge=0, le=30)
    """How long a deleted secret can be restored: 0 for not at all, else 7 to 30."""

    @model_validator(mode="after")
    def _recovery_window(self) -> Retention:
        if 0 < self.secret_recovery < 7:
            raise wrong("secret_recovery: 0 (deleted at once) or 7 to 30", "secret_recovery: 7")
        return self


class Alerts(Section):
    """Who is told and when."""

    emails: tuple[fields.Email, ...] = ()
    """Addresses subscribed to the alarm topic of every region; each confirms once."""
    errors: int = Field(default=1, ge=1)
    """Errors of the function, or of the migration worker, in five minutes that raise the alarm."""
    throttles: int = Field(default=1, ge=1)
    """Refused invocations in five minutes that raise the alarm."""
    duration_share: float = Field(default=0.8, gt=0, lt=1)
    """The share of the timeout that the 95th percentile of durations may reach."""
    replication_latency: fields.Window = 900
    """The replication delay that raises the alarm."""
