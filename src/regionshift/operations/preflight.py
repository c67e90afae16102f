"""What must be so before the first change: each thing that is not becomes a finding with its remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from regionshift.errors import RegionshiftError
from regionshift.operations.environment import Environment
from regionshift.report.values import Finding
from regionshift.settings.check import name_problems

# One plugin process serves one provider, and there is one provider a region (measured: 170 to 430 MB each).
PLUGIN_MEMORY_MB = 430


@dataclass(frozen=True)
class Machine:
    """What this machine offers: memory that is free, in MB, and whether the AWS plugin must still be fetched."""

    free_memory_mb: int
    plugin_missing: bool = False


def preflight(environment: Environment, machine: Machine) -> list[Finding]:
    """Every finding there is; an empty list means that nothing stands in the way. Changes nothing."""
    parts: Iterable[Callable[[], list[Finding]]] = (
        lambda: _names(environment),
        lambda: _regions(environment),
        lambda: _artifact(environment),
        lambda: _memory(environment, machine),
        lambda: _plugin(environment, machine),
        lambda: _pending_secrets(environment),
    )
    return [finding for part in parts for finding in part()]


def _names(environment: Environment) -> list[Finding]:
    return [
        Finding(
            "name",
            "error",
            f"{problem.name} {problem.problem}",
            problem.region,
            "change project or environment",
        )
        for problem in name_problems(environment.config)
    ]


def _regions(environment: Environment) -> list[Finding]:
    """Each region must answer these credentials; a region that is not enabled for the account does not."""

    def ask(region: str) -> list[Finding]:
        try:
            environment.clients.call(region, "sts", "get_caller_identity")
        except RegionshiftError as error:
            remedy = error.remedy or "enable the region for the account, or take it out of `regions`"
            return [Finding("region", "error", f"{region} does not answer: {error.message}", region, remedy)]
        return []

    with ThreadPoolExecutor(max_workers=8) as pool:
        return [finding for found in pool.map(ask, environment.regions) for finding in found]


def _artifact(environment: Environment) -> list[Finding]:
    try:
        environment.release()
    except RegionshiftError as error:
        return [Finding("artifact", "error", error.message, None, error.remedy)]
    return []


def _memory(environment: Environment, machine: Machine) -> list[Finding]:
    if environment.config.target != "aws":
        return []  # the local provider is a part of this process, for all regions together
    needed = PLUGIN_MEMORY_MB * len(environment.regions)
    if needed <= machine.free_memory_mb:
        return []
    message = (
        f"{len(environment.regions)} provider processes may need {needed} MB, "
        f"{machine.free_memory_mb} MB are free"
    )
    return [Finding("memory", "warning", message, None, "run on a larger machine, or with fewer regions")]


def _plugin(environment: Environment, machine: Machine) -> list[Finding]:
    if environment.config.target != "aws" or not machine.plugin_missing:
        return []
    remedy = "install it beforehand with `pulumi plugin install resource aws` where the network is closed"
    return [Finding("plugin", "info", "the engine will first download its AWS plugin", None, remedy)]


def _pending_secrets(environment: Environment) -> list[Finding]:
    """On AWS nothing can be made under the name of a secret that waits for its deletion.

    Secrets Manager API Reference, CreateSecret, InvalidRequestException. The embedded AWS's provider takes such
    secrets back by itself; the ordinary plugin cannot.
    """
    config = environment.config
    if config.target != "aws" or config.application.store != "secretsmanager":
        return []
    found = []
    for region in environment.regions:
        pages = (
            environment.clients.get("secretsmanager", region)
            .get_paginator("list_secrets")
            .paginate(
                IncludePlannedDeletion=True,
                Filters=[{"Key": "name", "Values": [config.names.secret("", region)]}],
            )
        )
        found += [
            Finding(
                "pending-secret",
                "error",
                f"the secret {secret['Name']} waits for its deletion, and its name is taken until then",
                region,
                f"aws secretsmanager delete-secret --force-delete-without-recovery --region {region} "
                f"--secret-id {secret['Name']}   (then run the command again)",
            )
            for page in pages
            for secret in page["SecretList"]
            if "DeletedDate" in secret
        ]
    return found
