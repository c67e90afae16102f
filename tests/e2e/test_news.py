"""Whatever changes an environment is told on the topics that there are, and at the terminal in the same words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from e2e_place import Place
from topic_queue import news_of, subscribed

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
PRIMARY, SECONDARY, LEAVING = "us-east-1", "eu-west-1", "ap-southeast-2"


def test_changes_in_one_go_and_the_end_are_told(make_place: Callable[..., Place]) -> None:
    place = make_place(regions={"primary": PRIMARY, "secondaries": [SECONDARY, LEAVING]})
    first = place.run("up", "--yes", "--no-validate")
    assert first.code == 0, first.said
    assert "deployment began: " in first.out
    assert f"deployment ended, succeeded: {PRIMARY}, {SECONDARY}, {LEAVING}" in first.out
    assert "could not be told" not in first.said  # nobody was there to be told that it began
    queues = {region: subscribed(place.clients, region) for region in (PRIMARY, SECONDARY)}

    def told(region: str) -> list[tuple[str, str]]:
        found = news_of(place.clients, region, queues[region], "deploy", "destroy")
        assert all(each["deployment_id"] and each["summary"] for each in found)
        return [(each["event"], each["status"]) for each in found]

    place.settings["regions"]["secondaries"] = [SECONDARY]
    place.write()
    without = place.run("up", "--yes", "--no-validate", "--allow-data-loss")
    assert without.code == 0, without.said
    for region in queues:
        assert told(region) == [("deploy", "started"), ("deploy", "success")]

    same = place.run("up", "--yes", "--no-validate")
    assert same.code == 0, same.said
    assert "began" not in same.out
    for region in queues:
        assert told(region) == []

    gone = place.run("destroy", "--yes")
    assert gone.code == 0, gone.said
    assert "destroy began: " in gone.out
    assert "destroy ended, succeeded" in gone.out
    assert "could not be told" not in gone.said
    for region in queues:
        assert told(region) == [("destroy", "started")]
