"""Ranges: apart from each other, inside their space, and unmoved by what happens to other regions."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settings_samples import region_sets

from regionshift.settings.network import NetworkError, lay_out, subnets
from regionshift.settings.regions import REGIONS, SLOTS, slot_of

spaces = st.builds(
    lambda address, prefix: str(ipaddress.IPv4Network((address, prefix), strict=False)),
    st.integers(0, 2**32 - 1),
    st.integers(8, 19),
)


def _network(text: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(text)


@given(spaces, region_sets, st.integers(1, 6))
def test_blocks_lie_in_the_space_and_apart(space: str, regions: list[str], zones: int) -> None:
    laid = lay_out(space, regions, zones)
    blocks = [_network(laid[region].vpc_cidr) for region in regions]
    assert all(block.subnet_of(_network(space)) and 16 <= block.prefixlen <= 28 for block in blocks)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(blocks, 2))


@given(spaces, region_sets, st.integers(1, 6))
def test_every_zone_has_a_subnet_in_the_regions_block(space: str, regions: list[str], zones: int) -> None:
    for network in lay_out(space, regions, zones).values():
        parts = [_network(part) for part in network.subnet_cidrs]
        assert len(parts) == zones
        assert all(part.subnet_of(_network(network.vpc_cidr)) and part.prefixlen <= 28 for part in parts)
        assert not any(one.overlaps(other) for one, other in itertools.combinations(parts, 2))


@given(spaces, region_sets, st.randoms())
def test_no_block_moves_when_regions_come_go_or_change_places(
    space: str, regions: list[str], random: object
) -> None:
    before = lay_out(space, regions, 2)
    shuffled = sorted(regions, key=lambda _region: random.random())  # type: ignore[attr-defined]
    after = lay_out(space, shuffled[: len(shuffled) // 2 + 1], 2)
    assert all(before[region] == network for region, network in after.items())


@pytest.mark.parametrize("partition", sorted(REGIONS))
def test_every_region_has_a_slot_of_its_own(partition: str) -> None:
    slots = [slot_of(region) for region in REGIONS[partition]]
    assert sorted(set(slots)) == sorted(slots)
    assert max(slots) < SLOTS


def test_the_slots_that_live_networks_stand_on_never_change() -> None:
    expected = {"us-east-1": 0, "eu-west-1": 4, "ap-southeast-2": 20, "af-south-1": 33, "us-gov-east-1": 1}
    assert {region: slot_of(region) for region in expected} == expected


def test_a_given_block_is_taken_as_it_is() -> None:
    laid = lay_out("10.0.0.0/16", ["us-east-1", "eu-west-1"], 2, {"eu-west-1": "10.200.0.0/20"})
    assert laid["eu-west-1"].vpc_cidr == "10.200.0.0/20"
    assert laid["us-east-1"].vpc_cidr == "10.0.0.0/22"


def test_overlapping_blocks_are_refused_with_the_region_that_was_given() -> None:
    with pytest.raises(NetworkError, match="overlap") as caught:
        lay_out("10.0.0.0/16", ["us-east-1", "eu-west-1"], 2, {"eu-west-1": "10.0.0.0/20"})
    assert caught.value.region == "eu-west-1"


def test_a_space_too_small_says_what_would_do() -> None:
    with pytest.raises(NetworkError, match="a /21 or larger"):
        lay_out("10.0.0.0/22", ["us-east-1"], 2)
    assert lay_out("10.0.0.0/21", ["us-east-1"], 2)["us-east-1"].subnet_cidrs == (
        "10.0.0.0/28",
        "10.0.0.16/28",
    )


def test_small_blocks_given_for_all_regions_need_no_space() -> None:
    given_blocks = {"us-east-1": "10.0.0.0/27", "eu-west-1": "10.0.0.32/27"}
    assert set(lay_out("10.0.0.0/26", list(given_blocks), 2, given_blocks)) == set(given_blocks)


def test_a_block_that_cannot_be_cut_into_its_zones_is_refused() -> None:
    with pytest.raises(NetworkError, match="too small for 3 subnets"):
        subnets("10.0.0.0/27", 3)
