"""Connections to S3, and the number of concurrent requests, which falls when AWS throttles."""

from __future__ import annotations

import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from select import POLLIN, poll
from types import TracebackType
from urllib.parse import urlsplit

from botocore.httpsession import ProxyConfiguration

from regionshift import logs
from regionshift.errors import Refused

_GROW_AFTER = 50  # requests without throttling before one more may run
_CONNECT_SECONDS = 10
# S3 can take minutes to answer when it completes a large multipart upload.
_READ_SECONDS = 300
# Servers close a connection after about 1,000 requests. We close it first, so that no request goes unanswered.
_MOST_REQUESTS = 900
_FRESH_SECONDS = 1.0  # a connection that was idle for longer is checked before it is used again


class Pace:
    """Allows at most ``most`` concurrent requests. ``slow_down`` halves that, but never below one. Thread-safe.

    Requests run in order of arrival. Otherwise the copying threads, which come back at once, would keep records and
    listings of other batches waiting until all is copied.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._running = 0
        self._calm = 0
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()

    @property
    def limit(self) -> int:
        """The number of requests that may run now."""
        return self._limit

    @property
    def queue(self) -> int:
        """The number of requests that wait."""
        return len(self._waiting)

    def slow_down(self) -> None:
        """Halve the limit, because AWS throttles."""
        with self._lock:
            self._limit = max(1, self._limit // 2)
            self._calm = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._running < self._limit and not self._waiting:
                self._running += 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            turn.acquire()
        except BaseException:
            self._leave_queue(turn)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._running -= 1
            self._calm += 1
            if self._calm >= _GROW_AFTER and self._limit < self._most:
                self._limit += 1
                self._calm = 0
            self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._running < self._limit:
            self._running += 1
            self._waiting.popleft().release()

    def _leave_queue(self, turn: threading.Lock) -> None:
        """Leave the queue after an interrupt. If it was this request's turn already, the next one gets it."""
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
            else:
                self._running -= 1
                self._let_in()


class ConnectionProblemError(Exception):
    """No answer came. ``sent``: the server may have received the request."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class _Kept:
    """A connection, its number of requests and its last use."""

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
        if time.monotonic() - self.used < _FRESH_SECONDS:
            return True
        # Between requests the server sends nothing, unless it closes. (select(2) is limited to 1,024 files.)
        asked = poll()
        asked.register(self.connection.sock, POLLIN)
        return not asked.poll(0)


Proxies = Callable[[str], Mapping[str, str]]
"""Returns the proxies for a URL by scheme, as ``botocore.utils.get_environ_proxies`` does; empty: no proxy."""


def no_proxies(_: str) -> Mapping[str, str]:
    """Return no proxies, for endpoints on this machine."""
    return {}


class Connections:
    """Connections by endpoint, through a proxy if there is one. Thread-safe. ``Pace`` limits their number."""

    def __init__(self, ca_bundle: str | None, proxies: Proxies = no_proxies) -> None:
        self._proxies = proxies
        self._context = ssl.create_default_context(cafile=ca_bundle)
        self._idle: dict[str, list[_Kept]] = {}
        self._lock = threading.Lock()

    def exchange(
        self, base: str, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request and return its answer: status, headers (names in lower case), body.

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
        """Close idle connections. The next request opens new ones."""
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
            # Without a counted request, the connection was never opened.
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
                # The connection used last is most likely still open.
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
        # Only HTTPS, so only AWS, goes through a proxy.
        if parts.scheme == "http":
            return HTTPConnection(host, parts.port, timeout=_CONNECT_SECONDS)
        given = ProxyConfiguration(dict(self._proxies(base)))
        if not (proxy := given.proxy_url_for(base)):
            return HTTPSConnection(host, parts.port, timeout=_CONNECT_SECONDS, context=self._context)
        way = urlsplit(proxy)
        if way.scheme != "http":
            raise Refused(
                f"Copying cannot use the proxy {way.hostname}: its URL begins with https://.",
                where="HTTPS_PROXY",
                remedy="write http:// in its place; the traffic through the proxy stays encrypted from end to end",
                error_id="RS-AWS-009",
            )
        connection = HTTPSConnection(
            way.hostname or "", way.port or 80, timeout=_CONNECT_SECONDS, context=self._context
        )
        connection.set_tunnel(host, parts.port, given.proxy_headers_for(proxy))
        return connection
