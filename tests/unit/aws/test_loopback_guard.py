"""Which endpoints the local target talks to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionshift.aws.guard import require_loopback, require_readable_proxies
from regionshift.errors import EXIT_REFUSED, InputError, Refused


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://127.0.0.1:4566",
        "http://127.9.8.7",
        "https://localhost:1",
        "https://LOCALHOST:1",
        "https://[::1]:9",
    ],
)
def test_addresses_of_this_machine_pass(endpoint: str) -> None:
    require_loopback(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://s3.eu-west-1.amazonaws.com",
        "https://127.0.0.1.example.com",
        "https://127.0.0.1@example.com",
        "https://127.0.0.1:4566@example.com",
        "https://localhost.example.com",
        "https://example.com/127.0.0.1",
        "https://example.com#@127.0.0.1",
        "https://0.0.0.0:4566",
        "https://10.0.0.1",
        "https://169.254.169.254",
        "https://2130706433",
        "https://0x7f.1",
        "https://[::]:1",
        "https://127.0.0.1:port",
        "https://[127.0.0.1",
        "ftp://127.0.0.1",
        "127.0.0.1:4566",
        "localhost",
        "",
    ],
)
def test_everything_else_is_refused(endpoint: str) -> None:
    with pytest.raises(Refused) as caught:
        require_loopback(endpoint)
    assert caught.value.exit_code == EXIT_REFUSED
    assert caught.value.remedy


@given(st.ip_addresses(v=4).filter(lambda address: not address.is_loopback))
def test_no_other_address_passes(address: object) -> None:
    with pytest.raises(Refused):
        require_loopback(f"https://{address}:4566")


@pytest.mark.parametrize(
    "proxy",
    [
        "http://h:3128",
        "h:3128",
        "http://user:pass%2Fword@h:3128/",
        "socks5://user:p@ss@[::1]:9",
        "https://h",
        "",
    ],
)
def test_proxies_that_can_be_read_pass(proxy: str) -> None:
    require_readable_proxies({"HTTPS_PROXY": proxy, "no_proxy": "a/b", "MY_PROXY": "x y/z"})


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "all_proxy", "GRPC_PROXY"])
@pytest.mark.parametrize("password", ["pass/word", "12345/word", "pass?word", "pass#word", "1/word?#"])
def test_a_password_that_would_be_told_as_a_host_is_refused_and_not_told(name: str, password: str) -> None:
    with pytest.raises(InputError) as refused:
        require_readable_proxies({name: f"http://user:{password}@h:3128"})
    assert refused.value.where == name
    assert "word" not in refused.value.message
    assert password not in str(refused.value.remedy)
