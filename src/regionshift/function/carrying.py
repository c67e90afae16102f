"""The carriers as they run inside Lambda: its credentials, its endpoints, one transport a process."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials

from regionshift.carriers.bounds import Bounds, Way, ways_into
from regionshift.carriers.carrier import DataLocation
from regionshift.carriers.kinds import CarrierAccess
from regionshift.carriers.migration import Migrations
from regionshift.carriers.named import ClientSource
from regionshift.carriers.records import RecordStore
from regionshift.carriers.s3.objects import Objects
from regionshift.carriers.seals import Seals
from regionshift.carriers.transport import Transport
from regionshift.settings.regions import s3_endpoint

# Waiting is the carriers' own part: they ask again while a service says that it is called too often.
_PATIENCE = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})
# For what makes something more each time that it arrives.
_ONCE = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 1})


@dataclass(frozen=True)
class TransportAccess:
    """How S3 is reached by requests of our own.

    Args:
        credentials: gives the credentials to sign with; asked before each request.
        account: the environment's; whose buckets they must be.
        endpoint: where everything goes instead of to AWS.
        ca_bundle: PEM file to trust instead of the usual authorities.
        connections: most requests at once.
    """

    credentials: Callable[[], ReadOnlyCredentials]
    account: str
    endpoint: str | None = None
    ca_bundle: str | None = None
    connections: int = 16

    def transport(self) -> Transport:
        """A transport; one serves a whole process."""
        return Transport(
            self.credentials,
            lambda region: self.endpoint or s3_endpoint(region),
            self.account,
            ca_bundle=self.ca_bundle,
            connections=self.connections,
        )


def of_session(session: Any, env: Mapping[str, str]) -> TransportAccess:
    """What Lambda put into the environment, as boto3's ``session`` read it."""

    def credentials() -> ReadOnlyCredentials:
        frozen: ReadOnlyCredentials = session.get_credentials().get_frozen_credentials()
        return frozen

    return TransportAccess(
        credentials,
        env["ACCOUNT"],
        env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or None,
        env.get("AWS_CA_BUNDLE") or None,
        int(env.get("CONNECTIONS") or 16),
    )


def carrier_access(transport: Transport, session: Any) -> CarrierAccess:
    """What carriers of every kind need; ``session`` makes clients in any region."""
    return CarrierAccess(transport, _source(session, _PATIENCE), _source(session, _ONCE))


def _source(session: Any, config: Config) -> ClientSource:
    made: dict[tuple[str, str], Any] = {}

    def client(service: str, region: str) -> Any:
        # Made by one thread at a time only: a batch is one kind in one pair of regions.
        if (service, region) not in made:
            made[service, region] = session.client(service, region_name=region, config=config)
        return made[service, region]

    return client


def object_migrations(
    transport: Transport, region: str, seals: Seals, bounds: Bounds, now: Callable[[], datetime]
) -> Migrations:
    """Migrations of objects alone, whose records lie in the bucket of ``bounds``: what the function does by itself."""
    store = RecordStore(transport, region, bounds.bucket, seals)
    return Migrations(store, {"s3": Objects(transport)}, bounds, now)


def read_ways(text: str, region: str) -> tuple[Way, ...]:
    """The ways into ``region`` that the program tells the worker of (``infrastructure.carried.ways``)."""
    told = json.loads(zlib.decompress(base64.b64decode(text)))
    patterns = [
        Way(kind, DataLocation("", *source), DataLocation("", *target), tags)
        for kind, source, target, tags in told["ways"]
    ]
    return ways_into(region, patterns, told["buckets"])
