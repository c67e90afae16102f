"""Address arithmetic: a block for each region, a subnet for each zone. Pure.

A VPC's block is between /16 and /28 (VPC User Guide, "VPC CIDR blocks"), a subnet's as well
("Subnet sizing": five addresses of each are AWS's own).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from regionshift.settings.regions import SLOTS, slot_of

LARGEST_VPC_PREFIX = 16
SMALLEST_VPC_PREFIX = 28
_SLOT_BITS = (SLOTS - 1).bit_length()


class NetworkError(ValueError):
    """The ranges cannot be laid out as asked; the message says what would fit.

    ``region`` is the one whose given block is the trouble, or None when it is the whole space.
    """

    def __init__(self, message: str, region: str | None = None) -> None:
        super().__init__(message)
        self.region = region


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
    bits = (zones - 1).bit_length()
    if block.prefixlen + bits > SMALLEST_VPC_PREFIX:
        raise NetworkError(f"{vpc_cidr} is too small for {zones} subnets of at least /28")
    parts = block.subnets(prefixlen_diff=bits)
    return tuple(str(part) for part, _ in zip(parts, range(zones), strict=False))


def lay_out(
    vpc_cidr: str, regions: Sequence[str], zones: int, given: Mapping[str, str] | None = None
) -> dict[str, RegionNetwork]:
    """Give each region its own block of ``vpc_cidr`` (or the one in ``given``) and cut it into subnets.

    The space is cut into 64 blocks, none larger than a /16, and a region always has the same one
    (``regions.slot_of``). So no other region's block moves, and no VPC is replaced, when a region is added
    or removed or another becomes the primary.

    Raises:
        NetworkError: the space does not hold the regions, or two blocks overlap.
    """
    given = given or {}
    blocks = {
        region: ipaddress.IPv4Network(given[region]) if region in given else _slot(vpc_cidr, region, zones)
        for region in regions
    }
    _refuse_overlaps(blocks, given)
    return {region: _cut(region, block, zones) for region, block in blocks.items()}


def _slot(vpc_cidr: str, region: str, zones: int) -> ipaddress.IPv4Network:
    space = ipaddress.IPv4Network(vpc_cidr)
    prefix = max(space.prefixlen + _SLOT_BITS, LARGEST_VPC_PREFIX)
    largest = SMALLEST_VPC_PREFIX - (zones - 1).bit_length() - _SLOT_BITS
    if space.prefixlen > largest:
        raise NetworkError(
            f"a /{largest} or larger, so that every region has its own fixed block with {zones} subnets; "
            "or a block for each region in network.region_cidrs"
        )
    try:
        offset = slot_of(region) << (space.max_prefixlen - prefix)
    except KeyError:
        raise NetworkError(f"{region} is not a region of AWS that has a block", region) from None
    return ipaddress.IPv4Network((int(space.network_address) + offset, prefix))


def _cut(region: str, block: ipaddress.IPv4Network, zones: int) -> RegionNetwork:
    try:
        return RegionNetwork(str(block), subnets(str(block), zones))
    except NetworkError as error:
        raise NetworkError(str(error), region) from error


def _refuse_overlaps(blocks: Mapping[str, ipaddress.IPv4Network], given: Mapping[str, str]) -> None:
    ordered = sorted(blocks.items(), key=lambda item: item[1])
    for (first, one), (second, other) in pairwise(ordered):
        if one.overlaps(other):
            culprit = first if first in given else second
            raise NetworkError(f"{first} ({one}) and {second} ({other}) overlap", culprit)
