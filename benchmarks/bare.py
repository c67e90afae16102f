"""A bare engine run in a process of its own. `side.py` compares it with `regionshift up`.

It runs the Automation API with the same program, local provider and embedded AWS. The function's zip is already built
and the availability zones are known. There is no guard, preflight, lock, preview, plan, journal or release, and no
query for outputs and history. The engine has our settings: checkpoints, no stack traces and debug lines of the SDK,
less garbage collection. So the ratio shows what `up` adds, not what it saves.

    bare.py ZONES.json ARTIFACT.zip [--wave REGION ...] [--old SETTINGS] [--release REGION ...] [--preview]
            [--checkpoints] [--one-provider] [--usage FILE]

``--preview`` previews first, as an interactive `pulumi up` does. ``--wave`` limits the run to these regions. The
regions in ``--release`` get ``regionshift.yaml``, the others ``--old``. ``--one-provider`` creates the resources of all
regions with the primary's provider. ``--as-shipped`` uses Pulumi's SDK and engine unchanged: without `quiet_sdk`, with
the two CLI calls of the SDK after a run, and with Python's garbage collection. ``--usage`` writes peak memory (MB) and
processor time (s) of the engine, and of the process with the program and the local provider.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil
import pulumi
from pulumi.automation import LocalWorkspace, ProjectBackend, ProjectRuntimeInfo, ProjectSettings, Stack
from pulumi.automation._stack import StackInitMode
from semver import VersionInfo

from regionshift.engine.cli import StoppableCommand
from regionshift.engine.sdk import quiet_sdk
from regionshift.infrastructure.program import AWSProviderManager, ProviderSettings, environment
from regionshift.local import emulator
from regionshift.local.provider.assets import Files
from regionshift.local.provider.server import serve
from regionshift.machine import collect_garbage_less
from regionshift.operations.planning import targets_of
from regionshift.settings.load import load_config
from regionshift.settings.release import Artifact, Release

VERSION = VersionInfo(3, 200, 0)


class _Plain(Stack):
    """A stack that does not ask the CLI for outputs and history after the run."""

    def outputs(self) -> dict[str, Any]:
        return {}

    def info(self, show_secrets: bool | None = None) -> Any:  # noqa: ARG002 - the SDK's signature
        return object()


def variables(home: Path, cloud: emulator.LocalCloud, port: int, given: argparse.Namespace) -> dict[str, str]:
    """Return the variables of the engine's process."""
    key = home / "passphrase"
    key.write_text("bench", encoding="utf-8")
    found = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "AWS_"))}
    found |= {
        "PULUMI_HOME": str(home / "home"),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(key),
        "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
        "AWS_CA_BUNDLE": str(cloud.ca_bundle),
    }
    if not given.as_shipped:
        found["GOGC"] = "400"  # as in engine_setup.py
    if not given.checkpoints:
        found |= {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
    return found


def releases(given: argparse.Namespace) -> dict[str, Release]:
    """Return each region's release."""
    zones = {region: tuple(names) for region, names in json.loads(given.zones.read_text()).items()}
    artifact = Artifact(given.artifact, hashlib.sha256(given.artifact.read_bytes()).hexdigest())

    def of(settings: str) -> Release:
        return Release(load_config(Path(settings), {}, {}), artifact, zones, {}, "", "bench", "bench")

    new = of("regionshift.yaml")
    old = of(given.old) if given.old else new
    return {r: new if r in given.release or not given.old else old for r in new.config.all_regions}


def main() -> None:
    """Run the engine once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("zones", type=Path)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--wave", nargs="*", default=[])
    parser.add_argument("--old")
    parser.add_argument("--release", nargs="*", default=[])
    parser.add_argument("--preview", action="store_true")
    parser.add_argument("--checkpoints", action="store_true")
    parser.add_argument("--one-provider", action="store_true")
    parser.add_argument("--as-shipped", action="store_true")
    parser.add_argument("--usage", type=Path)
    given = parser.parse_args()
    if not given.as_shipped:
        collect_garbage_less()
    home = Path.cwd() / "bare"
    (home / "state").mkdir(parents=True, exist_ok=True)
    cloud = emulator.status(Path.cwd() / ".regionshift" / "cloud")
    if cloud is None:
        raise SystemExit("the embedded AWS does not run")
    target = releases(given)
    if given.one_provider:
        share_provider(next(iter(target)))
    settings = ProviderSettings(cloud.endpoint, cloud.access_key, cloud.secret_key)
    newest = next(iter(target.values()))

    def program() -> None:
        for name, value in environment(target, provider_settings=settings, links=newest).items():
            pulumi.export(name, value)

    command = shutil.which("pulumi", path=f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}")
    sdk, stack_type = (nullcontext(), Stack) if given.as_shipped else (quiet_sdk(), _Plain)
    files = Files()
    files.allow(newest.artifact.path.absolute(), newest.artifact.sha256)
    with serve(cloud, files=files) as port, sdk, watched() as peaks:
        workspace = LocalWorkspace(
            work_dir=str(home),
            pulumi_command=StoppableCommand(
                Path(command or "pulumi"), VERSION, variables(home, cloud, port, given)
            ),
            secrets_provider="passphrase",
            project_settings=ProjectSettings(
                "bench", ProjectRuntimeInfo(name="python"), backend=ProjectBackend(f"file://{home}/state")
            ),
        )
        stack = stack_type("bench", workspace, StackInitMode.CREATE_OR_SELECT)
        target_options = {"target": targets_of(given.wave)} if given.wave else {}
        if given.preview:
            stack.preview(program=program, suppress_outputs=True, color="never")
        stack.up(program=program, suppress_outputs=True, color="never", **target_options)
    if given.usage:
        mine, engine = (resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        used = {
            "program_mb": mine.ru_maxrss // 1024,
            "engine_mb": max(peaks, default=0),
            "program_cpu": mine.ru_utime + mine.ru_stime,
            "engine_cpu": engine.ru_utime + engine.ru_stime,
        }
        given.usage.write_text(json.dumps(used), encoding="utf-8")


@contextmanager
def watched() -> Iterator[list[int]]:
    """Measure the memory (MB) of the engine's process ten times a second during the block.

    The operating system's peak of child processes also counts memory that a child shares with us before its exec.
    """
    found: list[int] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            for child in psutil.Process().children():
                try:
                    if child.name() == "pulumi":
                        found.append(child.memory_info().rss // 2**20)
                except psutil.NoSuchProcess:
                    continue

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def share_provider(region: str) -> None:
    """Create the resources of all regions with the provider of ``region``, and so in that region.

    This measures only the cost for the engine.
    """
    own = AWSProviderManager.get_provider
    AWSProviderManager.get_provider = lambda self, _region: own(self, region)  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
