"""What a check is, what it may use, and how many are asked at once."""

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

    ``waiter``: how long what is wrong may be an answer from before the last change.
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
        """For the checks of an environment against ``config``, which names the regions that are to be as it says."""
        return cls(config, outputs, environment.clients, environment.now, waiter=environment.waiter)

    @property
    def primary(self) -> str:
        """The region where the environment is written."""
        return self.config.regions.primary

    def arn(self, service: str, region: str, resource: str) -> str:
        """An ARN in this account, in the partition the region belongs to."""
        return f"arn:{partition_of(region)}:{service}:{region}:{self.config.account}:{resource}"


class Wrong(Exception):
    """The answer to a check is no; the message says what was found and what was expected."""


class Doubtful(Exception):
    """All is as the settings say, and still something is to be looked at; the message says what."""


class NotApplicable(Exception):
    """The question makes no sense here; the message says why."""


def expect(what: str, found: object, wanted: object) -> None:
    """Raises:
    Wrong: ``found`` is not ``wanted``.
    """
    if found != wanted:
        raise Wrong(f"{what} is {found!r}, expected {wanted!r}")


class Check(ABC):
    """One question asked of one region.

    `ask` returns a sentence that says what was seen, or raises `Wrong`, `Doubtful` or `NotApplicable`. ``takes_long``:
    it waits for seconds, so it is begun before the others. ``waits_itself``: what it says is not asked for again.
    """

    name: ClassVar[str]
    takes_long: ClassVar[bool] = False
    waits_itself: ClassVar[bool] = False
    remedy: ClassVar[str] = "run `regionshift up --refresh`, which puts back what the settings say"

    @abstractmethod
    def ask(self, context: CheckContext, region: str) -> str:
        """What was seen. Raises `Wrong` when it is not as the settings say."""


def run_checks(
    checks: Sequence[Check],
    context: CheckContext,
    regions: Iterable[str],
    listener: Callable[[CheckResult], None] | None = None,
) -> list[CheckResult]:
    """Ask every check of every region, several at once; results come in the order of checks, then regions.

    What is wrong is asked again, for as long as answers may be older than the last change: reads are stale for a while,
    and so are the rights of a function's role.
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
    """What the journal keeps of a step that asked checks: how many there were, and the answer to each."""
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
        # What cannot be asked is not known to be right: AWS's own message is the finding.
        return result("failed", f"could not be asked: {error}")


def _may_be_stale(error: Exception) -> bool:
    return isinstance(error, Wrong) or (isinstance(error, ClientError) and is_gone(error))
