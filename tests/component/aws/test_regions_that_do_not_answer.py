"""What boto makes of a region that is not well, told as the region's fault, and what is ours told as ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from regionshift.aws import clients as factory
from regionshift.aws.clients import AccessKey, Clients
from regionshift.aws.errors import AwsFailed
from regionshift.aws.guard import require_account
from regionshift.local.process import free_port

pytestmark = pytest.mark.component
HERE, THERE = "eu-west-1", "us-east-1"
Answer = Callable[[BaseHTTPRequestHandler], None]


def _says(status: int, body: str, kind: str = "text/plain") -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return answer


def _breaks_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"<Location")
    handler.close_connection = True


def _hangs(_: BaseHTTPRequestHandler) -> None:
    time.sleep(3)


def _closes(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.close()


def _error(code: str) -> str:
    told = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    return f"<ErrorResponse>{told}</ErrorResponse>"


@contextmanager
def _region(answers: dict[str, Answer]) -> Iterator[Clients]:
    """One endpoint for every region; ``answers`` by the region that a request is signed for."""

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            region = self.headers["Authorization"].split("/")[2]
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answers[region](self)

        do_GET = do_POST = _any  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    key = AccessKey("AKIAIOSFODNN7EXAMPLE", "secret")
    try:
        yield Clients(key=key, endpoint=f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "IMPATIENT_READ_TIMEOUT", 1)


def _asked(clients: Clients, service: str) -> AwsFailed:
    calls = {"sts": ("get_caller_identity", {}), "s3": ("get_bucket_location", {"Bucket": "state"})}
    operation, parameters = calls[service]
    with pytest.raises(AwsFailed) as caught:
        clients.impatient.call(HERE, service, operation, **parameters)
    return caught.value


@pytest.mark.parametrize("service", ["sts", "s3"])
@pytest.mark.parametrize(
    "answer",
    [
        _closes,
        _hangs,
        _breaks_off,
        _says(503, "no healthy upstream"),
        _says(503, "<html><body>Service Unavailable</body></html>", "text/html"),
        _says(502, ""),
        _says(200, "<html>Sign in to the network</html", "text/html"),
        _says(500, _error("InternalFailure"), "text/xml"),
    ],
    ids=["closes", "hangs", "breaks off", "503", "503 html", "502", "not of AWS", "500"],
)
def test_it_is_the_region(answer: Answer, service: str) -> None:
    with _region({HERE: answer}) as clients:
        assert _asked(clients, service).is_outside


def test_no_way_there_is_the_region() -> None:
    key = AccessKey("AKIAIOSFODNN7EXAMPLE", "secret")
    nowhere = Clients(key=key, endpoint=f"http://127.0.0.1:{free_port()}")
    assert _asked(nowhere, "sts").is_outside


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "AccessDenied"),
        (403, "InvalidClientTokenId"),
        (401, "OptInRequired"),
        (503, "Throttling"),
        (503, "RequestLimitExceeded"),
    ],
)
def test_it_is_ours(status: int, code: str) -> None:
    with _region({HERE: _says(status, _error(code), "text/xml")}) as clients:
        error = _asked(clients, "sts")
    assert not error.is_outside
    assert code in error.message


def test_the_account_is_asked_of_the_next_region_when_one_is_down() -> None:
    account = "<Account>123456789012</Account>"
    result = f"<GetCallerIdentityResult>{account}</GetCallerIdentityResult>"
    well = _says(200, f"<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>", "text/xml")
    with _region({HERE: _says(503, ""), THERE: well}) as clients:
        require_account(clients, "123456789012", [HERE, THERE])
        with pytest.raises(AwsFailed):
            require_account(clients, "123456789012", [HERE])
    refuses = _says(403, _error("AccessDenied"), "text/xml")
    with (
        _region({HERE: refuses, THERE: well}) as clients,
        pytest.raises(AwsFailed, match="AccessDenied"),
    ):
        require_account(clients, "123456789012", [HERE, THERE])
