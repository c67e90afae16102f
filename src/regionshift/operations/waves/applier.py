"""One engine run for one step: the wave's regions get their new release, all others stay as they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from regionshift.aws.errors import is_outage
from regionshift.engine.engine import EngineFailed, Program, RunRecord
from regionshift.errors import Interrupted, Refused, WorkFailed
from regionshift.operations.emptying import emptying
from regionshift.operations.environment import Environment
from regionshift.operations.orphans import forget_made
from regionshift.operations.planning import BUCKET, Guard, home_of, link_targets, targets_of
from regionshift.releases import ReleaseCatalog
from regionshift.runs.deployment_state import DOWN, STRAYED, UNCHANGED
from regionshift.settings.release import Release

_CHECKED = " has a problem: "
"""In the engine's words for inputs that a provider's Check refused (pulumi sdk 3.200, diag/errors.go, 2002)."""


class StepFailed(WorkFailed):
    """A step failed.

    Args:
        regions: what is known about each region. said: other data for the journal.
    """

    error_id = "RS-RUN-008"

    def __init__(
        self,
        message: str,
        regions: Mapping[str, str],
        *,
        where: str | None = None,
        said: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        super().__init__(message, where=where)
        self.regions = regions
        self.said = said


@dataclass(frozen=True)
class Applier:
    """Runs the engine for the steps of one deployment."""

    environment: Environment
    catalog: ReleaseCatalog
    allow_data_loss: bool = False
    refresh: bool = False

    def regions(
        self,
        regions: Collection[str],
        goal: Mapping[str, str | None],
        links: str | None,
        *,
        without: Collection[str] = (),
        doubt: bool = False,
        tolerate: int = 0,
    ) -> dict[str, str]:
        """Bring ``regions`` to their releases in ``goal``. The other regions of ``goal`` stay as they are.

        A region with the goal None is deleted, with all objects in its buckets.

        Args:
            links: the release of the links, which stay as they are.
            doubt: an earlier change of the regions may be half done, so the state is refreshed first.
            tolerate: how many of the regions may be down.
            without: more regions that get no call.

        Returns:
            {region: why} for the regions that did not get there.

        Raises:
            StepFailed: something could not be changed, or a resource outside ``regions`` would have been changed.
        """
        environment = self.environment.without(down=without)
        program = self._program(environment, regions, goal, links)
        guard = Guard(environment.engine, regions, goal)
        try:
            emptying(
                environment,
                self._doomed([region for region in regions if goal[region] is None]),
                lambda: self._up(environment, program, targets_of(regions), guard, doubt=doubt),
            )
        except EngineFailed as error:
            down = _down(error.record)
            if (
                down
                and len(down) <= tolerate
                and {p.region for p in error.record.problems if p.region} == down
            ):
                return dict.fromkeys(sorted(down), DOWN)
            untouched = {region: UNCHANGED for region in regions if region not in guard.touched}
            raise StepFailed(error.message, untouched, where=error.where) from error
        return {}

    def links(self, goal: Mapping[str, str | None], links: str | None, *, doubt: bool = False) -> None:
        """Bring the links to the release ``links``. Raises StepFailed."""
        program = self._program(self.environment, (), goal, links)
        guard = Guard(self.environment.engine, (), goal, links=True)
        try:
            self._up(self.environment, program, link_targets(), guard, doubt=doubt)
        except EngineFailed as error:
            raise StepFailed(error.message, {}, where=error.where) from error

    def _doomed(self, regions: Collection[str]) -> list[tuple[str, str]]:
        """Every bucket in ``regions``, as (region, name)."""
        if not regions:
            return []
        buckets = [each for each in self.environment.engine.resources() if each["type"] == BUCKET]
        homes = ((home_of(str(each["urn"]), regions), each.get("id")) for each in buckets)
        return [(home, str(name)) for home, name in homes if home and name]

    def _up(
        self, environment: Environment, program: Program, targets: list[str], guard: Guard, *, doubt: bool
    ) -> None:
        engine, excluded = environment.engine, environment.excluded
        try:
            # Checkpoints, because adoption alone is no help to who goes back: what is adopted when it is made again
            # is an orphan when it is not.
            record = engine.up(
                program,
                guard,
                target=targets,
                excluded=excluded,
                refresh=self.refresh or doubt,
                checkpoints=True,
            )
        except Interrupted as stopped:
            if guard.outside:
                raise _left_its_reach(guard) from stopped
            raise
        if guard.outside:
            raise _left_its_reach(guard)
        if doubt and (record.left_open or engine.pending()):
            forget_made(environment)

    def _program(
        self,
        environment: Environment,
        changing: Collection[str],
        goal: Mapping[str, str | None],
        links: str | None,
    ) -> Program:
        releases = {
            region: self._take(digest, must=region in changing)
            for region, digest in goal.items()
            if digest is not None and region not in environment.scope.uncalled
        }
        if not releases:
            raise Refused(
                "No region would be left.",
                remedy="that is what `regionshift destroy` is for",
                error_id="RS-REGION-003",
            )
        # The links refer to all regions. When one is left out, the engine must not see the links.
        links = None if environment.scope.left_out else links
        between = self._take(links, must=not changing) if links else None
        return environment.program(releases, links=between, allow_data_loss=self.allow_data_loss)

    def _take(self, digest: str, *, must: bool) -> Release:
        """The release; today's when another program made it and the engine may not change the region."""
        return self.catalog.take(digest) if must else self.catalog.take_or(digest, self.environment.release)


def _left_its_reach(guard: Guard) -> StepFailed:
    first = guard.outside[0]
    return StepFailed(
        f"the engine would have changed {first.name} ({first.op}), which is outside this wave; it was stopped",
        dict.fromkeys(sorted(guard.strayed), STRAYED),
        where=first.urn,
    )


def _down(record: RunRecord) -> set[str]:
    """The regions that did not answer and have no other problem.

    A resource that depends on a failed one is checked without its outputs, and seems incomplete. When the preview found
    it complete, that is a consequence of the region that did not answer.
    """
    own = [problem for problem in record.problems if problem.region]
    silent = {p.region for p in own if p.region and is_outage(p.message)}
    return silent - {p.region for p in own if not is_outage(p.message) and _CHECKED not in p.message}
