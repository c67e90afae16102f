"""Translate boto's errors into ``AwsFailed``: AWS's message, the region, and what to do next.

Two causes are recognised. One is a region that is down: no route, no answer in time, or status 5xx. The other is a
wrong clock on this machine: AWS then refuses each signature with a misleading message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, cast
from xml.etree.ElementTree import ParseError

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from regionshift.errors import WorkFailed
from regionshift.machine import CLOCK, is_clock_error

# IAM User Guide, "Troubleshoot access denied error messages"; STS and S3 API references, "Errors".
DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "UnauthorizedOperation",
        "403",
        "Forbidden",
    }
)
BAD_CREDENTIALS: Final = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
THROTTLED: Final = frozenset(
    {
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
LIMITS: Final = frozenset({"LimitExceeded", "LimitExceededException", "ServiceQuotaExceededException"})
MISSING_CREDENTIALS: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    CredentialRetrievalError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
# Errors of boto's parsers when the answer is not AWS's.
UNREADABLE: Final = (ResponseParserError, ParseError, HTTPError)
_GONE: Final = re.compile(r"NotFound|NoSuch|DoesNotExist|NonExistent|InvalidResourceId|\.Malformed$|^404$")
_NO_ANSWER: Final = "Check the network and the region's name; for the local target: regionshift local status"

# Words of botocore, aws-sdk-go and gRPC.
_OUTSIDE = re.compile(
    r"timed? ?out|deadline exceeded|no route to host|connection (was )?(refused|reset|closed|aborted)"
    r"|\bEOF\b|broken pipe|network is unreachable|name resolution|server misbehaving"
    r"|could not connect|no such host|EndpointConnectionError|ServiceUnavailable|Service Unavailable"
    r"|InternalFailure|InternalServerError|InternalError|Bad Gateway|StatusCode: 50[0234]|\(50[0234]\)"
    r"|does not answer",
    re.IGNORECASE,
)
# Errors of a healthy region: no permission, not enabled for the account, too many requests (503 from S3 and EC2: their
# API References, "Error responses" and "Error codes"); and a certificate that is not trusted.
_OURS = re.compile(
    r"AccessDenied|UnauthorizedOperation|OptInRequired|InvalidClientTokenId|Throttl|SlowDown"
    r"|RequestLimitExceeded|TooManyRequests|certificate",
    re.IGNORECASE,
)
_SERVER_ERROR = 500
# "Signature expired: 20261130T000000Z is now earlier than 20261130T001500Z (20261130T002000Z - 5 min.)". The first time
# is that of the signature, the one in brackets AWS's own.
_TIMES: Final = re.compile(r"(\d{8}T\d{6}Z) is .*\((\d{8}T\d{6}Z) [-+]")
_BASIC_TIME: Final = re.compile(r"\d{8}T\d{6}Z")


class AwsFailed(WorkFailed):
    """AWS refused, or could not be reached.

    ``code``: AWS's error code, or the name of boto's error. ``is_outside``: the region does not work, so the fault is
    not ours.
    """

    def __init__(
        self, message: str, *, code: str, where: str | None, remedy: str | None, is_outside: bool = False
    ) -> None:
        super().__init__(
            message, where=where, remedy=remedy, error_id=_id_of(code, message, is_outside=is_outside)
        )
        self.code = code
        self.is_outside = is_outside

    @property
    def is_about_credentials(self) -> bool:
        """Whether credentials are missing or invalid. A wrong clock does not count."""
        is_one = self.code in BAD_CREDENTIALS or self.code in {kind.__name__ for kind in MISSING_CREDENTIALS}
        return is_one and not is_clock_error(self.message)


def _id_of(code: str, message: str, *, is_outside: bool) -> str:
    if is_clock_error(message):
        return "RS-AWS-006"
    if is_outside:
        return "RS-AWS-003"
    for codes, found in (
        (DENIED, "RS-AWS-001"),
        (BAD_CREDENTIALS | {kind.__name__ for kind in MISSING_CREDENTIALS}, "RS-AWS-002"),
        (THROTTLED, "RS-AWS-004"),
        (LIMITS, "RS-AWS-005"),
    ):
        if code in codes:
            return found
    return "RS-AWS-007"


@contextmanager
def told_plainly(region: str, resource: str | None = None) -> Iterator[None]:
    """Translate boto's errors in the block into ``AwsFailed``.

    Args:
        region: the region of the calls.
        resource: the resource of the calls, if it is only one.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translate(error, region, resource) from error
    except UNREADABLE as error:
        where = f"{region}, {resource}" if resource else region
        raise AwsFailed(
            f"The answer is not from AWS: {error}",
            code=type(error).__name__,
            where=where,
            remedy=_NO_ANSWER,
            is_outside=True,
        ) from error


