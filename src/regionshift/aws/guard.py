"""Guards that run before anything else: the account of the credentials, endpoints and proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.errors import InputError, Refused
from regionshift.settings.regions import is_aws_host

_ENDPOINT = "AWS_ENDPOINT_URL"
_PROXIES = frozenset({"all_proxy", "grpc_proxy", "http_proxy", "https_proxy"})


def require_account(clients: Clients, account: str, regions: Sequence[str]) -> None:
    """Check that the credentials belong to the configured account.

    Args:
        account: the configured account, twelve digits.
        regions: whose STS is asked: the first one that answers.

    Raises:
        Refused: they belong to another account, or are missing or invalid.
        AwsFailed: STS refused, or no region answered.
    """
    try:
        found = _account_of(clients, regions)
    except AwsFailed as error:
        if not error.is_about_credentials:
            raise
        raise Refused(
            f"The account of the credentials is unknown: {error.message}",
            where=error.where,
            remedy=error.remedy,
            error_id="RS-AWS-010",
        ) from error
    if found != account:
        raise Refused(
            f"The credentials belong to account {found}, the configuration is for account {account}.",
            where="account",
            remedy="Use credentials of the configured account, or correct `account` in the configuration.",
            error_id="RS-AWS-010",
        )


def _account_of(clients: Clients, regions: Sequence[str]) -> str:
    *others, last = regions
    for region in others:
        try:
            return who_asks(clients, region)
        except AwsFailed as error:
            if not error.is_outside:
                raise
    return who_asks(clients, last)


def who_asks(clients: Clients, region: str) -> str:
    """Return the account of the credentials from the region's STS. Short timeouts.

    Raises:
        AwsFailed: STS refused, or did not answer.
    """
    return str(clients.impatient.call(region, "sts", "get_caller_identity")["Account"])


def require_loopback(endpoint: str) -> None:
    """Check that the endpoint is on this machine: an IP address or ``localhost``. Other names could lead elsewhere.

    Raises:
        Refused: it is not, or it is not a URL.
    """
    if not _is_loopback(endpoint):
        raise Refused(
            f"With `target: local` the endpoint must be on this machine; {endpoint} is not.",
            where="--endpoint",
            remedy="Leave --endpoint out, or use the one that `regionshift local status` shows.",
            error_id="RS-AWS-011",
        )


def require_readable_proxies(variables: Mapping[str, str]) -> None:
    """Check that each proxy variable is a valid URL.

    A password with an unescaped character (``/``, for example) is parsed as a host or a path. botocore, Go and gRPC
    would then show the password in their errors.

    Raises:
        InputError: one is not.
    """
    for name, proxy in sorted(variables.items()):
        if name.lower() in _PROXIES and proxy and not _is_proxy(proxy):
            raise InputError(
                "The variable is not the URL of a proxy, with a host and a port.",
                where=name,
                remedy="write http://USER:PASSWORD@HOST:PORT; in user and password, percent-encode all characters"
                " except letters, digits, - . _ and ~ (/ is %2F, # is %23)",
                error_id="RS-SETTINGS-010",
            )


def _is_proxy(text: str) -> bool:
    try:
        url = parse_url(text if "://" in text else f"http://{text}")
    except LocationParseError:
        return False
    return bool(url.host) and url.path in (None, "", "/") and url.query is None and url.fragment is None


def require_aws(variables: Mapping[str, str], configured: Mapping[str, str]) -> None:
    """Check that no variable and no line of AWS's files sends calls for AWS to another endpoint.

    These do: ``AWS_ENDPOINT_URL``, ``AWS_ENDPOINT_URL_<SERVICE>``, and ``endpoint_url`` of a profile or of its
    services. ``AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`` and ``ignore_configured_endpoint_urls`` turn them off (AWS SDKs
    and Tools Reference Guide, "Service-specific endpoints"). The engine's plugin reads them as well.

    Args:
        variables: environment variables. configured: endpoints by their place (`Clients.configured_endpoints`).

    Raises:
        Refused: there is such an endpoint.
    """
    if variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return
    for name, endpoint in sorted(variables.items()):
        if name.startswith(_ENDPOINT) and endpoint and not _is_of_aws(endpoint):
            raise Refused(
                "The target is aws, but the variable sends its calls to an endpoint that is not AWS.",
                where=name,
                remedy=f"unset {name} and the other variables from `regionshift local env`, or use --target local",
                error_id="RS-AWS-011",
            )
    for where, endpoint in configured.items():
        if not _is_of_aws(endpoint):
            raise Refused(
                f"The target is aws, but {where} sends its calls to an endpoint that is not AWS.",
                where=where,
                remedy="remove endpoint_url, name another profile with REGIONSHIFT_PROFILE, or set"
                " AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true",
                error_id="RS-AWS-011",
            )


def _is_of_aws(endpoint: str) -> bool:
    try:
        host = urlsplit(endpoint).hostname or ""
    except ValueError:
        return False
    return is_aws_host(host)


def _is_loopback(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
        if parts.scheme not in {"http", "https"} or host is None:
            return False
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
