"""`regionshift up` against a bare engine run over the same program, side by side on this machine.

Bare: the Automation API's own `up` in a process of its own, over the program, settings, provider and embedded
AWS that `regionshift up` uses, with the engine tuned the same way; no guard, no preflight, no lock, no plan, no
journal. Runs alternate, and each first up begins from nothing. Prints seconds, and ours divided by bare (the
median of each). Exits with 1 when a ratio is over the target.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGET = 1.3
ROUNDS = int(os.environ.get("REGIONSHIFT_BENCH_ROUNDS", "3"))
COMMAND = str(Path(sys.executable).parent / "regionshift")
SETTINGS = """\
project: bench
environment: dev
account: "123456789012"
target: local
regions: {primary: us-east-1, secondaries: [eu-west-1, ap-southeast-2]}
network: {vpc_cidr: 10.0.0.0/16}
"""
# The environment of the engine and the program are the product's own; what is left out is all that `up` adds.
BARE = """\
from pathlib import Path
from pulumi.automation import LocalWorkspace, ProjectBackend, ProjectRuntimeInfo, ProjectSettings, Stack
from regionshift import wiring
from regionshift.engine.cli import StoppableCommand
from regionshift.engine.quiet import quiet_sdk

with wiring.wire(Path("regionshift.yaml"), {}, wiring.surroundings()) as wired:
    environment = wired.environment
    settings = environment.engine._settings
    settings.work_dir.mkdir(parents=True, exist_ok=True)
    workspace = LocalWorkspace(
        work_dir=str(settings.work_dir),
        pulumi_command=StoppableCommand(settings.command, settings.version, settings.environment),
        secrets_provider=settings.secrets_provider,
        project_settings=ProjectSettings(
            name=settings.project,
            runtime=ProjectRuntimeInfo(name="python"),
            backend=ProjectBackend(settings.backend),
        ),
    )
    stack = Stack.create_or_select(settings.stack, workspace)
    program = environment.program(environment.same_everywhere(environment.release()))
    with quiet_sdk():
        stack.up(program=program, suppress_outputs=True, color="never")
"""


def timed(command: list[str], folder: Path) -> float:
    """Seconds that ``command`` takes; it must succeed."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])} failed:\n{done.stdout}{done.stderr}")
    return seconds


def both(command: list[str]) -> tuple[float, float]:
    """Seconds of a first up and of one that changes nothing, over an embedded AWS that is already running."""
    folder = Path(tempfile.mkdtemp(prefix="regionshift-bench-"))
    try:
        (folder / "regionshift.yaml").write_text(SETTINGS, encoding="utf-8")
        timed([COMMAND, "local", "up"], folder)
        return timed(command, folder), timed(command, folder)
    finally:
        subprocess.run([COMMAND, "local", "down", "--wipe"], cwd=folder, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Measure, print, judge."""
    ours: list[tuple[float, float]] = []
    bare: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        bare.append(both([sys.executable, "-c", BARE]))
        ours.append(both([COMMAND, "up", "--yes", "--no-validate"]))
        print(f"round {number + 1}: bare {bare[-1][0]:.1f} s, {bare[-1][1]:.1f} s again; ", end="")
        print(f"regionshift up {ours[-1][0]:.1f} s, {ours[-1][1]:.1f} s again", flush=True)
    over = False
    for index, name in enumerate(("first up", "up that changes nothing")):
        mine, engine = (statistics.median(each[index] for each in side) for side in (ours, bare))
        ratio = mine / engine
        over = over or ratio > TARGET
        print(f"{name}: bare {engine:.1f} s, regionshift {mine:.1f} s, ratio {ratio:.2f} (target {TARGET})")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
