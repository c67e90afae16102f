"""`regionshift rollback` of a deployment, with the data that it wrote if wanted. Of a migration: `migrate.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from regionshift.cli.migrate import rollback_migration
from regionshift.cli.opening import carrying_in, opened
from regionshift.cli.options import Choices
from regionshift.cli.running import driver
from regionshift.cli.show import (
    aside,
    ask,
    confirm,
    console,
    person_is_there,
    print_json,
    show_plan,
    working,
)
from regionshift.cli.up import ended
from regionshift.errors import EXIT_FAILED
from regionshift.journal.journal import Journal
from regionshift.operations.migrations.listing import RUN_NAME, run_named
from regionshift.operations.migrations.taking_back import require_all_takeable
from regionshift.operations.unfinished import (
    require_finished,
)
from regionshift.operations.up import PlanRefused
from regionshift.operations.waves import deploying
from regionshift.operations.waves.deploying import written_since
from regionshift.session import Session
from regionshift.settings.config import MigrationConfig


def is_of_data(choices: Choices, name: str) -> bool:
    """Whether ``name`` means a migration: its own id, or a run of it."""
    if not RUN_NAME.fullmatch(name):
        return True
    with opened(choices) as session:
        return session.journal.view(run_named(session.journal, name)).of_data


def run_deployment_rollback(
    choices: Choices,
    run_id: str | None,
    *,
    to_nothing: bool,
    allow_data_loss: bool,
    with_data: bool = False,
    reason: str = "",
) -> int:
    """Roll a deployment back, region by region, and before it the data that migrations wrote, if wanted.

    Shows everything and asks first. Data is undone first, while the roles that wrote it still exist.
    """

    def planned(session: Session, of: str | None) -> deploying.WayBack:
        require_finished(session.journal)
        return deploying.way_back(
            session.environment,
            session.journal,
            session.catalog,
            of,
            to_nothing=to_nothing,
            allow_data_loss=allow_data_loss,
        )

    def go(session: Session, way: deploying.WayBack, taken_back: Sequence[Mapping[str, Any]] = ()) -> int:
        with driver(choices, session, "rollback", way.plan) as driving:
            state = deploying.go_back(driving, way, allow_data_loss=allow_data_loss, reason=reason)
        plan = way.plan.as_data()
        told = {name: plan[name] for name in ("growth", "losses", "cost")}
        more = {**told, **({"data": list(taken_back)} if taken_back else {})}
        code = ended(choices, session, state, "rollback", more)
        say_what_the_settings_say(choices)
        return code

    def skipped(journal: Journal) -> Collection[str]:
        return deploying.left_out_by(journal, run_id)

    with opened(choices, locked=True, skipped=skipped) as session:
        with working(choices, "planning"):
            way = planned(session, run_id)
        show_plan(choices, way.plan)
        if way.plan.errors:
            raise PlanRefused(way.plan.errors)
        written = written_since(session.journal, way.undone, way.intent.plan.target)
        data = [
            each for each in written if with_data or _wants_back(choices, each, session.environment.config)
        ]
        left_out = session.environment.scope.left_out
        if data:
            with carrying_in(choices, session) as carrying:
                require_all_takeable(carrying, data)
        confirm(
            choices,
            f"Roll back deployment {way.undone}, {len(way.plan.changes)} resources{_also(data)}?",
            session.environment.config,
        )
        if not data:
            return go(session, way)
    taken_back: list[dict[str, Any]] = []
    for migration in data:
        why = f"with deployment {way.undone}"
        done = rollback_migration(replace(choices, yes=True), migration, why, skipped=left_out)
        taken_back.append(done.as_json)
        if not done.whole:
            if choices.as_json:
                print_json({"outcome": "data is not back", "data": taken_back})
            return EXIT_FAILED
    with opened(choices, locked=True, skipped=skipped) as session:
        # The lock was free for a moment, so plan again.
        way = planned(session, way.undone)
        if way.plan.errors:
            raise PlanRefused(way.plan.errors)
        return go(session, way, taken_back)


def say_what_the_settings_say(choices: Choices) -> None:
    aside(choices).print(
        "The settings still have the change: undo it there, or the next `up` makes it again.",
    )


def _also(data: Collection[str]) -> str:
    return f", and what {', '.join(data)} wrote" if data else ""


def _wants_back(choices: Choices, migration: str, config: MigrationConfig) -> bool:
    said = f"Migration {migration} wrote data while that release ran."
    if choices.yes or not person_is_there():
        console(choices).print(
            f"{said} It stays. --with-data undoes it too, and so does: regionshift rollback {migration}",
        )
        return False
    return ask(choices, f"{said} Undo that too?", config)
