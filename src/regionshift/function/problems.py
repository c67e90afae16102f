"""How an AWS failure is put into words."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

AWS_PROBLEMS = (ClientError, BotoCoreError)
_LONGEST = 300


def code_of(problem: BaseException) -> str:
    """AWS's error code, or the name of what kept the call from being answered."""
    if isinstance(problem, ClientError):
        return str(problem.response.get("Error", {}).get("Code", "Unknown"))
    return type(problem).__name__


def describe(problem: BaseException) -> str:
    """One line: whether AWS refused or could not be reached, and its own words."""
    verb = "refused" if isinstance(problem, ClientError) else "not reached"
    return f"{verb} ({code_of(problem)}): {problem}"[:_LONGEST]
