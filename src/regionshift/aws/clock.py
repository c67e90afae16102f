"""A clock of this machine that is wrong: AWS then refuses every signature, in words that hide it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, cast

from botocore.exceptions import ClientError

from regionshift.machine import tells_of_clock

# "Signature expired: 20261130T000000Z is now earlier than 20261130T001500Z (20261130T002000Z - 5 min.)": when the
# request was signed, and, in brackets, AWS's own time.
_TIMES: Final = re.compile(r"(\d{8}T\d{6}Z) is .*\((\d{8}T\d{6}Z) [-+]")
_BASIC_TIME: Final = re.compile(r"\d{8}T\d{6}Z")


def is_of_clock(error: ClientError) -> bool:
    """Whether AWS refused a request because of its time."""
    found = error.response.get("Error", {})
    return tells_of_clock(f"{found.get('Code')} {found.get('Message')}")


def skew_of(error: ClientError) -> float | None:
    """By how many seconds this machine's clock is ahead of AWS's, as AWS tells it; None where it does not.

    S3 tells both times in the error (RequestTimeTooSkewed: RequestTime, ServerTime), the others in its sentence.
    """
    found = dict(cast(Mapping[str, str], error.response.get("Error", {})))
    ours, theirs = found.get("RequestTime"), found.get("ServerTime")
    if told := _TIMES.search(found.get("Message", "")):
        ours, theirs = told.groups()
    if ours is None or theirs is None:
        return None
    try:
        return (_time(ours) - _time(theirs)).total_seconds()
    except ValueError:
        return None


def _time(text: str) -> datetime:
    """One of the ways in which AWS writes a time. Raises ValueError for any other."""
    if _BASIC_TIME.fullmatch(text):
        return datetime.strptime(text, "%Y%m%dT%H%M%S%z")
    found = parsedate_to_datetime(text) if "," in text else datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
