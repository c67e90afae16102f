"""Reading the environment's outputs: one flat mapping, the same for people, pipelines and checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regionshift.errors import WorkFailed


def region_key(region: str) -> str:
    """A region as it stands in an output's name: ``eu_west_1``."""
    return region.replace("-", "_")


@dataclass(frozen=True)
class Outputs:
    """The environment's outputs, asked for by name and region."""

    values: Mapping[str, Any]

    def get(self, name: str, region: str) -> str:
        """The output ``name`` of ``region``.

        Raises:
            WorkFailed: the environment has no such output; it is not (wholly) up.
        """
        key = f"{name}_{region_key(region)}"
        value = self.values.get(key)
        if not isinstance(value, str) or not value:
            raise WorkFailed(
                f"The environment has no output {key}.",
                where=region,
                remedy="run `regionshift up`; it goes on from what is there",
            )
        return value
