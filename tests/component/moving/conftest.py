"""One environment of two regions for all tests of this folder; each leaves it whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from primary_site import SETTINGS, Fates, Site, befalling

from regionshift.aws.clients import Clients
from regionshift.engine.cli import find_pulumi
from regionshift.errors import InputError
from regionshift.local.emulator import LocalCloud


@pytest.fixture(scope="module")
def site(cloud: LocalCloud, clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Up; taken down when the module ends."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("REGIONSHIFT_", "PULUMI_", "AWS_", "ENVIRONMENT_SUFFIX")):
                patch.delenv(name)
        tools = Path(__file__).parents[3] / ".cache" / "bin"
        patch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        try:
            find_pulumi(os.environ, [])
        except InputError as missing:
            pytest.skip(str(missing))
        patch.setenv("REGIONSHIFT_ENDPOINT", cloud.endpoint)
        patch.setenv("REGIONSHIFT_CA_BUNDLE", str(cloud.ca_bundle))
        patch.setenv("AWS_ACCESS_KEY_ID", cloud.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", cloud.secret_key)
        fates = Fates()
        befalling(fates, patch)
        file = tmp_path_factory.mktemp("site") / "regionshift.yaml"
        file.write_text(SETTINGS)
        made = Site(file, clients, fates)
        assert made.run("up", "--yes", "--no-validate") == 0
        yield made
        made.run("destroy", "--yes")
