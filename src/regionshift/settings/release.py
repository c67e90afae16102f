"""What one region runs: an immutable, content-addressed snapshot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretBytes, SecretStr

from regionshift.settings.config import MigrationConfig

SecretValue = SecretStr | SecretBytes
"""The value of one secret: text, or bytes that are none."""

# Where things are kept and how a change is made say nothing about what a region runs.
_NOT_RUN = {"target", "state", "state_secrets", "deployment", "migration", "recovery", "pipeline", "waivers"}


@dataclass(frozen=True)
class Artifact:
    """The Lambda zip: where it lies on this machine and the SHA-256 of its bytes (hex)."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Release:
    """Settings, artifact, zones and versions that a region runs. Two equal releases have one digest.

    ``secrets`` are the application's secret values by name. ``secrets_digest`` is their *keyed* digest, from which
    nobody can guess a value; it is a part of the release's own digest. ``program`` is the digest of the Pulumi
    program's source, because another program may create other resources from the same settings.
    """

    config: MigrationConfig
    artifact: Artifact
    zones: Mapping[str, tuple[str, ...]]
    secrets: Mapping[str, SecretValue]
    secrets_digest: str
    tool_version: str
    plugin_version: str
    program: str = ""

    @property
    def content(self) -> dict[str, object]:
        """Everything the region runs as plain JSON, secrets by their keyed digest only."""
        # Settings that left a region out keep its zones at hand; the release has nothing there.
        inside = self.zones.keys() & set(self.config.all_regions)
        return {
            "config": self.config.model_dump(mode="json", exclude=_NOT_RUN),
            "artifact": self.artifact.sha256,
            "zones": {region: list(self.zones[region]) for region in sorted(inside)},
            "secrets": self.secrets_digest,
            "tool": self.tool_version,
            "plugin": self.plugin_version,
            **({"program": self.program} if self.program else {}),
        }

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over :attr:`content`."""
        return digest_of(self.content)


def digest_of(content: Mapping[str, object]) -> str:
    """The digest (SHA-256, hex) of a release's :attr:`Release.content`."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def config_of(content: Mapping[str, object], current: MigrationConfig) -> MigrationConfig:
    """The settings of a release, checked again; what says nothing about what runs is taken from ``current``.

    Raises pydantic's ValidationError when these settings were written for another version of the tool.
    """
    kept = content["config"]
    if not isinstance(kept, dict):
        raise TypeError("a release's settings are an object")
    return MigrationConfig.model_validate({**kept, **current.model_dump(mode="json", include=_NOT_RUN)})
