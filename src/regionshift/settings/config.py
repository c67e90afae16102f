"""What the user asked for, checked: every section of the settings file but `carry`, with its defaults.

Pure: no file, no environment variable and no network is read here.
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
"""Ten are left for those that the environment sets itself."""
DEFAULT_BAKE = 600
"""Seconds of a bake on AWS when the settings do not say; offline there is none."""


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
    region_cidrs: dict[fields.Region, fields.VpcBlock] = Field(default={})
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
    config: dict[fields.ConfigKey, str | int | float | bool] = Field(default={})
    """Values added to the deployment configuration, the same in every region; never secrets."""
    secrets: dict[fields.ItemName, SecretSource] = Field(default={})
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
    """Who else than the environment's own roles may write what it keeps for itself, and what these may do at most."""

    operators: tuple[fields.Principal, ...] = Field(default=(), max_length=50)
    """ARNs of the roles and users that run the command, * and ? as wildcards. Then nobody else writes the records of
    migrations, artifacts or state in the deployment buckets; without them every writer of the bucket may."""
    boundary: fields.PolicyArn | None = None
    """ARN of the managed policy that is the permissions boundary of every role that the environment makes;
    `regionshift bootstrap` makes one."""


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
    runbooks: fields.Page | None = None
    """The address where your team publishes docs/runbooks.md. Each alarm links to its section of that page."""


class Recovery(Section):
    """What the environment promises; what measures it warns when it is missed: `validate` and `migrate` the delay of
    replication, `promote` both."""

    rpo: fields.Duration = 900
    """The longest replication delay: what may be lost when the primary goes."""
    rto: fields.Duration = 3600
    """The longest from the beginning of a `promote` until the new primary serves."""


class WatchedAlarm(Section):
    """An alarm of the user's own that a bake watches too."""

    name: Annotated[str, Field(min_length=1, max_length=NameKind.ALARM.limit)]
    """The alarm's name."""
    region: fields.Region
    """The region where it stands; it is watched after the wave that holds this region."""


class Deployment(Section):
    """Waves, and what is watched between them."""

    waves: tuple[Annotated[tuple[fields.Region, ...], Field(min_length=1)], ...] = ()
    """The regions that change together, in order; by default one secondary, the others, the primary."""
    bake: fields.Duration | None = None
    """How long alarms are watched after a wave; by default 10m on AWS and 0 offline."""
    bake_min_samples: int = Field(default=10, ge=0)
    """Invocations a region must have had in a bake; probes are made when there were fewer."""
    failure_tolerance: int = Field(default=0, ge=0, le=29)
    """Regions that may be down: they are left out and marked, and the next `up` brings them there."""
    max_parallel: int | None = Field(default=None, ge=1)
    """Resources that the engine works on at once; its own limit when left out."""
    on_failure: fields.OnFailure = "rollback"
    """What follows a breach: every changed region goes back, or everything stays as it is."""
    approve: tuple[Annotated[int, Field(ge=1, le=30)], ...] = ()
    """Numbers of the waves, from 1, before which a person is asked."""
    keep_releases: int = Field(default=10, ge=1)
    """The newest releases that are kept, however old; beside them those that are in use."""
    keep_days: int = Field(default=30, ge=0)
    """Days that every release is kept, however many there are."""
    alarms: tuple[WatchedAlarm, ...] = ()
    """Alarms to watch beside the environment's own."""


class Pipeline(Section):
    """The pipeline that runs the command, and from where: who may take the roles that `bootstrap` makes for it."""

    repository: fields.Repository | None = None
    """The repository on GitHub, OWNER/NAME; with ids, OWNER@ID/NAME@ID, where its tokens have them (those of every
    repository made since July 2026; `gh api repos/OWNER/NAME/actions/oidc/customization/sub` says so). With `gitlab`
    the project there, GROUP/PROJECT."""
    gitlab: fields.GitLab | None = None
    """The GitLab whose jobs get the roles: `https://gitlab.com`, or the address of your own; without it GitHub's do."""
    branch: fields.Branch = "main"
    """The branch that is deployed."""
    requirements: str = Field(default="requirements.txt", min_length=1)
    """The file of pip requirements that installs the command in every job; a relative path starts at the settings
    file."""
    image: fields.Image | None = None
    """The container image of GitLab's jobs, by its digest: with Python 3.11 or newer, Git and Pulumi."""


