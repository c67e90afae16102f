"""One change of the environment, written down before and after, and mending what a killed run left."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from regionshift.engine.engine import Listener, RunRecord
from regionshift.errors import Interrupted, RegionshiftError
from regionshift.journal.events import Kind, RunSummary, RunView
from regionshift.journal.journal import Journal
from regionshift.journal.store import StateUnreachable
from regionshift.operations.environment import Environment
from regionshift.operations.orphans import has_unsettled, recover
from regionshift.operations.ownership import require_our_buckets
from regionshift.operations.up import Proposal, apply
from regionshift.operations.waves.driving import WaveNewsListener
from regionshift.releases.deployed import DeployedReleases, deployed_releases
from regionshift.report.values import Finding
from regionshift.runs.deployment_state import Outcome, regions_from_result
from regionshift.runs.messages import AllRegionsNews, News

_STEP = "apply"
# Runs of one engine run each: a killed one is gone on with by starting another. Other kinds are resumed.
_MENDED = ("deployment", "destroy")
# How a deployment ends that may have left something between two releases.
_HALF_DONE = ("failed", "killed", "interrupted", Outcome.STOPPED, Outcome.PARTLY, Outcome.NEEDS_PERSON)


@dataclass(frozen=True)
class Telling:
    """Who is told of one change, and of which regions the topics are: of those there before it, and after it."""

    words: AllRegionsNews
    readers: Sequence[WaveNewsListener] = ()
    before: Collection[str] = ()
    after: Collection[str] = ()

    def tell(self, run_id: str, news: News, regions: Collection[str]) -> None:
        """To every reader."""
        for reader in self.readers:
            reader(run_id, news, regions)


def deploy(
    environment: Environment,
    journal: Journal,
    proposal: Proposal,
    listener: Listener | None = None,
    readers: Sequence[WaveNewsListener] = (),
) -> RunRecord:
    """Apply ``proposal`` as one run of the journal. The caller holds the environment's lock.

    Start, failure and end are told to ``readers``, for the topics that there are at the time.

    Raises:
        PlanRefused: the plan has findings of severity error; nothing is written.
        Refused: a bucket that would go is not the environment's; nothing is written.
        WorkFailed, Interrupted: as `apply`; the journal says how it ended.
    """
    deployed = deployed_releases(journal)
    if proposal.plan.errors or (proposal.plan.is_empty and _is_known(deployed, proposal)):
        return apply(environment, proposal, listener)
    require_our_buckets(environment, proposal.doomed)  # and again before they are emptied
    facts = {
        "releases": dict(proposal.digests),
        "changes": len(proposal.plan.changes),
        "allows_loss": proposal.allows_loss,
    }
    regions = tuple(proposal.digests)
    there = [region for region in deployed.regions_up if region in regions]
    words = AllRegionsNews("deploy", "deployment", regions, len(proposal.plan.changes))
    telling = Telling(words, readers if proposal.plan.changes else (), there, regions)
    with recorded(journal, "deployment", facts, telling):
        return apply(environment, proposal, listener, checkpoints=not deployed.is_empty)


def _is_known(deployed: DeployedReleases, proposal: Proposal) -> bool:
    """Whether the journal says already that every region stands where it is to stand.

    It does not after a run that was killed when all was made, or of settings that change nothing in AWS: without a
    run that says so, the regions would count as at another release, or as empty.
    """
    # A region that gets no call, as one that is fenced, is not of this proposal.
    return not deployed.unsettled & proposal.digests.keys() and all(
        deployed.releases.get(region) == digest for region, digest in proposal.digests.items()
    )


@contextmanager
def recorded(
    journal: Journal, kind: Kind, facts: Mapping[str, object], telling: Telling | None = None
) -> Iterator[str]:
    """One run of the journal around one change: opened before it, closed with how it ended. Gives its id."""
    run = journal.start(kind, facts)
    if telling:
        telling.tell(run.run_id, telling.words.of_start(), telling.before)
    run.append(_STEP, "before")
    try:
        yield run.run_id
    except BaseException as error:
        stopped = isinstance(error, Interrupted | KeyboardInterrupt)
        said = error.message if isinstance(error, RegionshiftError) else type(error).__name__
        try:
            run.append(_STEP, "failed", data={"error": said})
            run.close("interrupted" if stopped else "failed", failed=True)
        except StateUnreachable as failure:
            # The run stays open, as after a kill, and what went wrong first is what is told.
            error.add_note(f"that could not be written down: {failure.message}")
            raise error from failure
        if telling:
            news = telling.words.of_stop() if stopped else telling.words.of_failure(said)
            telling.tell(run.run_id, news, telling.before)
        raise
    run.append(_STEP, "after")
    run.close("succeeded")
    if telling:
        telling.tell(run.run_id, telling.words.of_success(), telling.after)


def left_half_done(journal: Journal) -> RunSummary | None:
    """The run in one go that ended between two releases, of which no region says so itself; none when all is well."""
    newest = _last_change(journal)
    if newest is None or newest.outcome is None or regions_from_result(newest.result):
        return None
    torn = newest.kind == "destroy" and newest.outcome != "succeeded"
    return newest if torn or _is_half_done(newest) else None


def _last_change(journal: Journal) -> RunSummary | None:
    """The newest run that changed what stands; those of data and of fences did not."""
    for run in journal.history():
        if run.kind != "fence" and not run.of_data:
            return run
    return None


def _is_half_done(run: RunSummary) -> bool:
    return run.kind in ("deployment", "rollback") and run.outcome in _HALF_DONE


@dataclass(frozen=True)
class Remains:
    """What an earlier run left: it was killed; it had begun to take the environment down; what it had made.

    ``half_done``: it left something between two releases, so AWS may be other than the engine's state says.
    """

    killed: bool = False
    half_destroyed: bool = False
    half_done: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def is_read_back(self) -> bool:
        """Whether `up` reads back what is there before it plans, asked for or not."""
        return self.half_destroyed or self.half_done


def remains_of(journal: Journal) -> Remains:
    """What the journal says of an earlier run's remains, while no living command works on it. Changes nothing."""
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
        # A deployment in waves has a plan, and is gone on with by `resume`.
        if view.kind in _MENDED and not view.newer and "plan" not in view.opened
    ]


def mend(environment: Environment, journal: Journal) -> Remains:
    """Take away what a killed run left in the engine's way, and say what there was.

    The caller holds the environment's lock, so a run that never said how it ended is dead, and so is whoever
    held the engine's own lock.
    """
    newest, dead = _last_change(journal), _killed(journal)
    remains = _remains(journal, newest, dead)
    if dead:
        environment.engine.release_lock()
    for view in dead:
        journal.reopen(view.run_id).close("killed", failed=True)
    # A run that was stopped hard, or whose engine was killed under it, wrote its own end and leaves the same.
    unclean = bool(dead) or (newest is not None and newest.outcome != "succeeded")
    open_still = unclean or has_unsettled(environment.engine)
    found = recover(environment).findings(environment.regions) if open_still else []
    return replace(remains, findings=tuple(found))
