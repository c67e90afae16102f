"""S3 over HTTPS: plain connections, botocore's signature, our own retries.

The request pipeline of botocore is slow, its signer is not (docs/adr/101). This module does only what copying needs:
sign, send, retry, and slow down when S3 throttles.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from regionshift import logs
from regionshift.carriers.connections import ConnectionProblemError, Connections, Pace, Proxies, no_proxies
from regionshift.errors import WorkFailed
from regionshift.settings.regions import is_aws_host

EXPECTED = "x-amz-expected-bucket-owner"
EXPECTED_OF_SOURCE = "x-amz-source-expected-bucket-owner"
COPY_SOURCE = "x-amz-copy-source"

_PARAMETERS = ("ExpectedBucketOwner", "ExpectedSourceBucketOwner")
_SAFE_IN_PATH = "/~"
_SAFE_IN_QUERY = "~"
_TRANSIENT = frozenset({429, 500, 502, 503, 504})
# S3 has certainly not done the request, so a retry is safe (S3 API Reference, "Error responses").
_REFUSED_FOR_NOW = frozenset(
    {"SlowDown", "Throttling", "TooManyRequests", "ServiceUnavailable", "429", "503"}
)
_IS_ERROR = re.compile(rb"\s*(<\?xml[^>]*\?>)?\s*<Error[\s>]")
_NO_BODY = hashlib.sha256(b"").hexdigest()
_FIRST_WAIT = 0.05  # seconds; doubled each time, with jitter
_LONGEST_WAIT = 5.0


def expected(
    account: str, headers: Mapping[str, str], owner: str = "", source_owner: str = ""
) -> dict[str, str]:
    """Return the headers with the expected bucket owners: ``account``, unless another owner is given."""
    found = {EXPECTED: owner or account}
    return found | {EXPECTED_OF_SOURCE: source_owner or account} if COPY_SOURCE in headers else found


def expect(client: Any, account: str) -> None:
    """Make calls of the boto3 S3 ``client`` expect ``account`` as bucket owner, unless the call names another.

    CreateBucket and ListBuckets have no such parameter: they concern the caller's own buckets.
    """

    def name_owner(params: dict[str, Any], model: Any, **_: Any) -> dict[str, Any]:
        taken = model.input_shape.members if model.input_shape else {}
        return {**{name: account for name in _PARAMETERS if name in taken}, **params}

    client.meta.events.register("provide-client-params.s3", name_owner)


class S3Error(WorkFailed):
    """S3 refused. ``code``: S3's error code (``NoSuchKey``, …); ``status``: the HTTP status."""

    error_id = "RS-AWS-008"

    def __init__(self, code: str, status: int, message: str, where: str) -> None:
        super().__init__(f"S3 answered {code}: {message}", where=where)
        self.code = code
        self.status = status


class AnswerLostError(S3Error):
    """Unclear whether the request was done: no answer came, or S3 had an internal error."""


