"""The regions of AWS, by partition, as botocore's endpoint data lists them; a test compares the two.

The order is a promise: a region's place in its partition is its *slot*, from which its VPC's address block
follows (``network.lay_out``). A region that AWS adds is appended, never inserted.
"""

from __future__ import annotations

from typing import Final

REGIONS: Final[dict[str, tuple[str, ...]]] = {
    "aws": (
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "eu-central-1",
        "eu-central-2",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "ap-east-1",
        "ap-east-2",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-south-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-central-1",
        "ca-west-1",
        "sa-east-1",
        "mx-central-1",
        "me-south-1",
        "me-central-1",
        "il-central-1",
        "af-south-1",
    ),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
    "aws-us-gov": ("us-gov-west-1", "us-gov-east-1"),
    "aws-iso": ("us-iso-east-1", "us-iso-west-1"),
    "aws-iso-b": ("us-isob-east-1", "us-isob-west-1"),
    "aws-iso-e": ("eu-isoe-west-1",),
    "aws-iso-f": ("us-isof-south-1", "us-isof-east-1"),
    "aws-eusc": ("eusc-de-east-1",),
}

SLOTS: Final = 64
"""Slots that a network's space is cut into: the largest partition's regions and room for those to come."""


def all_regions() -> tuple[str, ...]:
    """Every region of every partition."""
    return tuple(region for regions in REGIONS.values() for region in regions)


def partition_of(region: str) -> str:
    """The partition that ``region`` belongs to, the second part of every ARN there.

    Raises:
        KeyError: no such region.
    """
    for partition, regions in REGIONS.items():
        if region in regions:
            return partition
    raise KeyError(region)


def slot_of(region: str) -> int:
    """The fixed place of ``region`` in its partition, from 0 and below ``SLOTS``.

    Raises:
        KeyError: no such region.
    """
    return REGIONS[partition_of(region)].index(region)
