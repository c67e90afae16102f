"""Every command that succeeds on an environment that is up ends with 0; refused, failed and stopped as documented."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from primary_site import FIRST, SECOND, Site

from regionshift.cli.app import app
from regionshift.cli.failure import run
from regionshift.local import emulator

pytestmark = [pytest.mark.component, pytest.mark.thorough]
PATH = "/exit-codes"


def _commands(group: Any, before: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for name, command in group.commands.items():
        path = (*before, name)
        found |= _commands(command, path) if hasattr(command, "commands") else {path}
    return found


LOOKS = (
    "doctor", "preview", "validate", "outputs", "releases", "history", "status", "drift", "explain", "report --json",
)  # fmt: skip


def test_every_command_by_how_it_ends(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done: set[tuple[str, ...]] = set()

    def ends(code: int, *arguments: str, of: tuple[str, ...] = ()) -> None:
        assert site.run(*arguments) == code, capsys.readouterr()
        if code == 0:
            done.add(of or arguments[:1])

    text = site.file.read_text()
    for words in LOOKS:
        ends(0, *words.split())
    ends(2, "up", "--rejoin", SECOND)
    ends(2, "resume")
    # A change in waves, data, and both ways back.
    site.clients.get("ssm", FIRST).put_parameter(Name=f"{PATH}/one", Value="1", Type="String")
    site.file.write_text(text + f"function: {{memory: 640}}\ncarry: {{ssm: [{{path: {PATH}}}]}}\n")
    ends(3, "up")
    ends(3, "up", "--yes")  # the entry of carry opens more to the worker
    capsys.readouterr()
    ends(3, "preview", "--json")
    opened = [
        word
        for each in json.loads(capsys.readouterr().out)["growth"]
        for word in ("--allow-broadening", each["id"])
    ]
    ends(0, "up", "--yes", *opened)
    capsys.readouterr()
    ends(0, "releases", "--json")
    new, old = (each["digest"] for each in json.loads(capsys.readouterr().out)[:2])
    ends(0, "diff", old, new)
    ends(3, "migrate", "--from", FIRST, "--to", SECOND)
    ends(0, "migrate", "--from", FIRST, "--to", SECOND, "--yes", "--id", "exit-codes")
    ends(0, "rollback", "exit-codes", "--yes")
    ends(0, "rollback", "--yes")
    ends(3, "rollback", "--yes")
    site.file.write_text(text)
    # Changes of primary: failed, stopped and gone on with, and as a move.
    site.fates.left = {"last-copy": "fails"}
    ends(1, "promote", SECOND, "--yes")
    site.fates.left = {"last-copy": "Ctrl-C"}
    ends(130, "promote", SECOND, "--yes")
    ends(1, "status")
    ends(3, "up", "--yes")
    ends(0, "resume", "--yes")
    ends(0, "move", "--from", SECOND, "--to", FIRST, "--yes")
    ends(0, "promote", SECOND, "--yes")
    ends(3, "destroy")
    ends(0, "destroy", "--yes")
    ends(1, "outputs")
    # What works beside an environment.
    there = str(tmp_path / "new.yaml")
    assert run(app, ["init", "--config", there, "--account", "123456789012"]) == 0
    for command in ("up", "status", "env", "down"):
        assert run(app, ["local", command, "--config", there]) == 0, command
        done.add(("local", command))
    assert emulator.status(tmp_path / ".regionshift/cloud") is None
    shared = {
        "project": "orders", "environment": "dev", "account": "123456789012", "target": "aws",
        "regions": {"primary": FIRST, "secondaries": [SECOND]}, "network": {"vpc_cidr": "10.0.0.0/16"},
        "state": "s3://states/x?region=eu-central-1", "state_secrets": "awskms://alias/states?region=eu-central-1",
        "pipeline": {"repository": "octo-org/orders", "image": f"example.com/tools@sha256:{'0' * 64}"},
    }  # fmt: skip
    (tmp_path / "shared.yaml").write_text(json.dumps(shared))
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    for group, command in (("policy", "deploy"), ("policy", "runtime"), ("ci", "github"), ("ci", "gitlab")):
        assert run(app, [group, command, "--config", str(tmp_path / "shared.yaml")]) == 0, command
        done.add((group, command))
    # `bootstrap` has a story of its own (e2e/test_bootstrap.py), and takes no settings of an environment that is gone.
    assert done | {("init",), ("help",), ("bootstrap",)} == _commands(typer.main.get_command(app))
