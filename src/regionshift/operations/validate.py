"""Checking a live environment: every question, every region, from outside and from inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from regionshift.errors import WorkFailed
from regionshift.operations.checks.base import Check, CheckContext, run_checks
from regionshift.operations.checks.function import ConfigurationCheck, FunctionCheck, FunctionSettingsCheck
from regionshift.operations.checks.monitoring import AlarmsCheck, LogGroupsCheck, TopicsCheck
from regionshift.operations.checks.network import NetworkCheck
from regionshift.operations.checks.replication import MeasuredRecovery, ReplicationCheck, measured
from regionshift.operations.checks.storage import DeploymentBucket, KeyCheck, LogBucket
from regionshift.operations.environment import Environment, Outputs
from regionshift.report.values import CheckResult


def all_checks() -> list[Check]:
    """Every check there is, in the order in which they are shown."""
    return [
        NetworkCheck(),
        KeyCheck(),
        DeploymentBucket(),
        LogBucket(),
        ConfigurationCheck(),
        FunctionSettingsCheck(),
        LogGroupsCheck(),
        AlarmsCheck(),
        TopicsCheck(),
        FunctionCheck(),
        ReplicationCheck(),
    ]


@dataclass(frozen=True)
class Validation:
    """The answers to every check, and what was measured on the way."""

    results: Sequence[CheckResult]
    recovery: MeasuredRecovery


def validate(
    environment: Environment,
    *,
    regions: Sequence[str] = (),
    listener: Callable[[CheckResult], None] | None = None,
) -> Validation:
    """Ask every check of ``regions`` (all, when none is named). Leaves nothing behind.

    Raises:
        WorkFailed: the environment is not up.
    """
    values = environment.engine.outputs()
    if not values:
        raise WorkFailed(
            f"The environment {environment.name} is not up.",
            remedy="run `regionshift up` first",
            error_id="RS-ENVIRONMENT-001",
        )
    context = CheckContext.of(environment, environment.called_config, Outputs(values))
    began = context.clock()
    checks, asked = all_checks(), regions or environment.regions
    results = run_checks(checks, context, asked, listener)
    seen = next((check.arrivals for check in checks if isinstance(check, ReplicationCheck)), None) or {}
    delays = {region: arrival.probe for region, arrival in seen.items() if region in asked}
    recovery = measured(environment.config, context.clock() - began, delays)
    return Validation(results, recovery)
