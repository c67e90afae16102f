"""The base of every component of one region."""

from __future__ import annotations

import pulumi

from regionshift.infrastructure.site import Site

TYPE_PREFIX = "regionshift:infrastructure:"


class RegionComponent(pulumi.ComponentResource):
    """A group of resources of one region, named by the region; its children use the region's provider."""

    def __init__(self, site: Site, kind: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__(TYPE_PREFIX + kind, site.label(kind.lower()), None, opts)
        self.site = site

    def child(
        self, *, depends_on: list[pulumi.Resource] | None = None, holds_data: bool = False
    ) -> pulumi.ResourceOptions:
        """Options of a child. What holds data is protected when the settings say so."""
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=list(depends_on) if depends_on else None,
            protect=True if holds_data and self.site.config.is_protected else None,
        )
