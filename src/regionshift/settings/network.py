"""Address arithmetic: a block for each region, a subnet for each zone. Pure.

A VPC's block is between /16 and /28 (VPC User Guide, "VPC CIDR blocks"), a subnet's as well
("Subnet sizing": five addresses of each are AWS's own).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

LARGEST_VPC_PREFIX = 16
SMALLEST_VPC_PREFIX = 28


class NetworkError(ValueError):
    """The ranges cannot be laid out as asked; the message says what would fit."""


@dataclass(frozen=True)
class RegionNetwork:
    """One region's ranges: the VPC's block and one subnet a zone, as CIDR strings."""

    vpc_cidr: str
    subnet_cidrs: tuple[str, ...]


def subnets(vpc_cidr: str, zones: int) -> tuple[str, ...]:
    """``zones`` equal subnets of ``vpc_cidr``, in order, disjoint.

    Raises:
        NetworkError: a subnet would be smaller than AWS allows.
    """
    block = ipaddress.IPv4Network(vpc_cidr)
    # One more block than zones would leave room to grow, but a /28 VPC of one zone must work too.
    bits = (zones - 1).bit_length()
    if block.prefixlen + bits > SMALLEST_VPC_PREFIX:
        raise NetworkError(f"{vpc_cidr} is too small for {zones} subnets of at least /28")
    parts = block.subnets(prefixlen_diff=bits)
    return tuple(str(part) for part, _ in zip(parts, range(zones), strict=False))


def lay_out(
    vpc_cidr: str, regions: Sequence[str], zones: int, given: Mapping[str, str] | None = None
) -> dict[str, RegionNetwork]:
    """Give each region its own block of ``vpc_cidr`` (or the one in ``given``) and cut it into subnets.

    Blocks are cut for the next power of two of all regions in their order, so that a region's block stays
    the same while the number of regions stays below that power; ``given`` pins it for good.

    Raises:
        NetworkError: the space does not hold the regions, or two blocks overlap.
    """
    given = given or {}
    space = ipaddress.IPv4Network(vpc_cidr)
    bits = max(len(regions) - 1, 0).bit_length()
    prefix = max(space.prefixlen + bits, LARGEST_VPC_PREFIX)
    if prefix > SMALLEST_VPC_PREFIX:
        raise NetworkError(f"{vpc_cidr} is too small for {len(regions)} regions of at least /28 each")
    taken = {region: ipaddress.IPv4Network(cidr) for region, cidr in given.items() if region in regions}
    free = (
        block
        for block in space.subnets(new_prefix=prefix)
        if not any(block.overlaps(other) for other in taken.values())
    )
    blocks: dict[str, ipaddress.IPv4Network] = {}
    for region in regions:
        block = taken.get(region) or next(free, None)
        if block is None:
            raise NetworkError(f"{vpc_cidr} has no free /{prefix} left for {region}")
        blocks[region] = block
    _refuse_overlaps(blocks)
    return {
        region: RegionNetwork(str(block), subnets(str(block), zones)) for region, block in blocks.items()
    }


def _refuse_overlaps(blocks: Mapping[str, ipaddress.IPv4Network]) -> None:
    ordered = sorted(blocks.items(), key=lambda item: item[1])
    for (first, one), (second, other) in pairwise(ordered):
        if one.overlaps(other):
            raise NetworkError(f"{first} ({one}) and {second} ({other}) overlap")
