"""Two environments on this machine: one for our commands, and one for bare engine runs."""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TARGET = 1.3
ROUNDS = int(os.environ.get("REGIONSHIFT_BENCH_ROUNDS", "3"))
COMMAND = str(Path(sys.executable).parent / "regionshift")
BARE = str(Path(__file__).with_name("bare.py"))
# In an order in which a primary and four secondaries are far apart.
REGIONS = [
    "us-east-1",
    "eu-west-1",
    "ap-southeast-2",
    "us-west-2",
    "eu-central-1",
    "ap-northeast-1",
    "us-east-2",
    "eu-west-2",
    "ap-south-1",
    "us-west-1",
    "eu-west-3",
    "ap-southeast-1",
    "sa-east-1",
    "ca-central-1",
    "eu-north-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "eu-south-1",
    "ap-east-1",
    "me-south-1",
    "af-south-1",
    "eu-south-2",
    "eu-central-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "me-central-1",
    "il-central-1",
    "ca-west-1",
    "ap-southeast-5",
]


def settings(count: int, *, memory: int = 512, waves: bool = False) -> str:
    """Return a settings file for the first ``count`` regions; with ``waves``, in three waves."""
    regions = REGIONS[:count]
    text = f"""\
project: bench
environment: dev
account: "123456789012"
target: local
regions: {{primary: {regions[0]}, secondaries: [{", ".join(regions[1:])}]}}
network: {{vpc_cidr: 10.0.0.0/8}}
function: {{memory: {memory}}}
"""
    if waves:
        listed = ", ".join("[" + ", ".join(wave) + "]" for wave in three_waves(count))
        text += f"deployment: {{bake: 0s, waves: [{listed}]}}\n"
    return text


def three_waves(count: int) -> list[list[str]]:
    """Return the regions of each wave in `settings`."""
    return [list(REGIONS[1:2]), list(REGIONS[2:count]), list(REGIONS[:1])]


@dataclass(frozen=True)
class Cost:
    """Wall seconds and processor seconds of the command and the engine, without the embedded AWS."""

    wall: float
    cpu: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu)

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.cpu:.1f} CPU)"


def _processors() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(command: Sequence[str], folder: Path, path: str = os.environ["PATH"]) -> Cost:
    """Run ``command`` in ``folder`` and return its cost. It must succeed."""
    began, used = time.perf_counter(), _processors()
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )
    cost = Cost(time.perf_counter() - began, _processors() - used)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{done.stdout}{done.stderr}")
    return cost


class Side:
    """A folder with settings and a running embedded AWS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = os.environ["PATH"]

    def write(self, text: str, name: str = "regionshift.yaml") -> None:
        """Write a settings file."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def ours(self, *words: str) -> Cost:
        """Run one of our commands and return its cost."""
        return timed([COMMAND, *words], self.folder, self._path)

    def count_engine_runs(self) -> None:
        """Make each later run and preview of our engine write a line to ``engine-runs``."""
        found = shutil.which("pulumi", path=f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}")
        script = self.folder / "bin" / "pulumi"
        script.parent.mkdir()
        script.write_text(
            "#!/bin/sh\n"
            f'case "$*" in *" up "*|*" preview "*|*" refresh "*) echo "$*" >>"{self.folder}/engine-runs";; esac\n'
            f'exec "{found}" "$@"\n',
            encoding="utf-8",
        )
        script.chmod(0o755)
        self._path = f"{script.parent}:{os.environ['PATH']}"

    def up(self) -> Cost:
        """Run our `up` without `validate` and return its cost."""
        return self.ours("up", "--yes", "--no-validate")

    def bare(self, *options: str) -> Cost:
        """Make a bare engine run and return its cost."""
        parts = [str(self.folder / "zones.json"), str(self.folder / "function.zip")]
        return timed([sys.executable, BARE, *parts, *options], self.folder)


@contextmanager
def side(text: str) -> Iterator[Side]:
    """Yield a new folder, with embedded AWS, artifact and zones, so that these are not measured."""
    folder = Path(tempfile.mkdtemp(prefix="regionshift-bench-"))
    try:
        one = Side(folder)
        one.write(text)
        timed([COMMAND, "local", "up"], folder)
        zip_file = timed_artifact(folder)
        shutil.copy(zip_file, folder / "function.zip")
        zones = {region: [f"{region}a", f"{region}b", f"{region}c"][:2] for region in REGIONS}
        (folder / "zones.json").write_text(json.dumps(zones), encoding="utf-8")
        yield one
    finally:
        subprocess.run([COMMAND, "local", "down", "--wipe"], cwd=folder, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def timed_artifact(folder: Path) -> Path:
    """Build the function's zip where our `up` finds it."""
    from regionshift import artifact

    return artifact.build(folder / ".regionshift" / "artifacts").path


def judge(name: str, ours: Sequence[Cost], bare: Sequence[Cost], target: float = TARGET) -> bool:
    """Print the median times and the median ratio of the rounds. Return whether that is within ``target``."""
    pairs = list(zip(ours, bare, strict=True))
    wall = statistics.median(mine.wall / engine.wall for mine, engine in pairs)
    cpu = statistics.median(mine.cpu / engine.cpu for mine, engine in pairs)
    print(
        f"{name}: {statistics.median(each.wall for each in bare):.1f} s bare, "
        f"{statistics.median(each.wall for each in ours):.1f} s ours, "
        f"ratio {wall:.2f} (target {target}; of processor time {cpu:.2f})",
        flush=True,
    )
    return wall <= target
