"""`regionshift up` against a bare engine run over the same program, side by side on this machine.

What bare leaves out is in `bare.py`. Runs alternate, each round begins from nothing. Prints the medians and the
median ratio of the rounds; exits with 1 when one is over the target. The function's zip is built beforehand on
both sides, and our checks of what was built (`validate`) are left out.
"""

from __future__ import annotations

import sys

from side import ROUNDS, judge, settings, side

REGIONS = 3


def main() -> int:
    """Measure, print, judge."""
    firsts: tuple[list[float], list[float]] = ([], [])
    again: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS):
        with side(settings(REGIONS)) as mine, side(settings(REGIONS)) as theirs:
            for times in (firsts, again):
                times[1].append(theirs.bare())
                times[0].append(mine.up())
        print(
            f"round {number + 1}: first up {firsts[1][-1]:.1f} s bare, {firsts[0][-1]:.1f} s ours; "
            f"no change {again[1][-1]:.1f} s bare, {again[0][-1]:.1f} s ours",
            flush=True,
        )
    verdicts = [judge("first up", *firsts), judge("up that changes nothing", *again)]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
