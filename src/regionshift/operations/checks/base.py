"""The base of checks: what they may use, and how they run in parallel."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Self

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import is_gone
from regionshift.errors import RegionshiftError
from regionshift.operations.environment import Environment, Outputs
from regionshift.report.values import CheckResult, Outcome, as_data
from regionshift.settings.config import MigrationConfig
from regionshift.settings.regions import partition_of
from regionshift.waiting import AT_ONCE, Waiter

_AT_ONCE = 8


@dataclass(frozen=True)
class CheckContext:
    """What every check may use: settings, outputs, clients, and a way to wait.

    ``waiter``: says how long an answer may be stale after the last change.
    """

    config: MigrationConfig
    outputs: Outputs
    clients: Clients
    now: Callable[[], datetime]
    sleep: Callable[[float], object] | None = None
    clock: Callable[[], float] = time.monotonic
    waiter: Waiter = AT_ONCE

    @classmethod
    def of(cls, environment: Environment, config: MigrationConfig, outputs: Outputs) -> Self:
        """The context of an environment's checks against ``config``, which also names the regions."""
        return cls(config, outputs, environment.clients, environment.now, waiter=environment.waiter)

    @property
    def primary(self) -> str:
        """The primary region."""
        return self.config.regions.primary

    def arn(self, service: str, region: str, resource: str) -> str:
        """An ARN in this account, in the partition the region belongs to."""
        return f"arn:{partition_of(region)}:{service}:{region}:{self.config.account}:{resource}"


class Wrong(Exception):
    """The check failed. The message says what was found and what was expected."""


class Doubtful(Exception):
    """All is as the settings say, but a person should look at something. The message says at what."""


class NotApplicable(Exception):
    """The check does not apply here. The message says why."""


def expect(what: str, found: object, wanted: object) -> None:
    """Raises:
    Wrong: ``found`` is not ``wanted``.
    """
    if found != wanted:
        raise Wrong(f"{what} is {found!r}, expected {wanted!r}")


class Check(ABC):
    """One check, made in each region.

    `ask` returns a sentence on what it saw, or raises `Wrong`, `Doubtful` or `NotApplicable`. ``takes_long``: it waits
    for seconds, so it begins before the others. ``waits_itself``: a failed check is not repeated.
    """

    name: ClassVar[str]
    takes_long: ClassVar[bool] = False
    waits_itself: ClassVar[bool] = False
    remedy: ClassVar[str] = "run `regionshift up --refresh`, which restores the state of the settings"

    @abstractmethod
    def ask(self, context: CheckContext, region: str) -> str:
        """A sentence on what was seen. Raises `Wrong` when it is not as the settings say."""


def run_checks(
    checks: Sequence[Check],
    context: CheckContext,
    regions: Iterable[str],
    listener: Callable[[CheckResult], None] | None = None,
) -> list[CheckResult]:
    """Make every check in every region, several in parallel. Results are in the order of checks, then regions.

    A failed check is repeated while answers may be stale: reads and the rights of a function's role lag behind a
    change.
    """
    places = list(regions)

    def ask(job: tuple[Check, str]) -> CheckResult:
        result = _ask(job[0], asking, job[1])
        if listener:
            listener(result)
        return result

    jobs = [(check, region) for check in checks for region in places]
    with context.waiter.shared(_AT_ONCE) as (pool, waiter):
        asking = replace(context, waiter=waiter)
        begun = {job: pool.submit(ask, job) for job in sorted(jobs, key=lambda job: not job[0].takes_long)}
        return [begun[job].result() for job in jobs]


def said_of(results: Sequence[CheckResult]) -> dict[str, object]:
    """The data of a step that made checks: how many there were, and the answer to each."""
    return {"checks": len(results), "results": as_data(results)}


def _ask(check: Check, context: CheckContext, region: str) -> CheckResult:
    began, waiter = context.clock(), AT_ONCE if check.waits_itself else context.waiter

    def result(outcome: Outcome, detail: str) -> CheckResult:
        remedy = check.remedy if outcome in ("failed", "warning") else None
        return CheckResult(check.name, region, outcome, detail, remedy, context.clock() - began)

    try:
        return result("passed", waiter.past(lambda: check.ask(context, region), _may_be_stale))
    except Doubtful as why:
        return result("warning", str(why))
    except NotApplicable as why:
        return result("not applicable", str(why))
    except Wrong as why:
        return result("failed", str(why))
    except (ClientError, BotoCoreError, RegionshiftError) as error:
        # A check that cannot be made has failed, with AWS's own message.
        return result("failed", f"could not be asked: {error}")


def _may_be_stale(error: Exception) -> bool:
    return isinstance(error, Wrong) or (isinstance(error, ClientError) and is_gone(error))
