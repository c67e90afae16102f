"""The provider's memory during one engine run, and the configuration of its instances."""

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
    """The configuration of one provider instance."""

    region: str
    default_tags: Mapping[str, str] = field(default_factory=dict)


class ProviderSession:
    """The configurations of the provider's instances, and the ids in the engine's state.

    Requests do not name their instance, but each instance has its own connection.
    """

    def __init__(self) -> None:
        self._configurations: dict[str, ProviderConfiguration] = {}
        self._known: defaultdict[str, set[str]] = defaultdict(set)
        self._lock = threading.Lock()

    def configure(self, peer: str, configuration: ProviderConfiguration) -> None:
        """Store the configuration of the instance with the connection ``peer``."""
        with self._lock:
            self._configurations[peer] = configuration

    def configuration(self, peer: str) -> ProviderConfiguration:
        """Return the configuration of the instance with the connection ``peer``.

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
        """Return the region of a resource: its input, or else its provider's region."""
        own = properties.get("region")
        return own if isinstance(own, str) else self.configuration(peer).region

    def remember(self, urn: str, identity: str) -> None:
        """Note that the engine's state has ``identity`` for ``urn``."""
        with self._lock:
            self._known[urn].add(identity)

    def known(self, urn: str) -> frozenset[str]:
        """Return the ids in the engine's state for ``urn`` that this run has named."""
        with self._lock:
            return frozenset(self._known.get(urn, ()))


def configuration_of(arguments: Properties) -> ProviderConfiguration:
    """Return the configuration from the provider's arguments. Structured ones are JSON.

    Raises:
        InputError: there is no region.
    """
    region = arguments.get("region")
    if not isinstance(region, str) or not region:
        raise InputError(
            "the aws provider has no region",
            where="provider arguments",
            remedy="set the region of each provider",
            error_id="RS-LOCAL-007",
        )
    default_tags = structured(arguments.get("defaultTags")) or {}
    tags = default_tags.get("tags") or {}
    return ProviderConfiguration(region, {name: str(value) for name, value in tags.items()})


def structured(value: Any) -> Any:
    """Return a structured argument, which may be JSON."""
    if isinstance(value, Unknown):
        return None
    return json.loads(value) if isinstance(value, str) and value else value


def refuse_elsewhere(arguments: Properties) -> None:
    """Check that all endpoints in the provider's arguments are on this machine.

    Raises:
        Refused: one is not; names the service.
    """
    for endpoints in structured(arguments.get("endpoints")) or []:
        for endpoint in endpoints.values():
            require_loopback(endpoint)
