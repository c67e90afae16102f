"""Where every region stands, by the newest finished run that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from regionshift.journal.journal import Journal
from regionshift.runs.deployment_state import RegionState, regions_from_result


@dataclass(frozen=True)
class DeployedReleases:
    """Every region that has, or was to have, a release; the release of the links; the run that says so."""

    regions: Mapping[str, RegionState] = field(default_factory=dict)
    links: str | None = None
    run_id: str | None = None

    @property
    def releases(self) -> dict[str, str | None]:
        """Region to the digest of its release."""
        return {region: state.release for region, state in self.regions.items()}

    @property
    def regions_up(self) -> tuple[str, ...]:
        """The regions that have a release, and with it a topic that may be told."""
        return tuple(region for region, state in self.regions.items() if state.release is not None)

    @property
    def unsettled(self) -> frozenset[str]:
        """Regions that a run left between two releases."""
        return frozenset(region for region, state in self.regions.items() if not state.settled)

    @property
    def is_empty(self) -> bool:
        """Whether no region has a release."""
        return not self.regions_up


def deployed_releases(journal: Journal) -> DeployedReleases:
    """What the journal says of every region now; empty before the first deployment and after a destroy.

    A run that finished says everything that an earlier one did, so the newest that says something counts.
    """
    for run in journal.history():
        if run.kind == "destroy":
            return DeployedReleases()
        regions = regions_from_result(run.result)
        if regions:
            links = run.result.get("links")
            return DeployedReleases(regions, str(links) if links else None, run.run_id)
        if run.kind == "deployment" and run.outcome == "succeeded":
            releases = journal.view(run.run_id).opened.get("releases")
            if isinstance(releases, dict) and releases:
                return _of_one_go(releases, run.run_id)
    return DeployedReleases()


def _of_one_go(releases: Mapping[str, str], run_id: str) -> DeployedReleases:
    """After a run that brought all regions and what joins them to one release at once."""
    regions = {region: RegionState(digest) for region, digest in releases.items()}
    return DeployedReleases(regions, next(iter(releases.values())), run_id)
