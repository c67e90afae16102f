"""The kinds of runs, a row each: how an open run is found, continued, undone and shown.

`status`, `doctor`, `up`, `resume` and `history` use `RUN_KINDS` and know no kind by name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from regionshift.carriers.transport import S3Error
from regionshift.errors import Interrupted, Refused, RegionshiftError, WorkFailed
from regionshift.journal.events import RunSummary, RunView
from regionshift.journal.journal import Journal
from regionshift.operations import moves
from regionshift.operations.deploying import command_in_one_run
from regionshift.operations.migrations.listing import Unread, known_migrations
from regionshift.operations.moving import proposing
from regionshift.operations.obstacles import UNFINISHED
from regionshift.operations.run_tools import RunTools
from regionshift.releases import deployed_releases
from regionshift.report.values import Finding, Severity, errors_of
from regionshift.runs.deployment_state import DOWN, RegionState, fold_deployment
from regionshift.runs.driver import SagaRun

RESUME = "regionshift resume, or regionshift resume --back"


@dataclass(frozen=True)
class OpenRun:
    """A run without an end: its next step, its position in words, and the command that continues it.

    ``running``: a living command works on it, so there is nothing to continue.
    """

    run: str
    kind: str
    next: str | None
    at: str
    waits_for_a_person: bool
    go_on: str
    running: bool = False


@dataclass(frozen=True)
class RunPosition:
    """The position of an open run: its next step, the same in words, and the regions as it has changed them."""

    next: str | None
    at: str
    waits_for_a_person: bool = False
    regions: Mapping[str, RegionState] | None = None


def by_last_step(journal: Journal, view: RunView) -> RunPosition:
    """The position at the newest step that began and did not end."""
    del journal
    step = view.in_doubt[-1].step if view.in_doubt else None
    return RunPosition(step, f"at {step or 'its end'}")


@dataclass(frozen=True)
class RunRow:
    """Everything that commands need to know about one kind of run.

    Args:
        name: of the row. kinds: the names of its runs in the journal. when: which of these runs belong to this row.
        run: the steps that `resume` does, as a context. None when the rest needs a plan, a question or a measurement:
            then `cli/resume.py` has a function for ``name``.
        succeeds_as: the outcome that is a success. None when `status` does not show its end as the last change.
        go_on: the commands that continue an open one.
        has_records: it has records in AWS, which say how it stands also when no command lives. `status` lists it
            separately, and `resume` continues it when nothing else is open.
        is_resumed: whether `resume` continues an open one because of its row.
        blocks_up: whether no `up` may begin while one is open.
        takes_records: it deletes the records of migrations, so they may be unreadable while it runs.
        part_of: names of the kinds that do such a run as one of their steps.
        position: the position of an open one.
        goes_back: whether the undo of an open one has begun.
        require_way_back: raises Refused when an open one can no longer be undone.
    """

    name: str
    kinds: tuple[str, ...]
    when: Callable[[RunView], bool] = lambda _view: True
    run: Callable[[RunTools, RunView], AbstractContextManager[SagaRun]] | None = None
    succeeds_as: str | None = "succeeded"
    go_on: Callable[[Journal, RunView], str] = lambda _journal, _view: RESUME
    has_records: bool = False
    is_resumed: bool = True
    blocks_up: bool = True
    takes_records: bool = False
    part_of: tuple[str, ...] = ()
    position: Callable[[Journal, RunView], RunPosition] = by_last_step
    goes_back: Callable[[Journal, RunView], bool] = lambda _journal, _view: False
    require_way_back: Callable[[Journal, RunView, str], None] = lambda _journal, _view, _primary: None

    def owns(self, view: RunView) -> bool:
        """Whether a run belongs to this row. The first such row counts."""
        return view.kind in self.kinds and self.when(view)


def _of_waves(journal: Journal, view: RunView) -> RunPosition:
    state = fold_deployment(journal.events(view.run_id))
    step, regions = state.next_step, {region: state.regions[region] for region in state.changed}
    if step is None:
        return RunPosition(None, "at its end", regions=regions)
    where = ", ".join(step.regions)
    at = f"wave {step.wave} ({where}) waits for a person" if state.waits else f"at {step.name} ({where})"
    return RunPosition(step.name, at, state.waits, regions)


@contextmanager
def _promotion(tools: RunTools, view: RunView) -> Iterator[SagaRun]:
    with proposing.promotion_run(tools, proposing.plan_of(view), view.run_id) as run:
        yield run


RUN_KINDS: tuple[RunRow, ...] = (
    RunRow(
        "move",
        ("move",),
        succeeds_as="moved",
        goes_back=moves.goes_back,
        require_way_back=lambda journal, view, primary: moves.require_way_back(view, primary, journal),
    ),
    RunRow(
        "promotion",
        ("promotion",),
        run=_promotion,
        succeeds_as="promoted",
        part_of=("move",),
        require_way_back=lambda journal, _view, _primary: proposing.require_way_back(journal),
    ),
    RunRow(
        "waves",
        ("deployment", "rollback"),
        lambda view: "plan" in view.opened,
        part_of=("move",),
        position=_of_waves,
    ),
    RunRow(
        "in one run",
        ("deployment",),
        go_on=command_in_one_run,
        blocks_up=False,
        part_of=("move",),
    ),
    RunRow("destroy", ("destroy",), go_on=command_in_one_run, blocks_up=False, takes_records=True),
    RunRow(
        "data",
        ("migration", "rollback"),
        lambda view: view.of_data,
        has_records=True,
        is_resumed=False,
        blocks_up=False,
    ),
    # A killed one has shut some roles. The next `up` looks again which are open.
    RunRow(
        "fence",
        ("fence",),
        succeeds_as=None,
        go_on=lambda _journal, _view: "regionshift up",
        is_resumed=False,
        blocks_up=False,
    ),
)


def rows_named(kind: str) -> list[RunRow]:
    """The rows of ``kind``; none when this version does not know it."""
    return [row for row in RUN_KINDS if kind in row.kinds]


_DATA_ENDS_AS = {"migration": "completed", "rollback": "rolled_back"}


def went_well(run: RunSummary) -> bool | None:
    """Whether a run came to the end that it was for; None where its kind is not known, or its end is no news."""
    if run.of_data:
        return run.outcome == _DATA_ENDS_AS.get(run.kind)
    ends = {row.succeeds_as for row in rows_named(run.kind)}
    return None if not ends or None in ends else run.outcome in ends


def row_of(view: RunView) -> RunRow | None:
    """The row of a run; None when this version does not know its kind."""
    return None if view.newer else next((row for row in RUN_KINDS if row.owns(view)), None)


def require_row(view: RunView) -> RunRow:
    """The row of a run. Raises Refused when this version does not know its kind."""
    if row := row_of(view):
        return row
    raise Refused(
        f"Run {view.run_id} is not finished, and a newer version of regionshift wrote it.",
        where=view.run_id,
        remedy="use that version",
        error_id="RS-STATE-006",
    )


def require_endable(journal: Journal) -> None:
    """Raises Refused when this version does not know the kind of an open run, so must not end it."""
    for view in journal.unfinished():
        require_row(view)


def open_to_resume(journal: Journal) -> list[tuple[RunRow, RunView]]:
    """The open run that `resume` continues, then its parts; empty when none is open.

    Raises:
        Refused: this version does not know one of them.
    """
    rows = [(require_row(view), view) for view in journal.unfinished()]
    rows = [(row, view) for row, view in rows if row.is_resumed]
    rows.sort(key=lambda found: RUN_KINDS.index(found[0]))
    if not rows:
        return []
    whole = rows[0]
    return [whole, *(found for found in rows[1:] if whole[0].name in found[0].part_of)]


def alive_runs(journal: Journal, newest: str | None) -> frozenset[str]:
    """The ids of the runs that a living command works on: its newest, and the runs that this is a part of.

    Args:
        newest: the run that the holder of the lock began or continued last. It may have ended.
    """
    if newest is None:
        return frozenset()
    views = journal.unfinished()
    view: RunView | None = journal.view(newest)
    found = set()
    while view is not None:
        found.add(view.run_id)
        view = _whole_of(view, views)
    return frozenset(found)


def _whole_of(view: RunView, open_now: Sequence[RunView]) -> RunView | None:
    """The open run that ``view`` is a part of.

    While a move is open, no other command changes regions or the primary. So a run that does is a part of the move. A
    run names its own migrations after itself; other migrations may run beside a stopped move.
    """
    if view.of_data:
        name = str(view.opened["migration_id"])
        return next((v for v in open_now if not v.of_data and name.startswith(f"{v.run_id}-")), None)
    row = row_of(view)
    wholes = row.part_of if row else ()
    return next((v for v in open_now if (of := row_of(v)) and of.name in wholes), None)


def open_runs(journal: Journal, alive: Collection[str] = ()) -> list[OpenRun]:
    """The open runs, the newest first. Without migrations, whose own records say how they stand.

    Args:
        alive: see `alive_runs`.
    """
    return [
        replace(_told(journal, view), running=view.run_id in alive)
        for view in journal.unfinished()
        if not _has_records(view)
    ]


def _has_records(view: RunView) -> bool:
    row = row_of(view)
    return row is not None and row.has_records


def _told(journal: Journal, view: RunView) -> OpenRun:
    row = row_of(view)
    position = (row.position if row else by_last_step)(journal, view)
    go_on = row.go_on(journal, view) if row else "use the newer version of regionshift that wrote it"
    return OpenRun(view.run_id, view.kind, position.next, position.at, position.waits_for_a_person, go_on)


def changed_by_open_runs(journal: Journal) -> dict[str, RegionState]:
    """The regions that open runs have changed, as they are now."""
    found: dict[str, RegionState] = {}
    for view in journal.unfinished():
        if row := row_of(view):
            found |= row.position(journal, view).regions or {}
    return found


def worked_on(journal: Journal, migrations: Iterable[str], alive: Collection[str]) -> frozenset[str]:
    """The ids among ``migrations`` that open runs in ``alive`` copy or undo.

    A change of primary names its migrations after its own run.
    """
    views = [view for view in journal.unfinished() if view.run_id in alive]
    named = {str(view.opened["migration_id"]) for view in views if view.of_data}
    own = tuple(f"{view.run_id}-" for view in views)
    return frozenset(each for each in migrations if each in named or each.startswith(own))


def killed_migrations(journal: Journal) -> frozenset[str]:
    """The ids of migrations whose newest run (a copy or an undo) has no end in the journal.

    The migration itself may have ended in AWS meanwhile. Its record says so.
    """
    if not any(view.of_data for view in journal.unfinished()):
        return frozenset()  # without reading the history
    newest: dict[str, bool] = {}
    for run in journal.history():
        if run.of_data:
            newest.setdefault(run.subject, run.outcome is None)
    return frozenset(migration for migration, is_open in newest.items() if is_open)


def unfinished_findings(journal: Journal, alive: Collection[str] = ()) -> list[Finding]:
    """An error for each open run that keeps an `up` from beginning; a warning for one that `up` continues or fixes.

    Args:
        alive: see `alive_runs`. Runs that a living command works on are no findings.
    """
    found = []
    for view in journal.unfinished():
        if _has_records(view) or view.run_id in alive:
            continue
        told, row = _told(journal, view), row_of(view)
        message = f"{view.kind.capitalize()} {view.run_id} is not finished: {told.at}"
        severity: Severity = "error" if row is None or row.blocks_up else "warning"
        found.append(Finding(UNFINISHED, severity, message, None, told.go_on))
    return found


def require_finished(journal: Journal) -> None:
    """Raises Refused when an open run keeps an `up` from beginning."""
    for finding in errors_of(unfinished_findings(journal)):
        raise Refused(f"{finding.message}.", remedy=finding.remedy, error_id="RS-RUN-003")


def all_migrations(tools: RunTools, without: Collection[str] = ()) -> tuple[Sequence[dict[str, Any]], str]:
    """Every migration of the environment as data, the newest first; and a sentence on those that cannot be read.

    Args:
        without: regions that do not answer, so they are not asked.
    """
    deployed, scope = deployed_releases(tools.journal).regions, tools.environment.scope
    uncalled = {*scope.uncalled, *without}
    regions = [
        r for r, state in deployed.items() if state.release and state.note != DOWN and r not in uncalled
    ]
    if not regions:
        return [], ""
    try:
        with tools.carrying() as carrying:
            known, unread = known_migrations(carrying, regions)
    except Interrupted:
        raise
    except S3Error as error:
        gone = (
            "a deployment bucket of the state is not in this account" if error.code == "NoSuchBucket" else ""
        )
        return [], f"Migrations could not be read: {gone or error.message}"
    except RegionshiftError as error:
        return [], f"Migrations could not be read: {error.message}"
    return [{**asdict(each), "settled": each.settled} for each in known], _unread(unread)


def _unread(migrations: Sequence[Unread]) -> str:
    """A sentence that names the unreadable migrations, with the problem of the first and its remedy."""
    if not migrations:
        return ""
    names = ", ".join(each.migration_id for each in migrations)
    problem = migrations[0].problem
    return f"Migrations could not be read: {names}. {problem.message} [{problem.where}] → {problem.remedy}"


@dataclass(frozen=True)
class OpenMigration:
    """A migration that is not settled, or whose command was killed. ``going_back``: its undo has begun."""

    migration_id: str
    status: str
    source: str
    target: str
    level: str
    going_back: bool


def open_migration(tools: RunTools) -> OpenMigration | None:
    """The newest migration that is not settled, or whose command was killed; None when there is none.

    Raises:
        WorkFailed: the records cannot be read.
    """
    found, unread = all_migrations(tools)
    killed = killed_migrations(tools.journal)
    left = next((each for each in found if not each["settled"] or each["migration_id"] in killed), None)
    if left is None:
        if unread:
            raise WorkFailed(
                unread, remedy="when it can be read: regionshift resume", error_id="RS-MIGRATION-013"
            )
        return None
    name, region = left["migration_id"], left["region"]
    with tools.carrying() as carrying:
        level = str(carrying.find(name)[1]["level"])
        going_back = carrying.migration(region, name).undone() is not None
    return OpenMigration(name, left["status"], left["source"], region, level, going_back)
