"""Every section of the settings file except `carry`, with its checks and defaults.

Pure: nothing here reads a file, an environment variable or the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from regionshift.settings import fields
from regionshift.settings.carry import Carry, MigrationSettings
from regionshift.settings.fields import Section, wrong
from regionshift.settings.names import Identity, NameKind, Names, normalize_name
from regionshift.settings.network import RegionNetwork, lay_out
from regionshift.settings.quotas import TAGS

MOST_TAGS = TAGS.most - 10
"""The environment itself sets up to ten tags."""
DEFAULT_BAKE = 600
"""Seconds of a bake on AWS by default; offline there is none."""


class Regions(Section):
    """The regions of the environment: one primary and up to 29 secondaries."""

    primary: fields.Region
    """The region that the application writes to."""
    secondaries: tuple[fields.Region, ...] = Field(default=(), max_length=29)
    """The regions that the primary replicates to, in the order in which they are shown."""


class Network(Section):
    """Address space of the environment, and the function's place in it."""

    vpc_cidr: fields.AddressSpace
    """The IPv4 space; each region's VPC has a fixed block of it."""
    zones: int = Field(default=2, ge=1, le=6)
    """Availability zones in each region, each with a private subnet."""
    region_cidrs: dict[fields.Region, fields.VpcBlock] = Field(default={})
    """Another VPC block for a region, instead of its place in `vpc_cidr`."""
    function_in_vpc: bool = False
    """Put the function in the VPC, with the interface endpoints it needs; they cost money by the hour."""
    flow_logs: bool = True
    """Record the VPC's traffic in CloudWatch Logs."""


class SecretSource(Section):
    """The source of a secret's value, in exactly one field; never the value itself."""

    env: fields.EnvName | None = None
    """The environment variable with the value when the command runs; used unchanged."""
    file: Path | None = None
    """The file with the value; a relative path starts at the settings file. The value is the file byte for byte,
    without one line end (LF or CRLF) at the end of a text. Contents that are not UTF-8 are binary, with
    store: secretsmanager only."""
    secret: Annotated[str, Field(min_length=1)] | None = None
    """The name or ARN of an existing secret in Secrets Manager, in the primary region, text or
    binary."""

    @model_validator(mode="after")
    def _exactly_one(self) -> SecretSource:
        if sum(value is not None for value in (self.env, self.file, self.secret)) != 1:
            raise wrong("exactly one of env, file and secret")
        return self


class Application(Section):
    """Configuration values and secrets of the application in every region."""

    store: Literal["ssm", "secretsmanager"] = "ssm"
    """The store of configuration and secrets: SSM SecureString parameters or Secrets Manager."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """How much the function logs."""
    enable_validation: bool = True
    """Whether a migration that the function starts checks its target first."""
    config: dict[fields.ConfigKey, str | int | float | bool] = Field(default={})
    """Values of the configuration, the same in every region; never secrets."""
    secrets: dict[fields.ItemName, SecretSource] = Field(default={})
    """The application's secrets by name, each with the source of its value."""


class Function(Section):
    """The migration function."""

    runtime: str = Field(default="python3.13", pattern=r"^python3\.1[1-4]$", examples=["python3.13"])
    """The Lambda runtime; the function's code needs Python 3.11 or newer."""
    architecture: Literal["x86_64", "arm64"] = "arm64"
    """The processor."""
    memory: int = Field(default=512, ge=128, le=10240)
    """Memory in MB."""
    timeout: fields.Timeout = 300
    """The longest duration of an invocation."""
    reserved_concurrency: int | None = Field(default=None, ge=1)
    """Executions reserved for the function; new accounts have too small a quota for any."""


class Access(Section):
    """Who may write records and state besides the environment's own roles, and the limit of these roles."""

    operators: tuple[fields.Principal, ...] = Field(default=(), max_length=50)
    """ARNs of the roles and users that run the command, with * and ? as wildcards. Then nobody else may write records
    of migrations, artifacts or state in the deployment buckets. By default every writer of the bucket may."""
    boundary: fields.PolicyArn | None = None
    """ARN of the managed policy that is the permissions boundary of every role of the environment;
    `regionshift bootstrap` creates one."""


