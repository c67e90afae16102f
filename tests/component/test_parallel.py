"""What the engine's CLI is asked: `deployment.max_parallel`, and nothing that nobody needs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from regionshift.engine.cli import find_pulumi
from regionshift.errors import InputError
from regionshift.local.emulator import LocalCloud
from regionshift.session import open_session
from regionshift.surroundings import Surroundings, surroundings

pytestmark = pytest.mark.component

SETTINGS = """\
project: shop
environment: dev
account: "{account}"
target: local
regions: {{primary: us-east-1, secondaries: []}}
network: {{vpc_cidr: 10.0.0.0/16}}
"""


def asked_of_the_engine(folder: Path, cloud: LocalCloud, more: str) -> list[str]:
    """The runs among what `everything_asked` finds."""
    lines = everything_asked(folder, cloud, more)
    return [line for line in lines if " up " in line or " preview " in line]


def everything_asked(folder: Path, cloud: LocalCloud, more: str) -> list[str]:
    """The command lines of a preview and an up of nothing, through everything that `open_session` puts together."""
    try:
        real, _ = find_pulumi(os.environ, [Path(sys.prefix) / "bin"])
    except InputError as missing:
        pytest.skip(str(missing))
    (folder / "bin").mkdir()
    script = folder / "bin" / "pulumi"
    script.write_text(f'#!/bin/sh\necho "$*" >>"{folder}/asked"\nexec "{real}" "$@"\n')
    script.chmod(0o755)
    path = folder / "regionshift.yaml"
    path.write_text(SETTINGS.format(account=cloud.account) + more)
    variables = {
        "PATH": f"{folder}/bin:{os.environ['PATH']}",
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": cloud.access_key,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_key,
        "REGIONSHIFT_CA_BUNDLE": str(cloud.ca_bundle),
    }
    outside = surroundings()
    outside = Surroundings(variables, outside.now, outside.monotonic)
    with open_session(path, {}, outside, endpoint=cloud.endpoint, locked=True) as wired:
        wired.environment.engine.preview(lambda: None)
        wired.environment.engine.up(lambda: None)
        for _ in range(3):
            assert wired.environment.engine.outputs() == {}
    return (folder / "asked").read_text().splitlines()


def test_the_engine_works_on_as_many_as_set(tmp_path: Path, cloud: LocalCloud) -> None:
    asked = asked_of_the_engine(tmp_path, cloud, "deployment: {max_parallel: 3}\n")

    assert len(asked) == 2
    assert all("--parallel 3" in line or "--parallel=3" in line for line in asked)


def test_without_the_setting_the_engine_has_its_own_limit(tmp_path: Path, cloud: LocalCloud) -> None:
    asked = asked_of_the_engine(tmp_path, cloud, "")

    assert len(asked) == 2
    assert not any("--parallel" in line for line in asked)


def test_a_run_is_one_cli_and_tells_the_outputs(tmp_path: Path, cloud: LocalCloud) -> None:
    asked = [line.replace("--non-interactive ", "") for line in everything_asked(tmp_path, cloud, "")]
    after_preview = asked[next(i for i, line in enumerate(asked) if "preview " in line) + 1 :]

    assert [line.split(" --")[0] for line in after_preview] == ["up"]
