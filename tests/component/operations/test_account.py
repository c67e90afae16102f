"""`doctor` on an account that nothing was made on: quotas, regions, rights and the state's key, seen and told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytest

from regionshift.aws.clients import AccessKey, Clients
from regionshift.local.emulator import LocalCloud
from regionshift.operations.account import look_at
from regionshift.operations.environment import Environment
from regionshift.operations.room import UNRESERVED

pytestmark = pytest.mark.component
ACCOUNT, PRIMARY, SECONDARY = "123456789012", "eu-central-2", "eu-south-1"
CODES = {"L-F678F1CE": "VPCs", "L-1B52E74A": "gateway endpoints", "L-DC2B2D3D": "buckets"}


class OnAws(Clients):
    """The embedded AWS with the answers that only AWS gives: Service Quotas, the account's summary and its regions."""

    def __init__(self, cloud: LocalCloud, **quotas: int) -> None:
        key = AccessKey(cloud.access_key, cloud.secret_key)
        super().__init__(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
        self.quotas = {"VPCs": 1000, "gateway endpoints": 1000, "buckets": 10_000, "roles": 1000, **quotas}
        self.off: set[str] = set()

    def call(self, region: str, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        match operation:
            case "get_service_quota":
                return {"Quota": {"Value": float(self.quotas[CODES[parameters["QuotaCode"]]])}}
            case "get_account_summary":
                return {"SummaryMap": {"Roles": 10, "RolesQuota": self.quotas["roles"]}}
            case "describe_regions":
                return {
                    "Regions": [
                        {
                            "RegionName": name,
                            "OptInStatus": "not-opted-in" if name in self.off else "opted-in",
                        }
                        for name in parameters["RegionNames"]
                    ]
                }
        return super().call(region, service, operation, **parameters)


@pytest.fixture
def environment(environment_of: Callable[..., Environment]) -> Callable[..., Environment]:
    place = {"primary": PRIMARY, "secondaries": [SECONDARY]}
    function = {"reserved_concurrency": 7}
    return partial(environment_of, project="hour", target="aws", regions=place, function=function)


def told(seen: dict[str, object]) -> dict[str, tuple[int, int, int]]:
    """``{place and quota: (used, new, limit)}`` of the line that is shown."""
    found = {}
    for line in cast("list[str]", seen["quotas"]):
        place, _, rest = line.partition(": ")
        used, _, new, _, limit, name = rest.split(" ", 5)
        found[f"{place} {name}"] = (int(used), int(new), int(limit))
    return found


def test_an_account_with_room_is_told_and_nothing_stands_in_the_way(
    environment: Callable[..., Environment], cloud: LocalCloud
) -> None:
    clients = OnAws(cloud)
    seen = look_at(environment(clients), up=[])
    assert [each for each in seen.findings if each.severity == "error"] == []
    assert str(seen.facts["caller"]).endswith("user/regionshift-admin")
    assert (seen.facts["partition"], seen.facts["opted_in"]) == ("aws", [PRIMARY, SECONDARY])
    assert "estimate" in str(seen.facts["cost_a_month"])
    quotas = told(seen.facts)
    for region in (PRIMARY, SECONDARY):
        assert quotas[f"{region} VPCs"][1:] == quotas[f"{region} gateway endpoints"][1:] == (1, 1000)
        account = clients.get("lambda", region).get_account_settings()["AccountLimit"]
        most = account["ConcurrentExecutions"] - UNRESERVED
        assert quotas[f"{region} reserved concurrent executions"][1:] == (7, most)
    assert quotas["account buckets"][1:] == (4, 10_000)
    # The function, the worker, the state machine and flow logs in each, and replication in the primary.
    assert quotas["account roles"] == (10, 9, 1000)


@pytest.mark.parametrize(
    ("quota", "new"), [("VPCs", 1), ("gateway endpoints", 1), ("buckets", 4), ("roles", 9)]
)
def test_a_quota_that_is_one_short_is_an_error(
    environment: Callable[..., Environment], cloud: LocalCloud, quota: str, new: int
) -> None:
    roomy = environment(OnAws(cloud))
    used = {name.partition(" ")[2]: numbers[0] for name, numbers in told(look_at(roomy, up=[]).facts).items()}
    for limit, is_short in ((used[quota] + new, False), (used[quota] + new - 1, True)):
        clients = OnAws(cloud, **{quota: limit})
        errors = [
            each for each in look_at(replace(roomy, clients=clients), up=[]).findings if each.code == "quota"
        ]
        assert bool(errors) is is_short
        assert all(f"{used[quota]} {quota} are in use, {new} more" in each.message for each in errors)


def test_what_is_up_already_adds_nothing(environment: Callable[..., Environment], cloud: LocalCloud) -> None:
    seen = look_at(environment(OnAws(cloud, roles=0)), up=[PRIMARY, SECONDARY])
    assert seen.facts["quotas"] == []
    assert seen.findings == []


def test_a_region_that_is_not_enabled_is_named(
    environment: Callable[..., Environment], cloud: LocalCloud
) -> None:
    clients = OnAws(cloud)
    clients.off = {SECONDARY}
    seen = look_at(environment(clients), up=[])
    assert seen.facts["opted_in"] == [PRIMARY, f"{SECONDARY} (not enabled)"]


def test_the_states_key_is_tried(environment: Callable[..., Environment], cloud: LocalCloud) -> None:
    clients = OnAws(cloud)
    key = clients.get("kms", PRIMARY).create_key()["KeyMetadata"]["KeyId"]
    place = {"state": "s3://b/k?region=eu-west-1", "state_secrets": f"awskms:///{key}?region={PRIMARY}"}
    assert [f for f in look_at(environment(clients, **place), up=[]).findings if f.code == "state-key"] == []
    clients.get("kms", PRIMARY).disable_key(KeyId=key)
    (found,) = [f for f in look_at(environment(clients, **place), up=[]).findings if f.code == "state-key"]
    assert (found.severity, found.region) == ("error", PRIMARY)
