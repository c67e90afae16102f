"""Availability zones: read from AWS once, then kept with the state, so that no run looks them up again.

They are kept when a run creates something in them. A command that only plans does not keep them: its caller need not be
allowed to write the state, and must not decide where others build.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.errors import InputError
from regionshift.journal.store import StateDamaged, StateStore


@dataclass
class Zones:
    """The zones of one environment. ``environment``: its name under the state URL."""

    store: StateStore
    environment: str
    _asked: dict[str, list[str]] = field(default_factory=dict, init=False)

    def choose(
        self, clients: Clients, regions: Sequence[str], count: int, uncalled: Collection[str] = ()
    ) -> Mapping[str, tuple[str, ...]]:
        """The first ``count`` zones of every region, {region: (zone name, ...)}, kept or read now.

        Only ordinary zones count: a local or wavelength zone does not support all resources of the environment (EC2 API
        Reference, DescribeAvailabilityZones, ``zone-type``). A region is missing when nothing is kept for it, and it is
        in ``uncalled`` or does not answer.

        Raises:
            InputError: a region has fewer zones than asked for.
            AwsFailed: a region refused.
            StateDamaged: the kept zones were changed.
        """
        known = self._known()
        lacking = [region for region in regions if len(known.get(region, [])) < count]
        missing = [region for region in lacking if region not in uncalled]
        if missing:
            with ThreadPoolExecutor(max_workers=8) as pool:
                asked = pool.map(lambda region: _ask(clients, region, count), missing)
                self._asked |= {region: zones for region, zones in zip(missing, asked, strict=True) if zones}
            known |= self._asked
        enough = [region for region in regions if len(known.get(region, [])) >= count]
        return {region: tuple(known[region][:count]) for region in enough}

    def keep(self) -> None:
        """Keep the zones that were read, as a run creates something in them. Raises StateDamaged as :meth:`choose`."""
        if self._asked:
            self.store.put(self._key, json.dumps(self._known(), sort_keys=True).encode())
            self._asked = {}

    def _known(self) -> dict[str, list[str]]:
        kept = self.store.get(self._key)
        return (_decode(kept.body, f"{self.store.url}/{self._key}") if kept else {}) | self._asked

    @property
    def _key(self) -> str:
        return f"zones/{self.environment}.json"


def _decode(body: bytes, where: str) -> dict[str, list[str]]:
    try:
        found = json.loads(body)
        if not all(isinstance(z, list) and all(isinstance(each, str) for each in z) for z in found.values()):
            raise TypeError("zones are a list of names")
        return dict(found)
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise StateDamaged(
            "the availability zones that the environment was made in cannot be read",
            where=where,
            remedy="restore that object from a backup or an older version; the subnets' zones on AWS say the same",
        ) from error


def _ask(clients: Clients, region: str, count: int) -> list[str]:
    wanted = {"state": "available", "zone-type": "availability-zone"}
    filters = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
    try:
        answer = clients.call(region, "ec2", "describe_availability_zones", Filters=filters)
    except AwsFailed as error:
        if error.is_outside:
            return []
        raise
    zones = sorted(zone["ZoneName"] for zone in answer["AvailabilityZones"])
    if len(zones) < count:
        raise InputError(
            f"{region} has {len(zones)} availability zones, the settings ask for {count}.",
            where="network.zones",
            remedy=f"set network.zones to {len(zones)} or fewer",
            error_id="RS-SETTINGS-006",
        )
    return zones
