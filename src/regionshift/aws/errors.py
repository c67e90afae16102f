"""What boto raises, told once as the product's own error: AWS's message, the region, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
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
    SSLError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from regionshift.aws.clock import is_of_clock, skew_of
from regionshift.aws.outside import is_outside
from regionshift.errors import WorkFailed
from regionshift.machine import CLOCK

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
        "SlowDown",
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
_NO_ANSWER: Final = "Check the network and the region's name; for the local target: regionshift local status"


class AwsFailed(WorkFailed):
    """AWS, or the way to it, said no.

    ``code`` is AWS's short name, or the name of boto's error. ``is_outside``: the region did not answer as it
    should, so the fault is not ours.
    """

    def __init__(
        self, message: str, *, code: str, where: str | None, remedy: str | None, is_outside: bool = False
    ) -> None:
        super().__init__(message, where=where, remedy=remedy)
        self.code = code
        self.is_outside = is_outside

    @property
    def is_about_credentials(self) -> bool:
        """Whether AWS could not tell, or boto could not find out, who is asking."""
        return self.code in BAD_CREDENTIALS or self.code in {kind.__name__ for kind in MISSING_CREDENTIALS}


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
        if is_of_clock(error):
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
    skew = skew_of(error)
    by = "" if skew is None else f", by {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
    message = f"The clock of this machine is wrong{by}: AWS refused {error.operation_name} ({told})"
    return AwsFailed(message, code=code_of(error), where=where, remedy=CLOCK)


def code_of(error: ClientError) -> str:
    """AWS's short name of the error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _remedy(code: str) -> str | None:
    if code in DENIED:
        return "Give these credentials the permission that the message names, or use others."
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
