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
    """The differences between AWS's partitions.

    Args:
        dns_suffix: what the names of endpoints end with.
        dual_stack_suffix: what the names of endpoints that answer over IPv6 too end with.
        iam_region: the region of every call of IAM, which is one service for the whole partition.
        console: the end of the address of a region's console, after the region's name; empty if none is public. (AWS
            General Reference, "AWS Management Console endpoints"; for ``aws-eusc`` the same page at docs.aws.eu.)
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
    """Each region with its pattern in a policy: ``??-west-?`` for regions with similar names.

    Wildcards replace only letters and digits that differ between regions. So a pattern matches only texts with the form
    of a region's code, and a region without a similar name is its own pattern.
    """
    forms = {region: _form(region) for region in regions}
    many = {form for form, times in Counter(forms.values()).items() if times > 1}
    return {region: form if form in many else region for region, form in forms.items()}


def _form(region: str) -> str:
    place, *names, number = region.split("-")
    return "-".join(["?" * len(place), *names, "?" * len(number)])


class MapPlace(NamedTuple):
    """Where a region is, in degrees. ``name``: what AWS calls the place, as botocore's endpoint data has it."""

    name: str
    latitude: float
    longitude: float


# A city of the place that AWS names, to a tenth of a degree (GeoNames, geonames.org): a mark on a map of the world, and
# nobody's address. The regions whose place is not public have none.
PLACES: Final[dict[str, MapPlace]] = {
    "us-east-1": MapPlace("N. Virginia", 39.0, -77.5),  # Ashburn
    "us-east-2": MapPlace("Ohio", 40.0, -83.0),  # Columbus
    "us-west-1": MapPlace("N. California", 37.8, -122.4),  # San Francisco
    "us-west-2": MapPlace("Oregon", 45.8, -119.7),  # Boardman
    "eu-west-1": MapPlace("Ireland", 53.3, -6.3),  # Dublin
    "eu-west-2": MapPlace("London", 51.5, -0.1),
    "eu-west-3": MapPlace("Paris", 48.9, 2.3),
    "eu-central-1": MapPlace("Frankfurt", 50.1, 8.7),
    "eu-central-2": MapPlace("Zurich", 47.4, 8.5),
    "eu-north-1": MapPlace("Stockholm", 59.3, 18.1),
    "eu-south-1": MapPlace("Milan", 45.5, 9.2),
    "eu-south-2": MapPlace("Spain", 41.7, -0.9),  # Zaragoza
    "ap-east-1": MapPlace("Hong Kong", 22.3, 114.2),
    "ap-east-2": MapPlace("Taipei", 25.0, 121.5),
    "ap-northeast-1": MapPlace("Tokyo", 35.7, 139.7),
    "ap-northeast-2": MapPlace("Seoul", 37.6, 127.0),
    "ap-northeast-3": MapPlace("Osaka", 34.7, 135.5),
    "ap-south-1": MapPlace("Mumbai", 19.1, 72.9),
    "ap-south-2": MapPlace("Hyderabad", 17.4, 78.5),
    "ap-southeast-1": MapPlace("Singapore", 1.3, 103.9),
    "ap-southeast-2": MapPlace("Sydney", -33.9, 151.2),
    "ap-southeast-3": MapPlace("Jakarta", -6.2, 106.8),
    "ap-southeast-4": MapPlace("Melbourne", -37.8, 145.0),
    "ap-southeast-5": MapPlace("Malaysia", 3.1, 101.7),  # Kuala Lumpur
    "ap-southeast-6": MapPlace("New Zealand", -36.8, 174.8),  # Auckland
    "ap-southeast-7": MapPlace("Thailand", 13.8, 100.5),  # Bangkok
    "ca-central-1": MapPlace("Central", 45.5, -73.6),  # Montreal
    "ca-west-1": MapPlace("Calgary", 51.1, -114.1),
    "sa-east-1": MapPlace("Sao Paulo", -23.5, -46.6),
    "mx-central-1": MapPlace("Central", 20.6, -100.4),  # Querétaro
    "me-south-1": MapPlace("Bahrain", 26.2, 50.6),  # Manama
    "me-central-1": MapPlace("UAE", 24.5, 54.4),  # Abu Dhabi
    "il-central-1": MapPlace("Tel Aviv", 32.1, 34.8),
    "af-south-1": MapPlace("Cape Town", -33.9, 18.4),
    "cn-north-1": MapPlace("Beijing", 39.9, 116.4),
    "cn-northwest-1": MapPlace("Ningxia", 38.5, 106.3),  # Yinchuan
    "us-gov-west-1": MapPlace("US-West", 45.8, -119.7),  # in Oregon
    "us-gov-east-1": MapPlace("US-East", 40.0, -83.0),  # in Ohio
    "eusc-de-east-1": MapPlace("Germany", 52.4, 13.1),  # Potsdam
}
