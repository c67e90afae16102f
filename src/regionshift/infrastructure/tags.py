"""Tags: those that everything in a region carries, and those of one resource. Pure."""

from __future__ import annotations

from regionshift.settings.config import MigrationConfig

MANAGED_BY = "regionshift"


def defaults(config: MigrationConfig, region: str) -> dict[str, str]:
    """What the region's provider puts on everything: the user's tags, and ours, which win.

    ``Environment`` is what names the environment (the suffix when there is one), so that two pull-request
    environments of one settings file can be told apart by their tags.
    """
    return {
        **config.tags,
        "Project": config.project,
        "Environment": config.suffix,
        "Region": region,
        "IsPrimary": "true" if region == config.regions.primary else "false",
        "ManagedBy": MANAGED_BY,
    }


def of(label: str, purpose: str) -> dict[str, str]:
    """One resource's own tags. ``Name`` is the name in its URN: what a killed run made is found by it.

    The URN itself cannot be a tag: it has ``$`` between types, which tag values do not allow (Tagging AWS
    Resources, "Tag naming limits and requirements").
    """
    return {"Name": label, "Purpose": purpose}
