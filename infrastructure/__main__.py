"""The program for the plain Pulumi CLI: ``pulumi -C infrastructure preview``. See docs/infrastructure.md.

The availability zones are configuration, because the program makes no lookups:
``pulumi config set --path 'zones.us-east-1[0]' us-east-1a``.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import pulumi

from regionshift import artifact
from regionshift.aws.clients import Clients
from regionshift.infrastructure.program import ProviderSettings, environment
from regionshift.operations.secret_values import read_secrets
from regionshift.settings.load import load_config
from regionshift.settings.release import Release

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Create all regions of the settings at one release, with their links."""
    stack = pulumi.Config()
    path = HERE / (stack.get("settings") or "../regionshift.yaml")
    config = load_config(path, os.environ, {})
    zones: dict[str, list[str]] = stack.get_object("zones") or {}
    release = Release(
        config=config,
        artifact=artifact.build(HERE / ".build"),
        zones={region: tuple(names) for region, names in zones.items()},
        secrets=read_secrets(config, Clients(), config.all_regions, os.environ, path.parent),
        secrets_digest="",  # only for the catalog of releases, which the plain CLI does not use
        tool_version=version("regionshift"),
        plugin_version=version("pulumi-aws"),
    )
    outputs = environment(
        dict.fromkeys(config.all_regions, release),
        provider_settings=ProviderSettings(endpoint=stack.get("endpoint")),
        links=release,
    )
    for name, value in outputs.items():
        pulumi.export(name, value)


main()
