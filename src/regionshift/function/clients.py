"""AWS clients of the function and the worker, with Lambda's credentials. Each is created when it is first used.

They differ from ``regionshift.aws``: the function must answer before its own timeout, even when an endpoint does not
answer. So these clients wait briefly and try twice.
"""

from __future__ import annotations

import base64
import json
import random
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.utils import get_environ_proxies

from regionshift.carriers.bounds import Bounds, Route, routes_into
from regionshift.carriers.carrier import DataLocation
from regionshift.carriers.connections import no_proxies
from regionshift.carriers.kinds import CarrierAccess
from regionshift.carriers.migration import Migrations
from regionshift.carriers.named_values import TOO_OFTEN, ClientSource
from regionshift.carriers.records import RecordStore
from regionshift.carriers.s3.objects import Objects
from regionshift.carriers.seals import Seals
from regionshift.carriers.transport import Transport, expect
from regionshift.settings.regions import s3_endpoint
from regionshift.waiting import Waiter, settling

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

# Seconds. An unreachable endpoint takes at most two connects and a pause, about 5 s. So the checks (in parallel) and
# the reports fit into the shortest timeout that the settings allow, 30 s.
PATIENCE = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})

MakeClient = Callable[[str], Any]
# The carriers themselves retry while a service throttles.
_CARRIERS_PATIENCE = Config(
    connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3}
)
# For calls that are not idempotent.
_ONCE = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 1})


def from_region(region: str, account: str) -> MakeClient:
    """Return a function that creates clients with Lambda's credentials and endpoint.

    Args:
        account: the owner that all buckets must have.
    """
    session = boto3.session.Session(region_name=region)

    def make(service: str) -> Any:
        client = session.client(service, config=PATIENCE)  # type: ignore[call-overload]
        client.meta.events.register_last("needs-retry", retry_delay)
        if service == "s3":
            expect(client, account)
        return client

    return make


_BUSY_ATTEMPTS = 6
_NOT_SERVING = (429, 500, 502, 503, 504)
_BUSY_PAUSE = 0.1  # seconds, doubled each time


def retry_delay(attempts: int, response: tuple[Any, Mapping[str, Any]] | None, **_: Any) -> float | None:
    """Return the seconds to wait before another attempt after boto's own attempts; None: give up.

    A service that answers is tried six times in about 3 s while it throttles or is unavailable (AWS SDKs and Tools
    Reference, "Retry behavior"). An endpoint that does not answer would take too long for that.
    """
    if response is None or attempts >= _BUSY_ATTEMPTS:
        return None
    code, status = response[1].get("Error", {}).get("Code", ""), response[0].status_code
    is_busy = code in TOO_OFTEN or status in _NOT_SERVING
    return _BUSY_PAUSE * 2 ** (attempts - 1) * (0.5 + random.random()) if is_busy else None


class FunctionClients:
    """One client for each service, created on first use. A lock guards that: a boto3 session is not thread-safe."""

    s3: S3Client
    ssm: SSMClient
    secretsmanager: SecretsManagerClient
    sns: SNSClient
    logs: CloudWatchLogsClient
    cloudwatch: CloudWatchClient
    kms: KMSClient
    stepfunctions: SFNClient

    def __init__(self, make: MakeClient, access: TransportAccess | None = None) -> None:
        self._make = make
        self._access = access
        self._transport: Transport | None = None
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __getattr__(self, service: str) -> Any:
        """Return the client of a service in the annotations above."""
        if service not in FunctionClients.__annotations__:
            raise AttributeError(service)
        with self._lock:
            if service not in self._made:
                self._made[service] = self._make(service)
            return self._made[service]

    @property
    def transport(self) -> Transport:
        """The transport for copying objects.

        Raises:
            LookupError: these clients were created without ``access``.
        """
        with self._lock:
            if self._transport is None:
                if self._access is None:
                    raise LookupError("no access for copying")
                self._transport = self._access.transport()
            return self._transport


@dataclass(frozen=True)
class TransportAccess:
    """Creates the S3 transport. AWS is reached through the proxy in HTTPS_PROXY and NO_PROXY, if there is one.

    Args:
        credentials: returns the credentials to sign with, before each request.
        account: the environment's account, which must own all buckets.
        endpoint: replaces AWS's endpoints.
        ca_bundle: PEM file of certificate authorities, instead of the default.
        connections: the most requests at once.
    """

    credentials: Callable[[], ReadOnlyCredentials]
    account: str
    endpoint: str | None = None
    ca_bundle: str | None = None
    connections: int = 16

    @property
    def waiter(self) -> Waiter:
        """For reads that may be stale."""
        return settling("local" if self.endpoint else "aws")

    def transport(self) -> Transport:
        """Create a transport. One is enough for a process."""
        return Transport(
            self.credentials,
            lambda region: self.endpoint or s3_endpoint(region),
            self.account,
            ca_bundle=self.ca_bundle,
            # The same proxies as boto3's. The embedded AWS is on this machine.
            proxies=no_proxies if self.endpoint else get_environ_proxies,
            connections=self.connections,
        )


def of_session(session: Any, env: Mapping[str, str]) -> TransportAccess:
    """Return the access that Lambda's environment variables give to boto3's ``session``."""

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


def carrier_access(transport: Transport, session: Any, waiter: Waiter) -> CarrierAccess:
    """Return the clients for carriers of all kinds. ``session`` creates clients in any region."""
    return CarrierAccess(transport, _source(session, _CARRIERS_PATIENCE), _source(session, _ONCE), waiter)


def _source(session: Any, config: Config) -> ClientSource:
    made: dict[tuple[str, str], Any] = {}

    def client(service: str, region: str) -> Any:
        # Only one thread creates a client: a batch has one kind and one pair of regions.
        if (service, region) not in made:
            made[service, region] = session.client(service, region_name=region, config=config)
        return made[service, region]

    return client


def object_migrations(
    transport: Transport, region: str, seals: Seals, bounds: Bounds, now: Callable[[], datetime]
) -> Migrations:
    """Return migrations of objects only, with records in the bucket of ``bounds``, for the function's own copying."""
    store = RecordStore(transport, region, bounds.bucket, seals)
    return Migrations(store, {"s3": Objects(transport)}, bounds, now)


def read_routes(text: str, region: str) -> tuple[Route, ...]:
    """Return the routes into ``region`` from the worker's variable CARRY (see ``infrastructure.carried.routes``)."""
    told = json.loads(zlib.decompress(base64.b64decode(text)))
    patterns = [
        Route(kind, DataLocation("", *source), DataLocation("", *target), tags)
        for kind, source, target, tags in told["ways"]
    ]
    return routes_into(region, patterns, told["buckets"])