class Waiver(Section):
    """A finding of a policy that is accepted for a time."""

    id: fields.RuleId
    """The id of the rule, as the finding tells it."""
    of: Annotated[str, Field(min_length=1, examples=["worker-objects-policy-*"])]
    """The policies: names of resources as the finding tells them, with * and ? as wildcards."""
    reason: Annotated[str, Field(pattern=r"\S", examples=["the partner reads it, agreed with security"])]
    """Why it is right; whoever reads the findings sees it."""
    until: fields.Day
    """The last day on which it counts, in UTC; a year ahead at most."""


class MigrationConfig(Section):
    """One environment of one project in one account, over one to thirty regions."""

    model_config = ConfigDict(title="Regionshift settings")

    project: fields.NamePart
    """The project; the first part of every name."""
    environment: fields.NamePart
    """The environment; the last part of every name unless `environment_suffix` is given."""
    environment_suffix: fields.Suffix = ""
    """Names this copy of the environment, such as a pull request's; usually ENVIRONMENT_SUFFIX gives it."""
    account: fields.Account
    """The AWS account, 12 digits in quotes; credentials of another account are refused."""
    target: fields.Target = "local"
    """`local`: the AWS embedded in this tool, offline; `aws`: the real one."""
    regions: Regions
    """Where the environment lives."""
    state: fields.StateUrl = ""
    """Where state, releases and journal are: file://… or s3://BUCKET/PREFIX?region=REGION (without it the
    bucket is in the primary region); `.regionshift/` beside the file if empty."""
    state_secrets: fields.StateSecrets | None = None
    """The key that secrets in the state are encrypted with, such as awskms://…; by default a key file."""
    network: Network
    """Address space and the function's place in it."""
    application: Application = Application()
    """Configuration values and secrets of the application."""
    function: Function = Function()
    """The migration function."""
    access: Access = Access()
    """Who runs the command, where that is to be bound, and the boundary of the environment's roles."""
    retention: Retention = Retention()
    """How long things are kept, in days."""
    alerts: Alerts = Alerts()
    """Who is told and when."""
    carry: Carry = Carry()
    """The data that a migration carries between regions."""
    migration: MigrationSettings = MigrationSettings()
    """How a migration is done."""
    recovery: Recovery = Recovery()
    """Recovery targets that measurements are held against."""
    deployment: Deployment = Deployment()
    """How a change goes through the regions."""
    pipeline: Pipeline = Pipeline()
    """The pipeline that runs the command."""
    waivers: tuple[Waiver, ...] = ()
    """Findings of policies that are accepted, each with a reason and an end."""
    tags: dict[fields.TagKey, fields.TagValue] = Field(default={}, max_length=MOST_TAGS)
    """Tags on everything, beside Project, Environment, Region, IsPrimary, ManagedBy and Purpose."""
    protect: bool | None = None
    """Whether `destroy` refuses; by default only for the environment `prod`."""

    @property
    def all_regions(self) -> tuple[str, ...]:
        """The primary first, then the secondaries in their order."""
        return (self.regions.primary, *self.regions.secondaries)

    @property
    def suffix(self) -> str:
        """What names this environment: ``environment_suffix`` when given, else ``environment``."""
        return self.environment_suffix or self.environment

    @property
    def shown(self) -> frozenset[str]:
        """Texts of the settings that names and errors are full of: none of them is hidden as a secret's value."""
        own = (self.project, self.environment, self.suffix, self.account)
        return frozenset((*own, *map(normalize_name, own), *self.all_regions))

    @property
    def names(self) -> Names:
        """The names of this environment; they carry the suffix."""
        return Names(self.project, self.suffix, self.account)

    @property
    def identity(self) -> Identity:
        """Whose environment it is."""
        return Identity(self.project, self.suffix, self.target, self.account)

    @property
    def is_protected(self) -> bool:
        """Whether ``destroy`` refuses: as set, else only for ``prod``."""
        return normalize_name(self.suffix) == "prod" if self.protect is None else self.protect

    @property
    def networks(self) -> dict[str, RegionNetwork]:
        """The ranges of every region."""
        return lay_out(self.network.vpc_cidr, self.all_regions, self.network.zones, self.network.region_cidrs)

    @property
    def waves(self) -> tuple[tuple[str, ...], ...]:
        """The waves as given; else one canary secondary, the other secondaries, the primary last."""
        if self.deployment.waves:
            return self.deployment.waves
        canary, others = self.regions.secondaries[:1], self.regions.secondaries[1:]
        return tuple(wave for wave in (canary, others, (self.regions.primary,)) if wave)

    @property
    def bake(self) -> int:
        """Seconds that alarms are watched after a wave."""
        if self.deployment.bake is not None:
            return self.deployment.bake
        return DEFAULT_BAKE if self.target == "aws" else 0
