"""Telling a region that is down from a mistake of ours: no route, no answer in time, or its own 5xx."""

from __future__ import annotations

import re

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    ProxyConnectionError,
    SSLError,
)

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