class Retention(Section):
    """How long things are kept, in days."""

    logs: fields.LogDays = 30
    """Log groups; CloudWatch Logs allows certain numbers only."""
    old_versions: int = Field(default=30, ge=1, le=36500)
    """Old versions of objects. After this time a migration cannot be undone."""
    access_logs: int = Field(default=90, ge=1, le=36500)
    """Objects in the log bucket."""
    aborted_uploads: int = Field(default=7, ge=1, le=36500)
    """Parts of unfinished uploads."""
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
    """Who gets alarms, and when."""

    emails: tuple[fields.Email, ...] = ()
    """Addresses subscribed to the alarm topic of every region; each must confirm once."""
    errors: int = Field(default=1, ge=1)
    """Errors in five minutes, of the function or of the worker, that raise the alarm."""
    throttles: int = Field(default=1, ge=1)
    """Refused invocations in five minutes that raise the alarm."""
    duration_share: float = Field(default=0.8, gt=0, lt=1)
    """The share of the timeout; a higher 95th percentile of durations raises the alarm."""
    replication_latency: fields.Window = 900
    """The replication delay that raises the alarm."""
    runbooks: fields.Page | None = None
    """The address where your team publishes docs/runbooks.md. Each alarm links to its section of that page."""


class Recovery(Section):
    """Recovery targets. `validate` and `migrate` measure the replication delay, `promote` both; they warn about a
    higher value."""

    rpo: fields.Duration = 900
    """The longest replication delay: changes of this time are lost with the primary."""
    rto: fields.Duration = 3600
    """The longest time from the beginning of a `promote` until the new primary serves."""


class WatchedAlarm(Section):
    """An alarm of your own that a bake watches too."""

    name: Annotated[str, Field(min_length=1, max_length=NameKind.ALARM.limit)]
    """The alarm's name."""
    region: fields.Region
    """The alarm's region; the bake after this region's wave watches it."""


class Deployment(Section):
    """Waves, and the bake between them."""

    waves: tuple[Annotated[tuple[fields.Region, ...], Field(min_length=1)], ...] = ()
    """The regions that change together, in order; by default one secondary, the others, the primary."""
    bake: fields.Duration | None = None
    """How long alarms are watched after a wave; by default 10m on AWS and 0 offline."""
    bake_min_samples: int = Field(default=10, ge=0)
    """The fewest invocations of a region in a bake; Regionshift adds probes if there are fewer."""
    failure_tolerance: int = Field(default=0, ge=0, le=29)
    """How many regions may be down: they are left out, and the next `up` deploys to them."""
    max_parallel: int | None = Field(default=None, ge=1)
    """Resources that the engine changes at the same time; by default its own limit."""
    on_failure: fields.OnFailure = "rollback"
    """After a failure: `rollback` rolls back every changed region, `stop` leaves everything as it is."""
    approve: tuple[Annotated[int, Field(ge=1, le=30)], ...] = ()
    """Numbers of the waves, from 1, that wait for an approval."""
    keep_releases: int = Field(default=10, ge=1)
    """How many of the newest releases are kept; releases in use are always kept."""
    keep_days: int = Field(default=30, ge=0)
    """Days for which every release is kept."""
    alarms: tuple[WatchedAlarm, ...] = ()
    """Alarms to watch in addition to the environment's own."""


class Pipeline(Section):
    """The pipeline that runs the command: its jobs may take the roles that `bootstrap` creates."""

    repository: fields.Repository | None = None
    """The repository on GitHub, OWNER/NAME, or OWNER@ID/NAME@ID if its tokens have ids: every repository created since
    July 2026; `gh api repos/OWNER/NAME/actions/oidc/customization/sub` shows it. With `gitlab` the project there,
    GROUP/PROJECT."""
    gitlab: fields.GitLab | None = None
    """The GitLab whose jobs take the roles: `https://gitlab.com`, or your own address; by default GitHub."""
    branch: fields.Branch = "main"
    """The branch to deploy."""
    requirements: str = Field(default="requirements.txt", min_length=1)
    """The file of pip requirements that installs the command in every job; a relative path starts at the settings
    file."""
    image: fields.Image | None = None
    """The container image of GitLab's jobs, by its digest: with Python 3.11 or newer, Git and Pulumi."""


class Waiver(Section):
    """A finding of a policy that you accept for a time."""

    id: fields.RuleId
    """The id of the rule, from the finding."""
    of: Annotated[str, Field(min_length=1, examples=["worker-objects-policy-*"])]
    """The policies: names of resources from the finding, with * and ? as wildcards."""
    reason: Annotated[str, Field(pattern=r"\S", examples=["the partner reads it, agreed with security"])]
    """Why you accept it; the finding shows the reason."""
    until: fields.Day
    """The last day of the waiver, in UTC; a year ahead at most."""


