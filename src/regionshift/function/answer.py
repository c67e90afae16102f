"""What the caller gets: ``{"statusCode": ..., "body": "<JSON>"}``."""

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
        status_code: as of HTTP.
        action: the action asked for, or ``unknown``.
        summary: a sentence for people: the notification's and, of an error, the answer's ``error``.
        code: one word for programs; empty exactly when the answer is a success.
        fields: what else the body holds.
        migration_id: what the action was about, when it was about a migration.
        partly: done, but something is left that a person has to look at: people are told of an error.
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
        """Whether nothing goes on after this answer; 202 says that something does."""
        return self.status_code != _UNDER_WAY

    def body(self, region: str, now: datetime) -> dict[str, Any]:
        """The body as an object."""
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
        """What the handler returns."""
        return {"statusCode": self.status_code, "body": json.dumps(self.body(region, now))}


def code_of(problem: BaseException) -> str:
    """AWS's error code, or the name of what kept the call from being answered."""
    if isinstance(problem, ClientError):
        return str(problem.response.get("Error", {}).get("Code", "Unknown"))
    return type(problem).__name__


def describe(problem: BaseException) -> str:
    """One line: whether AWS refused or could not be reached, and its own words."""
    verb = "refused" if isinstance(problem, ClientError) else "not reached"
    return f"{verb} ({code_of(problem)}): {without_credentials(str(problem))}"[:_LONGEST]
