"""The table of the kinds of data that can be carried.

A new kind needs a module with its carrier, a row here, a class in ``settings.carry`` for its settings, and a row in
``infrastructure.carried`` for the worker's rights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from regionshift.carriers.carrier import Carrier, Cost, Item, Level
from regionshift.carriers.named_values import ClientSource, add_named_cost
from regionshift.carriers.s3.objects import Objects, add_object_cost, too_long_key
from regionshift.carriers.secrets import Secrets, too_long_secret
from regionshift.carriers.ssm import Parameters, too_long_parameter
from regionshift.carriers.transport import Transport
from regionshift.waiting import AT_ONCE, Waiter


@dataclass(frozen=True)
class CarrierAccess:
    """The clients of carriers.

    Args:
        transport: sends S3 requests without boto3.
        clients: returns the boto3 client of a service and region.
        once: the same, for clients without botocore's retries; None: use ``clients``.
        waiter: how long reads may be stale after a write.
    """

    transport: Transport
    clients: ClientSource
    once: ClientSource | None = None
    waiter: Waiter = AT_ONCE


@dataclass(frozen=True)
class DataKind:
    """One kind of data.

    Args:
        carrier: creates its carrier.
        service: the service's name in ARNs and in ``kms:ViaService``.
        too_long: returns why a whole name is too long for the target; empty when it is not.
        add_cost: adds the cost of writing and proving one item.
        in_buckets: whether it is stored in buckets, each with its own KMS key. Otherwise it is stored by region and
            name.
        bulk_tool: the AWS tool that carries very many items better.
    """

    carrier: Callable[[CarrierAccess], Carrier]
    service: str
    too_long: Callable[[str], str]
    add_cost: Callable[[Cost, Item, Level], None] = add_named_cost
    in_buckets: bool = False
    bulk_tool: str = ""


KINDS: dict[str, DataKind] = {
    "s3": DataKind(
        lambda access: Objects(access.transport, clients=access.clients),
        service="s3",
        too_long=too_long_key,
        add_cost=add_object_cost,
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
    """Return a carrier for each kind."""
    return {name: kind.carrier(access) for name, kind in KINDS.items()}
