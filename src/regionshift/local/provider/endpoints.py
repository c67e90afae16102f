"""The local provider talks to this machine and to nothing else."""

from __future__ import annotations

from regionshift.aws.guard import require_loopback
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
