"""Checks that a change of all regions at once brings no other change: the settings must match all regions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from regionshift.errors import Refused
from regionshift.journal.releases import differences
from regionshift.operations.environment import Environment, without_regions
from regionshift.releases import DeployedReleases, ReleaseCatalog
from regionshift.settings.config import MigrationConfig
from regionshift.settings.release import Release

_REMEDY = "run `regionshift up` first"
_IN_ITS_WAVES = f"{_REMEDY}, in its waves, or take the change out of the settings"
_NAMED = 3


def release_of(catalog: ReleaseCatalog, deployed: DeployedReleases, region: str) -> Release:
    """The release of ``region``. Raises Refused when it has none, or another version of the program made it."""
    digest = deployed.releases.get(region)
    if digest is None:
        raise Refused(f"{region} is not up.", where=region, remedy=_REMEDY, error_id="RS-ENVIRONMENT-002")
    try:
        return catalog.take(digest)
    except Refused as error:
        raise Refused(
            f"Another version of the program made what is up: {error.message}.",
            where=error.where,
            remedy="run `regionshift up` with this version first",
            error_id="RS-STATE-006",
        ) from error


def require_nothing_else(
    environment: Environment,
    catalog: ReleaseCatalog,
    deployed: DeployedReleases,
    base_of: str,
    coming: Collection[str],
    settings: Path,
) -> None:
    """Check that adding the regions ``coming`` changes nothing else, as that would reach all regions at once.

    Args:
        base_of: the region with the release that the settings must describe.

    Raises:
        Refused: the settings, the tool or a secret differ from what is up, or a region has another release.
    """
    base = release_of(catalog, deployed, base_of)
    config = without_regions(environment.config, coming)
    require_release_unchanged(base, environment.release(), config, str(settings))
    require_everywhere(deployed, config.all_regions, base, base_of)


def require_settings_unchanged(base: Release, config: MigrationConfig, where: str) -> None:
    """Raises Refused when the settings differ from ``base``. Of their regions only the names count."""
    _require_same(base, replace(base, config=config), where)


def require_release_unchanged(base: Release, wanted: Release, config: MigrationConfig, where: str) -> None:
    """The same for everything that a region runs: settings (``config``), artifact, secrets, versions.

    Args:
        wanted: the release that the settings, this tool and the secrets' sources make today.
        config: today's settings without the new region.
    """
    _require_same(base, replace(wanted, config=config, zones=base.zones), where)


def require_removal_alone(
    environment: Environment, catalog: ReleaseCatalog, deployed: DeployedReleases
) -> None:
    """Check that nothing else changes with the removal of a region, which is one run for all regions.

    Raises:
        Refused: something else changes too, which would reach all regions at once, without a canary.
    """
    config = environment.config
    leaving = {region for region, digest in deployed.releases.items() if digest} - set(config.all_regions)
    if not leaving or deployed.releases.get(config.regions.primary) is None:
        return
    base = release_of(catalog, deployed, config.regions.primary)
    without = replace(base, config=without_regions(base.config, leaving))
    named = ", ".join(sorted(leaving))
    remedy = (
        f"name {named} in the settings again, run `regionshift up`, in its waves, and take it out after that"
    )
    _require_same(without, replace(environment.release(), zones=base.zones), named, remedy)


def require_everywhere(
    deployed: DeployedReleases, regions: Iterable[str], base: Release, holder: str
) -> None:
    """Raises Refused when a region has another release than ``base``, or is between two. ``holder`` has ``base``."""
    late = [
        region
        for region in regions
        if deployed.releases.get(region) != base.digest or region in deployed.unsettled
    ]
    if late:
        raise Refused(
            f"Not every region has the release that {holder} has: {', '.join(late)}.",
            where=late[0],
            remedy=_REMEDY,
            error_id="RS-REGION-005",
        )


def _require_same(base: Release, wanted: Release, where: str, remedy: str = _IN_ITS_WAVES) -> None:
    if wanted.digest == base.digest:
        return
    found = [each.path.removeprefix("config.") for each in differences(base.content, wanted.content, {}, {})]
    if base.secrets_digest != wanted.secrets_digest:
        found.append("the values of secrets")
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    raise Refused(
        f"The settings differ from what is up: {', '.join(found[:_NAMED])}{more}.",
        where=where,
        remedy=remedy,
        error_id="RS-REGION-005",
    )
