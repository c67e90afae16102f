"""How long the replication takes while a wave bakes: one small object, from the primary to the wave's regions."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field

from regionshift.operations.checks.base import CheckContext
from regionshift.operations.checks.replication import PROBE_PREFIX, remove_versions
from regionshift.operations.waves.down import calling


@dataclass
class Delay:
    """Measures from :meth:`start` on; ``arrived`` holds seconds by region.

    Args:
        regions: secondaries to which the primary of ``context`` replicates.
    """

    context: CheckContext
    regions: Collection[str]
    arrived: dict[str, float] = field(default_factory=dict)
    _key: str = field(default_factory=lambda: f"{PROBE_PREFIX}{uuid.uuid4()}")
    _began: float = 0.0

    @property
    def missing(self) -> list[str]:
        """Where it did not arrive yet."""
        return [region for region in self.regions if region not in self.arrived]

    @property
    def seconds(self) -> float:
        """Since it was put."""
        return self.context.clock() - self._began

    def start(self) -> None:
        """Put the object."""
        if self.regions:
            self._began = self.context.clock()
            primary = self.context.primary
            with calling(primary):
                self.context.clients.get("s3", primary).put_object(
                    Bucket=self._bucket(primary), Key=self._key, Body=self._key.encode()
                )

    def look(self) -> None:
        """See where it has arrived."""
        for region in self.missing:
            with calling(region):
                listing = self.context.clients.get("s3", region).list_object_versions(
                    Bucket=self._bucket(region), Prefix=self._key
                )
            if listing.get("Versions"):
                self.arrived[region] = round(self.seconds, 3)

    def end(self) -> None:
        """Take away what was put, everywhere."""
        for region in (self.context.primary, *self.regions) if self.regions else ():
            remove_versions(self.context, region, self._bucket(region), self._key)

    def _bucket(self, region: str) -> str:
        return self.context.outputs.get("deployment_bucket_name", region)
