"""Which regions are called: of what is fenced nothing is known, of what is left out only that it stays."""

from __future__ import annotations

from typing import Any

import pytest

from regionshift.operations.environment import RegionScope, everything_of, without_regions
from regionshift.settings.config import MigrationConfig


def _config(waves: list[list[str]], **deployment: Any) -> MigrationConfig:
    return MigrationConfig.model_validate(
        {
            "project": "orders",
            "environment": "dev",
            "account": "123456789012",
            "target": "local",
            "regions": {"primary": "us-east-1", "secondaries": ["eu-west-1", "ap-southeast-2"]},
            "network": {"vpc_cidr": "10.0.0.0/14"},
            "deployment": {"waves": waves, **deployment},
        }
    )


@pytest.mark.parametrize(
    ("waves", "left", "approve"),
    [
        ([["eu-west-1"], ["ap-southeast-2"], ["us-east-1"]], (("ap-southeast-2",), ("us-east-1",)), (2,)),
        ([["ap-southeast-2"], ["eu-west-1", "us-east-1"]], (("ap-southeast-2",), ("us-east-1",)), ()),
        ([], (), (3,)),
    ],
    ids=["a wave of its own", "with another", "none are written out"],
)
def test_it_is_in_no_wave(
    waves: list[list[str]], left: tuple[tuple[str, ...], ...], approve: tuple[int, ...]
) -> None:
    rest = without_regions(_config(waves, approve=[3]), {"eu-west-1"})
    assert rest.all_regions == ("us-east-1", "ap-southeast-2")
    assert rest.deployment.waves == left
    assert rest.deployment.approve == approve
    assert sorted(region for wave in rest.waves for region in wave) == ["ap-southeast-2", "us-east-1"]


def test_the_primary_stays_where_it_is() -> None:
    config = _config([["eu-west-1", "ap-southeast-2"], ["us-east-1"]])
    assert without_regions(config, {"us-east-1"}) is config


def test_what_is_fenced_is_not_left_out_whatever_else_keeps_it_from_a_call() -> None:
    scope = RegionScope(skipped=frozenset({"a", "b"}), fenced=frozenset({"b"})).without(down=["c"])
    assert (scope.called("abcd"), scope.left_out) == (("d",), {"a", "c"})
    given_up = scope.without(fenced=["a", "c"])
    assert (given_up.uncalled, given_up.left_out) == ({"a", "b", "c"}, set())


def test_what_joins_regions_is_kept_from_the_engine_only_while_one_is_left_out() -> None:
    assert RegionScope(fenced=frozenset("b")).state_exclusion("a") == everything_of("b")
    assert RegionScope(frozenset("b")).state_exclusion("a") == everything_of("b", links=True)
    assert "_primary" in RegionScope(frozenset("a")).state_exclusion("a").outputs
