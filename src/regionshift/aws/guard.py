"""Guards that are asked before anything else: whose account is this, is that endpoint on this machine, and more."""

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
    """Goes on only when the credentials belong to the configured account.

    Args:
        account: twelve digits, as configured.
        regions: whose STS is asked: the first, or the next when it does not answer.

    Raises:
        Refused: they belong to another account, or to nobody.
        AwsFailed: STS refused, or answered nowhere.
    """
    try:
        found = _account_of(clients, regions)
    except AwsFailed as error:
        if not error.is_about_credentials:
            raise
        raise Refused(
            f"The account behind the credentials cannot be established: {error.message}",
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
    """The account that the credentials belong to, as the region's STS says; within seconds, or it does not answer.

    Raises:
        AwsFailed: STS refused, or did not answer.
    """
    return str(clients.impatient.call(region, "sts", "get_caller_identity")["Account"])


def require_loopback(endpoint: str) -> None:
    """Goes on only when the endpoint is on this machine.

    An address in figures or ``localhost``; any other name could be made to lead elsewhere.

    Raises:
        Refused: it is not, or it is no address of a web server at all.
    """
    if not _is_loopback(endpoint):
        raise Refused(
            f"With `target: local` the endpoint must be on this machine; {endpoint} is not.",
            where="--endpoint",
            remedy="Leave --endpoint out, or give what `regionshift local status` shows.",
            error_id="RS-AWS-011",
        )


def require_readable_proxies(variables: Mapping[str, str]) -> None:
    """Goes on only when every proxy that is named can be told from its user and password.

    A sign of the password that is none in a URL (``/``, say) makes a part of it a host or a path. Whoever cannot reach
    that, botocore, Go or gRPC, says what it tried: the password.

    Raises:
        InputError: one cannot.
    """
    for name, proxy in sorted(variables.items()):
        if name.lower() in _PROXIES and proxy and not _is_proxy(proxy):
            raise InputError(
                "The variable does not hold the URL of a proxy, with a host and a port.",
                where=name,
                remedy="write http://USER:PASSWORD@HOST:PORT; percent-encode every character of user and password"
                " that is no letter, digit, - . _ or ~ (/ is %2F, # is %23)",
                error_id="RS-SETTINGS-010",
            )


def _is_proxy(text: str) -> bool:
    try:
        url = parse_url(text if "://" in text else f"http://{text}")
    except LocationParseError:
        return False
    return bool(url.host) and url.path in (None, "", "/") and url.query is None and url.fragment is None


def require_aws(variables: Mapping[str, str], configured: Mapping[str, str]) -> None:
    """Goes on only when nothing leads what is meant for AWS somewhere else: no variable and no line of AWS's files.

    AWS SDKs and Tools Reference Guide, "Service-specific endpoints": ``AWS_ENDPOINT_URL``,
    ``AWS_ENDPOINT_URL_<SERVICE>``, ``endpoint_url`` of a profile or of its services, and what ignores them all
    (``AWS_IGNORE_CONFIGURED_ENDPOINT_URLS``, ``ignore_configured_endpoint_urls``). The engine's
    plugin reads them as well.

    Args:
        variables: of the process. configured: endpoints by where they stand (`Clients.configured_endpoints`).

    Raises:
        Refused: one does.
    """
    if variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return
    for name, endpoint in sorted(variables.items()):
        if name.startswith(_ENDPOINT) and endpoint and not _is_of_aws(endpoint):
            raise Refused(
                "The target is aws, but the variable sends its calls to an endpoint that is not AWS.",
                where=name,
                remedy=f"unset {name} and the other variables that `regionshift local env` printed, or give"
                " --target local",
                error_id="RS-AWS-011",
            )
    for where, endpoint in configured.items():
        if not _is_of_aws(endpoint):
            raise Refused(
                f"The target is aws, but {where} sends its calls to an endpoint that is not AWS.",
                where=where,
                remedy="take endpoint_url out, name another profile with REGIONSHIFT_PROFILE, or set"
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
