"""`regionshift policy`: what a pipeline's roles need, and what the environment's own roles have. Asks AWS nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from regionshift.cli.opening import settings_of
from regionshift.cli.options import Choices
from regionshift.cli.show import console, print_json, screen_of
from regionshift.errors import InputError
from regionshift.infrastructure.operator_rights import (
    ExplainedStatement,
    ManagedPolicy,
    operator_policies,
    reaches_beyond,
)
from regionshift.infrastructure.policies.packing import length
from regionshift.infrastructure.runtime_rights import RuntimeRole, runtime_roles
from regionshift.infrastructure.site import Site
from regionshift.machine import disk_trouble
from regionshift.report.printer import Screen
from regionshift.settings.components import PipelineRole
from regionshift.settings.quotas import MANAGED_POLICIES, MANAGED_POLICY


def run_policy_deploy(choices: Choices, role: str, folder: Path | None) -> int:
    """The least policies of a pipeline's role: as Markdown, as JSON, or a file each in ``folder``."""
    config = settings_of(choices)
    policies = operator_policies(config, PipelineRole(role))
    if len(policies) > MANAGED_POLICIES.most:
        raise InputError(
            f"The role would need {len(policies)} policies, of {MANAGED_POLICIES.most} ({MANAGED_POLICIES.page}).",
            where="carry",
            remedy="shorten `carry` (fewer entries, shorter names) or the names of project and environment; or ask for"
            " more policies a role in Service Quotas",
            error_id="RS-SETTINGS-009",
        )
    for said, remedy in reaches_beyond(config, PipelineRole(role)):
        screen_of(stderr=True).print(f"warning: {said}; {remedy}.")
    if folder is not None:
        _write(folder, policies)
    if choices.as_json:
        print_json([_request(policy) for policy in policies])
        return 0
    screen = console(choices)
    if folder is not None:
        for policy in policies:
            file = folder / f"{policy.name}.json"
            screen.print(f"aws iam create-policy --policy-name {policy.name} --policy-document file://{file}")
        return 0
    screen.print(f"# What the {role} role of {config.project} {config.suffix} needs")
    for policy in policies:
        used = length([each.statement for each in policy.statements])
        _show(screen, f"{policy.name} ({used:,} of {MANAGED_POLICY.most:,} characters)", policy.statements)
    return 0


def run_policy_runtime(choices: Choices, region: str | None) -> int:
    """What the environment's roles have in a region, the primary by default, which has all of them."""
    config = settings_of(choices)
    chosen = region or config.regions.primary
    if chosen not in config.all_regions:
        raise InputError(
            f"{chosen} is no region of this environment.",
            where="--region",
            remedy=f"one of {', '.join(config.all_regions)}",
            error_id="RS-REGION-001",
        )
    roles = runtime_roles(Site.by_settings(config, chosen))
    if choices.as_json:
        print_json([_role(role) for role in roles])
        return 0
    screen = console(choices)
    for role in roles:
        _show(screen, f"{role.name}: {role.purpose}", role.statements)
    return 0


def _write(folder: Path, policies: Iterable[ManagedPolicy]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for policy in policies:
            (folder / f"{policy.name}.json").write_text(policy.document + "\n", encoding="utf-8")
    except OSError as error:
        what, remedy = disk_trouble(error) or (error.strerror, "give a folder that can be written")
        raise InputError(
            f"The policies cannot be written: {what}.",
            where=str(folder),
            remedy=remedy,
            error_id="RS-FILE-002",
        ) from error


def _request(policy: ManagedPolicy) -> Mapping[str, str]:
    """What ``aws iam create-policy --cli-input-json`` takes."""
    return {"PolicyName": policy.name, "PolicyDocument": policy.document}


def _role(role: RuntimeRole) -> Mapping[str, Any]:
    return {
        "role": role.name,
        "purpose": role.purpose,
        "statements": [{"why": each.why, **each.statement} for each in role.statements],
    }


def _show(screen: Screen, title: str, statements: Iterable[ExplainedStatement]) -> None:
    """Markdown: of each statement why, and then what of what under which condition."""
    screen.print("")
    screen.print(f"## {title}")
    for each in statements:
        statement = each.statement
        for line in ("", f"### {statement['Sid']}", "", each.why, ""):
            screen.print(line)
        actions = ", ".join(f"`{action}`" for action in statement["Action"])
        screen.print(f"- {statement['Effect']}: {actions}")
        for resource in statement["Resource"]:
            screen.print(f"- on `{resource}`")
        for operator, keys in statement.get("Condition", {}).items():
            for key, wanted in keys.items():
                screen.print(f"- where {operator} `{key}`: {json.dumps(wanted)}")
