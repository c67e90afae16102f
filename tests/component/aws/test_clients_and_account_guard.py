"""The client factory and the account guard, against the embedded AWS."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from regionshift.aws.clients import AccessKey, Clients
from regionshift.aws.errors import AwsFailed
from regionshift.aws.guard import require_account
from regionshift.errors import EXIT_REFUSED, Refused
from regionshift.local.emulator import LocalCloud
from regionshift.local.process import free_port

REGION = "eu-west-1"


def test_threads_share_one_client_a_service_and_region(cloud: LocalCloud) -> None:
    key = AccessKey(cloud.access_key, cloud.secret_key)
    clients = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = list(pool.map(lambda _: clients.get("sts", REGION), range(16)))
    assert len({id(client) for client in found}) == 1
    assert clients.get("sts", "us-east-1") is not found[0]


def test_a_key_by_value_needs_nothing_of_the_users_set_up(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "does-not-exist")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    key = AccessKey(cloud.access_key, cloud.secret_key)
    clients = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
    assert clients.call(REGION, "sts", "get_caller_identity")["Account"] == cloud.account


def test_no_key_is_ever_shown(cloud: LocalCloud) -> None:
    key = AccessKey(cloud.access_key, cloud.secret_key, "token")
    assert cloud.secret_key not in repr(key)
    assert "token" not in repr(key).replace("session_token", "")


def test_the_configured_account_passes(cloud: LocalCloud, clients: Clients) -> None:
    require_account(clients, cloud.account, [REGION])


def test_another_account_is_refused(clients: Clients) -> None:
    with pytest.raises(
        Refused, match=r"belong to account 123456789012, .* for account 999999999999"
    ) as caught:
        require_account(clients, "999999999999", [REGION])
    assert caught.value.exit_code == EXIT_REFUSED


def test_nobody_is_refused(cloud: LocalCloud) -> None:
    key = AccessKey("AKIAUNKNOWNUNKNOWN00", "x")
    nobody = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
    with pytest.raises(Refused, match="account of the credentials is unknown"):
        require_account(nobody, cloud.account, [REGION])


def test_a_profile_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(Refused, match="does-not-exist"):
        require_account(Clients(profile="does-not-exist"), "123456789012", [REGION])


def test_an_endpoint_that_does_not_answer_is_a_failure_not_a_refusal(cloud: LocalCloud) -> None:
    key = AccessKey(cloud.access_key, cloud.secret_key)
    away = Clients(key=key, endpoint=f"https://127.0.0.1:{free_port()}", ca_bundle=cloud.ca_bundle)
    with pytest.raises(AwsFailed) as caught:
        require_account(away, cloud.account, [REGION])
    assert caught.value.remedy is not None
    assert "regionshift local status" in caught.value.remedy
