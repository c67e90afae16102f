"""Settings to begin a test with, and strategies that make up others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from regionshift.settings.config import MigrationConfig
from regionshift.settings.load import load_config
from regionshift.settings.mistakes import Mistake, SettingsError
from regionshift.settings.regions import REGIONS

SMALLEST = """\
project: shop
environment: dev
account: "012345678901"
target: local
regions: {primary: us-east-1, secondaries: [eu-west-1, ap-southeast-2]}
network: {vpc_cidr: 10.0.0.0/16}
"""

projects = st.text(st.sampled_from("abXYZ019 _.-@:/=+"), min_size=1, max_size=128).filter(
    lambda text: (
        any(letter.isalnum() for letter in text)
        and not text.lower().strip(" _.-@:/=+").startswith(("aws", "ssm", "sg-", "xn", "sthree"))
    )
)
region_sets = st.sampled_from(sorted(REGIONS)).flatmap(
    lambda partition: st.lists(
        st.sampled_from(REGIONS[partition]),
        min_size=1,
        max_size=min(30, len(REGIONS[partition])),
        unique=True,
    )
)


def tree(**changes: Any) -> dict[str, Any]:
    """The smallest file's values with ``changes`` at the top."""
    values: dict[str, Any] = yaml.safe_load(SMALLEST)
    return {**values, **changes}


def made(**changes: Any) -> MigrationConfig:
    """Settings as a program would make them."""
    return MigrationConfig.model_validate(tree(**changes))


def loaded(
    folder: Path, text: str, env: Mapping[str, str] | None = None, options: Mapping[str, object] | None = None
) -> MigrationConfig:
    """What ``text`` in a file, ``env`` and ``options`` come to."""
    path = folder / "regionshift.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, env or {}, options or {})


def mistakes_of(
    folder: Path, text: str, env: Mapping[str, str] | None = None, options: Mapping[str, object] | None = None
) -> dict[str, Mistake]:
    """Every mistake by its path."""
    try:
        loaded(folder, text, env, options)
    except SettingsError as error:
        return {mistake.path: mistake for mistake in error.mistakes}
    return {}
