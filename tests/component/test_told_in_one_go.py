"""A change in one go that fails is told where there are topics; a first one has none until it is up."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from deployment_world import Process, model
from model_regions import WAVES, Fault, World

from regionshift.errors import RegionshiftError
from regionshift.operations.deploying import deploy
from regionshift.operations.up import propose
from regionshift.runs.messages import AllRegionsNews, News, RunListener
from regionshift.runs.state import RunStep, SagaState

pytestmark = pytest.mark.component
__all__ = ["model"]
_Told = list[tuple[str, str, list[str]]]


def _deploy(process: Process) -> _Told:
    told: _Told = []

    class Reader(RunListener[RunStep]):
        def on_news(self, run_id: str, news: News, regions: Collection[str]) -> None:
            assert run_id
            told.append((news.event, news.status, sorted(regions)))

    try:
        deploy(process.environment, process.journal, propose(process.environment), [Reader()])
    except RegionshiftError:
        told.append(("", "raised", []))
    return told


def test_it_is_told_where_there_are_topics(tmp_path: Path, model: Callable[[World], World]) -> None:
    world, all_of_them = model(World(tmp_path / "world", {}, wanted=0)), sorted(WAVES)
    failing = Process(world, [Fault("step", "fail")])
    assert _deploy(failing) == [("deploy", "started", []), ("deploy", "error", []), ("", "raised", [])]
    assert _deploy(Process(world)) == [("deploy", "started", []), ("deploy", "success", all_of_them)]
    assert _deploy(Process(world)) == []
    world.wanted = 1
    interrupted = Process(world, [Fault("step", "interrupt")])
    assert _deploy(interrupted)[:2] == [("deploy", "started", all_of_them), ("deploy", "error", all_of_them)]


def test_without_a_region_known_no_place_is_named() -> None:
    words = AllRegionsNews("destroy", "destroy", (), 0)
    assert words.of_start(SagaState(())).summary == "destroy began: 0 resources, in one go"
    assert words.of_end(SagaState(())).summary == "destroy ended, succeeded"
