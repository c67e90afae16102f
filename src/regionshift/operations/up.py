"""Bringing an environment to what the settings say: plan first, then apply exactly that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regionshift.engine.engine import Listener, RunRecord
from regionshift.errors import Refused
from regionshift.operations.environment import Environment
from regionshift.operations.planning import make_plan
from regionshift.report.values import Finding, Plan
from regionshift.settings.release import Release


@dataclass(frozen=True)
class Proposal:
    """A plan together with the release map that it would apply."""

    plan: Plan
    releases: Mapping[str, Release]


def propose(
    environment: Environment, findings: Sequence[Finding] = (), *, allow_data_loss: bool = False
) -> Proposal:
    """Preview every region at the release that the settings describe. Changes nothing."""
    releases = environment.same_everywhere(environment.release())
    record = environment.engine.preview(environment.program(releases))
    return Proposal(make_plan(environment, record, findings, allow_data_loss=allow_data_loss), releases)


def apply(environment: Environment, proposal: Proposal, listener: Listener | None = None) -> RunRecord:
    """Apply what was proposed. Nothing to change means no engine run at all.

    Raises:
        Refused: the plan has findings of severity error.
        WorkFailed: something could not be made; what was made is kept and the next run goes on from there.
    """
    if proposal.plan.errors:
        first = proposal.plan.errors[0]
        raise Refused(first.message, where=first.region, remedy=first.remedy)
    if not proposal.plan.changes:
        return RunRecord()
    program = environment.program(proposal.releases)
    try:
        record = environment.engine.up(program, listener)
    finally:
        clear_pending(environment, proposal)
    return record


def clear_pending(environment: Environment, proposal: Proposal) -> None:
    """Forget creations that an earlier killed run left open, once this run has made or adopted them."""
    if environment.engine.pending():
        environment.engine.refresh(environment.program(proposal.releases), clear_pending=True)
