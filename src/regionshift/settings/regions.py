"""The regions and partitions of AWS, as botocore's endpoint data lists them; a test compares the two.

The order is a promise: a region's place in its partition is its *slot*, from which its VPC's address block
follows (``network.lay_out``). A region that AWS adds is appended, never inserted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

# fmt: off
REGIONS: Final[dict[str, tuple[str, ...]]] = {
    "aws": (
        "us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-west-3",
        "eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2",
        "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
        "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4",
        "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1",
        "sa-east-1", "mx-central-1", "me-south-1", "me-central-1", "il-central-1",
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
# fmt: on


class Partition(NamedTuple):
    """What differs between AWS's partitions.

    Args:
        dns_suffix: what the names of endpoints end with.
        dual_stack_suffix: what the names of endpoints that answer over IPv6 too end with.
        iam_region: the region of every call of IAM, which is one service for the whole partition.
        console: where the console of a region is, behind the region's name; empty where none is public (AWS General
            Reference, "AWS Management Console endpoints"; of ``aws-eusc`` the same page at docs.aws.eu).
    """

    dns_suffix: str
    dual_stack_suffix: str
    iam_region: str
    console: str = ""


PARTITIONS: Final[dict[str, Partition]] = {
    "aws": Partition("amazonaws.com", "api.aws", "us-east-1", "console.aws.amazon.com"),
    "aws-cn": Partition(
        "amazonaws.com.cn", "api.amazonwebservices.com.cn", "cn-north-1", "console.amazonaws.cn"
    ),
    "aws-us-gov": Partition("amazonaws.com", "api.aws", "us-gov-west-1", "console.amazonaws-us-gov.com"),
    "aws-iso": Partition("c2s.ic.gov", "api.aws.ic.gov", "us-iso-east-1"),
    "aws-iso-b": Partition("sc2s.sgov.gov", "api.aws.scloud", "us-isob-east-1"),
    "aws-iso-e": Partition("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", "eu-isoe-west-1"),
    "aws-iso-f": Partition("csp.hci.ic.gov", "api.aws.hci.ic.gov", "us-isof-south-1"),
    "aws-eusc": Partition(
        "amazonaws.eu", "api.amazonwebservices.eu", "eusc-de-east-1", "console.amazonaws-eusc.eu"
    ),
}

_AWS_HOSTS = tuple(
    {f".{suffix}" for each in PARTITIONS.values() for suffix in (each.dns_suffix, each.dual_stack_suffix)}
)

# What `aws ec2 describe-vpc-endpoint-services` answers there, as aws-cdk-lib lists it (aws-ec2, vpc-endpoint.ts).
_ENDPOINTS_OF_THE_DOMAIN: Final[dict[str, tuple[str, ...]]] = {
    "cn-north-1": ("monitoring", "states"),
    "cn-northwest-1": ("monitoring", "states"),
    "us-iso-east-1": ("sns",),
    "us-iso-west-1": ("monitoring", "sns"),
    "us-isob-east-1": ("sns",),
}
"""Interface endpoints, of those that the program makes, whose names begin with the partition's domain turned round."""

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


def service_host(service: str, region: str) -> str:
    """The name of a service in ``region``, as its endpoints, ``kms:ViaService`` and some principals have it.

    Raises:
        KeyError: no such region.
    """
    return f"{service}.{region}.{PARTITIONS[partition_of(region)].dns_suffix}"


def s3_endpoint(region: str) -> str:
    """S3's address in ``region`` (AWS General Reference, "Amazon S3 endpoints and quotas").

    Raises:
        KeyError: no such region.
    """
    return f"https://{service_host('s3', region)}"


def endpoint_service(service: str, region: str) -> str:
    """What a VPC endpoint to ``service`` names (AWS PrivateLink Guide, "AWS services that integrate").

    Most begin with ``com.amazonaws`` in every partition, some with the partition's own domain, last part first.

    Raises:
        KeyError: no such region.
    """
    if service in _ENDPOINTS_OF_THE_DOMAIN.get(region, ()):
        domain = PARTITIONS[partition_of(region)].dns_suffix
        return f"{'.'.join(reversed(domain.split('.')))}.{region}.{service}"
    return f"com.amazonaws.{region}.{service}"


def is_aws_host(host: str) -> bool:
    """Whether a host name without its port is one of AWS's endpoints, an interface endpoint's included."""
    return host.endswith(_AWS_HOSTS)


def slot_of(region: str) -> int:
    """The fixed place of ``region`` in its partition, from 0 and below ``SLOTS``.

    Raises:
        KeyError: no such region.
    """
    return REGIONS[partition_of(region)].index(region)


def patterns_of(regions: Iterable[str]) -> dict[str, str]:
    """Each region with the pattern of a policy that stands for it: ``??-west-?`` for those called alike.

    Wildcards take the place of letters and digits only where they tell regions apart: what a pattern matches has the
    form of a region's code, and a region that is called like no other stands for itself.
    """
    forms = {region: _form(region) for region in regions}
    many = {form for form, times in Counter(forms.values()).items() if times > 1}
    return {region: form if form in many else region for region, form in forms.items()}


def _form(region: str) -> str:
    place, *names, number = region.split("-")
    return "-".join(["?" * len(place), *names, "?" * len(number)])
