"""What joins regions: to where, when, and what a change of primary does."""

from __future__ import annotations

from typing import Any

import pytest
from recorder import Registered, Run, built, config, everywhere, record, release

from regionshift.infrastructure.program import ProviderSettings, environment
from regionshift.settings.config import MigrationConfig

LINK_PARTS = ("replication-", "overview-")
MOVED = {"regions": {"primary": "eu-west-1", "secondaries": ["us-east-1", "us-west-2"]}}
ON_AWS = ProviderSettings()


def is_link(resource: Registered) -> bool:
    return resource.name.startswith(LINK_PARTS)


def links(run: Run) -> set[str]:
    return {one.name for one in run.plain if is_link(one)}


def part_of(settings: MigrationConfig, regions: list[str], *, linked: bool = True) -> Run:
    releases = {region: release(settings) for region in regions}
    return record(
        lambda: environment(releases, provider_settings=ON_AWS, links=release(settings) if linked else None)
    )


def test_the_primary_replicates_to_every_secondary() -> None:
    rules = built(config()).one("replication-us-east-1").inputs["rules"]
    assert [rule["id"] for rule in rules] == ["to-eu-west-1", "to-us-west-2"]
    assert len({rule["priority"] for rule in rules}) == len(rules)
    for rule in rules:
        destination = rule["destination"]
        assert rule["status"] == "Enabled"
        assert rule["deleteMarkerReplication"] == {"status": "Enabled"}
        assert rule["sourceSelectionCriteria"] == {"sseKmsEncryptedObjects": {"status": "Enabled"}}
        assert destination["replicationTime"] == {"status": "Enabled", "time": {"minutes": 15}}
        assert destination["metrics"] == {"status": "Enabled", "eventThreshold": {"minutes": 15}}
        region = rule["id"].removeprefix("to-")
        assert (
            region in destination["bucket"]
            and region in destination["encryptionConfiguration"]["replicaKmsKeyId"]
        )


def test_a_rule_keeps_its_id_whatever_the_order_of_the_settings() -> None:
    other = config(regions={"primary": "us-east-1", "secondaries": ["us-west-2", "eu-west-1"]})
    assert (
        built(config()).one("replication-us-east-1").inputs
        == built(other).one("replication-us-east-1").inputs
    )


def test_the_links_are_what_their_own_release_says_whatever_their_ends_have() -> None:
    before, after = (config(alerts={"replication_latency": seconds}) for seconds in (300, 600))
    alarm = built(after, before).one("replication-latency-alarm-eu-west-1")
    assert alarm.inputs["threshold"] == 300


def test_the_alarms_on_replication_stand_where_their_metrics_are() -> None:
    run = built(config())
    lag, failed = (
        run.one("replication-latency-alarm-eu-west-1"),
        run.one("replication-failed-to-eu-west-1-alarm-us-east-1"),
    )
    expected = {
        "SourceBucket": "shop-deployment-us-east-1-dev-111122223333",
        "DestinationBucket": "shop-deployment-eu-west-1-dev-111122223333",
        "RuleId": "to-eu-west-1",
    }
    assert (lag.inputs["metricName"], lag.inputs["threshold"]) == ("ReplicationLatency", 900)
    assert lag.inputs["dimensions"] == failed.inputs["dimensions"] == expected
    assert failed.inputs["metricName"] == "OperationsFailedReplication"
    assert "aws-eu-west-1::" in lag.provider and "aws-us-east-1::" in failed.provider


def test_without_links_the_regions_stand_alone() -> None:
    run = part_of(config(), ["us-east-1", "eu-west-1"], linked=False)
    assert links(run) == set()
    assert {"function-us-east-1", "function-eu-west-1"} <= {one.name for one in run.resources}


def test_links_reach_only_regions_that_have_a_release() -> None:
    run = part_of(config(), ["us-east-1", "us-west-2"])
    assert [rule["id"] for rule in run.one("replication-us-east-1").inputs["rules"]] == ["to-us-west-2"]
    assert not any("eu-west-1" in one.name for one in run.resources)


@pytest.mark.parametrize("regions", [["eu-west-1", "us-west-2"], ["eu-west-1"]])
def test_without_its_primary_nothing_is_linked(regions: list[str]) -> None:
    assert links(part_of(config(), regions)) == set()


def test_a_single_region_replicates_nowhere() -> None:
    alone = config(regions={"primary": "us-east-1"})
    assert links(built(alone)) == {"overview-dashboard-us-east-1"}


def inputs_without(resource: Registered, *left_out: str) -> dict[str, Any]:
    return {key: value for key, value in resource.inputs.items() if key not in ("code", *left_out)}


def test_a_change_of_primary_alters_tags_and_configuration_in_place_and_nothing_else() -> None:
    before, after = built(config()), built(config(**MOVED))
    stay = {one.name: one for one in before.resources if not is_link(one)}
    moved = {one.name: one for one in after.resources if not is_link(one)}
    assert stay.keys() == moved.keys()
    for name, one in stay.items():
        in_place = {"pulumi:providers:aws": ("defaultTags",), "aws:ssm/parameter:Parameter": ("value",)}
        left_out = in_place.get(one.type, ())
        assert inputs_without(one, *left_out) == inputs_without(moved[name], *left_out), name


def test_a_change_of_primary_replaces_no_link() -> None:
    before, after = built(config()), built(config(**MOVED))
    old = {one.name: one for one in before.plain if is_link(one)}
    new = {one.name: one for one in after.plain if is_link(one)}
    kept = old.keys() & new.keys()
    assert kept == {"replication-latency-alarm-us-west-2"}
    for name in kept:
        # A metric alarm takes new dimensions in place; its name and its region stay.
        assert inputs_without(old[name], "dimensions", "alarmDescription") == inputs_without(
            new[name], "dimensions", "alarmDescription"
        )
    # What goes and what comes stand side by side for a while, so they may not share a name.
    gone = {str(old[name].inputs.get("name")) for name in old.keys() - kept}
    come = {str(new[name].inputs.get("name")) for name in new.keys() - kept}
    assert gone & come <= {"None"}


def test_regions_may_run_different_releases() -> None:
    settings = config()
    larger = config(function={"memory": 1024})
    releases = {**everywhere(settings), "us-west-2": release(larger)}
    run = record(lambda: environment(releases, provider_settings=ON_AWS, links=release(settings)))
    base = {one.name: inputs_without(one) for one in built(settings).resources}
    changed = {one.name for one in run.resources if inputs_without(one) != base[one.name]}
    assert changed == {"function-us-west-2", "worker-us-west-2"}
