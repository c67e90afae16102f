"""Every resource of the program is looked at: its provider, its tags, its name."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import re
from typing import Any

import pulumi
import pytest
from pulumi.runtime.settings import ROOT
from recorder import REGIONS, Registered, Run, built, config, record

from regionshift.local.provider.handlers import BY_TOKEN
from regionshift.operations.collisions import looked_for
from regionshift.settings.components import every_name

# With a suffix, so that what is named by the environment cannot pass for what is named by its suffix.
FULL: dict[str, Any] = {
    "environment_suffix": "pr-42",
    "network": {"vpc_cidr": "10.0.0.0/8", "function_in_vpc": True},
    "alerts": {"emails": ["ops@example.com"]},
    "application": {"secrets": {"database": {"env": "DATABASE"}}},
}
NAME_INPUTS = ("name", "dashboardName")


@pytest.fixture(scope="module", params=["ssm", "secretsmanager"])
def run(request: pytest.FixtureRequest) -> Run:
    application = {**FULL["application"], "store": request.param}
    return built(config(**{**FULL, "application": application}))


def physical_names(run: Run) -> list[str]:
    named = [one.inputs[field] for one in run.plain for field in NAME_INPUTS if field in one.inputs]
    return named + [bucket.inputs["bucket"] for bucket in run.of("s3/bucket:Bucket")]


def region_of(resource: Registered) -> str:
    (region,) = [region for region in REGIONS if resource.name.endswith(f"-{region}")]
    return region


def can_be_tagged(resource: Registered) -> bool:
    _, module, kind = resource.type.split(":")
    service = module.split("/")[0].replace("lambda", "lambda_")
    made_by = getattr(importlib.import_module(f"pulumi_aws.{service}"), kind)
    return "tags" in inspect.signature(made_by._internal_init).parameters


def test_nothing_is_made_by_a_default_provider(run: Run) -> None:
    for resource in run.plain:
        assert f"pulumi:providers:aws::aws-{region_of(resource)}::" in resource.provider, resource.name


def test_there_is_one_provider_a_region_and_it_knows_the_account(run: Run) -> None:
    providers = [one for one in run.resources if one.type == "pulumi:providers:aws"]
    assert sorted(one.inputs["region"] for one in providers) == sorted(REGIONS)
    assert all(json.loads(one.inputs["allowedAccountIds"]) == ["111122223333"] for one in providers)


def test_everything_taggable_is_tagged(run: Run) -> None:
    for resource in run.plain:
        if can_be_tagged(resource):
            tags = resource.inputs["tags"]
            assert tags["Purpose"] and tags["Name"] == resource.name, resource.name


@pytest.mark.parametrize("region", REGIONS)
def test_the_provider_tags_what_a_region_makes(run: Run, region: str) -> None:
    tags = json.loads(run.one(f"aws-{region}").inputs["defaultTags"])["tags"]
    assert tags == {
        "Project": "shop",
        "Environment": "pr-42",
        "Region": region,
        "IsPrimary": "true" if region == "us-east-1" else "false",
        "ManagedBy": "regionshift",
    }


def test_the_users_tags_are_added() -> None:
    run = built(config(tags={"Team": "shop"}))
    tags = json.loads(run.one("aws-us-east-1").inputs["defaultTags"])["tags"]
    assert (tags["Team"], tags["ManagedBy"]) == ("shop", "regionshift")


def test_every_name_carries_the_environment(run: Run) -> None:
    for name in physical_names(run):
        assert re.search(r"\bpr-42\b", name), name


def test_the_local_provider_knows_every_type(run: Run) -> None:
    assert {one.type for one in run.plain} <= set(BY_TOKEN)


def test_no_two_things_of_one_kind_share_a_name(run: Run) -> None:
    names = [
        (one.type, one.inputs[field]) for one in run.plain for field in NAME_INPUTS if field in one.inputs
    ]
    assert len(set(names)) == len(names)


def test_every_name_is_one_that_is_checked_beforehand(run: Run) -> None:
    settings = config(**FULL)
    in_secrets_manager = config(**{**FULL, "application": {**FULL["application"], "store": "secretsmanager"}})
    checked = {name.name for some in (settings, in_secrets_manager) for name in every_name(some)}
    assert set(physical_names(run)) <= checked


@pytest.mark.parametrize(("store", "flow_logs"), [("ssm", False), ("secretsmanager", True)])
def test_what_is_looked_for_without_a_plan_is_what_a_plan_creates(store: str, flow_logs: bool) -> None:
    application = {**FULL["application"], "store": store}
    network = {"vpc_cidr": "10.0.0.0/8", "flow_logs": flow_logs}
    settings = config(**{**FULL, "application": application, "network": network})
    wanted = {(each.type, each.name, each.region) for each in looked_for(settings, settings.all_regions)}
    kinds = {kind for kind, _, _ in wanted}
    assert wanted == {
        (one.type, one.inputs.get("bucket") or one.inputs["name"], region_of(one))
        for one in built(settings).plain
        if one.type in kinds
    }
    assert ("aws:secretsmanager/secret:Secret" in kinds) == (store == "secretsmanager")
    assert {"aws:s3/bucket:Bucket", "aws:sns/topic:Topic"} < kinds


def test_two_environments_share_no_name_and_are_built_in_one_process() -> None:
    dev, test = built(config()), built(config(environment_suffix="pr-42"))
    assert not set(physical_names(dev)) & set(physical_names(test))
    assert {one.name for one in dev.resources} == {one.name for one in test.resources}


def test_no_value_of_a_secret_is_seen_in_clear(run: Run) -> None:
    marked = [one.inputs.get("value") or one.inputs.get("secretString") for one in run.plain]
    held = [value for value in marked if value is not None]
    assert len(held) == 2 * len(REGIONS)
    # What the SDK marks as a secret arrives as an object with a signature; a plain value would be text.
    assert all(isinstance(value, dict) for value in held)
    for resource in run.plain:
        others = {
            key: value for key, value in resource.inputs.items() if key not in ("value", "secretString")
        }
        assert "value of database" not in str(others), resource.name
    assert "value of database" not in str(run.outputs)


def test_the_same_release_gives_the_same_resources() -> None:
    first, second = (
        {
            one.name: {key: value for key, value in one.inputs.items() if key != "code"}
            for one in run.resources
        }
        for run in (built(config()), built(config()))
    )
    assert first == second


def test_a_run_takes_nothing_from_what_ran_before_it_and_leaves_nothing() -> None:
    asyncio.run(asyncio.sleep(0))  # leaves its thread without an event loop
    ROOT.set(None)
    tasks: list[asyncio.Task[None]] = []

    def failing() -> dict[str, Any]:
        tasks.append(asyncio.ensure_future(asyncio.sleep(3600)))
        raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"):
        record(failing)
    assert [task.cancelled() for task in tasks] == [True]
    assert record(lambda: {"given": pulumi.Output.from_input(1)}).outputs == {"given": 1}
    assert ROOT.get() is None
    with pytest.raises(RuntimeError, match="no current event loop"):
        asyncio.get_event_loop()
