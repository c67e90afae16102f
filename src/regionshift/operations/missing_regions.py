"""Regions of which the journal says that a release runs there, and where nothing of it is found."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from regionshift.aws.errors import AwsFailed
from regionshift.operations.environment import Environment
from regionshift.operations.preflight import NOT_ANSWERING
from regionshift.releases import DeployedReleases
from regionshift.report.values import Finding
from regionshift.settings.components import DEPLOYMENT_BUCKET

_AT_ONCE = 8


def missing_region_findings(
    environment: Environment, deployed: DeployedReleases, regional: Collection[Finding] = ()
) -> list[Finding]:
    """An error for each region that has a release and no deployment bucket: the state tells of what is not there.

    The engine goes by its state, so without reading back it would change what is gone, and fail in its first wave.
    What cannot be seen is no finding here.

    Args:
        regional: findings of the preflight; a region that does not answer, or refuses, is not asked again.
    """
    silent = {each.region for each in regional if each.code in NOT_ANSWERING}
    regions = [r for r in environment.regions if deployed.releases.get(r) and r not in silent]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        missing = pool.map(lambda region: _missing(environment, region), regions)
        return [_finding(environment, region) for region, gone in zip(regions, missing, strict=True) if gone]


def _missing(environment: Environment, region: str) -> bool:
    bucket = DEPLOYMENT_BUCKET.name(environment.config.names, region)
    try:
        environment.clients.impatient.call(region, "s3", "head_bucket", Bucket=bucket)
    except AwsFailed as error:
        # S3 API Reference, HeadBucket: 404 where there is none, 403 where it may not be seen.
        return error.code == "404"
    return False


def _finding(environment: Environment, region: str) -> Finding:
    wiped = " (was the embedded AWS wiped?)" if environment.config.target == "local" else ""
    return Finding(
        "gone",
        "error",
        f"the state says that {environment.name} is up in {region}, and its bucket is not there{wiped}",
        region,
        "`regionshift up --refresh` reads back what is there and makes the rest anew;"
        " `regionshift destroy` makes the state forget it",
    )