class MigrationConfig(Section):
    """One environment of one project in one account, in one to thirty regions."""

    model_config = ConfigDict(title="Regionshift settings")

    project: fields.NamePart
    """The project; the first part of every name."""
    environment: fields.NamePart
    """The environment; the last part of every name, unless `environment_suffix` replaces it."""
    environment_suffix: fields.Suffix = ""
    """The name of another environment from the same file, for example for a pull request; usually from
    ENVIRONMENT_SUFFIX."""
    account: fields.Account
    """The AWS account, 12 digits in quotes; credentials of another account are refused."""
    target: fields.Target = "local"
    """`local`: the embedded AWS on this machine, offline; `aws`: the real AWS."""
    regions: Regions
    """The regions of the environment."""
    state: fields.StateUrl = ""
    """The place of state, releases and journal: file://… or s3://BUCKET/PREFIX?region=REGION (by default the primary
    region). If empty, `.regionshift/` next to the settings file."""
    state_secrets: fields.StateSecrets | None = None
    """The key that encrypts secrets in the state, such as awskms://…; by default a key file."""
    network: Network
    """Address space and the function's place in it."""
    application: Application = Application()
    """Configuration values and secrets of the application."""
    function: Function = Function()
    """The migration function."""
    access: Access = Access()
    """Who may run the command, and the boundary of the environment's roles."""
    retention: Retention = Retention()
    """How long things are kept, in days."""
    alerts: Alerts = Alerts()
    """Who gets alarms, and when."""
    carry: Carry = Carry()
    """The data that a migration copies between regions."""
    migration: MigrationSettings = MigrationSettings()
    """How a migration works."""
    recovery: Recovery = Recovery()
    """Recovery targets; measurements are compared with them."""
    deployment: Deployment = Deployment()
    """Waves, bake and approvals of a deployment."""
    pipeline: Pipeline = Pipeline()
    """The pipeline that runs the command."""
    waivers: tuple[Waiver, ...] = ()
    """Findings of policies that you accept, each with a reason and a last day."""
    tags: dict[fields.TagKey, fields.TagValue] = Field(default={}, max_length=MOST_TAGS)
    """Tags on every resource, in addition to Project, Environment, Region, IsPrimary, ManagedBy and Purpose."""
    protect: bool | None = None
    """Whether `destroy` refuses; by default only for the environment `prod`."""

    @property
    def all_regions(self) -> tuple[str, ...]:
        """The primary first, then the secondaries in their order."""
        return (self.regions.primary, *self.regions.secondaries)

    @property
    def suffix(self) -> str:
        """The environment's name: ``environment_suffix`` if given, else ``environment``."""
        return self.environment_suffix or self.environment

    @property
    def shown(self) -> frozenset[str]:
        """Texts of the settings that occur in many names and errors; none of them is hidden as a secret's value."""
        own = (self.project, self.environment, self.suffix, self.account)
        return frozenset((*own, *map(normalize_name, own), *self.all_regions))

    @property
    def names(self) -> Names:
        """The names of this environment, with the suffix."""
        return Names(self.project, self.suffix, self.account)

    @property
    def identity(self) -> Identity:
        """The identity of the environment."""
        return Identity(self.project, self.suffix, self.target, self.account)

    @property
    def is_protected(self) -> bool:
        """Whether ``destroy`` refuses: ``protect`` if set, else only for ``prod``."""
        return normalize_name(self.suffix) == "prod" if self.protect is None else self.protect

    @property
    def networks(self) -> dict[str, RegionNetwork]:
        """The ranges of every region."""
        return lay_out(self.network.vpc_cidr, self.all_regions, self.network.zones, self.network.region_cidrs)

    @property
    def waves(self) -> tuple[tuple[str, ...], ...]:
        """The waves of the settings; by default one canary secondary, the other secondaries, the primary last."""
        if self.deployment.waves:
            return self.deployment.waves
        canary, others = self.regions.secondaries[:1], self.regions.secondaries[1:]
        return tuple(wave for wave in (canary, others, (self.regions.primary,)) if wave)

    @property
    def bake(self) -> int:
        """Seconds of the bake after a wave."""
        if self.deployment.bake is not None:
            return self.deployment.bake
        return DEFAULT_BAKE if self.target == "aws" else 0
