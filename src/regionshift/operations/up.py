"""Bring an environment to its settings: first plan, then apply exactly that plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from regionshift.engine.engine import Program, RunRecord
from regionshift.errors import Refused
from regionshift.operations.emptying import emptying
from regionshift.operations.environment import Environment
from regionshift.operations.orphans import forget_made
from regionshift.operations.planning import doomed_buckets, make_plan, targets_of
from regionshift.operations.preflight import plan_findings
from regionshift.report.values import Finding, Plan, errors_of, exit_code_of


@dataclass(frozen=True)
class Proposal:
    """A plan together with the program that it would apply, and the digest of each region's release.

    ``doomed``: the buckets, as (region, name), that are deleted with their objects; only with ``allows_loss``.
    ``allows_growth``: the ids of access that it may open.
    """

    plan: Plan
    program: Program
    digests: Mapping[str, str]
    refresh: bool = False
    doomed: tuple[tuple[str, str], ...] = ()
    allows_loss: bool = False
    allows_growth: tuple[str, ...] = ()


def propose(
    environment: Environment,
    findings: Sequence[Finding] = (),
    *,
    allow_data_loss: bool = False,
    refresh: bool = False,
    standing: Collection[str] | None = None,
) -> Proposal:
    """Preview every region at the release of the settings. Changes nothing.

    When a region is left out, the links and the resources without a region in the settings are left out too.

    Args:
        refresh: refresh the state first, so that manual changes are reverted too.
        standing: the regions with a release; None for every region with a resource.

    Raises:
        WorkFailed: the program or a provider refused it.
    """
    releases = environment.same_everywhere(environment.release())
    program = environment.program(releases, links=None if environment.scope.left_out else "newest")
    record = environment.engine.preview(
        program,
        target=targets_of(releases) if environment.scope.left_out else (),
        excluded=environment.excluded,
        refresh=refresh,
    )
    findings = [*findings, *plan_findings(environment, record)]
    plan = make_plan(
        environment,
        record,
        findings,
        allow_data_loss=allow_data_loss,
        standing=standing,
        release=environment.release().digest,
    )
    digests = {region: release.digest for region, release in releases.items()}
    doomed = doomed_buckets(record) if allow_data_loss else ()
    return Proposal(plan, program, digests, refresh, doomed, allow_data_loss)


def apply(
    environment: Environment,
    proposal: Proposal,
    *,
    checkpoints: bool = False,
) -> RunRecord:
    """Apply the proposal. With nothing to change there is no engine run.

    Args:
        checkpoints: see `Engine.up`. True for a change of existing regions.

    Raises:
        PlanRefused: the plan has findings of severity error.
        WorkFailed: something could not be made. The rest is kept, and the next run continues from there.
    """
    if proposal.plan.errors:
        raise PlanRefused(proposal.plan.errors)
    if proposal.plan.is_empty:
        return RunRecord()
    record = emptying(
        environment,
        proposal.doomed,
        lambda: environment.engine.up(
            proposal.program,
            refresh=proposal.refresh,
            checkpoints=checkpoints,
            excluded=environment.excluded,
        ),
    )
    if record.left_open or environment.engine.keeps_notes:
        # Creations that a killed run left open: this run has made or adopted all that it could.
        forget_made(environment)
    return record


class PlanRefused(Refused):
    """The plan may not be applied. ``findings``: the reasons. ``found``: all findings."""

    error_id = "RS-PLAN-001"

    def __init__(self, findings: Sequence[Finding]) -> None:
        errors = errors_of(findings)
        first, more = errors[0], len(errors) - 1
        said = f"{first.message} (and {more} more)" if more else first.message
        super().__init__(said, where=first.region, remedy=first.remedy)
        self.findings = errors
        self.found = tuple(findings)
        self.exit_code = exit_code_of(errors)
