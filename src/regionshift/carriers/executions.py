"""The executions of the state machine for a migration. Each is recorded before it is started.

Step Functions is eventually consistent (API Reference, "ListExecutions", "DescribeExecution"), S3 is not. So a
create-only record reserves the name and input of an execution first. Two callers at once, or a caller after a killed
one, then start the same execution. StartExecution with the name and input of a running execution starts no second one
(API Reference, "StartExecution").
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

# The embedded AWS is one process on one core: more workers would not be faster.
WORKERS = MappingProxyType({"aws": 40, "local": 2})
"""By target: the most workers that copy concurrently."""

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
_NUMBER = re.compile(r"[0-9]{8}")  # objects with other names are not ours
_HEAD = 40  # characters of the migration's id; StartExecution takes names of 80 characters
_DIGEST = 12


def workers_in(settings: Mapping[str, Any], most: int) -> int:
    """Return how many workers may run at once in a region: up to ``most``, and half of the unreserved concurrency.

    The other half is for the account's other functions. A new account has ten in all (Lambda Developer Guide,
    "Understanding Lambda function scaling" and "Lambda quotas").

    Args:
        settings: Lambda's answer (Lambda API Reference, "GetAccountSettings").
    """
    return max(1, min(most, int(settings["AccountLimit"]["UnreservedConcurrentExecutions"]) // 2))


@dataclass(frozen=True)
class Execution:
    """One execution: its ARN, its step and its input."""

    arn: str
    step: str
    given: Mapping[str, Any]


@dataclass(frozen=True)
class Executions:
    """Executions of one migration.

    Args:
        machine: the state machine's ARN.
        waiter: how long a new execution may be missing from answers. Executions that ended 90 days ago are missing
            too (Step Functions Developer Guide, "Quotas"), so all executions of a look share one wait.
    """

    records: MigrationRecords
    client: SFNClient
    machine: str
    waiter: Waiter = AT_ONCE

    def start(self, step: str, **fields: Any) -> Execution:
        """Start ``step``, or return its running execution.

        Args:
            fields: more fields of the input; no value of a secret.

        Raises:
            InputError: the input is larger than AWS accepts; nothing is recorded.
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
                f"The input of the state machine has {size:,} bytes; AWS accepts {EXECUTION_DATA.most:,}.",
                where=f"migration {self.records.id}",
                remedy="Ask for less in one migration; give a shorter reason.",
                error_id="RS-MIGRATION-012",
            )
        number, waiter = max(self._numbers(), default=0), self.waiter.started()
        while True:
            found = self._take(number, step, given)
            # Another release's input has other fields: we cannot start that execution, but it may be running.
            may_begin = found.given.keys() == given.keys()
            # An execution of another release was not started just now, so there is nothing to wait for.
            patience = waiter if may_begin else AT_ONCE
            if found.step == step and ((may_begin and self._begin(found)) or self._runs(found, patience)):
                return found
            number += 1

    def running(self) -> list[Execution]:
        """Return the executions that have not ended. The command that started them may have ended."""
        waiter = self.waiter.started()
        return [each for each in map(self._read, self._numbers()) if self._runs(each, waiter)]

    def _numbers(self) -> list[int]:
        folder = self.records.executions
        names = (name.removeprefix(folder) for name in self.records.store.names(folder))
        return [int(name) for name in names if _NUMBER.fullmatch(name)]

    def _take(self, number: int, step: str, given: Mapping[str, Any]) -> Execution:
        """Reserve this number for ``given``, or return the execution that has the number already."""
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
        # Two ids can have the same head; the digest makes the names differ.
        digest = hashlib.sha256(self.records.id.encode()).hexdigest()[:_DIGEST]
        return f"{self.machine.replace(':stateMachine:', ':execution:')}:{head}-{digest}-{step}-{number}"

    def _begin(self, execution: Execution) -> bool:
        """Start it. Return False when an execution of that name has ended, or has another input."""
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
        # The name may be from before the environment was destroyed and created again.
        given = json.loads(found.get("input") or "{}")
        return found["status"] == "RUNNING" and given.get("migration_id") == self.records.id


def _is_unknown(error: Exception) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == "ExecutionDoesNotExist"
