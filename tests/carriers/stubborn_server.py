"""An S3 that answers as a script says, for what the embedded AWS never does: throttle, break off; and a proxy."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_DOWN = (503, b"<Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>")
INTERNAL = (500, b"<Error><Code>InternalError</Code><Message>try again</Message></Error>")
DELETIONS = (200, b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error></DeleteResult>")
LATE = (200, b"<Error><Code>InternalError</Code><Message>late</Message></Error>")
LATE_AFTER_BLANKS = (200, b'<?xml version="1.0" encoding="UTF-8"?>\n' + b" " * 600 + LATE[1])
OK = (200, b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>")
BREAK = (0, b"")


@dataclass
class Script:
    """Answers to give, the last one for ever; what was asked, and over how many connections."""

    answers: list[tuple[int, bytes]]
    asked: list[str] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> tuple[int, bytes]:
        with self.lock:
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def serve(script: Script, *, close_after: int | None = None) -> Iterator[str]:
    """The endpoint of a server that follows ``script``; it hangs up after ``close_after`` requests."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.served = getattr(self, "served", 0)
            if close_after is not None and self.served >= close_after:
                self.close_connection = True
                return
            super().handle_one_request()

        def answer(self) -> None:
            self.served += 1
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = script.next()
            with script.lock:
                script.asked.append(f"{self.command} {self.path}")
                script.connections.add(self.client_address[1])
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Proxy:
    """A proxy's URL, and what was asked of it: where to, and with which authorization."""

    url: str
    asked: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def proxy(user: str = "") -> Iterator[Proxy]:
    """A proxy that knows CONNECT, and no way but to this machine. ``user``: ``name:password@`` for its URL."""
    found = Proxy("")

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            found.asked.append((self.path, self.headers.get("Proxy-Authorization", "")))
            host, _, port = self.path.partition(":")
            if host != "127.0.0.1":
                self.send_error(403)
                return
            with socket.create_connection((host, int(port))) as there:
                self.send_response(200)
                self.end_headers()
                ends = {self.connection: there, there: self.connection}
                while True:
                    for end in select.select(list(ends), [], [])[0]:
                        if not (data := end.recv(65536)):
                            return
                        ends[end].sendall(data)

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    found.url = f"http://{user}127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
