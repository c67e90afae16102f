"""`regionshift up --rejoin`: a lost region comes back, as a person sees it."""

from __future__ import annotations

import time
from functools import partial

from regionshift.cli.migrations import carrying_in
from regionshift.cli.options import Choices
from regionshift.cli.show import confirm, console, print_json
from regionshift.cli.telling import herald
from regionshift.errors import EXIT_OK
from regionshift.operations.moving import rejoining
from regionshift.operations.moving.copying import LastCopy
from regionshift.operations.moving.driving import Herald
from regionshift.operations.moving.moves import told_of
from regionshift.operations.waves.deploying import require_finished
from regionshift.operations.waves.standing import standing_of
from regionshift.report.moving import StepsView
from regionshift.wiring import surroundings, wire


def run_rejoin(choices: Choices, region: str) -> int:
    """Bring a fenced region back as a secondary; before anything else it is shut for writers and replication."""
    with wire(
        choices.config,
        choices.overrides,
        surroundings(),
        endpoint=choices.endpoint,
        locked=True,
        force=choices.force,
        rejoining=(region,),
    ) as wired:
        require_finished(wired.journal)
        rejoining.close_killed(wired.environment, wired.journal)
        standing = standing_of(wired.journal)
        rejoining.require_fenced(wired.journal, region)
        confirm(choices, f"Shut {region}, then bring it back as a secondary of {wired.environment.name}?")
        meanings = dict.fromkeys(rejoining.STEPS, "") | {
            "shut": "no replication from it, no writes to it",
            "look": "what was written there since",
            "open-roles": "its roles may work again",
            "turn": "bring it up as a secondary",
            "copy-back": "copy what it missed",
            "validate": "check it",
        }
        with (
            carrying_in(wired) as carrying,
            StepsView(console(choices), f"rejoin {region}", meanings) as view,
        ):
            copies = partial(LastCopy, carrying, wired.journal, time.monotonic)

            def heralding(run_id: str) -> Herald:
                return herald(wired, view, run_id, lambda: told_of(wired.journal))

            rejoin = rejoining.Rejoin(
                wired.environment, wired.shelf, wired.journal, standing, copies, view.told, heralding
            )
            said = rejoin.run(region)
    if choices.as_json:
        print_json({"rejoined": region, "steps": said})
    else:
        for name in ("keys", "written", "deleted"):
            for key in said["look"].get(name, ()):
                console(choices).print(f"! {name} only in {region}: {key}", style="yellow", markup=False)
    return EXIT_OK
