"""Which regions change together, and in which order."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from told import Told, fold_of

from regionshift.errors import InputError, Refused, WorkFailed
from regionshift.runs.deployment_plan import DeploymentPlan, Wave, plan_from_json, plan_waves, rollback_plan
from regionshift.runs.messages import DeploymentNews
from regionshift.settings.config import MigrationConfig

PRIMARY, SECONDARIES = "eu-central-1", ("eu-west-1", "us-east-1", "us-west-2")
ALL = (PRIMARY, *SECONDARIES)


def config(**deployment: object) -> MigrationConfig:
    return MigrationConfig.model_validate(
        {
            "project": "shop",
            "environment": "dev",
            "account": "123456789012",
            "regions": {"primary": PRIMARY, "secondaries": SECONDARIES},
            "network": {"vpc_cidr": "10.0.0.0/8"},
            "deployment": deployment,
        }
    )


def regions_of(waves: list[Wave]) -> list[tuple[str, ...]]:
    return [wave.regions for wave in waves]


def test_one_canary_then_the_other_secondaries_then_the_primary() -> None:
    waves = plan_waves(config(), dict.fromkeys(ALL, "old"), "new")
    assert regions_of(waves) == [("eu-west-1",), ("us-east-1", "us-west-2"), (PRIMARY,)]


def test_what_is_there_already_is_left_out_unless_unsettled() -> None:
    current = {**dict.fromkeys(ALL, "old"), "eu-west-1": "new", "us-east-1": "new"}
    waves = plan_waves(config(), current, "new", unsettled=["us-east-1"])
    assert regions_of(waves) == [("us-east-1", "us-west-2"), (PRIMARY,)]
    assert [wave.number for wave in waves] == [2, 3]
    assert plan_waves(config(), dict.fromkeys(ALL, "new"), "new") == []


def test_skipped_regions_are_in_no_wave() -> None:
    waves = plan_waves(config(), {}, "new", left_out=["eu-west-1"])
    assert regions_of(waves) == [("us-east-1", "us-west-2"), (PRIMARY,)]
    with pytest.raises(InputError):
        plan_waves(config(), {}, "new", left_out=["ap-south-1"])


def test_the_settings_waves_and_their_approvals() -> None:
    own = config(waves=[["us-west-2", "us-east-1"], ["eu-west-1", PRIMARY]], approve=[2])
    waves = plan_waves(own, {}, "new")
    assert waves == [Wave(1, ("us-west-2", "us-east-1")), Wave(2, ("eu-west-1", PRIMARY), approve=True)]


@pytest.mark.parametrize("waves", [[["eu-west-1"]], [list(ALL), ["eu-west-1"]], [[*ALL, "ap-south-1"]]])
def test_waves_that_do_not_name_each_region_once_are_refused(waves: list[list[str]]) -> None:
    with pytest.raises(InputError, match="waves"):
        plan_waves(config().model_copy(update={"deployment": config(waves=waves).deployment}), {}, "new")


def a_plan() -> DeploymentPlan:
    before: dict[str, str | None] = {**dict.fromkeys(ALL, "old"), "us-west-2": None}
    return DeploymentPlan(before, dict.fromkeys(ALL, "new"), tuple(plan_waves(config(), before, "new")))


def test_a_plan_survives_the_journal() -> None:
    plan = a_plan()
    assert plan_from_json(json.loads(json.dumps(plan.to_json()))) == plan
    with pytest.raises(WorkFailed):
        plan_from_json({"before": {}})


def test_taking_back_goes_last_wave_first_to_what_each_had() -> None:
    back = rollback_plan(a_plan(), ["eu-west-1", "us-east-1", PRIMARY], dict.fromkeys(ALL, "new"))
    assert regions_of(list(back.waves)) == [(PRIMARY,), ("us-east-1",), ("eu-west-1",)]
    assert set(back.target.values()) == {"old"}
    assert back.links_first


def _names_and_news(plan: DeploymentPlan) -> list[tuple[str, str]]:
    """Each wave as its steps name it, and as the news of its end do."""
    events, found = list[Told](), list[tuple[str, str]]()
    state = fold_of(plan)
    while (step := state.next_step) is not None:
        events += [Told(step.name, "before"), Told(step.name, "after")]
        before, state = state, fold_of(plan, *events)
        for news in DeploymentNews("rollback").of_step(before, state, step):
            found.append((step.name.partition("/")[0], news.summary.partition(" is done")[0]))
    return found


def test_a_wave_has_one_number_in_steps_and_in_news() -> None:
    back = rollback_plan(a_plan(), ["eu-west-1", "us-east-1", PRIMARY], dict.fromkeys(ALL, "new"))
    assert _names_and_news(back) == [
        ("wave-1", "wave 1 of 3"),
        ("wave-2", "wave 2 of 3"),
        ("wave-3", "wave 3 of 3"),
    ]
    there = dict.fromkeys(ALL, "new")
    rest = tuple(wave for wave in a_plan().waves if wave.number > 1)
    assert [name for name, _ in _names_and_news(replace(a_plan(), waves=rest, before=there))] == [
        f"wave-{wave.number}" for wave in rest
    ]
    assert _names_and_news(replace(a_plan(), waves=rest, before=there))[0][1] == "wave 2 of 3"


def test_taking_back_refuses_what_changed_since_and_what_would_be_lost() -> None:
    with pytest.raises(Refused, match="changed again"):
        rollback_plan(a_plan(), ["eu-west-1"], {**dict.fromkeys(ALL, "new"), "eu-west-1": "newer"})
    with pytest.raises(Refused, match="data"):
        rollback_plan(a_plan(), ALL, dict.fromkeys(ALL, "new"))
    assert (
        rollback_plan(a_plan(), ALL, dict.fromkeys(ALL, "new"), to_nothing=True).target["us-west-2"] is None
    )


def test_a_region_that_was_half_made_goes_back_to_nothing_only_when_that_is_asked_for() -> None:
    current: dict[str, str | None] = {**dict.fromkeys(ALL, "new"), "us-west-2": None}
    with pytest.raises(Refused, match="us-west-2 had no release before") as refused:
        rollback_plan(a_plan(), ["us-west-2"], current, unsettled=["us-west-2"])
    assert refused.value.remedy is not None and "--to-nothing" in refused.value.remedy
    back = rollback_plan(a_plan(), ["us-west-2"], current, unsettled=["us-west-2"], to_nothing=True)
    assert (back.target, back.unsettled, back.links_first) == ({"us-west-2": None}, {"us-west-2"}, True)
    # Nothing is there, so nothing is lost; and there are no links to be changed first.
    assert not rollback_plan(a_plan(), ["us-west-2"], current).links_first
