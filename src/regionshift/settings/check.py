"""Computes every name that the environment will have, in every region, and finds those AWS would refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from regionshift.settings.components import COMPONENTS, FUNCTION, WORKER, replication_failed_alarm
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import NameKind

_DASHED = re.compile(r"[a-z0-9]+(-+[a-z0-9]+)*")
_PATH = re.compile(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_PARAMETER_ARN = "arn:aws-us-gov:ssm:{}:000000000000:parameter"
_CHARACTERS = {
    NameKind.KEY_ALIAS: re.compile(r"alias/[a-z0-9-]+"),  # KMS API Reference, CreateAlias
    NameKind.LOG_GROUP: _PATH,  # CloudWatch Logs API Reference, CreateLogGroup
    NameKind.PARAMETER: _PATH,  # SSM API Reference, PutParameter
    NameKind.SECRET: _PATH,  # Secrets Manager API Reference, CreateSecret
}
# Beginnings that AWS keeps for itself, each from the page named in ``names.Kind``.
_RESERVED = {
    NameKind.BUCKET: ("xn--", "sthree-", "amzn-s3-demo-"),
    NameKind.PARAMETER: ("/aws", "/ssm"),
    NameKind.LOG_GROUP: ("/aws/",),
    NameKind.SECURITY_GROUP: ("sg-",),
}


@dataclass(frozen=True)
class EnvironmentName:
    """One name of the environment and the region that it is for."""

    name: str
    kind: NameKind
    component: str
    region: str


@dataclass(frozen=True)
class NameProblem:
    """One name that AWS would refuse, or that two things share."""

    name: str
    kind: NameKind
    problem: str
    component: str
    region: str


def every_name(config: MigrationConfig) -> list[EnvironmentName]:
    """Every name of the environment in every region, in a fixed order."""
    return [name for region in dict.fromkeys(config.all_regions) for name in _in_region(config, region)]


def name_problems(config: MigrationConfig) -> list[NameProblem]:
    """What is wrong with the names of the environment; empty when AWS will take all of them."""
    problems: list[NameProblem] = []
    owners: dict[tuple[NameKind, str], EnvironmentName] = {}
    for name in every_name(config):
        problems.extend(
            NameProblem(name.name, name.kind, text, name.component, name.region) for text in _faults(name)
        )
        other = owners.setdefault((name.kind, name.name), name)
        if other is not name:
            text = (
                f"is the name of both {other.component} ({other.region}) and {name.component} ({name.region})"
            )
            problems.append(NameProblem(name.name, name.kind, text, name.component, name.region))
    return problems


def _in_region(config: MigrationConfig, region: str) -> Iterator[EnvironmentName]:
    names, store = config.names, config.application.store
    unused = NameKind.SECRET if store == "ssm" else NameKind.PARAMETER
    for component in COMPONENTS:
        if component.kind is not unused:
            yield EnvironmentName(component.name(names, region), component.kind, component.part, region)
    for function in (FUNCTION, WORKER):
        group = names.function_log_group(function.name(names, region))
        yield EnvironmentName(group, NameKind.LOG_GROUP, function.part, region)
    for other in dict.fromkeys(config.all_regions):
        # Any region may become the primary and replicate to the others.
        if other != region:
            alarm = replication_failed_alarm(other)
            yield EnvironmentName(alarm.name(names, region), alarm.kind, alarm.part, region)
    for secret in config.application.secrets:
        kind = NameKind.PARAMETER if store == "ssm" else NameKind.SECRET
        full = names.parameter(secret, region) if store == "ssm" else names.secret(secret, region)
        yield EnvironmentName(full, kind, secret, region)


def _faults(name: EnvironmentName) -> Iterator[str]:
    kind, text = name.kind, name.name
    # SSM counts the ARN's beginning as part of the 1,011 characters.
    length = len(text) + (len(_PARAMETER_ARN.format(name.region)) if kind is NameKind.PARAMETER else 0)
    if not kind.shortest <= length <= kind.limit:
        yield f"has {length} characters; a {kind.label} has {kind.shortest} to {kind.limit}"
    if not _CHARACTERS.get(kind, _DASHED).fullmatch(text):
        yield f"has characters that a {kind.label} may not have"
    is_lambda_group = kind is NameKind.LOG_GROUP and text.startswith("/aws/lambda/")
    for reserved in _RESERVED.get(kind, ()):
        if text.startswith(reserved) and not is_lambda_group:
            yield f"begins with {reserved}, which AWS keeps for itself"
