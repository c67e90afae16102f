"""The obstacles of a change: one list of checks for `doctor`, `preview` and `up`.

Checks that need a plan (quotas, policies, rights, losses) are in `plan_findings`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from regionshift.aws.errors import AwsFailed, told_plainly
from regionshift.errors import Interrupted, Refused, RegionshiftError
from regionshift.journal.journal import Journal
from regionshift.operations.alarms import (
    WINDOW,
    Excuse,
    RedAlarm,
    Watched,
    bake_finding,
    excuse_from,
    red_findings,
    red_in,
    window_of,
)
from regionshift.operations.collisions import taken_findings
from regionshift.operations.deploying import half_done, remains_of
from regionshift.operations.environment import Environment
from regionshift.operations.moving.fencing import not_shut
from regionshift.operations.moving.settings_unchanged import require_removal_alone
from regionshift.operations.preflight import NOT_ANSWERING, PREVENTS_PLAN, Machine, preflight
from regionshift.operations.waves.bake import RegionDown, calling
from regionshift.operations.waves.facts import Terms, terms_of
from regionshift.releases import DeployedReleases, ReleaseCatalog, deployed_releases
from regionshift.report.values import Finding, Severity, errors_of
from regionshift.settings.components import DEPLOYMENT_BUCKET

_AT_ONCE = 8
UNFINISHED = "unfinished"
"""The code of a finding: a run that was begun and not ended, or that ended between two releases."""


def without_plan(
    environment: Environment,
    journal: Journal,
    catalog: ReleaseCatalog,
    machine: Machine,
    regional: Sequence[Finding],
    unfinished: Sequence[Finding],
    alive: Collection[str] = (),
) -> list[Finding]:
    """The findings of every check that needs no plan, for `doctor`.

    Args:
        regional: from `region_findings`. unfinished: from `unfinished_findings`.
        alive: runs that a living command works on.
    """
    found = before_plan(environment, journal, catalog, machine, regional, unfinished)
    if prevents_plan(found):
        return found
    deployed = deployed_releases(journal)
    terms = terms_of(environment.config)
    found += before_waves(environment, journal, deployed, going_out(environment, deployed), terms).findings
    # While another command works, the state is late. Without an engine, the state cannot be read.
    if not alive and machine.engine_problem is None:
        found += _taken_names(environment)
    return found


def before_plan(
    environment: Environment,
    journal: Journal,
    catalog: ReleaseCatalog,
    machine: Machine,
    regional: Sequence[Finding],
    unfinished: Sequence[Finding] = (),
    *,
    refresh: bool = False,
) -> list[Finding]:
    """The findings before a plan is made: open runs, the preflight, regions that are fenced, gone or removed.

    Args:
        unfinished: from `unfinished_findings`; none for a run that began when nothing else was open.
        refresh: the state is refreshed first, so a region that is gone is no obstacle.
    """
    deployed = deployed_releases(journal)
    refresh = refresh or remains_of(journal).is_read_back
    found = [
        *unfinished,
        *_half_done(journal),
        *_fenced(environment, journal),
        *preflight(environment, machine, regional),
        *([] if refresh else missing_region_findings(environment, deployed, regional)),
    ]
    return found if prevents_plan(found) else [*found, *_removal(environment, catalog, deployed)]


def prevents_plan(findings: Sequence[Finding]) -> bool:
    """Whether one of ``findings`` prevents a plan."""
    return any(each.code in (*PREVENTS_PLAN, UNFINISHED) for each in errors_of(findings))


def _taken_names(environment: Environment) -> list[Finding]:
    """Names that are already in use. With a plan, `plan_findings` checks the names that it creates."""
    try:
        return taken_findings(environment)
    except Interrupted:
        raise
    except RegionshiftError as error:
        message = f"it cannot be seen which names are taken: {error.message}"
        return [Finding("collision-unknown", "warning", message, None, error.remedy or "run it again")]


def going_out(environment: Environment, deployed: DeployedReleases) -> dict[str, str | None]:
    """The release that an `up` would deploy in waves, by region, as far as the settings show it without a plan."""
    if deployed.is_empty:
        return {}  # the first goes in one run
    try:
        digest = environment.release().digest
    except RegionshiftError:
        return {}  # the preflight says why
    late = [r for r in environment.regions if deployed.releases.get(r) != digest or r in deployed.unsettled]
    return dict.fromkeys(late, digest)


@dataclass(frozen=True)
class BeforeWaves:
    """The findings before the first wave, and the red alarms."""

    findings: tuple[Finding, ...] = ()
    red: tuple[RedAlarm, ...] = ()


def before_waves(
    environment: Environment,
    journal: Journal,
    deployed: DeployedReleases,
    target: Mapping[str, str | None],
    terms: Terms,
    *,
    despite: bool = False,
) -> BeforeWaves:
    """The findings before a deployment in waves: red, missing and unread alarms, and a bake that is too short for them.

    Without anything to deploy they are warnings.

    Args:
        target: the new release of each region. despite: ignore red alarms.
    """
    severity: Severity = "error" if target else "warning"
    looked = _look(environment, deployed, terms.alarms, severity)
    red = tuple(alarm for each in looked for alarm in each.red)
    # A repair deploys the release that the regions already have, so it is not new and fixes the alarms.
    repair = all(deployed.releases.get(region) == digest for region, digest in target.items())
    digests = {digest for digest in target.values() if digest}
    excuse = Excuse(known=red) if repair else excuse_from(journal, red, digests)
    bake = bake_finding(
        environment.config.target, terms.bake, max((each.window for each in looked), default=WINDOW), severity
    )
    findings = [
        *(finding for each in looked for finding in each.findings),
        *_too_many_down(environment, [each.region for each in looked if each.is_down], severity),
        *([bake] if bake and not deployed.is_empty else []),
        *red_findings(red, excuse, severity, despite=despite),
    ]
    return BeforeWaves(tuple(findings), red)


@dataclass(frozen=True)
class _Looked:
    region: str
    red: tuple[RedAlarm, ...] = ()
    window: int = WINDOW
    findings: tuple[Finding, ...] = ()
    is_down: bool = False


def _look(
    environment: Environment, deployed: DeployedReleases, watched: Sequence[Watched], severity: Severity
) -> list[_Looked]:
    # An alarm about a region that is left out says nothing about the others.
    config = environment.called_config

    def look(region: str) -> _Looked:
        own = [alarm for alarm in watched if alarm.region == region]
        try:
            with told_plainly(region, "alarms"), calling(region):
                there = bool(deployed.releases.get(region))
                red = red_in(environment.clients, config, own, region) if there else []
                windows = {alarm: window_of(environment.clients, alarm) for alarm in own}
        except RegionDown:
            return _Looked(region, is_down=True)
        except AwsFailed as error:
            message = f"the alarms of {region} cannot be read: {error.message}"
            remedy = error.remedy or "allow cloudwatch:DescribeAlarms"
            return _Looked(region, findings=(Finding("alarms-unknown", severity, message, region, remedy),))
        missing = tuple(
            Finding(
                "alarm",
                severity,
                f"There is no alarm {alarm.name} in {region}",
                region,
                "make it, or take it out of deployment.alarms",
                is_input=True,
            )
            for alarm, window in windows.items()
            if window is None
        )
        return _Looked(region, tuple(red), max([WINDOW, *filter(None, windows.values())]), missing)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(look, environment.regions))


def _too_many_down(environment: Environment, down: Sequence[str], severity: Severity) -> list[Finding]:
    tolerance = environment.config.deployment.failure_tolerance
    if len(down) <= tolerance:
        return []
    remedy = "; ".join(f"--skip-region {region} leaves it out" for region in down)
    message = f"the alarms of {', '.join(down)} do not answer, and {tolerance} regions may be down"
    return [Finding("alarms-unknown", severity, message, None, remedy)]


def _removal(environment: Environment, catalog: ReleaseCatalog, deployed: DeployedReleases) -> list[Finding]:
    if environment.scope.left_out:
        return []  # it does not go in this run
    try:
        require_removal_alone(environment, catalog, deployed)
    except Refused as error:
        return [Finding("removal", "error", error.message.removesuffix("."), error.where, error.remedy or "")]
    return []


def _half_done(journal: Journal) -> list[Finding]:
    half = half_done(journal)
    if half is None:
        return []
    left = "not complete" if deployed_releases(journal).is_empty else "between two releases"
    message = f"the {half.kind} {half.run} ended as {half.outcome}, {left}"
    return [Finding(UNFINISHED, "warning", message, None, half.go_on)]


def _fenced(environment: Environment, journal: Journal) -> list[Finding]:
    left = not_shut(journal)
    return [
        Finding("fenced", "warning", _said_of_fence(region, left.get(region, ())), region, _rejoin(region))
        for region in sorted(environment.scope.fenced)
    ]


def _rejoin(region: str) -> str:
    return f"when it is back: regionshift up --rejoin {region}"


def _said_of_fence(region: str, roles: Collection[str]) -> str:
    said = f"{region} is fenced and gets no call"
    return f"{said}; NOT SHUT are {', '.join(roles)}, which `regionshift up` tries again" if roles else said


def missing_region_findings(
    environment: Environment, deployed: DeployedReleases, regional: Collection[Finding] = ()
) -> list[Finding]:
    """An error for each region with a release but without a deployment bucket.

    The engine trusts its state. Without a refresh it would change resources that are gone, and fail in its first wave.
    A bucket that may not be looked at is no finding.

    Args:
        regional: findings of the preflight. A region that does not answer, or refuses, is not asked again.
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
        "`regionshift up --refresh` reads back what is there and creates the rest again;"
        " `regionshift destroy` makes the state forget it",
    )
