"""An endpoint before the embedded AWS in which a region can be lost: what is sent to it gets no answer.

It can also refuse calls as AWS does where a value is wrong, with the value in the sentence.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from e2e_place import ACCOUNT, Place

from regionshift.local import emulator
from regionshift.local.emulator import LocalCloud

# Signature Version 4 names the region that a request is for, and the service (IAM is everybody's).
_SCOPE = re.compile(
    r"(?:Credential=|Credential=[^&]*%2F)[^/%]+(?:/|%2F)\d{8}(?:/|%2F)([^/%]+)(?:/|%2F)([^/%]+)"
)
_LONGER_THAN_ANYBODY_WAITS = 90.0
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class LossyEndpoint:
    """``lost`` are the regions that do not answer; ``asked`` what was sent to them meanwhile.

    ``how`` they do not: the connection is closed, or nothing comes, or only 503. ``repeated`` are the operations (of
    services that speak JSON) that are refused, with all that was given in the message.
    """

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.lost: set[str] = set()
        self.how: Literal["closes", "hangs", "503"] = "closes"
        self.asked: list[str] = []
        self.repeated: set[str] = set()
        self.url = ""

    @property
    def variables(self) -> dict[str, str]:
        """What a command needs to go through here."""
        return {
            "REGIONSHIFT_ENDPOINT": self.url,
            "REGIONSHIFT_CA_BUNDLE": str(self.cloud.ca_bundle),
            "AWS_ACCESS_KEY_ID": self.cloud.access_key,
            "AWS_SECRET_ACCESS_KEY": self.cloud.secret_key,
        }


@contextmanager
def lossy(cloud: LocalCloud) -> Iterator[LossyEndpoint]:
    """The endpoint, listening on a free loopback port with the cloud's own certificate."""
    endpoint = LossyEndpoint(cloud)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(endpoint))
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls = cloud.ca_bundle.parent
    context.load_cert_chain(tls / "server.pem", tls / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    endpoint.url = f"https://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def up_behind(place: Place) -> Iterator[LossyEndpoint]:
    """``place`` is up, and every command of it goes by way of the endpoint."""
    with lossy(emulator.up(place.folder / ".regionshift/cloud", ACCOUNT)) as made:
        place.variables |= made.variables
        done = place.run("up", "--yes", "--no-validate")
        assert done.code == 0, done.said
        yield made


def _handler(endpoint: LossyEndpoint) -> type[BaseHTTPRequestHandler]:
    inside = ssl.create_default_context(cafile=str(endpoint.cloud.ca_bundle))
    host = endpoint.cloud.endpoint.removeprefix("https://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self._body()
            scope = _SCOPE.search(self.headers.get("Authorization", "") + self.path)
            region, service = scope.groups() if scope else ("", "")
            if region in endpoint.lost and service != "iam":
                endpoint.asked.append(f"{region} {service} {self.command} {self.path}")
                self._do_not_answer()
                return
            if self.headers.get("X-Amz-Target", "").rpartition(".")[2] in endpoint.repeated:
                self._answer(400, _repeating(body))
                return
            upstream = http.client.HTTPSConnection(host, context=inside, timeout=120)
            try:
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in _HOP_BY_HOP:
                        upstream.putheader(name, value)
                upstream.putheader("Content-Length", str(len(body)))
                upstream.endheaders(body)
                answer = upstream.getresponse()
                content = answer.read()
            finally:
                upstream.close()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(content)

        def _do_not_answer(self) -> None:
            if endpoint.how == "503":
                self._answer(503, b"no healthy upstream")
                return
            if endpoint.how == "hangs":
                time.sleep(_LONGER_THAN_ANYBODY_WAITS)
            self.close_connection = True
            self.connection.close()

        def _answer(self, status: int, said: bytes) -> None:
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass  # trailers of the transfer, not of the body
            return b"".join(chunks)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = _any  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is said."""

    return Handler


def _repeating(body: bytes) -> bytes:
    """AWS's answer to what does not fit its model, with each value as it is, as JSON and Go quote it, and in base64."""
    given = [str(value) for value in json.loads(body).values()]
    forms = [
        form for text in given for form in (text, json.dumps(text), base64.b64encode(text.encode()).decode())
    ]
    values = " or ".join(f"Value '{form}' at 'value'" for form in forms)
    message = f"1 validation error detected: {values} failed to satisfy constraint"
    return json.dumps({"__type": "ValidationException", "message": message}).encode()
