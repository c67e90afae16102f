"""Availability zones: asked of AWS once, then kept with the state: no run ever looks them up again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from regionshift.aws.clients import Clients
from regionshift.errors import InputError
from regionshift.journal.store import StateStore


def zones_of(
    clients: Clients, store: StateStore, environment: str, regions: tuple[str, ...], count: int
) -> Mapping[str, tuple[str, ...]]:
    """The first ``count`` zones of every region, {region: (zone name, ...)}, as first asked for.

    Only ordinary zones count: a local or wavelength zone cannot hold what the environment makes
    (EC2 API Reference, DescribeAvailabilityZones, ``zone-type``).

    Raises:
        InputError: a region has fewer zones than asked for.
    """
    key = f"zones/{environment}.json"
    kept = store.get(key)
    known: dict[str, list[str]] = json.loads(kept.body) if kept else {}
    missing = [region for region in regions if len(known.get(region, [])) < count]
    if missing:
        with ThreadPoolExecutor(max_workers=8) as pool:
            asked = pool.map(lambda region: _ask(clients, region, count), missing)
            known |= dict(zip(missing, asked, strict=True))
        store.put(key, json.dumps(known, sort_keys=True).encode())
    return {region: tuple(known[region][:count]) for region in regions}


def _ask(clients: Clients, region: str, count: int) -> list[str]:
    answer = clients.get("ec2", region).describe_availability_zones(
        Filters=[
            {"Name": "state", "Values": ["available"]},
            {"Name": "zone-type", "Values": ["availability-zone"]},
        ]
    )
    zones = sorted(zone["ZoneName"] for zone in answer["AvailabilityZones"])
    if len(zones) < count:
        raise InputError(
            f"{region} has {len(zones)} availability zones, the settings ask for {count}.",
            where="network.zones",
            remedy=f"set network.zones to {len(zones)} or fewer",
        )
    return zones
