"""Which deployment `rollback` takes back, what it refuses, and which regions a change may leave out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from deployment_world import WAVES, Crash, Fault, Process, World, model
from model_regions import CANARY, OTHER, PRIMARY

from regionshift.errors import InputError, NoRoom, Refused, RegionshiftError
from regionshift.infrastructure.site import MANAGED_BY
from regionshift.journal.events import DECISION
from regionshift.operations.alarms import Watched
from regionshift.operations.environment import RegionScope
from regionshift.operations.planning import BUCKET
from regionshift.operations.unfinished import require_finished
from regionshift.operations.up import propose
from regionshift.operations.waves import deploying
from regionshift.operations.waves.applier import Applier
from regionshift.operations.waves.facts import Facts, Terms, facts_from_json, terms_of
from regionshift.releases import DeployedReleases
from regionshift.runs.deployment_plan import DeploymentPlan, Wave
from regionshift.settings.components import DEPLOYMENT_BUCKET
from regionshift.settings.config import WatchedAlarm

pytestmark = pytest.mark.component
__all__ = ["model"]


@pytest.fixture
def world(tmp_path: Path, model: Callable[[World], World]) -> World:
    """Everything at release 0, brought there in one go."""
    world = model(World(tmp_path / "world"))
    Process(world).up()
    return world


def up(world: World, number: int) -> str:
    """Bring it to a release; the id of the run."""
    world.wanted = number
    Process(world).up()
    return Process(world).journal.history()[0].run_id


def refusal(world: World, run_id: str | None = None) -> RegionshiftError:
    process = Process(world)
    with pytest.raises(RegionshiftError) as refused:
        deploying.plan_rollback(process.journal, process.deployed, run_id)
    return refused.value


def taken_back(world: World, run_id: str | None = None) -> tuple[str, dict[str, str | None]]:
    process = Process(world)
    of, intent = deploying.plan_rollback(process.journal, process.deployed, run_id)
    return of, dict(intent.plan.target)


def test_the_newest_that_was_not_taken_back_goes_and_an_older_one_after_it(world: World) -> None:
    everywhere = {number: dict.fromkeys(WAVES, world.digest(number)) for number in (0, 1)}
    first, second = up(world, 1), up(world, 2)
    assert taken_back(world) == taken_back(world, second) == (second, everywhere[1])
    error = refusal(world, first)
    assert isinstance(error, Refused) and "was changed again since" in error.message
    assert error.where in WAVES and "the newest first" in str(error.remedy)
    Process(world).rollback()
    error = refusal(world)
    assert isinstance(error, Refused) and f"{second} left nothing to roll back" in error.message
    assert "older ones" in str(error.remedy)
    assert taken_back(world, first) == (first, everywhere[0])


def test_what_went_in_one_go_is_not_taken_back(world: World) -> None:
    error = refusal(world)
    assert isinstance(error, InputError) and "No deployment in waves was ever finished" in error.message
    assert error.remedy == "see: regionshift history"
    run_id = Process(world).journal.history()[0].run_id
    error = refusal(world, run_id)
    assert isinstance(error, InputError) and error.where == run_id
    assert "regionshift destroy" in str(error.remedy)


def test_only_the_regions_that_have_something_to_take_back_go(world: World) -> None:
    world.down = {OTHER}
    world.wanted = 1
    Process(world, left_out=frozenset({OTHER})).up()
    _, target = taken_back(world)
    assert target == {CANARY: world.digest(0), PRIMARY: world.digest(0)}


def back_to_nothing(world: World, *regions: str) -> deploying.Intent:
    plan = DeploymentPlan(
        before=dict.fromkeys(WAVES, world.digest(0)),
        target=dict.fromkeys(regions),
        waves=(Wave(1, regions),),
        on_failure="stop",
    )
    facts = Facts(world.digest(0), None, links_change=True, moved=frozenset(regions), to_nothing=True)
    return deploying.Intent(plan, facts)


@pytest.mark.parametrize("protect", [True, False])
@pytest.mark.parametrize("regions", [(CANARY,), WAVES])
def test_a_protected_environment_gives_up_no_region_and_none_gives_up_the_last(
    world: World, protect: bool, regions: tuple[str, ...]
) -> None:
    process = Process(world)
    config = process.environment.config.model_copy(update={"protect": protect})
    environment = replace(process.environment, config=config)

    def preview() -> deploying.Intent:
        intent = back_to_nothing(world, *regions)
        return deploying.preview_rollback(environment, process.catalog, intent, [], allow_data_loss=True)[1]

    if not protect and regions != WAVES:
        assert preview().plan.target == {CANARY: None}
        return
    with pytest.raises(Refused) as refused:
        preview()
    if protect:
        assert f"protected, so {', '.join(regions)} stays" in refused.value.message
        assert refused.value.where == "protect"
        assert "set `protect: false` and run `regionshift up`" in str(refused.value.remedy)
    else:
        assert refused.value.message == "No region would be left."
        assert "regionshift destroy" in str(refused.value.remedy)


def test_what_is_left_out_must_be_a_region_of_an_environment_that_is_up(world: World) -> None:
    process = Process(world)

    def skip(*regions: str, deployed: DeployedReleases | None = None) -> None:
        deploying.require_skippable(process.environment, deployed or process.deployed, regions)

    skip()
    skip(CANARY)
    skip(CANARY, PRIMARY)
    skip(deployed=DeployedReleases())
    with pytest.raises(InputError, match="sa-east-1 is no region") as unknown:
        skip(CANARY, "sa-east-1")
    assert unknown.value.where == "--skip-region"
    assert unknown.value.remedy == f"one of {', '.join(process.environment.config.all_regions)}"
    with pytest.raises(Refused, match="only of an environment that is up") as nothing_up:
        skip(CANARY, deployed=DeployedReleases())
    assert nothing_up.value.where == "--skip-region"
    assert nothing_up.value.remedy == "run `regionshift up` without --skip-region"
    with pytest.raises(Refused, match="No region would be left") as nothing_left:
        skip(*WAVES)
    assert (nothing_left.value.where, nothing_left.value.remedy) == (
        "--skip-region",
        "leave fewer regions out",
    )


def test_who_was_left_behind_is_who_has_another_release_or_is_between_two(world: World) -> None:
    process, digest = Process(world), world.digest(0)
    assert deploying.left_behind(process.environment, process.deployed, WAVES) == []
    world.wanted = 1
    assert deploying.left_behind(Process(world).environment, process.deployed, [CANARY]) == [CANARY]
    between = {
        region: replace(state, settled=region != OTHER) for region, state in process.deployed.regions.items()
    }
    deployed = DeployedReleases(between, digest)
    assert deploying.left_behind(process.environment, deployed, WAVES) == [OTHER]


def test_nothing_begins_while_another_change_is_open(world: World) -> None:
    world.wanted = 1
    with pytest.raises(Crash):
        Process(world, [Fault("step", "crash after", at=2)]).up()
    journal = Process(world).journal
    (view,) = deploying.unfinished(journal)
    with pytest.raises(Refused, match=f"Deployment {view.run_id} is not finished") as open_run:
        require_finished(journal)
    assert "regionshift resume" in str(open_run.value.remedy)
    assert deploying.waiting(journal) is None
    Process(world).resume(back=True)
    decided = [event.data for event in journal.events(view.run_id) if event.step == DECISION]
    assert decided == [{"direction": "back", "by": "resume"}]
    require_finished(Process(world).journal)
    with pytest.raises(InputError, match="No deployment is unfinished") as nothing:
        Process(world).resume()
    assert nothing.value.remedy == "see: regionshift history"
    for kind in ("promotion", "move"):
        run = Process(world).journal.start(cast(Any, kind), {})
        with pytest.raises(Refused, match=f"{kind.capitalize()} {run.run_id} is not finished") as other:
            require_finished(Process(world).journal)
        assert "regionshift resume" in str(other.value.remedy)
        run.close("failed", failed=True)


def test_the_terms_are_those_of_the_settings_and_of_the_command(world: World) -> None:
    plain = Process(world).environment.config
    alarm = WatchedAlarm(name="mine", region=CANARY)
    deployment = plain.deployment.model_copy(update={"bake": 600, "bake_min_samples": 7, "alarms": (alarm,)})
    recovery = plain.recovery.model_copy(update={"rpo": 60})
    config = plain.model_copy(update={"target": "aws", "deployment": deployment, "recovery": recovery})
    assert terms_of(config) == Terms(600, 7, (Watched("mine", CANARY),), 60)
    assert terms_of(config, refresh=True).refresh
    assert terms_of(config, allow_data_loss=True).allow_data_loss
    up(world, 1)
    facts = facts_from_json(Process(world).journal.view(Process(world).journal.history()[0].run_id).opened)
    assert facts.terms == terms_of(plain)


@pytest.mark.parametrize("home", [CANARY, "links"])
def test_a_step_that_fails_says_where(world: World, home: str) -> None:
    world.wanted = 1
    Process(world, [Fault("step", "fail", only=lambda what: what.startswith(home))]).up()
    journal = Process(world).journal
    (failed,) = (
        event
        for event in journal.events(journal.history()[0].run_id)
        if event.phase == "failed" and "error" in event.data
    )
    assert str(failed.data["error"]).startswith("AccessDenied")
    assert (CANARY in str(failed.data["error"])) is (home == CANARY)


def test_a_region_between_two_releases_goes_in_a_wave_though_no_change_is_seen(world: World) -> None:
    process = Process(world)
    preview = propose(process.environment, refresh=False).plan
    assert preview.is_empty

    def waves(unsettled: str | None, *left_out: str) -> list[tuple[str, ...]] | None:
        regions = process.deployed.regions.items()
        found = {region: replace(state, settled=region != unsettled) for region, state in regions}
        environment = replace(process.environment, scope=RegionScope(frozenset(left_out)))
        intent = deploying.plan_deployment(environment, DeployedReleases(found, world.digest(0)), preview)
        return None if intent is None else [wave.regions for wave in intent.plan.waves]

    assert waves(None) is None
    assert waves(OTHER) == [(OTHER,)]
    assert waves(OTHER, OTHER) is None


def test_links_that_changed_before_a_kill_are_read_back_before_they_go_back(world: World) -> None:
    world.wanted = 1
    dying = Process(world, [Fault("step", "crash after", only=lambda what: what.startswith("links"))])
    with pytest.raises(Crash):
        dying.up()
    assert (world.parts("links"), world.parts("links", "state")) == (
        {"links": world.digest(1)},
        {"links": world.digest(0)},
    )
    Process(world).resume(back=True)
    assert world.parts("links") == {"links": world.digest(0)}


def test_a_full_disk_leaves_the_deployment_open(world: World) -> None:
    world.wanted = 1
    with pytest.raises(NoRoom):
        Process(world, [Fault("step", "full", only=lambda what: what.startswith(CANARY))]).up()
    assert Process(world).is_open
    Process(world).resume()
    assert {region: world.runs(region) for region in WAVES} == dict.fromkeys(WAVES, world.digest(1))


@dataclass
class Buckets:
    """S3 with what the environment's bucket of every region holds."""

    world: World
    held: dict[tuple[str, str], list[str]]

    def call(self, region: str, _: str, operation: str, **asked: Any) -> dict[str, Any]:
        assert (region, asked["Bucket"]) in self.held
        config = self.world.release(0).config
        tags = {"Project": config.project, "Environment": config.suffix, "ManagedBy": MANAGED_BY}
        tagged = [{"Key": key, "Value": value} for key, value in tags.items()]
        return {"TagSet": tagged} if operation == "get_bucket_tagging" else {}

    def get(self, _: str, region: str) -> Any:
        def pages(Bucket: str, **_: Any) -> list[dict[str, Any]]:  # noqa: N803 - boto3's name
            return [{"Versions": [{"Key": key, "VersionId": "1"} for key in self.held[region, Bucket]]}]

        def delete(Bucket: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
            self.held[region, Bucket].clear()
            return {}

        listing = SimpleNamespace(paginate=pages)
        return SimpleNamespace(delete_objects=delete, get_paginator=lambda _: listing)


def test_only_the_buckets_of_what_goes_are_emptied(world: World) -> None:
    process, digest = Process(world), world.digest(0)
    names = {region: DEPLOYMENT_BUCKET.name(process.environment.config.names, region) for region in WAVES}
    buckets = Buckets(world, {home: ["kept"] for home in names.items()})
    environment = replace(process.environment, clients=cast(Any, buckets))
    urn = "urn:pulumi:dev::shop::regionshift:infrastructure:RegionStack$type::deployment-{}"
    made = [{"type": BUCKET, "urn": urn.format(region), "id": name} for region, name in names.items()]
    half_made = {"type": BUCKET, "urn": urn.format(OTHER)}
    topic = {"type": "aws:sns/topic:Topic", "urn": urn.format(OTHER), "id": names[CANARY]}
    process.engine.resources = lambda: [half_made, topic, *made]  # type: ignore[method-assign]
    goal = {region: None if region == OTHER else digest for region in WAVES}
    Applier(environment, process.catalog).regions([OTHER, CANARY], goal, digest)
    assert buckets.held == {home: [] if home[0] == OTHER else ["kept"] for home in names.items()}
    assert {region: world.runs(region) for region in WAVES} == goal
