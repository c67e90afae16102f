"""The local provider talks to this machine and to nothing else."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from regionshift.errors import Refused
from regionshift.local.provider.session import structured
from regionshift.local.provider.wire import Properties


def refuse_elsewhere(arguments: Properties) -> None:
    """Refuse provider arguments that name an endpoint which is not this machine.

    Raises:
        Refused: naming the service.
    """
    for endpoints in structured(arguments.get("endpoints")) or []:
        for endpoint in endpoints.values():
            require_loopback(endpoint)


def require_loopback(endpoint: str) -> None:
    """Refuse an endpoint that is not this machine.

    Raises:
        Refused: naming the host.
    """
    host = urlsplit(endpoint).hostname or ""
    if host != "localhost" and not _is_loopback(host):
        raise Refused(
            f"the local target only talks to this machine, not to {host or 'an endpoint without a host'}",
            where="endpoint",
            remedy="leave the endpoint out, or set target: aws",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
