"""The plan of an `up`, which `preview` shows too: obstacles, changes, and waves."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from regionshift.journal.journal import Journal
from regionshift.operations.broadening import allowed
from regionshift.operations.deploying import mend
from regionshift.operations.environment import Environment
from regionshift.operations.obstacles import before_plan, before_waves, prevents_plan
from regionshift.operations.orphans import orphan_findings
from regionshift.operations.preflight import Machine, down_of, without_down
from regionshift.operations.unfinished import unfinished_findings
from regionshift.operations.up import PlanRefused, Proposal, propose
from regionshift.operations.waves.deploying import (
    Intent,
    left_behind,
    one_run_findings,
    plan_deployment,
    require_skippable,
    under,
)
from regionshift.operations.waves.facts import Terms, terms_of
from regionshift.releases import DeployedReleases, ReleaseCatalog, deployed_releases
from regionshift.report.values import Plan, errors_of


@dataclass(frozen=True)
class UpOptions:
    """The options of an `up`.

    Args:
        refresh: refresh the state first. skipped: regions that get no call.
        despite_alarms: begin although alarms are red. allow_broadening: ids of access that may be opened.
        was_begun: it continues a run of this same release, so the access it opens was allowed when that began.
    """

    allow_data_loss: bool = False
    refresh: bool = False
    skipped: Collection[str] = ()
    despite_alarms: bool = False
    allow_broadening: Collection[str] = ()
    was_begun: bool = False


@dataclass(frozen=True)
class UpPlan:
    """A plan with all findings.

    Args:
        environment: without the regions that do not answer, as far as the settings tolerate that.
        intent: the waves; None when one run changes all regions, or nothing changes.
        left_behind: regions that do not answer and do not have the release of the settings.
    """

    environment: Environment
    proposal: Proposal
    intent: Intent | None
    left_behind: tuple[str, ...]

    @property
    def plan(self) -> Plan:
        """What changes, with all findings."""
        return self.proposal.plan


def plan_up(
    environment: Environment,
    journal: Journal,
    catalog: ReleaseCatalog,
    machine: Machine,
    options: UpOptions,
    tell: Callable[[str], None],
) -> UpPlan:
    """Check everything, clean up after a killed run, and plan. The caller holds the environment's lock.

    Args:
        tell: called with sentences on what an earlier run left.

    Raises:
        InputError, Refused: a region cannot be skipped.
        PlanRefused: no plan can be made.
    """
    deployed = deployed_releases(journal)
    require_skippable(environment, deployed, options.skipped)
    environment, regional = without_down(environment, tolerate=not deployed.is_empty)
    unfinished = unfinished_findings(journal)
    findings = before_plan(
        environment, journal, catalog, machine, regional, unfinished, refresh=options.refresh
    )
    if prevents_plan(findings):
        raise PlanRefused(findings)
    remains = mend(environment, journal)
    if remains.killed:
        tell("An earlier run was killed; going on from what it left.")
    if remains.half_destroyed:
        tell("A destroy was begun and did not end; reading back what is still there.")
    findings += remains.findings
    if remains.killed and environment.config.target == "aws":
        findings += orphan_findings(environment)
    proposal = propose(
        environment,
        findings,
        allow_data_loss=options.allow_data_loss,
        refresh=options.refresh or remains.is_read_back,
        standing=deployed.regions_up,
    )
    deployed, down = deployed_releases(journal), down_of(regional)
    # Only one run for all regions empties a bucket before it is deleted.
    intent = None if proposal.doomed else plan_deployment(environment, deployed, proposal.plan, down=down)
    terms = terms_of(environment.config, refresh=proposal.refresh, allow_data_loss=options.allow_data_loss)
    ids = [each.id for each in proposal.plan.growth] if options.was_begun else options.allow_broadening
    growth, broadening = allowed(proposal.plan.growth, ids)
    target = intent.plan.target if intent else {}
    despite = options.despite_alarms
    found = (
        *proposal.plan.findings,
        *broadening,
        *one_run_findings(environment, proposal),
        *before_waves(environment, journal, deployed, target, terms, despite=despite).findings,
    )
    allows = tuple(each.id for each in growth if each.is_allowed)
    proposal = replace(
        proposal, plan=replace(proposal.plan, findings=found, growth=growth), allows_growth=allows
    )
    if intent:
        intent = replace(intent, facts=replace(intent.facts, allows_growth=allows))
    behind = left_behind(environment, deployed, down) if down and not intent else []
    return UpPlan(environment, proposal, intent, tuple(behind))


def begun_under(
    environment: Environment,
    journal: Journal,
    intent: Intent,
    deployed: DeployedReleases,
    terms: Terms,
    *,
    despite_alarms: bool,
) -> Intent:
    """The intent with its terms, and with the red alarms that it may ignore.

    The alarms are read again, as a person may have thought for a long time since the plan.

    Raises:
        PlanRefused: an alarm is red that should not be, is not there or cannot be read, or a bake is too short.
    """
    target = intent.plan.target
    found = before_waves(environment, journal, deployed, target, terms, despite=despite_alarms)
    if errors_of(found.findings):
        raise PlanRefused(found.findings)
    return under(intent, terms, found.red)
