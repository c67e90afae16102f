"""Compare `regionshift up` with bare engine runs of the same program on this machine (see `bare.py`).

A first up is compared with two bare runs. ``apply`` is only the engine's run, as with the Automation API. ``preview,
apply`` is an interactive `pulumi up`, and also our `up`, which finds conflicts, new permissions and losses in the
preview. The target is for the second; the first is printed too. An up that changes nothing is one preview in our `up`,
and is compared with one engine run.

Runs alternate, and each round starts without resources. The function's zip is built before, and `validate` is left out.
Exits with 1 when a median ratio is over the target.
"""

from __future__ import annotations

import sys

from side import ROUNDS, Cost, judge, settings, side

REGIONS = 3


def main() -> int:
    """Measure, print, and return the exit code."""
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
