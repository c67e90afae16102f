"""Where every region stands, by the newest finished run that says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from regionshift.deployment.state import RegionState, regions_from_result
from regionshift.journal.journal import Journal, RunSummary


@dataclass(frozen=True)
class Standing:
    """Every region that has, or was to have, a release; the release of the links; the run that says so."""

    regions: Mapping[str, RegionState] = field(default_factory=dict)
    links: str | None = None
    run_id: str | None = None

    @property
    def releases(self) -> dict[str, str | None]:
        """Region to the digest of its release."""
        return {region: state.release for region, state in self.regions.items()}

    @property
    def unsettled(self) -> frozenset[str]:
        """Regions that a run left between two releases."""
        return frozenset(region for region, state in self.regions.items() if not state.settled)

    @property
    def is_empty(self) -> bool:
        """Whether no region has a release."""
        return all(state.release is None for state in self.regions.values())


def standing_of(journal: Journal) -> Standing:
    """What the journal says of every region now; empty before the first deployment and after a destroy."""
    return standing_after(journal.history())


def standing_after(newest_first: Iterable[RunSummary]) -> Standing:
    """What these runs say of every region. A later run says everything that an earlier one did."""
    for run in newest_first:
        if run.kind == "destroy" and run.outcome == "succeeded":
            return Standing()
        regions = regions_from_result(run.result)
        if regions:
            links = run.result.get("links")
            return Standing(regions, str(links) if links else None, run.run_id)
    return Standing()
