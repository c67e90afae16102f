"""A change of all regions in one run of one step; what a killed one left; a destroy ends all open runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, TypeVar

from regionshift.engine.engine import RunRecord
from regionshift.errors import Interrupted, Refused
from regionshift.journal.events import Event, RunSummary, RunView
from regionshift.journal.journal import Journal, RunJournal
from regionshift.operations.environment import Environment
from regionshift.operations.orphans import has_unsettled, recover
from regionshift.operations.ownership import require_our_buckets
from regionshift.operations.up import Proposal, apply
from regionshift.releases import DeployedReleases, deployed_releases
from regionshift.report.values import Finding
from regionshift.runs.deployment_state import Outcome, regions_from_result
from regionshift.runs.driver import RunEnd, RunKind, RunUnderWay, Said, WhenFailed, drive
from regionshift.runs.messages import AllRegionsNews, RunListener
from regionshift.runs.state import RunStep, SagaState, fold_saga

_ResultT = TypeVar("_ResultT")
# A run of these kinds is one engine run. When it was killed, another one continues it.
_MENDED = ("deployment", "destroy")
DESTROYED = "destroyed"
# How a deployment ends that may have left something between two releases.
_HALF_DONE = ("failed", "killed", "interrupted", Outcome.STOPPED, Outcome.PARTLY, Outcome.NEEDS_PERSON)


@dataclass(frozen=True)
class OneGo(RunKind[SagaState, RunStep]):
    """One change of all regions. When it fails, another run does the rest.

    Args:
        before, after: the regions that have a topic before it, and after it.
        go_on: the command that continues it after it was stopped.
    """

    words: AllRegionsNews
    before: Collection[str] = ()
    after: Collection[str] = ()
    work: Callable[[], object] = field(default=lambda: None)
    go_on: Callable[[], str] = field(default=lambda: "regionshift status")

    when_failed: ClassVar[WhenFailed] = WhenFailed.CLOSE
    step_errors: ClassVar[tuple[type[Exception], ...]] = ()

    @property
    def news(self) -> AllRegionsNews:
        """See `RunKind`."""
        return self.words

    def state(self, events: Sequence[Event]) -> SagaState:
        """See `RunKind`."""
        return fold_saga((RunStep("apply", reversible=False, regions=self.words.regions),), events[1:])

    def do(self, step: RunStep, state: SagaState, *, doubt: bool) -> Said:
        """See `RunKind`."""
        del step, state, doubt
        self.work()
        return {}

    def interruption(self, step: str, run_id: str) -> Interrupted:
        """See `RunKind`."""
        del step
        return Interrupted(
            f"Stopped as asked; the {self.words.name} is not finished.", where=run_id, remedy=self.go_on()
        )

    def end(self, state: SagaState) -> RunEnd:
        """See `RunKind`."""
        del state
        return RunEnd("succeeded")

    def told_regions(self, state: SagaState) -> Collection[str]:
        """See `RunKind`."""
        return self.before if state.next_step else self.after


def deploy(
    environment: Environment,
    journal: Journal,
    proposal: Proposal,
    listeners: Sequence[RunListener[RunStep]] = (),
) -> RunRecord:
    """Apply ``proposal`` as one run of the journal. The caller holds the environment's lock.

    ``listeners`` get the messages of its start, failure and end, for the topics that exist at that moment.

    Raises:
        PlanRefused: the plan has findings of severity error. Nothing is written.
        Refused: a bucket that would be deleted is not the environment's. Nothing is written.
        WorkFailed, Interrupted: as `apply`. The journal says how it ended.
    """
    deployed = deployed_releases(journal)
    if proposal.plan.errors or (proposal.plan.is_empty and _is_known(deployed, proposal)):
        return apply(environment, proposal)
    require_our_buckets(environment, proposal.doomed)  # and again before they are emptied
    facts = {
        "releases": dict(proposal.digests),
        "changes": len(proposal.plan.changes),
        "allows_loss": proposal.allows_loss,
        "allows_growth": list(proposal.allows_growth),
    }
    regions = tuple(proposal.digests)
    there = [region for region in deployed.regions_up if region in regions]
    words = AllRegionsNews("deploy", "deployment", regions, len(proposal.plan.changes))
    return in_one_go(
        journal,
        journal.start("deployment", facts),
        OneGo(words, there, regions),
        lambda: apply(environment, proposal, checkpoints=not deployed.is_empty),
        listeners if proposal.plan.changes else (),
    )


def _is_known(deployed: DeployedReleases, proposal: Proposal) -> bool:
    """Whether the journal already says that each region has its release of ``proposal``.

    It does not when a run was killed after it had made everything, or when the new settings change nothing in AWS. Then
    a run must say so, or the regions would count as empty, or at another release.
    """
    # The proposal names no region that gets no call, such as a fenced one.
    return not deployed.unsettled & proposal.digests.keys() and all(
        deployed.releases.get(region) == digest for region, digest in proposal.digests.items()
    )


def in_one_go(
    journal: Journal,
    run: RunJournal,
    kind: OneGo,
    work: Callable[[], _ResultT],
    listeners: Sequence[RunListener[RunStep]],
) -> _ResultT:
    """Do ``work`` as the one step of ``run``, and close the run. Returns and raises what ``work`` does."""
    found: list[_ResultT] = []
    whole = replace(
        kind,
        work=lambda: found.append(work()),
        go_on=lambda: command_in_one_run(journal, journal.view(run.run_id)),
    )
    drive(RunUnderWay(journal, run, whole, listeners))
    return found[0]


def left_half_done(journal: Journal) -> RunSummary | None:
    """The newest change, if it ended between two releases and its result names no region; else None."""
    newest = _last_change(journal)
    if newest is None or newest.outcome is None or regions_from_result(newest.result):
        return None
    torn = newest.kind == "destroy" and newest.outcome != "succeeded"
    return newest if torn or _is_half_done(newest) else None


@dataclass(frozen=True)
class HalfDone:
    """A run that ended between two releases, without naming the regions; and the command that repairs it."""

    run: str
    kind: str
    outcome: str
    go_on: str


def half_done(journal: Journal) -> HalfDone | None:
    """The `up` in one run, or the destroy, that is half done; None when the newest change is whole."""
    run = left_half_done(journal)
    if run is None:
        return None
    go_on = command_in_one_run(journal, journal.view(run.run_id))
    return HalfDone(run.run_id, run.kind, str(run.outcome), go_on)


@dataclass(frozen=True)
class InOneRun:
    """A change of all regions in one run that was stopped, failed or was killed before it was whole.

    Args:
        at: how it ended, in words. releases: the new digests of ``regions``; none for a destroy.
        rejoins: the region that it brings back. allows_loss: whether the deletion of data was allowed.
        takes_down: the run that a destroy undoes; empty when the destroy deletes an environment that was up.
    """

    run: str
    kind: str
    at: str
    releases: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    rejoins: str | None = None
    allows_loss: bool = False
    takes_down: str = ""


def in_one_run(journal: Journal) -> InOneRun | None:
    """The newest change in one run that is not whole; None when there is none."""
    for view in _killed(journal):
        return _in_one_run(view, "was killed")
    half = left_half_done(journal)
    return _in_one_run(journal.view(half.run_id), f"ended as {half.outcome}") if half else None


def _in_one_run(view: RunView, at: str) -> InOneRun:
    found, rejoins = view.opened.get("releases"), view.opened.get("rejoins")
    releases = found if isinstance(found, dict) else {}
    return InOneRun(
        view.run_id,
        view.kind,
        at,
        tuple(releases.values()),
        tuple(releases),
        str(rejoins) if rejoins else None,
        bool(view.opened.get("allows_loss")),
        str(view.opened.get("of") or ""),
    )


def taken_down_by_destroy(journal: Journal) -> str:
    """The run that a destroy would undo now: it was creating the first regions. Empty when regions are up."""
    left = in_one_run(journal)
    if left is None or not deployed_releases(journal).is_empty:
        return ""
    return left.takes_down if left.kind == "destroy" else left.run


def was_taken_down(journal: Journal, run_id: str) -> bool:
    """Whether a destroy undid the run ``run_id`` and succeeded."""
    return any(
        run.kind == "destroy" and run.subject == run_id and run.outcome == "succeeded"
        for run in journal.history()
    )


def require_way_back(journal: Journal, left: InOneRun) -> None:
    """Raises Refused, with the best alternative, when ``left`` cannot be undone.

    Only a first deployment can be undone, by a destroy. What a later change deleted is gone.
    """
    if left.kind == "deployment" and deployed_releases(journal).is_empty:
        return
    forward = "`regionshift resume` finishes it"
    remedy = {
        "destroy": f"{forward}, or `regionshift up` creates the environment again",
    }.get(left.kind, f"{forward}; then write the settings as they were, and: regionshift up")
    raise Refused(
        f"The {left.kind} {left.run} cannot be rolled back: what it deleted is gone.",
        where=left.run,
        remedy=remedy if left.rejoins is None else forward,
        error_id="RS-RUN-005",
    )


def command_in_one_run(journal: Journal, view: RunView) -> str:
    """The command that continues a change in one run."""
    if "rejoins" in view.opened:
        return f"regionshift resume, or regionshift up --rejoin {view.opened['rejoins']}"
    if view.kind == "destroy":
        return "regionshift resume, or regionshift destroy"
    if deployed_releases(journal).is_empty:
        return "regionshift resume, or regionshift resume --back"
    return "regionshift resume, or regionshift up"


def _last_change(journal: Journal) -> RunSummary | None:
    """The newest run that changed resources: neither a run of data nor a fence."""
    for run in journal.history():
        if run.kind != "fence" and not run.of_data:
            return run
    return None


def _is_half_done(run: RunSummary) -> bool:
    return run.kind in ("deployment", "rollback") and run.outcome in _HALF_DONE


@dataclass(frozen=True)
class Remains:
    """What an earlier run left.

    Args:
        killed: it was killed. half_destroyed: it had begun to destroy the environment.
        half_done: it left regions between two releases, so AWS may differ from the engine's state.
        findings: what it made and did not record.
    """

    killed: bool = False
    half_destroyed: bool = False
    half_done: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def is_read_back(self) -> bool:
        """Whether `up` refreshes the state before it plans, even without --refresh."""
        return self.half_destroyed or self.half_done


def remains_of(journal: Journal) -> Remains:
    """What an earlier run left, by the journal, when no living command works on it. Changes nothing."""
    return _remains(journal, _last_change(journal), _killed(journal))


def _remains(journal: Journal, newest: RunSummary | None, killed: Collection[RunView]) -> Remains:
    torn = newest is not None and newest.kind == "destroy" and newest.outcome != "succeeded"
    dead = bool(killed)
    half_done = bool(dead or deployed_releases(journal).unsettled or (newest and _is_half_done(newest)))
    return Remains(dead, torn, half_done)


def _killed(journal: Journal) -> list[RunView]:
    return [
        view
        for view in journal.unfinished()
        # A deployment in waves has a plan, and `resume` continues it.
        if view.kind in _MENDED and not view.newer and "plan" not in view.opened
    ]


def mend(environment: Environment, journal: Journal) -> Remains:
    """Remove the engine's lock of a killed run, and record what it made. Returns what there was.

    The caller holds the environment's lock. So the command of an open run is dead, and so is the holder of the engine's
    own lock.
    """
    newest, dead = _last_change(journal), _killed(journal)
    remains = _remains(journal, newest, dead)
    if dead:
        environment.engine.release_lock()
    shutting = [view for view in journal.unfinished() if view.kind == "fence" and not view.newer]
    for view in (*dead, *shutting):
        journal.reopen(view.run_id).close("killed", failed=True)
    # A run that was stopped hard, or whose engine was killed, leaves the same, though it wrote its end.
    unclean = bool(dead) or (newest is not None and newest.outcome != "succeeded")
    open_still = unclean or has_unsettled(environment.engine)
    found = recover(environment).findings(environment.regions) if open_still else []
    return replace(remains, findings=tuple(found))


def end_all(journal: Journal, *, but: str) -> list[str]:
    """Close every open run except ``but`` as destroyed, as its resources are being deleted. Returns their ids."""
    ended = [view.run_id for view in journal.unfinished() if view.run_id != but]
    for run_id in ended:
        journal.reopen(run_id).close(DESTROYED, {"by": but}, failed=True)
    if ended:
        journal.reopen(but)  # the lock names the run that was opened last
    return ended
