"""Compare a change in three waves, an up that changes nothing, and a rollback with bare engine runs of the same.

There are five regions (about 375 resources). Each round changes the function in all regions. Bare runs are the same
three engine runs, each limited to its wave and in a process of its own. They run once with Pulumi's SDK unchanged, and
once with our changes to it. Our command adds preview, journal, a stored release, and the checks of each wave's regions.
The bake is 0. Also counts our engine runs. Exits with 1 when a ratio is over its target.
"""

from __future__ import annotations

import sys

from side import ROUNDS, Cost, Side, judge, settings, side, three_waves

COUNT = 5
WAVES = three_waves(COUNT)
# One preview for all waves, and one run for each wave; links do not change.
SMALLEST = 1 + len(WAVES)


def bare_waves(theirs: Side, *options: str) -> Cost:
    """Make the three bare runs and return their total cost."""
    begun: list[str] = []
    cost = Cost(0, 0)
    for wave in WAVES:
        begun += wave
        # With checkpoints, as our command writes them when it changes existing resources.
        cost += theirs.bare(
            "--checkpoints", "--old", "old.yaml", "--wave", *wave, "--release", *begun, *options
        )
    return cost


def engine_runs(mine: Side) -> int:
    """Return the number of counted engine runs, with previews."""
    log = mine.folder / "engine-runs"
    count = len(log.read_text(encoding="utf-8").splitlines()) if log.exists() else 0
    log.unlink(missing_ok=True)
    return count


def main() -> int:
    """Measure, print, and return the exit code."""
    change: tuple[list[Cost], list[Cost]] = ([], [])
    nothing: tuple[list[Cost], list[Cost]] = ([], [])
    shipped: list[Cost] = []
    back: list[Cost] = []
    runs: set[int] = set()
    first = settings(COUNT, waves=True)
    with side(first) as mine, side(first) as theirs, side(first) as pulumi:
        mine.count_engine_runs()
        theirs.bare()
        pulumi.bare()
        mine.up()
        for number in range(ROUNDS):
            changed = settings(COUNT, memory=513 + number, waves=True)
            for each in (mine, theirs, pulumi):
                each.write(settings(COUNT, memory=512 + number, waves=True), "old.yaml")
                each.write(changed)
            shipped.append(bare_waves(pulumi, "--as-shipped"))
            change[1].append(bare_waves(theirs))
            engine_runs(mine)
            change[0].append(mine.ours("up", "--yes", "--no-validate"))
            runs.add(engine_runs(mine))
            nothing[1].append(theirs.bare())
            nothing[0].append(mine.up())
            back.append(mine.ours("rollback", "--yes"))
            mine.write(changed)
            mine.up()
            print(
                f"round {number + 1}: three waves {shipped[-1]} as shipped, {change[1][-1]} bare, "
                f"{change[0][-1]} ours, back {back[-1]}; no change {nothing[1][-1]} bare, {nothing[0][-1]} ours",
                flush=True,
            )
    verdicts = [
        judge("three waves that change one function, against Pulumi as shipped", change[0], shipped),
        judge("three waves that change one function", *change),
        judge("up that changes nothing", *nothing),
        judge("rollback, against the deployment", back, change[0], 1.0),
    ]
    print(f"engine runs of the three waves: {sorted(runs)} (smallest that is safe: {SMALLEST})")
    return 0 if all(verdicts) and runs == {SMALLEST} else 1


if __name__ == "__main__":
    sys.exit(main())
