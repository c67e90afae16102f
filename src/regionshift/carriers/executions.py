"""Which executions of the state machine a migration has had, each on record before it is started.

Step Functions lists and describes late (API Reference, "ListExecutions", "DescribeExecution": eventually
consistent), S3 does not. So an execution's name and input are taken by a create-only record first: two who
start at once, and one that follows a call that was killed half way, start the same execution. Starting a
running one again, with the same input, is no second one (API Reference, "StartExecution").
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from regionshift.carriers.lines import dump
from regionshift.carriers.records import MigrationRecords
from regionshift.errors import InputError
from regionshift.settings.quotas import EXECUTION_DATA
from regionshift.waiting import AT_ONCE, Waiter

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# The embedded AWS is one process on one core: more at once would only make it switch between them.
WORKERS = MappingProxyType({"aws": 40, "local": 2})
"""By target: how many workers copy side by side where the account has room for them."""

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
_NUMBER = re.compile(r"[0-9]{8}")  # what else lies there is not ours
_HEAD = 40  # of the migration's id; StartExecution takes names of 80 characters
_DIGEST = 12


def workers_in(settings: Mapping[str, Any], most: int) -> int:
    """How many workers may run at once in a region: up to ``most``, and half of what the account has room for.

    The other half is left to its other functions: all that have no reserve of their own share it, and a new account
    has ten in all (Lambda Developer Guide, "Understanding Lambda function scaling", and "Lambda quotas").

    Args:
        settings: Lambda's answer (Lambda API Reference, "GetAccountSettings").
    """
    return max(1, min(most, int(settings["AccountLimit"]["UnreservedConcurrentExecutions"]) // 2))


@dataclass(frozen=True)
class Execution:
    """One execution: its name, and the input that it has, or is to have."""

    arn: str
    step: str
    given: Mapping[str, Any]


@dataclass(frozen=True)
class Executions:
    """Executions of one migration.

    Args:
        machine: the state machine's ARN.
        waiter: for how long one that was just started may not be told of. What ended 90 days ago is not told of either
            (Step Functions Developer Guide, "Quotas"), so all that are looked at share one time.
    """

    records: MigrationRecords
    client: SFNClient
    machine: str
    waiter: Waiter = AT_ONCE

    def start(self, step: str, **fields: Any) -> Execution:
        """Start ``step``, or join an execution of it that is under way.

        Args:
            fields: what the input has beside what every input has; no value of a secret.

        Raises:
            InputError: the input is larger than AWS takes; nothing is recorded.
            botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: it could not be started.
        """
        given = {
            "step": step,
            "migration_id": self.records.id,
            "bucket": self.records.store.bucket,
            "manifest": self.records.manifest,
            "on_failure": "stop",
            "reason": "",
            "asked": "",
            "workers": 1,
            **fields,
        }
        if (size := len(json.dumps(given))) > EXECUTION_DATA.most:
            raise InputError(
                f"What the state machine would be given has {size:,} bytes; AWS takes {EXECUTION_DATA.most:,}.",
                where=f"migration {self.records.id}",
                remedy="Ask for less in one migration; give a shorter reason.",
                error_id="RS-MIGRATION-012",
            )
        number, waiter = max(self._numbers(), default=0), self.waiter.started()
        while True:
            found = self._take(number, step, given)
            # The machine of this release has no path for the input of another one, which may be running all the same.
            may_begin = found.given.keys() == given.keys()
            # Nobody of this release has started that one just now.
            patience = waiter if may_begin else AT_ONCE
            if found.step == step and ((may_begin and self._begin(found)) or self._runs(found, patience)):
                return found
            number += 1

    def running(self) -> list[Execution]:
        """Those that have not ended; the command that started them may be gone."""
        waiter = self.waiter.started()
        return [each for each in map(self._read, self._numbers()) if self._runs(each, waiter)]

    def _numbers(self) -> list[int]:
        folder = self.records.executions
        names = (name.removeprefix(folder) for name in self.records.store.names(folder))
        return [int(name) for name in names if _NUMBER.fullmatch(name)]

    def _take(self, number: int, step: str, given: Mapping[str, Any]) -> Execution:
        """The execution of this number: ours, unless another was first."""
        mine = {"step": step, "given": dict(given)}
        if self.records.store.create(self._key(number), dump(mine).encode()):
            return Execution(self._arn(number, step), step, given)
        return self._read(number)

    def _read(self, number: int) -> Execution:
        known = self.records.store.get_json(self._key(number)) or {}
        step = str(known.get("step", ""))
        return Execution(self._arn(number, step), step, known.get("given", {}))

    def _key(self, number: int) -> str:
        return f"{self.records.executions}{number:08d}"

    def _arn(self, number: int, step: str) -> str:
        head = _NOT_IN_A_NAME.sub("-", self.records.id)[:_HEAD]
        # What was cut off or replaced tells two ids apart.
        digest = hashlib.sha256(self.records.id.encode()).hexdigest()[:_DIGEST]
        return f"{self.machine.replace(':stateMachine:', ':execution:')}:{head}-{digest}-{step}-{number}"

    def _begin(self, execution: Execution) -> bool:
        """False when an execution of that name is there: one that has ended, or with another input."""
        try:
            self.client.start_execution(
                stateMachineArn=self.machine,
                name=execution.arn.rpartition(":")[2],
                input=json.dumps(execution.given, sort_keys=True),
            )
        except ClientError as problem:
            if problem.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
            return False
        return True

    def _runs(self, execution: Execution, waiter: Waiter) -> bool:
        try:
            found = waiter.past(
                lambda: self.client.describe_execution(executionArn=execution.arn), _is_unknown
            )
        except ClientError as problem:
            if not _is_unknown(problem):
                raise
            return False
        # The name may be that of another life of the environment.
        given = json.loads(found.get("input") or "{}")
        return found["status"] == "RUNNING" and given.get("migration_id") == self.records.id


def _is_unknown(error: Exception) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == "ExecutionDoesNotExist"
