"""An S3 that answers as a script says, for what the embedded AWS never does: throttle, break off."""

from __future__ import annotations

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