def translate(error: ClientError | BotoCoreError, region: str, resource: str | None = None) -> AwsFailed:
    """Return the ``AwsFailed`` for an error of boto's, with AWS's message."""
    where = f"{region}, {resource}" if resource else region
    if isinstance(error, ClientError):
        code = code_of(error)
        told = error.response.get("Error", {}).get("Message") or code
        if is_clock_error(f"{code} {told}"):
            return _of_clock(error, told, where)
        message = f"{error.operation_name}: {told} ({code})"
        return AwsFailed(message, code=code, where=where, remedy=_remedy(code), is_outside=is_outside(error))
    return AwsFailed(
        str(error),
        code=type(error).__name__,
        where=where,
        remedy=_remedy_of_boto(error),
        is_outside=is_outside(error),
    )


def _of_clock(error: ClientError, told: str, where: str) -> AwsFailed:
    skew = _skew_of(error)
    by = "" if skew is None else f", by {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
    message = f"The clock of this machine is wrong{by}: AWS refused {error.operation_name} ({told})"
    return AwsFailed(message, code=code_of(error), where=where, remedy=CLOCK)


def code_of(error: ClientError) -> str:
    """Return AWS's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_gone(error: ClientError) -> bool:
    """Whether the error says that the resource does not exist."""
    return bool(_GONE.search(code_of(error)))


def _remedy(code: str) -> str | None:
    if code in DENIED:
        return "Give these credentials the permission that the message names, or use others."
    if code == "AuthFailure":  # EC2's answer to a wrong clock too (aws/aws-sdk-java issue 519)
        return "Renew the credentials, and look at this machine's clock and whether the region is enabled."
    if code in BAD_CREDENTIALS:
        return "Renew the credentials, and look whether the region is enabled for the account."
    if code in THROTTLED:
        return "AWS throttles these requests: wait a minute and run the command again."
    if code in LIMITS:
        return "Ask for a higher limit in Service Quotas, or remove what is not needed."
    return None


def _remedy_of_boto(error: BotoCoreError) -> str | None:
    if isinstance(error, MISSING_CREDENTIALS):
        return "Sign in, or name another profile; `aws sts get-caller-identity` shows whether that worked."
    if isinstance(error, SSLError):
        return "Nothing was sent. Check that the certificate is that of the endpoint."
    if isinstance(error, ConnectionError | HTTPClientError):
        return _NO_ANSWER
    return None


def is_outage(message: str) -> bool:
    """Whether a message means that the region does not work."""
    return _OUTSIDE.search(message) is not None and _OURS.search(message) is None


def is_outside(error: ClientError | BotoCoreError) -> bool:
    """Whether an error of boto's means that the region does not work."""
    if isinstance(error, ClientError):
        if _OURS.search(str(error)):
            return False
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _SERVER_ERROR or is_outage(str(error))
    if isinstance(error, SSLError | ProxyConnectionError):
        return isinstance(error, SSLError) and _OURS.search(str(error)) is None
    return isinstance(error, HTTPClientError) or is_outage(str(error))


def _skew_of(error: ClientError) -> float | None:
    """Return by how many seconds this machine's clock is ahead of AWS's; None when the error does not say.

    S3's error has both times as fields (RequestTimeTooSkewed: RequestTime, ServerTime), others in the message.
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
    """Parse one of AWS's formats of a time. Raises ValueError for any other."""
    if _BASIC_TIME.fullmatch(text):
        return datetime.strptime(text, "%Y%m%dT%H%M%S%z")
    found = parsedate_to_datetime(text) if "," in text else datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
