"""Validate a live environment: every check in every region, from outside and from inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from regionshift.errors import WorkFailed
from regionshift.journal.journal import Journal
from regionshift.journal.store import StateUnreachable
from regionshift.operations.checks.base import Check, CheckContext, run_checks
from regionshift.operations.checks.function import ConfigurationCheck, FunctionCheck, FunctionSettingsCheck
from regionshift.operations.checks.last import keep_checks
from regionshift.operations.checks.monitoring import AlarmsCheck, LogGroupsCheck, TopicsCheck
from regionshift.operations.checks.network import NetworkCheck
from regionshift.operations.checks.replication import (
    MeasuredRecovery,
    ReplicationCheck,
    delays_in,
    measured,
)
from regionshift.operations.checks.storage import DeploymentBucket, KeyCheck, LogBucket
from regionshift.operations.environment import Environment, Outputs
from regionshift.releases import deployed_releases
from regionshift.report.values import CheckResult
from regionshift.settings.config import MigrationConfig


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
    """The answers to every check, and the measured delays.

    ``unkept``: why the answers could not be kept for `status`; empty when they were kept.
    """

    results: Sequence[CheckResult]
    recovery: MeasuredRecovery
    unkept: str = ""


def validate(
    environment: Environment,
    journal: Journal,
    *,
    regions: Sequence[str] = (),
    listener: Callable[[CheckResult], None] | None = None,
) -> Validation:
    """Make every check in ``regions`` (in all when empty), and keep the answers for `status`. Leaves nothing else.

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
    delays = {region: seconds for region, seconds in delays_in(checks).items() if region in asked}
    recovery = measured(environment.config, context.clock() - began, delays)
    try:
        keep_checks(journal, results, deployed_releases(journal).releases, delays)
    except StateUnreachable as error:  # a caller who may only read the state still gets the answers
        return Validation(results, recovery, error.message)
    return Validation(results, recovery)


def require_well(
    environment: Environment,
    journal: Journal,
    checks: Sequence[Check],
    regions: Sequence[str],
    config: MigrationConfig,
    digest: str | None,
) -> tuple[list[CheckResult], dict[str, float | None]]:
    """Make ``checks`` in ``regions``, and keep the answers for `status`. Returns them, and the replication delays.

    Args:
        config: the settings to check against. digest: the release that the regions run.

    Raises:
        WorkFailed: a check failed.
    """
    outputs = Outputs(environment.engine.outputs())
    results = run_checks(checks, CheckContext.of(environment, config, outputs), regions)
    delays = delays_in(checks)
    with suppress(StateUnreachable):  # only `status` needs the kept answers
        keep_checks(journal, results, dict.fromkeys(regions, digest), delays)
    if wrong := [result for result in results if not result.passed]:
        shown = "; ".join(f"{each.check} [{each.region}]: {each.detail}" for each in wrong[:3])
        raise WorkFailed(shown, where=wrong[0].region, error_id="RS-RUN-009")
    return results, delays