@dataclass(frozen=True)
class S3Request:
    """One S3 request. ``repeatable``: it is idempotent.

    ``owner``, ``source_owner``: owners of the bucket and of the copy's source, when not the transport's account.
    """

    method: str
    region: str
    bucket: str
    key: str = ""
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    repeatable: bool = True
    owner: str = ""
    source_owner: str = ""

    @property
    def where(self) -> str:
        """Region, bucket and key, for messages."""
        return f"{self.region} s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Response:
    """Status, headers (names in lower case) and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Signer(S3SigV4Auth):
    """botocore's signer, with the body's digest given; botocore would prepare the whole request again to compute it.

    S3 keeps the bytes of a header as they are (UTF-8 in a `Content-Disposition`), and http.client reads and writes
    them as Latin-1. So the signed text is encoded as Latin-1 too, where botocore would use UTF-8. Only spaces and tabs
    are trimmed from header values (IAM User Guide, "Create a signed API request").
    """

    def payload(self, request: AWSRequest) -> str:
        return str(request.context["payload"])

    def _header_value(self, value: str) -> str:
        return re.sub(" +", " ", value.strip(" \t"))

    def string_to_sign(self, request: AWSRequest, canonical_request: str) -> str:
        digest = hashlib.sha256(canonical_request.encode("latin-1")).hexdigest()
        return f"{super().string_to_sign(request, '').rpartition(chr(10))[0]}\n{digest}"


class Transport:
    """Sends S3 requests over kept-alive connections. Thread-safe; one for a whole process.

    Args:
        credentials: returns the credentials to sign with, new ones when they are about to expire.
        account: the owner of all buckets, unless a request names another owner.
        endpoint: returns the S3 endpoint of a region; a host that is not AWS's gets path-style addresses.
        proxies: returns the proxies for an endpoint.
        connections: the most requests at once.
        sleep, jitter: for tests.
    """

    def __init__(
        self,
        credentials: Callable[[], ReadOnlyCredentials],
        endpoint: Callable[[str], str],
        account: str,
        *,
        ca_bundle: str | None = None,
        proxies: Proxies = no_proxies,
        connections: int = 16,
        attempts: int = 8,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._credentials = credentials
        self._endpoint = endpoint
        self._account = account
        self._attempts = attempts
        self._sleep = sleep
        self._jitter = jitter
        self.connections = connections
        self.pace = Pace(connections)
        self._connections = Connections(ca_bundle, proxies)

    def close(self) -> None:
        """Close idle connections. The next request opens new ones."""
        self._connections.close()

    def send(self, request: S3Request) -> Response:
        """Send a request and return the whole answer.

        Raises:
            S3Error: S3 refused, or still throttles after all retries.
            AnswerLostError: it is unclear whether a request that is not repeatable was done.
        """
        if not logs.is_on():
            return self._send(request, {})
        facts = {"service": "s3", "operation": _operation(request), "region": request.region}
        with logs.timed("call", **facts, bucket=request.bucket, key=request.key or None) as told:
            return self._send(request, told)

    def _send(self, request: S3Request, told: dict[str, object]) -> Response:
        """As ``send``; adds facts for the log to ``told``."""
        for attempt in range(self._attempts):
            told["retries"] = attempt
            last = attempt == self._attempts - 1
            try:
                with self.pace:
                    response = self._once(request)
            except ConnectionProblemError as error:
                if last or (error.sent and not request.repeatable):
                    raise AnswerLostError("ConnectionLost", 0, str(error), request.where) from error
                self._wait(attempt)
                continue
            told |= {"status": response.status, "request_id": response.headers.get("x-amz-request-id")}
            problem = _problem(response, request)
            if problem is None:
                return response
            if not self._may_repeat(problem, request, last):
                told["error"] = problem.code
                raise problem
            self._wait(attempt)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, request: S3Request) -> Response:
        base, path = self._address(request)
        headers = self._sign(request, base + path)
        return Response(*self._connections.exchange(base, request.method, path, headers, request.body))

    def _address(self, request: S3Request) -> tuple[str, str]:
        """Return scheme and host, and the path with its query."""
        base = self._endpoint(request.region)
        path = "/" + quote(request.key, safe=_SAFE_IN_PATH)
        # A bucket with dots does not match AWS's wildcard certificate ("Bucket naming rules").
        parts = urlsplit(base)
        if is_aws_host(parts.hostname or "") and "." not in request.bucket:
            base = f"{parts.scheme}://{request.bucket}.{parts.netloc}"
        else:
            path = f"/{request.bucket}{path}"
        if request.query:
            pairs = (
                f"{quote(name, safe=_SAFE_IN_QUERY)}={quote(value, safe=_SAFE_IN_QUERY)}"
                for name, value in request.query
            )
            path = f"{path}?{'&'.join(pairs)}"
        return base, path

    def _sign(self, request: S3Request, url: str) -> dict[str, str]:
        owners = expected(self._account, request.headers, request.owner, request.source_owner)
        headers = {**request.headers, **owners, "Host": urlsplit(url).netloc}
        if request.method in ("PUT", "POST"):
            headers["Content-Length"] = str(len(request.body))
        unsigned = AWSRequest(request.method, url, headers=headers, data=request.body)
        unsigned.context["payload"] = hashlib.sha256(request.body).hexdigest() if request.body else _NO_BODY
        _Signer(self._credentials(), "s3", request.region).add_auth(unsigned)
        return dict(unsigned.headers.items())

    def _may_repeat(self, problem: S3Error, request: S3Request, last: bool) -> bool:
        if problem.status not in _TRANSIENT and problem.code not in _REFUSED_FOR_NOW:
            return False
        if problem.status in (429, 503) or problem.code in _REFUSED_FOR_NOW:
            self.pace.slow_down()
            return not last
        return request.repeatable and not last

    def _wait(self, attempt: int) -> None:
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)
        seconds = longest * (0.5 + self._jitter() / 2)
        logs.tell("wait", logs.DETAILS, service="s3", seconds=round(seconds, 3))
        self._sleep(seconds)


def _operation(request: S3Request) -> str:
    """Return the method and the names in the query, without values, because an upload's id is one."""
    names = "&".join(name for name, _ in request.query)
    return f"{request.method}?{names}" if names else request.method


def _problem(response: Response, request: S3Request) -> S3Error | None:
    """Return the error in the answer, or None.

    CopyObject and CompleteMultipartUpload can answer 200 and still have an error in the body. An answer of
    DeleteObjects has the errors of single keys, which are not errors of the request (S3 API Reference).
    """
    if response.status < 300 and not (request.method in ("PUT", "POST") and _IS_ERROR.match(response.body)):
        return None
    code, message = _read_error(response.body)
    status = 500 if response.status < 300 else response.status
    unclear = status in (500, 502, 504) and not request.repeatable
    kind = AnswerLostError if unclear else S3Error
    return kind(code or str(status), status, message or "no explanation given", request.where)


def _read_error(body: bytes) -> tuple[str, str]:
    if b"<Error" not in body:
        return "", ""
    try:
        root = ET.fromstring(body)
    except ET.ParseError:
        return "", body[:200].decode("utf-8", "replace")
    return root.findtext("Code", ""), root.findtext("Message", "")
