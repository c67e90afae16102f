"""AWS clients of the function: made when first used, shared by its threads.

This is not ``regionshift.aws``: the function has to answer before its own timeout even when an endpoint
does not answer at all, so it waits briefly and tries twice, and Lambda gives it its credentials.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config

from regionshift.carriers.transport import expect

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

    from regionshift.carriers.transport import Transport
    from regionshift.function.carrying import TransportAccess

# Seconds. An unreachable endpoint costs at most two connects and a pause: about 5 s, so that every check
# (they run side by side) and every report fit below the shortest timeout that the settings allow, 30 s.
PATIENCE = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})

MakeClient = Callable[[str], Any]


def from_region(region: str, account: str) -> MakeClient:
    """Make clients with the credentials and the endpoint that Lambda put into the environment.

    Args:
        account: whose buckets they must be.
    """
    session = boto3.session.Session(region_name=region)

    def make(service: str) -> Any:
        client = session.client(service, config=PATIENCE)  # type: ignore[call-overload]
        if service == "s3":
            expect(client, account)
        return client

    return make


class FunctionClients:
    """One client a service. Making one is guarded by a lock because a boto3 session is not thread-safe."""

    def __init__(self, make: MakeClient, access: TransportAccess | None = None) -> None:
        self._make = make
        self._access = access
        self._transport: Transport | None = None
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()

    def _get(self, service: str) -> Any:
        with self._lock:
            if service not in self._made:
                self._made[service] = self._make(service)
            return self._made[service]

    @property
    def transport(self) -> Transport:
        """S3 requests of our own, for copying.

        Raises:
            LookupError: these clients were made without access to give.
        """
        with self._lock:
            if self._transport is None:
                if self._access is None:
                    raise LookupError("no access for copying")
                self._transport = self._access.transport()
            return self._transport

    @property
    def stepfunctions(self) -> SFNClient:
        """Step Functions, whose machine carries data from elsewhere."""
        return cast("SFNClient", self._get("stepfunctions"))

    @property
    def s3(self) -> S3Client:
        """Simple Storage Service."""
        return cast("S3Client", self._get("s3"))

    @property
    def ssm(self) -> SSMClient:
        """Systems Manager, for the configuration parameter."""
        return cast("SSMClient", self._get("ssm"))

    @property
    def secretsmanager(self) -> SecretsManagerClient:
        """Secrets Manager, where the settings keep the configuration there."""
        return cast("SecretsManagerClient", self._get("secretsmanager"))

    @property
    def sns(self) -> SNSClient:
        """Simple Notification Service."""
        return cast("SNSClient", self._get("sns"))

    @property
    def logs(self) -> CloudWatchLogsClient:
        """CloudWatch Logs."""
        return cast("CloudWatchLogsClient", self._get("logs"))

    @property
    def cloudwatch(self) -> CloudWatchClient:
        """CloudWatch, for the metric."""
        return cast("CloudWatchClient", self._get("cloudwatch"))

    @property
    def kms(self) -> KMSClient:
        """Key Management Service, asked about the region's key."""
        return cast("KMSClient", self._get("kms"))
