"""Measure time and memory of bare engine runs by number of regions, with the engine's checkpoints, as on AWS.

    regions.py [5 10 20 30] [--one-provider]

For each number there are a first up, a run that changes nothing, and a change of one function setting in three waves.
The table has wall seconds, processor seconds (more reliable on a busy machine) and the size of the state. It also has
the peak memory of the engine, and of the process with the program and the local provider. On AWS each region has a
plugin process instead. ``--one-provider`` also measures the first two with one provider for all regions.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from side import Side, settings, side, three_waves

HEAD = "| regions | resources | run | wall s | program CPU s | engine CPU s | program MB | engine MB | state KB |"


def resources(one: Side) -> tuple[int, int]:
    """Return the number of resources in the state, and its size in KB."""
    state = next((one.folder / "bare" / "state").glob(".pulumi/stacks/**/bench.json"))
    found = json.loads(state.read_text(encoding="utf-8"))["checkpoint"]["latest"]["resources"]
    return len(found), state.stat().st_size // 1024


def row(one: Side, count: int, name: str, *options: str) -> None:
    """Make one run, or one for each of the three waves, and print its row."""
    begun: list[str] = []
    waves: list[list[str]] = three_waves(count) if name == "three waves" else [[]]
    usage = one.folder / "usage.json"
    seconds = 0.0
    used: list[dict[str, float]] = []
    for wave in waves:
        begun += wave
        limit = ("--old", "old.yaml", "--wave", *wave, "--release", *begun) if wave else ()
        seconds += one.bare("--checkpoints", "--usage", str(usage), *limit, *options).wall
        used.append(json.loads(usage.read_text(encoding="utf-8")))
    held, size = resources(one)
    cpu = " | ".join(f"{sum(each[part] for each in used):.1f}" for part in ("program_cpu", "engine_cpu"))
    memory = " | ".join(f"{max(each[part] for each in used):.0f}" for part in ("program_mb", "engine_mb"))
    print(f"| {count} | {held} | {name} | {seconds:.1f} | {cpu} | {memory} | {size} |", flush=True)


def measure(count: int) -> None:
    """Measure with one provider for each region, as in the product."""
    with side(settings(count)) as one:
        row(one, count, "first up")
        row(one, count, "no change")
        Path(one.folder / "old.yaml").write_text(settings(count), encoding="utf-8")
        one.write(settings(count, memory=513))
        row(one, count, "three waves")


def main() -> None:
    """Measure each number of regions."""
    parser = argparse.ArgumentParser()
    parser.add_argument("counts", nargs="*", type=int, default=[5, 10, 20, 30])
    parser.add_argument("--one-provider", action="store_true")
    given = parser.parse_args()
    print(HEAD + "\n|" + "---:|" * (HEAD.count("|") - 1), flush=True)
    for count in given.counts:
        measure(count)
        if given.one_provider:
            with side(settings(count)) as one:
                row(one, count, "first up, one provider", "--one-provider")
                row(one, count, "no change, one provider", "--one-provider")


if __name__ == "__main__":
    main()
