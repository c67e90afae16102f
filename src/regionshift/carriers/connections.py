"""Kept-alive HTTPS connections, the standard library's, handed out one request at a time.

urllib3's pool costs half of a small request's processor time (docs/adr/101), most of it for redirects,
retries, proxies and decoding that S3 requests have no use for. What is left of a pool is small.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from select import select
from urllib.parse import urlsplit

from regionshift import logs

_CONNECT_SECONDS = 10
# S3 can be silent for minutes before it answers, when it puts a large upload's parts together.
_READ_SECONDS = 300
# Servers close a connection after about 1,000 requests; going first spares a request that gets no answer.
_MOST_REQUESTS = 900
_FRESH_SECONDS = 1.0  # idle for longer, a connection is looked at before it is used again


class ConnectionProblemError(Exception):
    """No answer came. ``sent``: the server may have got the request all the same."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class _Kept:
    """A connection and what is known of it."""

    def __init__(self, connection: HTTPConnection) -> None:
        self.connection = connection
        self.requests = 0
        self.used = time.monotonic()

    @property
    def is_usable(self) -> bool:
        if self.requests >= _MOST_REQUESTS:
            return False
        if self.connection.sock is None:
            return False
        # Between requests the server has nothing to say, except that it closes.
        return (
            time.monotonic() - self.used < _FRESH_SECONDS or not select([self.connection.sock], [], [], 0)[0]
        )


class Connections:
    """Connections by endpoint. Thread-safe; how many there are is the caller's affair (``Pace``)."""

    def __init__(self, ca_bundle: str | None) -> None:
        self._context = ssl.create_default_context(cafile=ca_bundle)
        self._idle: dict[str, list[_Kept]] = {}
        self._lock = threading.Lock()

    def exchange(
        self, base: str, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """One request and its whole answer: status, headers (names in lower case), body.

        Raises:
            ConnectionProblemError: the connection could not be made, or broke.
        """
        with self._lent(base) as kept:
            if not kept.requests:
                kept.connection.connect()
                kept.connection.sock.settimeout(_READ_SECONDS)
            kept.requests += 1
            kept.connection.request(method, path, body=body or None, headers=dict(headers))
            answer = kept.connection.getresponse()
            content = answer.read()
            kept.used = time.monotonic()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def close(self) -> None:
        """Close what is idle; the next request opens new ones."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for kept in (kept for connections in idle.values() for kept in connections):
            kept.connection.close()

    @contextmanager
    def _lent(self, base: str) -> Iterator[_Kept]:
        kept = self._take(base)
        try:
            yield kept
        except (HTTPException, OSError) as error:
            kept.connection.close()
            # Before the first request is counted there was no connection to carry it.
            sent = kept.requests > 0
            raise ConnectionProblemError(str(error) or type(error).__name__, sent=sent) from error
        except BaseException:
            kept.connection.close()
            raise
        self._give_back(base, kept)

    def _take(self, base: str) -> _Kept:
        while True:
            with self._lock:
                idle = self._idle.setdefault(base, [])
                # The one used last is the likeliest to be open still.
                kept = idle.pop() if idle else None
            if kept is None:
                return _Kept(self._open(base))
            if kept.is_usable:
                return kept
            kept.connection.close()

    def _give_back(self, base: str, kept: _Kept) -> None:
        with self._lock:
            self._idle.setdefault(base, []).append(kept)

    def _open(self, base: str) -> HTTPConnection:
        parts = urlsplit(base)
        host = parts.hostname or ""
        logs.tell("connection", logs.DETAILS, host=parts.netloc)
        if parts.scheme == "http":
            return HTTPConnection(host, parts.port, timeout=_CONNECT_SECONDS)
        return HTTPSConnection(host, parts.port, timeout=_CONNECT_SECONDS, context=self._context)
