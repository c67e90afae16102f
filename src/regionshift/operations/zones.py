"""Availability zones: asked of AWS once, then kept with the state: no run ever looks them up again."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.errors import InputError
from regionshift.journal.store import StateDamaged, StateStore


def zones_of(
    clients: Clients,
    store: StateStore,
    environment: str,
    regions: Sequence[str],
    count: int,
    uncalled: Collection[str] = (),
) -> Mapping[str, tuple[str, ...]]:
    """The first ``count`` zones of every region, {region: (zone name, ...)}, as first asked for.

    Only ordinary zones count: a local or wavelength zone cannot hold what the environment makes
    (EC2 API Reference, DescribeAvailabilityZones, ``zone-type``). A region of which nothing
    is kept, and that is in ``uncalled`` or does not answer, is not among them: nothing can be built there.

    Raises:
        InputError: a region has fewer zones than asked for.
        AwsFailed: a region refused to tell.
        StateDamaged: what is kept is not what was written.
    """
    key = f"zones/{environment}.json"
    kept = store.get(key)
    known = _decode(kept.body, f"{store.url}/{key}") if kept else {}
    lacking = [region for region in regions if len(known.get(region, [])) < count]
    missing = [region for region in lacking if region not in uncalled]
    if missing:
        with ThreadPoolExecutor(max_workers=8) as pool:
            asked = pool.map(lambda region: _ask(clients, region, count), missing)
            known |= {region: zones for region, zones in zip(missing, asked, strict=True) if zones}
        store.put(key, json.dumps(known, sort_keys=True).encode())
    enough = [region for region in regions if len(known.get(region, [])) >= count]
    return {region: tuple(known[region][:count]) for region in enough}


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
        )
    return zones
