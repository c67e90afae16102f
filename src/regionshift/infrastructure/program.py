"""The whole program: every region that has a release, and the links between them."""

from __future__ import annotations

from collections.abc import Mapping

from regionshift.errors import InputError
from regionshift.infrastructure.links import LinksStack
from regionshift.infrastructure.outputs import Outputs, of_environment
from regionshift.infrastructure.providers import AWSProviderManager, ProviderSettings
from regionshift.infrastructure.region import RegionStack
from regionshift.infrastructure.site import Site
from regionshift.settings.release import Release


def environment(
    releases: Mapping[str, Release],
    *,
    provider_settings: ProviderSettings,
    links: Release | None,
    allow_data_loss: bool = False,
) -> Outputs:
    """Build every region of ``releases`` at its own release, and the links of ``links`` between them.

    Args:
        releases: {region: release}. A region without a release is not built, and is not called.
        provider_settings: how AWS is reached.
        links: the release whose primary replicates to its secondaries, or None for no links at all.
        allow_data_loss: buckets may be deleted with what is in them.

    Returns:
        The outputs, flat. Region-wide facts come from ``links``, or without links from the first release.

    Raises:
        InputError: there is no release, or one knows too few availability zones of its region.
    """
    described = links or next(iter(releases.values()), None)
    if described is None:
        raise InputError(
            "No region has a release, so there is nothing to build.",
            remedy="give one region at least a release",
        )
    sites = {region: Site(region, release) for region, release in sorted(releases.items())}
    providers = AWSProviderManager(provider_settings, sites)
    regions = {
        region: RegionStack(site, providers.get_provider(region), allow_data_loss=allow_data_loss)
        for region, site in sites.items()
    }
    if links is not None:
        LinksStack(links, regions)
    return of_environment(described, regions)
