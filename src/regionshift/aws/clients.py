"""Creates all AWS clients, with one retry policy, one set of timeouts and one cache."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import NoCredentialsError
from botocore.loaders import Loader, create_loader

from regionshift import logs
from regionshift.aws.errors import told_plainly
from regionshift.carriers.transport import expect

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_resourcegroupstaggingapi import ResourceGroupsTaggingAPIClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient

# Seconds and attempts. Standard mode backs off with jitter up to 20 s and has a quota of retries for each client (AWS
# SDKs and Tools Reference, "Retry behavior"). Its default is three attempts.
CONNECT_TIMEOUT = 5
READ_TIMEOUT = 60
ATTEMPTS = 5
# For questions whether a region answers: STS answers in milliseconds.
IMPATIENT_READ_TIMEOUT = 5
IMPATIENT_ATTEMPTS = 2
# A synchronous invocation answers when the function ends, after at most 900 s (Lambda quotas). With a shorter timeout
# boto would invoke the function a second time.
INVOCATION_TIMEOUT = 910
# The most threads that use one client.
CONNECTIONS = 32
_OURS = "regionshift_call"


@dataclass(frozen=True)
class AccessKey:
    """Credentials by value. Without them, boto searches as usual."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class Clients:
    """AWS clients by service and region, created on first use. Thread-safe.

    Args:
        profile: the AWS profile; without it and without ``key``, boto searches as usual.
        key: credentials by value. The user's AWS profile, files and proxy are then ignored.
        endpoint: replaces AWS's endpoints.
        ca_bundle: PEM file of certificate authorities, instead of the default.
        account: the expected owner of buckets, unless a call names another; None: not checked.
        is_logged: whether calls are logged; calls of the embedded AWS itself are not.
        ask_again: handler of boto's event ``needs-retry``: returns the seconds to wait before one more attempt after
            boto's own.
    """

    def __init__(
        self,
        *,
        profile: str | None = None,
        key: AccessKey | None = None,
        endpoint: str | None = None,
        ca_bundle: Path | None = None,
        account: str | None = None,
        is_logged: bool = True,
        ask_again: Callable[..., float | None] | None = None,
    ) -> None:
        self._read_timeout = READ_TIMEOUT
        self._attempts = ATTEMPTS
        self._profile = profile
        self._key = key
        self._endpoint = endpoint
        self._ca_bundle = ca_bundle
        self._account = account
        self._is_logged = is_logged
        self._ask_again = ask_again
        self._session: boto3.Session | None = None
        self._made: dict[tuple[str, str], Any] = {}
        # boto3 guide, "Multithreading": clients may be shared, the session that makes them may not.
        self._lock = threading.Lock()

    @cached_property
    def impatient(self) -> Clients:
        """The same clients with short timeouts, about 20 s in all, to find out whether a region answers.

        Raises:
            AwsFailed: the profile does not exist.
        """
        with self._lock, told_plainly("global"):
            self._opened()
        hurried = copy(self)  # with the same session, so that the user is not asked for a token twice
        hurried._made = {}
        hurried._read_timeout, hurried._attempts = IMPATIENT_READ_TIMEOUT, IMPATIENT_ATTEMPTS
        return hurried

    @overload
    def get(self, service: Literal["cloudwatch"], region: str) -> CloudWatchClient: ...
    @overload
    def get(self, service: Literal["ec2"], region: str) -> EC2Client: ...
    @overload
    def get(self, service: Literal["events"], region: str) -> EventBridgeClient: ...
    @overload
    def get(self, service: Literal["iam"], region: str) -> IAMClient: ...
    @overload
    def get(self, service: Literal["kms"], region: str) -> KMSClient: ...
    @overload
    def get(self, service: Literal["lambda"], region: str) -> LambdaClient: ...
    @overload
    def get(self, service: Literal["logs"], region: str) -> CloudWatchLogsClient: ...
    @overload
    def get(
        self, service: Literal["resourcegroupstaggingapi"], region: str
    ) -> ResourceGroupsTaggingAPIClient: ...
    @overload
    def get(self, service: Literal["s3"], region: str) -> S3Client: ...
    @overload
    def get(self, service: Literal["secretsmanager"], region: str) -> SecretsManagerClient: ...
    @overload
    def get(self, service: Literal["sns"], region: str) -> SNSClient: ...
    @overload
    def get(self, service: Literal["sqs"], region: str) -> SQSClient: ...
    @overload
    def get(self, service: Literal["ssm"], region: str) -> SSMClient: ...
    @overload
    def get(self, service: Literal["stepfunctions"], region: str) -> SFNClient: ...
    @overload
    def get(self, service: Literal["sts"], region: str) -> STSClient: ...

    def get(self, service: str, region: str) -> Any:
        """Return the client of ``service`` in ``region``.

        Raises:
            AwsFailed: it cannot be created, for example because the profile does not exist.
        """
        return self.named(service, region)

    def named(self, service: str, region: str) -> Any:
        """As ``get``, for a service that is not known statically."""
        with self._lock:
            client = self._made.get((service, region))
            if client is None:
                with told_plainly(region, service):
                    client = self._make(service, region)
                self._made[(service, region)] = client
            return client

    def call(self, region: str, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make one call by the method's name.

        Raises:
            AwsFailed: AWS refused, or did not answer.
        """
        client = self.named(service, region)
        with told_plainly(region):
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
        return answer

    def credentials(self) -> AccessKey:
        """Return the present credentials, for code that signs its own requests. Call it before each use.

        Raises:
            AwsFailed: there are no credentials.
        """
        with self._lock, told_plainly("global"):
            found = self._opened().get_credentials()
            if found is None:
                raise NoCredentialsError
            frozen = found.get_frozen_credentials()
        return AccessKey(str(frozen.access_key), str(frozen.secret_key), frozen.token)

    def configured_endpoints(self) -> dict[str, str]:
        """Return each ``endpoint_url`` of the profile in AWS's files, by its place; none when they are ignored.

        Raises:
            AwsFailed: the profile does not exist, or the file cannot be read.
        """
        with self._lock, told_plainly("global"):
            core = self._opened()._session
            profile, files = core.get_scoped_config(), core.full_config
            name = core.profile or "default"
        if str(profile.get("ignore_configured_endpoint_urls", "")).lower() == "true":
            return {}
        services = files.get("services", {}).get(profile.get("services"), {})
        places = {f"profile {name}": profile} | {
            f"services {profile.get('services')}, {service}": lines
            for service, lines in services.items()
            if isinstance(lines, dict)
        }
        return {
            f"endpoint_url of [{where}] in the AWS config file": str(lines["endpoint_url"])
            for where, lines in places.items()
            if lines.get("endpoint_url")
        }

    def _opened(self) -> boto3.Session:
        """Return the session. The caller must hold the lock."""
        if self._session is None:
            made = _isolated_session(self._key) if self._key else boto3.Session(profile_name=self._profile)
            self._session = made
        return self._session

    def _make(self, service: str, region: str) -> Any:
        client: Any = self._opened().client(
            service,  # type: ignore[call-overload]  # the stubs know literal names only
            region_name=region,
            endpoint_url=self._endpoint,
            verify=str(self._ca_bundle) if self._ca_bundle else None,
            config=self._config(service),
        )
        if service == "s3" and self._account is not None:
            expect(client, self._account)
        if self._ask_again is not None:
            client.meta.events.register_last("needs-retry", self._ask_again)
        if self._is_logged and logs.is_on():
            _log_calls(client)
        return client

    def _config(self, service: str) -> Config:
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=INVOCATION_TIMEOUT if service == "lambda" else self._read_timeout,
            retries={"mode": "standard", "total_max_attempts": self._attempts},
            max_pool_connections=CONNECTIONS,
        )
        if self._endpoint is None:
            return config
        # One host serves all buckets, and never through a proxy.
        own_host = Config(
            s3={"addressing_style": "path"}, proxies={}, use_fips_endpoint=False, use_dualstack_endpoint=False
        )
        return config.merge(own_host)


def _isolated_session(key: AccessKey) -> boto3.Session:
    """Return a session that reads no files and no profile: ``AWS_PROFILE`` may name a missing one."""
    core = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    loader = _descriptions()
    core.register_component("data_loader", loader)
    made = boto3.Session(key.access_key, key.secret_key, key.session_token, botocore_session=core)
    # Every session adds boto3's own folder to the loader that it is given.
    loader.search_paths[:] = dict.fromkeys(loader.search_paths)
    return made


@lru_cache(maxsize=1)
def _descriptions() -> Loader:
    """Return one loader for all sessions: each new loader takes half a second of processor time."""
    return create_loader()


def _log_calls(client: Any) -> None:
    """Log each call of ``client`` by botocore's events (boto3 guide, "Extensibility guide").

    A line has the service, operation and region, the time, the retries and the request's id. With `-vv` there are also
    the names of the parameters, and each HTTP request with the wait before it. Errors are logged by their code, because
    AWS repeats values in its messages.
    """
    service, region = client.meta.service_model.service_name, client.meta.region_name

    def begins(params: Mapping[str, object], model: Any, context: dict[str, Any], **_: Any) -> None:
        what = {"service": service, "operation": model.name, "region": region}
        context[_OURS] = {"began": time.monotonic(), "what": what}
        logs.tell("call begins", logs.DETAILS, **what, parameters=",".join(sorted(params)))

    def sends(request: Any, **_: Any) -> None:
        ours, now = request.context.get(_OURS), time.monotonic()
        if ours is not None:  # a request that is only signed has none
            waited = _ms(ours["answered"], now) if "answered" in ours else None
            ours |= {
                "sent": now,
                "waited": waited,
                "host": urlsplit(request.url).netloc,
                "method": request.method,
            }

    def answered(context: dict[str, Any], response_dict: Any, exception: Any, **_: Any) -> None:
        ours, now = context[_OURS], time.monotonic()
        ours["answered"] = now
        logs.tell(
            "http",
            logs.DETAILS,
            host=ours["host"],
            method=ours["method"],
            status=response_dict["status_code"] if response_dict else None,
            ms=_ms(ours["sent"], now),
            waited_ms=ours["waited"],
            error=type(exception).__name__ if exception is not None else None,
        )

    def ended(context: dict[str, Any], **more: Any) -> None:
        ours = context[_OURS]
        parsed = more.get("parsed") or {}
        answer = parsed.get("ResponseMetadata", {})
        failed = type(more["exception"]).__name__ if "exception" in more else None
        logs.tell(
            "call",
            **ours["what"],
            ms=_ms(ours["began"], time.monotonic()),
            retries=context.get("retries", {}).get("attempt", 1) - 1,
            status=answer.get("HTTPStatusCode"),
            request_id=answer.get("RequestId"),
            error=failed or parsed.get("Error", {}).get("Code"),
        )

    events = client.meta.events
    for event, handler in (
        ("before-parameter-build", begins),
        ("request-created", sends),
        ("response-received", answered),
        ("after-call", ended),
        ("after-call-error", ended),
    ):
        events.register(event, handler)


def _ms(began: float, ended: float) -> float:
    return round(1000 * (ended - began), 1)
