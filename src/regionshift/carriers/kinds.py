"""Every kind of data that can be carried, a row each: its carrier, and what is known of the kind without one.

A new kind is a module with its carrier and a row here. What the settings name of it is a class in
``settings.carry``, what the worker may do with it a row in ``infrastructure.carried``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from regionshift.carriers.carrier import Carrier, Cost, Item, Level
from regionshift.carriers.named_values import ClientSource, reckon_named
from regionshift.carriers.s3.objects import Objects, reckon_object, too_long_key
from regionshift.carriers.secrets import Secrets, too_long_secret
from regionshift.carriers.ssm import Parameters, too_long_parameter
from regionshift.carriers.transport import Transport
from regionshift.waiting import AT_ONCE, Waiter


@dataclass(frozen=True)
class CarrierAccess:
    """What carriers ask AWS with.

    Args:
        transport: S3 requests of our own.
        clients: boto3 clients, by service and region.
        once: clients whose calls botocore does not repeat; without them, ``clients`` do that.
        waiter: for how long what was just written may be told as it was before.
    """

    transport: Transport
    clients: ClientSource
    once: ClientSource | None = None
    waiter: Waiter = AT_ONCE


@dataclass(frozen=True)
class DataKind:
    """One kind of data.

    Args:
        carrier: makes its carrier.
        service: what AWS calls its service in ARNs and in ``kms:ViaService``.
        too_long: why nothing can have this whole name at the target; empty when something can.
        reckon: adds what it takes to write and prove one item.
        in_buckets: whether it lies in buckets, each with a key of its own; if not, in a region, under its name.
        bulk_tool: what of AWS carries very many items better.
    """

    carrier: Callable[[CarrierAccess], Carrier]
    service: str
    too_long: Callable[[str], str]
    reckon: Callable[[Cost, Item, Level], None] = reckon_named
    in_buckets: bool = False
    bulk_tool: str = ""


KINDS: dict[str, DataKind] = {
    "s3": DataKind(
        lambda access: Objects(access.transport, clients=access.clients),
        service="s3",
        too_long=too_long_key,
        reckon=reckon_object,
        in_buckets=True,
        bulk_tool="S3 Batch Replication, with a list from S3 Inventory",
    ),
    "ssm": DataKind(
        lambda access: Parameters(access.clients, access.once, access.waiter),
        service="ssm",
        too_long=too_long_parameter,
    ),
    "secrets": DataKind(
        lambda access: Secrets(access.clients, access.waiter),
        service="secretsmanager",
        too_long=too_long_secret,
    ),
}


def all_carriers(access: CarrierAccess) -> dict[str, Carrier]:
    """A carrier of each kind."""
    return {name: kind.carrier(access) for name, kind in KINDS.items()}
