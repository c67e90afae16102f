"""Find the owner of a connection to one of our ports, because all users of the machine can reach loopback.

The engine and this process use gRPC over loopback ports, without credentials: the engine's protocol has none
(`PULUMI_DEBUG_PROVIDERS` accepts only a port). So a call is answered only when its socket belongs to this user. On
Linux the kernel is asked for that socket (sock_diag(7)). If it does not answer, /proc/net/tcp is read, which has the
owners of all sockets (proc(5)). On other systems, only connections of this process and its children are answered. No
answer is cached, because another user can get the same port number next.

An `up` makes about a thousand calls. Reading the table takes 12 ms of processor time on two cores, which was more than
half of a preview of three regions. The kernel finds one socket in microseconds.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_ESTABLISHED = "01"
_LOOPBACK = f"{struct.unpack('=I', socket.inet_aton('127.0.0.1'))[0]:08X}"
# The form in the table of IPv6: ::ffff:127.0.0.1, each word in the machine's byte order.
_MAPPED = f"{0:016X}{struct.unpack('=I', bytes.fromhex('0000ffff'))[0]:08X}{_LOOPBACK}"
_LOOPBACK_BYTES = socket.inet_aton("127.0.0.1")
# linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST = 4, 20, 1
_HEADER, _ANY_STATE, _NO_INTERFACE = 16, 0xFFFFFFFF, struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
_ANSWER = struct.Struct("=xB2x4s56xI4x")  # state, both ports, owner
_PEER = re.compile(r"ipv4:127\.0\.0\.1:(\d+)|ipv6:\[::ffff:127\.0\.0\.1\]:(\d+)")
_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def own_server(grpc: Any, *arguments: Any, **options: Any) -> Any:
    """Return a ``grpc.server`` with these arguments that answers only processes of this user.

    Args:
        grpc: the module, so that this one need not import it.
    """
    guard = _OnlyOwn(grpc.StatusCode.PERMISSION_DENIED)
    server = grpc.server(*arguments, **options, interceptors=(guard,))
    server.add_insecure_port = partial(guard.bind, server.add_insecure_port)
    return server


class _OnlyOwn:
    """An interceptor (``grpc.ServerInterceptor``) that answers ``denied`` to other users."""

    def __init__(self, denied: Any) -> None:
        self._denied = denied
        self._port: int | None = None

    def bind(self, add_port: Callable[[str], int], address: str) -> int:
        """Bind ``address`` with the server's own ``add_port``; return the port."""
        self._port = add_port(address)
        return self._port

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Return the handler of a call, with the check of the caller."""
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
            if not is_own_peer(context.peer(), self._port):
                context.abort(self._denied, "this port serves the engine of its own user")
            return answer(request, context)

        return guarded


def is_own_peer(peer: str, to: int | None = None, tables: tuple[str, ...] = _TABLES) -> bool:
    """Whether the process of ``peer`` (``ipv4:127.0.0.1:PORT``) runs as this user. False for an unknown peer.

    ``to``: our port of the connection; None: all connections from the peer's port count. Without /proc and psutil the
    owner is unknown, and the answer is True (docs/known-limits.md).
    """
    found = _PEER.fullmatch(peer.replace("%5B", "[").replace("%5D", "]"))
    if found is None:
        return False
    port = int(found.group(1) or found.group(2))
    owner = None if to is None else _owner_of_connection(port, to)
    if owner is not None:
        return owner in (os.getuid(), os.geteuid())
    if any(Path(table).exists() for table in tables):
        return set(_owners(port, to, tables)) in ({os.getuid()}, {os.geteuid()})
    ours = _ports_of_our_processes()
    return ours is None or port in ours


def _owner_of_connection(port: int, to: int) -> int | None:
    """Ask the kernel for the owner of the loopback connection from ``port`` to ``to``; None when it does not answer.

    The message is struct inet_diag_req_v2, the answer struct inet_diag_msg (sock_diag(7)). This is a lookup of one
    connection, not a list.
    """
    family = getattr(socket, "AF_NETLINK", None)
    if family is None:
        return None
    wanted = struct.pack("!HH16s16s", port, to, _LOOPBACK_BYTES, _LOOPBACK_BYTES)
    request = (
        struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, _ANY_STATE) + wanted + _NO_INTERFACE
    )
    header = struct.pack("=IHHII", _HEADER + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    try:
        with socket.socket(family, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
            kernel.send(header + request)
            answer = kernel.recv(4096, socket.MSG_DONTWAIT)  # the kernel answers before `send` returns
    except OSError:
        return None
    if len(answer) < _HEADER + _ANSWER.size or struct.unpack_from("=H", answer, 4)[0] != _SOCK_DIAG_BY_FAMILY:
        return None
    state, connected, owner = _ANSWER.unpack_from(answer, _HEADER)
    # Without that connection, the kernel answers with the listener of the port.
    return owner if state == int(_ESTABLISHED) and connected == wanted[:4] else None


def _owners(port: int, to: int | None, tables: tuple[str, ...]) -> Iterator[int]:
    """Yield the owner of each loopback connection from ``port`` to ``to``; None: to any port.

    A connection is identified by both ends (RFC 9293, 4, "connection"): two users' sockets can have the same port.
    """
    wanted = {f"{address}:{port:04X}" for address in (_LOOPBACK, _MAPPED)}
    ours = None if to is None else {f"{address}:{to:04X}" for address in (_LOOPBACK, _MAPPED)}
    for table in tables:
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except FileNotFoundError:  # a machine without IPv6
            continue
        for line in lines:
            _, local, remote, state, _, _, _, owner, *_ = line.split()
            if local in wanted and state == _ESTABLISHED and (ours is None or remote in ours):
                yield int(owner)


def _ports_of_our_processes() -> set[int] | None:
    """Return the local ports of connections of this process and its children; None without psutil."""
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
