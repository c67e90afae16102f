"""Who is at the other end of a connection to a port of ours: every user of the machine can reach loopback.

The engine and this process speak gRPC over loopback ports, without credentials: the engine's protocol has none
(`PULUMI_DEBUG_PROVIDERS` takes a port and nothing else). So each call is answered only when the system says that the
socket which made it is this user's: on Linux by /proc/net/tcp, which names the owner of every socket (proc(5)),
elsewhere by the connections of this process and its children. Nothing is remembered from call to call: a port number
that one connection leaves, another user's may have next.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_ESTABLISHED = "01"
_LOOPBACK = f"{struct.unpack('=I', socket.inet_aton('127.0.0.1'))[0]:08X}"
# As an IPv6 socket has it: ::ffff:127.0.0.1, word by word in the machine's own order.
_MAPPED = f"{0:016X}{struct.unpack('=I', bytes.fromhex('0000ffff'))[0]:08X}{_LOOPBACK}"
_PEER = re.compile(r"ipv4:127\.0\.0\.1:(\d+)|ipv6:\[::ffff:127\.0\.0\.1\]:(\d+)")
_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class OnlyOwn:
    """A gRPC server's interceptor (``grpc.ServerInterceptor``): who is not this user gets ``denied``.

    Args:
        denied: gRPC's status code for that.
        is_own: whether the peer, as gRPC writes it, is this user.
    """

    def __init__(self, denied: Any, is_own: Callable[[str], bool] | None = None) -> None:
        self._denied = denied
        self._is_own = is_own or is_own_peer

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """The handler of a call, behind the question who asks."""
        handler = continuation(details)
        if handler is None:
            return None
        guarded = {
            kind: self._guarded(getattr(handler, kind))
            for kind in _KINDS
            if getattr(handler, kind) is not None
        }
        return handler._replace(**guarded)

    def _guarded(self, answer: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def guarded(request: Any, context: Any) -> Any:
            if not self._is_own(context.peer()):
                context.abort(self._denied, "this port serves the engine of its own user")
            return answer(request, context)

        return guarded


def is_own_peer(peer: str, tables: tuple[str, ...] = _TABLES) -> bool:
    """Whether the process behind ``peer`` (``ipv4:127.0.0.1:PORT``) runs as this user. A peer that is not found is not.

    Without /proc and without psutil nobody can tell, and everybody is answered (docs/known-limits.md).
    """
    found = _PEER.fullmatch(peer.replace("%5B", "[").replace("%5D", "]"))
    if found is None:
        return False
    port = int(found.group(1) or found.group(2))
    if any(Path(table).exists() for table in tables):
        return set(_owners(port, tables)) in ({os.getuid()}, {os.geteuid()})
    ours = _ports_of_our_processes()
    return ours is None or port in ours


def _owners(port: int, tables: tuple[str, ...]) -> Iterator[int]:
    """The owner of each connection from ``port`` of loopback. Another's from the same port to elsewhere is told too."""
    wanted = {f"{address}:{port:04X}" for address in (_LOOPBACK, _MAPPED)}
    for table in tables:
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except FileNotFoundError:  # a machine without IPv6
            continue
        for line in lines:
            _, local, _, state, _, _, _, owner, *_ = line.split()
            if local in wanted and state == _ESTABLISHED:
                yield int(owner)


def _ports_of_our_processes() -> set[int] | None:
    """The ports from which this process and its children have connections; None where nothing tells them."""
    try:
        import psutil  # comes with what the local target needs
    except ImportError:
        return None
    ours = psutil.Process()
    found: set[int] = set()
    for process in (ours, *ours.children(recursive=True)):
        try:
            found |= {
                each.laddr.port for each in process.net_connections(kind="tcp") if each.laddr and each.raddr
            }
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
