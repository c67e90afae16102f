"""Bring a fenced region back: close its bucket, open its roles, and make it a secondary again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, ClassVar

from regionshift.errors import InputError, RegionshiftError, WorkFailed
from regionshift.journal.events import RunView
from regionshift.journal.journal import Journal
from regionshift.operations.checks.base import said_of
from regionshift.operations.deploying import mend
from regionshift.operations.environment import Environment, Outputs
from regionshift.operations.moving.copying import LastCopy, copies_of
from regionshift.operations.moving.fencing import fenced_regions, open_roles, shut_bucket
from regionshift.operations.moving.settings_unchanged import require_nothing_else
from regionshift.operations.obstacles import before_plan, prevents_plan
from regionshift.operations.orphans import orphan_findings
from regionshift.operations.preflight import region_findings
from regionshift.operations.run_tools import RunTools
from regionshift.operations.up import PlanRefused, propose
from regionshift.operations.validate import all_checks, require_well
from regionshift.releases import deployed_releases
from regionshift.report.values import Plan
from regionshift.runs.driver import RunEnd, RunUnderWay, SagaRun, Said, WhenFailed, drive
from regionshift.runs.messages import RunListener, SagaNews
from regionshift.runs.state import RunStep, SagaState

STEPS = tuple(
    RunStep(name, reversible=False, meaning=meaning)
    for name, meaning in (
        ("shut", "no replication from it, no writes to it"),
        ("look", "what was written there since"),
        ("open-roles", "its roles may work again"),
        ("turn", "bring it up as a secondary"),
        ("copy-back", "copy what it missed"),
        ("validate", "check it"),
    )
)


def require_fenced(journal: Journal, region: str) -> None:
    """Raises InputError when ``region`` is not fenced."""
    fenced = fenced_regions(journal)
    if region not in fenced:
        raise InputError(
            f"{region} is not fenced.",
            where="--rejoin",
            remedy=f"one of {', '.join(fenced)}" if fenced else "run `regionshift up` without --rejoin",
            error_id="RS-REGION-001",
        )


def plan_return(tools: RunTools, region: str) -> Plan:
    """The plan of the return of ``region``.

    Raises:
        InputError: it is not fenced. Refused: see :func:`require_nothing_else`.
        PlanRefused: no plan can be made.
    """
    environment, catalog, journal = tools.environment, tools.catalog, tools.journal
    require_fenced(journal, region)
    remains = mend(environment, journal)
    primary = environment.config.regions.primary
    require_nothing_else(environment, catalog, deployed_releases(journal), primary, {region}, tools.settings)
    # One engine run changes all regions, so all must answer.
    regional = region_findings(environment, tolerate=False)
    findings = before_plan(environment, journal, catalog, tools.machine, regional, refresh=True)
    if prevents_plan(findings):
        raise PlanRefused(findings)
    findings += remains.findings
    if environment.config.target == "aws":
        # The note of what was being made there when it was lost is gone.
        findings += orphan_findings(environment)
    # Refresh, to also undo what somebody changed by hand while the region was away.
    return propose(environment, findings, refresh=True).plan


def look_before_return(tools: RunTools, region: str) -> None:
    """Check what copying back needs, before the first step. Raises InputError, Refused."""
    with copies_of(tools, tools.environment.config.regions.primary, region) as copies:
        copies.look_before_return()


def rejoin(
    tools: RunTools, region: str, listeners: Sequence[RunListener[RunStep]] = ()
) -> dict[str, dict[str, Any]]:
    """Bring ``region`` back, as one run. Returns what each step said.

    Raises:
        RegionshiftError: a step failed. The region stays fenced, and the same command continues.
    """
    environment, journal = tools.environment, tools.journal
    rest = tuple(each for each in fenced_regions(journal) if each != region)
    release = environment.release()
    releases = dict.fromkeys(environment.regions, release.digest)
    tools.catalog.keep(release, deployed_releases(journal).links)
    with tools.carrying() as carrying:
        run = journal.start("deployment", {"releases": releases, "rejoins": region})
        copies = partial(LastCopy, carrying, journal, tools.clock)
        kind = RejoinRun(environment, journal, copies, region, run.run_id, rest)
        state = drive(RunUnderWay(journal, run, kind, listeners))
    return {step: dict(said) for step, said in state.said.items()}


@dataclass(frozen=True)
class RejoinRun(SagaRun):
    """The return of one region. ``still_fenced``: the other fenced regions."""

    environment: Environment
    journal: Journal
    copies: Callable[[str, str], LastCopy]
    region: str
    run_id: str
    still_fenced: tuple[str, ...]

    when_failed: ClassVar[WhenFailed] = WhenFailed.CLOSE

    @property
    def event_region(self) -> str:
        """See `RunKind`."""
        return self.region

    @property
    def steps(self) -> tuple[RunStep, ...]:
        """See `RunKind`."""
        return tuple(replace(step, regions=(self.region,)) for step in STEPS)

    @property
    def news(self) -> SagaNews:
        """See `RunKind`."""
        return SagaNews(
            "rejoin",
            f"return of {self.region}",
            tuple(step.name for step in STEPS),
            success=f"{self.region} is a secondary of {self.environment.config.regions.primary}",
            undone=f"{self.region} stays fenced",
            go_on=f"regionshift up --rejoin {self.region}",
        )

    def told_regions(self, state: SagaState) -> Sequence[str]:
        """The regions that are up."""
        del state
        return deployed_releases(self.journal).regions_up

    def end(self, state: SagaState) -> RunEnd:
        """See `RunKind`. The result has the release of every region, and the regions that are still fenced."""
        del state
        digest = self.environment.release().digest
        regions = {
            region: {"release": digest, "settled": True, "note": ""} for region in self.environment.regions
        }
        result = {"regions": regions, "links": digest, "fenced": list(self.still_fenced)}
        return RunEnd("succeeded", result)

    def figures(self, closed: RunView) -> str:
        """See `RunKind`."""
        took = (closed.ended - closed.started).total_seconds() if closed.ended else 0.0
        return f"it took {took:.0f} s"

    def explained(self, step: RunStep, error: Exception) -> Exception:
        """See `RunKind`. The remedy has the command that continues."""
        del step
        if isinstance(error, self.step_errors):
            return WorkFailed(
                f"{self.region} could not be brought back: {error}",
                where=self.region,
                remedy=self.news.go_on,
                error_id="RS-RUN-008",
            )
        if isinstance(error, RegionshiftError):
            error.remedy = error.remedy or self.news.go_on
        return error

    def do(self, step: RunStep, state: SagaState, *, doubt: bool) -> Said:
        """See `RunKind`."""
        del state, doubt
        environment, config, region = self.environment, self.environment.config, self.region
        primary = config.regions.primary
        match step.name:
            case "shut":
                shut_bucket(environment.clients, config, region, environment.waiter)
                return {}
            case "look":
                missed = self.copies(region, primary).missed()
                return {name: value for name, value in asdict(missed).items() if value}
            case "open-roles":
                return dict(open_roles(environment.clients, config, region, primary))
            case "turn":
                release = environment.release()
                program = environment.program(environment.same_everywhere(release), links=release)
                # The fence was not made by the engine, so it must refresh before it can remove it.
                record = environment.engine.up(
                    program, excluded=environment.excluded, refresh=True, checkpoints=True
                )
                return {"changed": len(record.changes)}
            case "copy-back":
                copies = self.copies(primary, region)
                # The region has outputs only since the turn.
                carrying = replace(copies.carrying, outputs=Outputs(environment.engine.outputs()))
                return replace(copies, carrying=carrying).copy_back(self.run_id)
        return self._validate()

    def _validate(self) -> dict[str, object]:
        environment, digest = self.environment, self.environment.release().digest
        results, _ = require_well(
            environment, self.journal, all_checks(), [self.region], environment.called_config, digest
        )
        return said_of(results)
