"""What a log has of a deployment in waves: each step with its regions first, the way back too, and the durations."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from deployment_world import Process, model
from model_regions import CANARY, OTHER, PRIMARY, World

from regionshift.cli.running import RunShown
from regionshift.report.live import CourseView
from regionshift.report.printer import Screen
from regionshift.runs.deployment_plan import WaveStep

__all__ = ["model"]


def test_a_release_that_is_rolled_back_is_told_step_by_step(
    tmp_path: Path, model: Callable[[World], World]
) -> None:
    world = model(World(tmp_path, memory={}))
    Process(world).up()
    world.wanted = 1
    world.broken[world.digest(1), OTHER] = "alarm"
    screen, process = Screen(file=io.StringIO()), Process(world)
    with RunShown(CourseView(screen, "up dev", lambda: 0.0), screen) as shown:
        process.driver = replace(process.driver, listeners=[shown])
        process.up()
    said = [line.rstrip() for line in cast(io.StringIO, screen.file).getvalue().splitlines()]
    steps = [line.removesuffix("  0 s") for line in said if line.partition(": ")[2][:1] in tuple("…✓✗")]
    assert steps == [
        line
        for region, name, mark in [
            (CANARY, "wave-1/apply", "✓"),
            (CANARY, "wave-1/validate", "✓"),
            (CANARY, "wave-1/bake", "✓"),
            (OTHER, "wave-2/apply", "✓"),
            (OTHER, "wave-2/validate", "✓"),
            (OTHER, "wave-2/bake", "✗"),
            (OTHER, "back/wave-2/apply", "✓"),
            (OTHER, "back/wave-2/validate", "✓"),
            (CANARY, "back/wave-1/apply", "✓"),
            (CANARY, "back/wave-1/validate", "✓"),
        ]
        for line in (f"{region}: … {name}", f"{region}: {mark} {name}")
    ]
    shown.on_step(WaveStep("wave-1/apply", action="apply"), "after", {"regions": {CANARY: "down"}})
    assert cast(io.StringIO, screen.file).getvalue().endswith(f"! wave-1/apply  {CANARY}: down\n")
    summary = said[next(place for place, line in enumerate(said) if line.startswith("up dev  ")) :]
    assert summary[0] == "up dev  0 of 3 regions done, 1 failed, 1 rolled back  0 s"
    assert summary[1].split() == ["region", "wave", "apply", "validate", "bake", "back", "checked"]
    assert [line.split()[:2] for line in summary[2:]] == [[OTHER, "2"], [CANARY, "1"], [PRIMARY, "3"]]
