"""The function asks a busy service again, and gives up soon where nobody answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, ConnectTimeoutError

from regionshift.function import clients
from regionshift.function.clients import from_region

REGION, ACCOUNT = "eu-west-1", "123456789012"
Send = Callable[..., AWSResponse]


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> list[bytes]:
        return [self._content]


def answer(status: int, content: bytes) -> AWSResponse:
    return AWSResponse("https://aws", status, {"content-type": "application/xml"}, _Body(content))


BUSY = answer(503, b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
GOOD = answer(200, b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
DENIED = answer(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(clients, "_BUSY_PAUSE", 0.001)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)  # boto's own pauses
    return from_region(REGION, ACCOUNT)("s3")


def sent(s3: Any, answers: list[AWSResponse | Exception]) -> list[str]:
    """What is sent is answered in this order, the last for ever; returns what was sent."""
    requests: list[str] = []

    def send(request: Any, **_: Any) -> AWSResponse:
        requests.append(request.url)
        given = answers[min(len(requests), len(answers)) - 1]
        if isinstance(given, Exception):
            raise given
        return given

    s3.meta.events.register("before-send", send)
    return requests


def test_a_service_that_is_busy_is_asked_until_it_answers(s3: Any) -> None:
    requests = sent(s3, [BUSY, BUSY, BUSY, BUSY, GOOD])
    assert s3.get_bucket_versioning(Bucket="b")["Status"] == "Enabled"
    assert len(requests) == 5


def test_one_that_stays_busy_is_given_up(s3: Any) -> None:
    requests = sent(s3, [BUSY])
    with pytest.raises(ClientError, match="SlowDown"):
        s3.get_bucket_versioning(Bucket="b")
    assert len(requests) == 6


def test_a_refusal_is_believed_at_once(s3: Any) -> None:
    requests = sent(s3, [DENIED])
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_bucket_versioning(Bucket="b")
    assert len(requests) == 1


def test_one_that_does_not_answer_is_asked_twice_only(s3: Any) -> None:
    requests = sent(s3, [ConnectTimeoutError(endpoint_url="https://aws")])
    with pytest.raises(ConnectTimeoutError):
        s3.get_bucket_versioning(Bucket="b")
    assert len(requests) == 2
