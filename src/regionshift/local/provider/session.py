"""What the provider remembers while it serves one engine run, and what its instances may be configured with."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from regionshift.aws.guard import require_loopback
from regionshift.errors import InputError
from regionshift.local.provider.wire import Properties, Unknown


@dataclass(frozen=True)
class ProviderConfiguration:
    """What one instance of the provider was configured with."""

    region: str
    default_tags: Mapping[str, str] = field(default_factory=dict)


class ProviderSession:
    """Configurations of the provider's instances, and the ids that the engine's state already holds.

    Every instance has a connection of its own, which is all that tells them apart: requests do not name it.
    """

    def __init__(self) -> None:
        self._configurations: dict[str, ProviderConfiguration] = {}
        self._known: defaultdict[str, set[str]] = defaultdict(set)
        self._lock = threading.Lock()

    def configure(self, peer: str, configuration: ProviderConfiguration) -> None:
        """Remember what the instance behind ``peer`` is configured with."""
        with self._lock:
            self._configurations[peer] = configuration

    def configuration(self, peer: str) -> ProviderConfiguration:
        """What the instance behind ``peer`` is configured with.

        Raises:
            InputError: it was never configured.
        """
        with self._lock:
            found = self._configurations.get(peer)
        if found is None:
            raise InputError(
                "the connection to the local provider was lost",
                remedy="run the same command again",
                error_id="RS-LOCAL-007",
            )
        return found

    def region(self, peer: str, properties: Mapping[str, Any]) -> str:
        """The region of a resource: its own input, which outlives a connection, else its provider's."""
        own = properties.get("region")
        return own if isinstance(own, str) else self.configuration(peer).region

    def remember(self, urn: str, identity: str) -> None:
        """The engine's state holds ``identity`` for ``urn``."""
        with self._lock:
            self._known[urn].add(identity)

    def known(self, urn: str) -> frozenset[str]:
        """The ids that the engine's state holds for ``urn``, as far as this run has told."""
        with self._lock:
            return frozenset(self._known.get(urn, ()))


def configuration_of(arguments: Properties) -> ProviderConfiguration:
    """The provider's own arguments; structured ones arrive as JSON.

    Raises:
        InputError: there is no region.
    """
    region = arguments.get("region")
    if not isinstance(region, str) or not region:
        raise InputError(
            "the aws provider has no region",
            where="provider arguments",
            remedy="give every provider a region",
            error_id="RS-LOCAL-007",
        )
    default_tags = structured(arguments.get("defaultTags")) or {}
    tags = default_tags.get("tags") or {}
    return ProviderConfiguration(region, {name: str(value) for name, value in tags.items()})


def structured(value: Any) -> Any:
    """A structured argument, whether it arrives as JSON or as what it is."""
    if isinstance(value, Unknown):
        return None
    return json.loads(value) if isinstance(value, str) and value else value


def refuse_elsewhere(arguments: Properties) -> None:
    """Refuse provider arguments that name an endpoint which is not this machine.

    Raises:
        Refused: naming the service.
    """
    for endpoints in structured(arguments.get("endpoints")) or []:
        for endpoint in endpoints.values():
            require_loopback(endpoint)
