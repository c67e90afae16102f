"""What boto raises, told once as the product's own error: AWS's message, the region, and what to do next.

Two kinds are told apart from a mistake of ours: a region that is down (no route, no answer in time, or its own 5xx),
and a clock of this machine that is wrong, for which AWS refuses every signature in words that hide it.
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
from regionshift.machine import CLOCK, tells_of_clock

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
# What boto lets through when an answer is no answer of AWS's: it parses what came, and does not expect to fail.
UNREADABLE: Final = (ResponseParserError, ParseError, HTTPError)
_GONE: Final = re.compile(r"NotFound|NoSuch|DoesNotExist|NonExistent|InvalidResourceId|\.Malformed$|^404$")
_NO_ANSWER: Final = "Check the network and the region's name; for the local target: regionshift local status"

# botocore's, aws-sdk-go's and gRPC's words.
_OUTSIDE = re.compile(
    r"timed? ?out|deadline exceeded|no route to host|connection (was )?(refused|reset|closed|aborted)"
    r"|\bEOF\b|broken pipe|network is unreachable|name resolution|server misbehaving"
    r"|could not connect|no such host|EndpointConnectionError|ServiceUnavailable|Service Unavailable"
    r"|InternalFailure|InternalServerError|InternalError|Bad Gateway|StatusCode: 50[0234]|\(50[0234]\)"
    r"|does not answer",
    re.IGNORECASE,
)
# What a region that is well says: no right, not enabled for the account, too many requests (S3 and EC2 say that
# with 503: their API References, "Error responses" and "Error codes"); and a certificate that is not to be trusted.
_OURS = re.compile(
    r"AccessDenied|UnauthorizedOperation|OptInRequired|InvalidClientTokenId|Throttl|SlowDown"
    r"|RequestLimitExceeded|TooManyRequests|certificate",
    re.IGNORECASE,
)
_SERVER_ERROR = 500
# "Signature expired: 20261130T000000Z is now earlier than 20261130T001500Z (20261130T002000Z - 5 min.)": when the
# request was signed, and, in brackets, AWS's own time.
_TIMES: Final = re.compile(r"(\d{8}T\d{6}Z) is .*\((\d{8}T\d{6}Z) [-+]")
_BASIC_TIME: Final = re.compile(r"\d{8}T\d{6}Z")


class AwsFailed(WorkFailed):
    """AWS, or the way to it, said no.

    ``code`` is AWS's short name, or the name of boto's error. ``is_outside``: the region did not answer as it
    should, so the fault is not ours.
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
        """Whether AWS could not tell, or boto could not find out, who is asking; of a wrong clock that is not said."""
        is_one = self.code in BAD_CREDENTIALS or self.code in {kind.__name__ for kind in MISSING_CREDENTIALS}
        return is_one and not tells_of_clock(self.message)


def _id_of(code: str, message: str, *, is_outside: bool) -> str:
    if tells_of_clock(message):
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
    """Around calls of AWS: whatever boto raises in it becomes an :class:`AwsFailed`.

    Args:
        region: where the calls go.
        resource: what they are about, when that is one thing.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translate(error, region, resource) from error
    except UNREADABLE as error:
        where = f"{region}, {resource}" if resource else region
        raise AwsFailed(
            f"What came is no answer of AWS: {error}",
            code=type(error).__name__,
            where=where,
            remedy=_NO_ANSWER,
            is_outside=True,
        ) from error


def translate(error: ClientError | BotoCoreError, region: str, resource: str | None = None) -> AwsFailed:
    """The product's error for one of boto's, with AWS's own words in it."""
    where = f"{region}, {resource}" if resource else region
    if isinstance(error, ClientError):
        code = code_of(error)
        told = error.response.get("Error", {}).get("Message") or code
        if tells_of_clock(f"{code} {told}"):
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
    """AWS's short name of the error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_gone(error: ClientError) -> bool:
    """Whether it says that what was asked for is not there."""
    return bool(_GONE.search(code_of(error)))


def _remedy(code: str) -> str | None:
    if code in DENIED:
        return "Give these credentials the permission that the message names, or use others."
    if (
        code == "AuthFailure"
    ):  # EC2 says so of a clock that is wrong, too, and no more (aws/aws-sdk-java issue 519)
        return "Renew the credentials, and look at this machine's clock and whether the region is enabled."
    if code in BAD_CREDENTIALS:
        return "Renew the credentials, and look whether the region is enabled for the account."
    if code in THROTTLED:
        return "AWS asked for fewer requests, several times: wait a minute and run the command again."
    if code in LIMITS:
        return "Ask for a higher limit in Service Quotas, or remove what is not needed."
    return None


def _remedy_of_boto(error: BotoCoreError) -> str | None:
    if isinstance(error, MISSING_CREDENTIALS):
        return "Sign in, or name another profile; `aws sts get-caller-identity` tells whether that worked."
    if isinstance(error, SSLError):
        return "Nothing was sent. Look whether the endpoint and its certificate belong together."
    if isinstance(error, ConnectionError | HTTPClientError):
        return _NO_ANSWER
    return None


def tells_of_outside(message: str) -> bool:
    """Whether a message says that the region did not answer as it should."""
    return _OUTSIDE.search(message) is not None and _OURS.search(message) is None


def is_outside(error: ClientError | BotoCoreError) -> bool:
    """The same of an error of boto's."""
    if isinstance(error, ClientError):
        if _OURS.search(str(error)):
            return False
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _SERVER_ERROR or tells_of_outside(str(error))
    if isinstance(error, SSLError | ProxyConnectionError):
        return isinstance(error, SSLError) and _OURS.search(str(error)) is None
    return isinstance(error, HTTPClientError) or tells_of_outside(str(error))


def _skew_of(error: ClientError) -> float | None:
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
