"""From what size on AWS's own bulk tools would carry the objects better than a migration does."""

from __future__ import annotations

MANY_OBJECTS = 10_000_000
"""Objects to copy in one migration: from here on the plan names the tools of AWS (docs/scale.md)."""


def hint(kind: str, items: int) -> str | None:
    """What to say of an entry of this size; None while a migration is the right tool.

    S3 Batch Replication copies objects that were there before replication was switched on, from a list that
    S3 Inventory or S3 itself makes (S3 User Guide, "Replicating existing objects with Batch Replication").
    """
    if kind != "s3" or items < MANY_OBJECTS:
        return None
    return (
        f"{items:,} objects: S3 Batch Replication, with a list from S3 Inventory, would do this; "
        "it keeps no way back. See docs/scale.md"
    )
