"""The one place where AWS clients are made: one retry policy, one set of timeouts, one cache."""

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

# Seconds and attempts. AWS SDKs and Tools Reference, "Retry behavior": standard mode backs off with jitter
# up to 20 s and keeps a quota of retries a client; two attempts more than its default of three.
CONNECT_TIMEOUT = 5
READ_TIMEOUT = 60
ATTEMPTS = 5
# Where the question is only whether anybody answers: STS answers in milliseconds.
IMPATIENT_READ_TIMEOUT = 5
IMPATIENT_ATTEMPTS = 2
# A synchronous invocation answers when the function ends, after 900 s at most (Lambda quotas): waiting for
# less would make boto invoke it a second time.
INVOCATION_TIMEOUT = 910
# As many as threads work side by side anywhere in the product.
CONNECTIONS = 32
_OURS = "regionshift_call"


@dataclass(frozen=True)
class AccessKey:
    """Credentials given by value. Without them boto looks where it always does."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class Clients:
    """AWS clients by service and region, made when first asked for. Threads may share it.

    Args:
        profile: the AWS profile to use; without it, and without ``key``, boto's usual search.
        key: credentials by value. Then nothing of the user's AWS set-up (profile, files, proxy) is used.
        endpoint: where everything goes instead of to AWS.
        ca_bundle: PEM file to trust instead of the usual authorities.
        account: whose buckets they must be, where a call does not say otherwise; nothing is expected without it.
        is_logged: whether its calls are the user's; those of the embedded AWS itself are not.
        ask_again: asked when the retries of boto are used up (event ``needs-retry``): seconds to wait before one more.
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
        """The same for questions whose point is whether anybody answers: within some 20 s, not minutes.

        Raises:
            AwsFailed: the profile does not exist.
        """
        with self._lock, told_plainly("global"):
            self._opened()
        hurried = copy(self)  # with the same session, so that nobody is asked for a token twice
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
        """The client of ``service`` in ``region``.

        Raises:
            AwsFailed: it cannot be made, for example as the profile does not exist.
        """
        return self.named(service, region)

    def named(self, service: str, region: str) -> Any:
        """As :meth:`get`, for a service that is known only when the program runs."""
        with self._lock:
            client = self._made.get((service, region))
            if client is None:
                with told_plainly(region, service):
                    client = self._make(service, region)
                self._made[(service, region)] = client
            return client

    def call(self, region: str, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """One call by the method's name, with boto's errors told plainly.

        Raises:
            AwsFailed: AWS refused, or did not answer.
        """
        client = self.named(service, region)
        with told_plainly(region):
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
        return answer

    def credentials(self) -> AccessKey:
        """What signs requests now, for the few who sign their own; ask again before each use.

        Raises:
            AwsFailed: there are none.
        """
        with self._lock, told_plainly("global"):
            found = self._opened().get_credentials()
            if found is None:
                raise NoCredentialsError
            frozen = found.get_frozen_credentials()
        return AccessKey(str(frozen.access_key), str(frozen.secret_key), frozen.token)

    def configured_endpoints(self) -> dict[str, str]:
        """Every ``endpoint_url`` that AWS's files give the profile, by where it stands; none where they are ignored.

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
        """The one session; only with the lock in hand."""
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
        # One host serves every bucket, and it is never reached through a proxy.
        own_host = Config(
            s3={"addressing_style": "path"},
            proxies={},
            use_fips_endpoint=False,
            use_dualstack_endpoint=False,
        )
        return config.merge(own_host)


def _isolated_session(key: AccessKey) -> boto3.Session:
    """A session that reads no file and no profile: ``AWS_PROFILE`` may name one that does not exist here."""
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
    """What botocore reads of all services, shared: read anew it costs each session half a second of processor time."""
    return create_loader()


def _log_calls(client: Any) -> None:
    """Log each call of ``client`` by botocore's events (boto3 guide, "Extensibility guide").

    A line has what was asked of whom, how long it took, how often it was tried, and its request's id.

    In full also the names of its parameters, and each HTTP request with the wait before it. Of an error the code
    alone: AWS repeats values in its sentence.
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
