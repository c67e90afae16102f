"""`regionshift up` against bare engine runs over the same program, side by side on this machine.

What bare leaves out is in `bare.py`. A first up is set against two of them: ``apply``, the engine's run alone, as
the Automation API does it; and ``preview, apply``, what `pulumi up` does when a person types it and what ours does,
because what is in the way, what a policy would open and what would be lost are read from the preview. The target
holds for the second; the first is printed too. An up that changes nothing is one preview of ours and is set
against one engine run alone.

Runs alternate, each round begins from nothing. The function's zip is built beforehand on all sides, and our checks
of what was built (`validate`) are left out. Exits with 1 when a median ratio is over the target.
"""

from __future__ import annotations

import sys

from side import ROUNDS, Cost, judge, settings, side

REGIONS = 3


def main() -> int:
    """Measure, print, judge."""
    apply: list[Cost] = []
    preview_apply: list[Cost] = []
    first: list[Cost] = []
    bare_again: list[Cost] = []
    again: list[Cost] = []
    text = settings(REGIONS)
    for number in range(ROUNDS):
        with side(text) as theirs:
            apply.append(theirs.bare())
            bare_again.append(theirs.bare())
        with side(text) as mine:
            first.append(mine.up())
            again.append(mine.up())
        with side(text) as typed:
            preview_apply.append(typed.bare("--preview"))
        print(
            f"round {number + 1}: first up {first[-1]}, bare {apply[-1]}, with its preview {preview_apply[-1]}; "
            f"no change {again[-1]}, bare {bare_again[-1]}",
            flush=True,
        )
    judge("first up, against the engine's apply alone", first, apply)
    verdicts = [
        judge("first up, against the engine's preview and apply", first, preview_apply),
        judge("up that changes nothing, against one engine run", again, bare_again),
    ]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
