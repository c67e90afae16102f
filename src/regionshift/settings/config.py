"""What the user asked for, checked. Pure: no file, no environment variable and no network is read here."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from regionshift.settings import fields
from regionshift.settings.carry import Carry, Migration, Recovery
from regionshift.settings.deployment import Deployment
from regionshift.settings.names import Names, normalize_name
from regionshift.settings.network import RegionNetwork, lay_out
from regionshift.settings.sections import (
    Access,
    Alerts,
    Application,
    Function,
    Network,
    Regions,
    Retention,
    Section,
)

MOST_TAGS = 40
"""AWS takes 50 tags a resource; ten are left for those that the environment sets itself."""
DEFAULT_BAKE = 600


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
    """Who runs the command, where that is to be bound."""
    retention: Retention = Retention()
    """How long things are kept, in days."""
    alerts: Alerts = Alerts()
    """Who is told and when."""
    carry: Carry = Carry()
    """The data that a migration carries between regions."""
    migration: Migration = Migration()
    """How a migration is done."""
    recovery: Recovery = Recovery()
    """Recovery targets that measurements are held against."""
    deployment: Deployment = Deployment()
    """How a change goes through the regions."""
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
    def names(self) -> Names:
        """The names of this environment; they carry the suffix."""
        return Names(self.project, self.suffix, self.account)

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
