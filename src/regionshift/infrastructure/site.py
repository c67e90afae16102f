"""One region of one environment with its release, its tags, and the base class of its components."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pulumi
import pulumi_aws as aws

from regionshift.errors import InputError, WorkFailed
from regionshift.settings.components import Component
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import Names
from regionshift.settings.network import RegionNetwork
from regionshift.settings.quotas import FUNCTION_DESCRIPTION
from regionshift.settings.regions import partition_of, service_host
from regionshift.settings.release import Artifact, Release

MANAGED_BY = "regionshift"
_NO_DESCRIPTION = re.compile(r"[^\t\n\r -~\u00a1-\u00ff]")


def default_tags(config: MigrationConfig, region: str) -> dict[str, str]:
    """Return the tags that the region's provider puts on everything: the user's tags, and ours, which win.

    ``Environment`` is the name of the environment (the suffix if there is one). So two pull-request environments of one
    settings file have different tags.
    """
    return {
        **config.tags,
        "Project": config.project,
        "Environment": config.suffix,
        "Region": region,
        "IsPrimary": "true" if region == config.regions.primary else "false",
        "ManagedBy": MANAGED_BY,
    }


def resource_tags(label: str, purpose: str) -> dict[str, str]:
    """Return the tags of one resource.

    ``Name`` is the name in its URN, by which the resources of a killed run are found. The URN itself cannot be a tag:
    it has ``$`` between types, which tag values do not allow (Tagging AWS Resources, "Tag naming limits and
    requirements").
    """
    return {"Name": label, "Purpose": purpose}


@dataclass(frozen=True)
class Site:
    """A region and its own release. Pure: the same values give the same names, labels and ARNs."""

    region: str
    release: Release

    @classmethod
    def by_settings(cls, config: MigrationConfig, region: str) -> Site:
        """Return a site without zones, artifact and secrets: for names, policies and everything that only the settings
        decide.
        """
        return cls(region, Release(config, Artifact(Path(), ""), {}, {}, "", "", ""))

    @property
    def config(self) -> MigrationConfig:
        """The settings of this region. Another region may have others."""
        return self.release.config

    @cached_property
    def names(self) -> Names:
        """The names of the environment."""
        return self.config.names

    @cached_property
    def network(self) -> RegionNetwork:
        """The region's address ranges."""
        return self.config.networks[self.region]

    @property
    def is_primary(self) -> bool:
        """Whether this is the primary region."""
        return self.region == self.config.regions.primary

    @property
    def partition(self) -> str:
        """``aws`` for most regions."""
        return partition_of(self.region)

    @property
    def zones(self) -> tuple[str, ...]:
        """The availability zones of the region that are used, as kept with the release.

        Raises:
            InputError: the release knows fewer zones than the settings ask for.
            WorkFailed: the region did not answer when it was asked for them.
        """
        known = self.release.zones.get(self.region)
        wanted = self.config.network.zones
        if known is None:
            raise WorkFailed(
                "The availability zones of the region are not known: it did not answer when they were asked for.",
                where=self.region,
                remedy="Run the command again when the region answers.",
                error_id="RS-AWS-003",
            )
        if len(known) < wanted:
            raise InputError(
                f"{wanted} availability zones are asked for, and the release knows {len(known)} of them.",
                where=self.region,
                remedy="Lower network.zones, or make a new release so that the zones are asked for again.",
                error_id="RS-SETTINGS-006",
            )
        return tuple(known[:wanted])

    def about(self, purpose: str) -> str:
        """Return a description of ``purpose`` and the environment that every service takes.

        Lambda takes the shortest descriptions, IAM the fewest characters (the API References, CreateFunction and
        CreateRole, Description).
        """
        said = f"{purpose} of {self.config.project} {self.config.suffix} in {self.region}"
        return _NO_DESCRIPTION.sub("-", said)[: FUNCTION_DESCRIPTION.most]

    def label(self, thing: str) -> str:
        """Return a resource's logical name. It contains the region, never the role, so that a change of primary keeps
        it.
        """
        return f"{thing}-{self.region}"

    def name(self, component: Component) -> str:
        """Return a resource's name in AWS."""
        return component.name(self.names, self.region)

    def arn(self, service: str, resource: str, *, regional: bool = True) -> str:
        """Return the ARN of a resource in this account; ``regional=False`` for IAM."""
        region = self.region if regional else ""
        return f"arn:{self.partition}:{service}:{region}:{self.config.account}:{resource}"

    def arn_in(self, service: str, region: str, resource: str) -> str:
        """Return the ARN of a resource of this account in another region, or in the regions of a pattern."""
        return f"arn:{self.partition}:{service}:{region}:{self.config.account}:{resource}"

    def role(self, component: Component, region: str = "") -> str:
        """Return the ARN of the role ``component``, of another region if given."""
        return self.arn("iam", f"role/{component.name(self.names, region or self.region)}", regional=False)

    def service_hosts(self, *services: str, everywhere: bool = False) -> list[str]:
        """Return the names of services in the region, as in ``kms:ViaService``; with ``everywhere``, patterns for any
        region.
        """
        hosts = [service_host(service, self.region) for service in services]
        return [host.replace(f".{self.region}.", ".*.") for host in hosts] if everywhere else hosts

    def tags(self, thing: str, purpose: str) -> dict[str, str]:
        """Return the tags of one resource. The provider adds those of the region."""
        return resource_tags(self.label(thing), purpose)

    @property
    def default_tags(self) -> Mapping[str, str]:
        """The tags that the region's provider puts on everything that takes tags."""
        return default_tags(self.config, self.region)


def bounded_role(
    site: Site, thing: str, component: Component, purpose: str, trust: str, opts: pulumi.ResourceOptions
) -> aws.iam.Role:
    """Create a role of the region within the boundary of the settings. The program creates every role here.

    Args:
        thing: what its logical name begins with.
        trust: who may assume it, as JSON.
    """
    return aws.iam.Role(
        site.label(f"{thing}-role"),
        name=site.name(component),
        description=site.about(purpose),
        assume_role_policy=trust,
        permissions_boundary=site.config.access.boundary,
        tags=site.tags(f"{thing}-role", purpose),
        opts=opts,
    )


TYPE_PREFIX = "regionshift:infrastructure:"


class RegionComponent(pulumi.ComponentResource):
    """A group of resources of one region. Its name contains the region, and its children use the region's provider."""

    def __init__(self, site: Site, kind: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__(TYPE_PREFIX + kind, site.label(kind.lower()), None, opts)
        self.site = site

    def child(
        self, *, depends_on: list[pulumi.Resource] | None = None, holds_data: bool = False
    ) -> pulumi.ResourceOptions:
        """Return the options of a child. Resources that hold data are protected if the settings say so."""
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=list(depends_on) if depends_on else None,
            protect=True if holds_data and self.site.config.is_protected else None,
        )

    def _log_group(self, key: aws.kms.Key, thing: str, name: str, purpose: str) -> aws.cloudwatch.LogGroup:
        return aws.cloudwatch.LogGroup(
            self.site.label(thing),
            name=name,
            retention_in_days=self.site.config.retention.logs,
            kms_key_id=key.arn,
            tags=self.site.tags(thing, purpose),
            opts=self.child(),
        )
