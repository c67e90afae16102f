"""The function's answer: ``{"statusCode": ..., "body": "<JSON>"}``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.errors import without_credentials

SUCCESS = "success"
ERROR = "error"
_UNDER_WAY = 202
AWS_PROBLEMS = (ClientError, BotoCoreError)
_LONGEST = 300


@dataclass(frozen=True)
class Answer:
    """One answer before it becomes JSON.

    Attributes:
        status_code: an HTTP status.
        action: the requested action, or ``unknown``.
        summary: a sentence for the notification; for an error also the body's ``error``.
        code: one word for programs; empty for a success.
        fields: other fields of the body.
        migration_id: the migration's id, if the action has one.
        partly: done, but a person must look at something, so the notification's status is ``error``.
    """

    status_code: int
    action: str
    summary: str
    code: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    migration_id: str | None = None
    partly: bool = False

    @property
    def status(self) -> str:
        """``success`` or ``error``."""
        return ERROR if self.code else SUCCESS

    @property
    def is_done(self) -> bool:
        """Whether the work has ended. With 202, it continues."""
        return self.status_code != _UNDER_WAY

    def body(self, region: str, now: datetime) -> dict[str, Any]:
        """Return the body as an object."""
        content = {
            **self.fields,
            "status": self.status,
            "action": self.action,
            "region": region,
            "timestamp": now.isoformat(),
        }
        if self.migration_id is not None:
            content["migration_id"] = self.migration_id
        if self.code:
            content |= {"error": self.summary, "code": self.code}
        return content

    def response(self, region: str, now: datetime) -> dict[str, Any]:
        """Return the answer in Lambda's form."""
        return {"statusCode": self.status_code, "body": json.dumps(self.body(region, now))}


def code_of(problem: BaseException) -> str:
    """Return AWS's error code; without an answer of AWS, the name of the exception."""
    if isinstance(problem, ClientError):
        return str(problem.response.get("Error", {}).get("Code", "Unknown"))
    return type(problem).__name__


def describe(problem: BaseException) -> str:
    """Return one line: whether AWS refused or could not be reached, and AWS's message."""
    verb = "refused" if isinstance(problem, ClientError) else "not reached"
    return f"{verb} ({code_of(problem)}): {without_credentials(str(problem))}"[:_LONGEST]


def numbers(counts: Mapping[str, Any]) -> dict[str, int]:
    """Return only the fields that are integers."""
    return {name: number for name, number in counts.items() if isinstance(number, int)}
