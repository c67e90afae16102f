"""Telling a region that is down from a mistake of ours: no route, no answer in time, or its own 5xx."""

from __future__ import annotations

import re

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from regionshift.errors import RegionshiftError

# botocore's, aws-sdk-go's and gRPC's words.
_OUTSIDE = re.compile(
    r"timed? ?out|deadline exceeded|no route to host|connection (was )?(refused|reset|closed|aborted)"
    r"|could not connect|no such host|EndpointConnectionError|ServiceUnavailable|Service Unavailable"
    r"|InternalFailure|InternalServerError|InternalError|Bad Gateway|StatusCode: 50[0234]|\(50[0234]\)"
    r"|does not answer",
    re.IGNORECASE,
)
_SERVER_ERROR = 500


def tells_of_outside(message: str) -> bool:
    """Whether a message says that the region did not answer as it should."""
    return _OUTSIDE.search(message) is not None


def is_outside(error: BaseException) -> bool:
    """The same of an error of boto's or of ours."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _SERVER_ERROR or tells_of_outside(str(error))
    if isinstance(error, RegionshiftError):
        return tells_of_outside(error.message)
    return isinstance(error, HTTPClientError) or (
        isinstance(error, BotoCoreError) and tells_of_outside(str(error))
    )
