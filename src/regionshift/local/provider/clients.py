"""boto3 clients of the embedded AWS, made once for each service and region."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=32,
    connect_timeout=5,
    read_timeout=60,
    s3={"addressing_style": "path"},
)


class LocalClients:
    """A thread-safe cache: making a client costs some 15 ms of CPU, and a program asks for hundreds."""

    def __init__(self, *, endpoint: str, access_key: str, secret_key: str, ca_bundle: Path) -> None:
        self._endpoint = endpoint
        self._ca_bundle = str(ca_bundle)
        self._session = boto3.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key)
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()  # sessions are not thread-safe, clients are (boto3 guide, "Clients")

    def get(self, service: str, region: str) -> Any:
        """The client of ``service`` in ``region``."""
        with self._lock:
            client = self._clients.get((service, region))
            if client is None:
                client = self._make(service, region)
                self._clients[(service, region)] = client
            return client

    def _make(self, service: str, region: str) -> Any:
        return self._session.client(
            service,  # type: ignore[call-overload]  # a plain text: handlers name their own service
            region_name=region,
            endpoint_url=self._endpoint,
            verify=self._ca_bundle,
            config=_CONFIG,
        )
