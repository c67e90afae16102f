"""Is what a migration wrote still there as it was written?"""

from __future__ import annotations

from regionshift.aws.errors import told_plainly
from regionshift.carriers.migration import Metadata
from regionshift.carriers.proving import Proven, prove_again
from regionshift.carriers.summary import entries_of
from regionshift.errors import InputError
from regionshift.operations.migrations.carrying import Carrying


def verify_again(carrying: Carrying, region: str, metadata: Metadata) -> Proven:
    """Prove a migration that is finished again, at its level, with the rights of whoever runs the command.

    Args:
        region: where it wrote. metadata: its record.

    Raises:
        InputError: it has ended otherwise, or not yet, so that there is nothing to hold it to.
        WorkFailed: something cannot be read.
        Unsealed, OutOfBounds: a record is not ours, or the settings do not name what it wrote.
    """
    if metadata["status"] not in ("completed", "incomplete"):
        raise InputError(
            f"Migration {metadata['migration_id']} is {str(metadata['status']).replace('_', ' ')}: "
            "nothing of it is there to be verified.",
            where=region,
            remedy="name one that is completed; see: regionshift status",
        )
    migration = carrying.migration(region, metadata["migration_id"])
    with told_plainly(region):
        # Its objects are read with the rights of whoever runs the command.
        migration.means.bounds.require(entries_of(metadata), metadata["migration_id"])
        return prove_again(migration.records, migration.means.carriers, metadata)
