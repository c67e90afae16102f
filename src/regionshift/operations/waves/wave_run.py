"""A deployment in waves as a kind of run: what each step does, and its result for each region."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.errors import is_outage
from regionshift.errors import Interrupted
from regionshift.journal.events import Event
from regionshift.journal.journal import Journal, RunJournal
from regionshift.journal.store import StateUnreachable
from regionshift.operations.checks.base import Check, CheckContext, run_checks, said_of
from regionshift.operations.checks.function import FunctionCheck
from regionshift.operations.checks.last import keep_checks
from regionshift.operations.checks.replication import ReplicationCheck, delays_in
from regionshift.operations.environment import Environment, Outputs, without_regions
from regionshift.operations.orphans import recover
from regionshift.operations.validate import all_checks
from regionshift.operations.waves.applier import Applier, StepFailed
from regionshift.operations.waves.bake import Breach, RegionDown, Watch
from regionshift.operations.waves.facts import Facts, Terms, facts_from_json, terms_of
from regionshift.report.values import CheckResult
from regionshift.runs.deployment_plan import WaveStep
from regionshift.runs.deployment_state import DONE, DOWN, DeploymentState, Outcome, fold_deployment
from regionshift.runs.driver import RunEnd, RunKind, RunUnderWay, Said, drive, sentence_of
from regionshift.runs.messages import DeploymentNews, RunListener

_STILL_DOWN = "needs a person: it is down and was not taken back; `regionshift up` when it answers"
_GO_ON = "`regionshift resume` continues it, `regionshift resume --back` undoes it"


@dataclass(frozen=True)
class WaveDriver:
    """Drives deployments with what their steps need.

    ``approve`` says whether a wave may begin. It raises `Waits` when nobody can be asked.
    """

    environment: Environment
    journal: Journal
    applier: Applier
    watch: Watch
    approve: Callable[[WaveStep], bool]
    listeners: Sequence[RunListener[WaveStep]] = ()

    def drive(self, run: RunJournal) -> DeploymentState:
        """Do the rest of an open run, and close it. Raises as `runs.driver.drive`."""
        view = self.journal.view(run.run_id)
        facts = facts_from_json(view.opened)
        # The terms it began with, which the journal of an older version does not have.
        terms = facts.terms or terms_of(self.environment.config)
        applier = replace(self.applier, allow_data_loss=terms.allow_data_loss, refresh=terms.refresh)
        kind = WaveRun(
            view.kind,
            facts.with_terms(terms),
            self.environment,
            applier,
            self.watch,
            self.approve,
            self.journal,
        )
        return drive(RunUnderWay(self.journal, run, kind, self.listeners))

    def state(self, run_id: str) -> DeploymentState:
        """The state of a deployment, by its events."""
        return fold_deployment(self.journal.events(run_id))


@dataclass(frozen=True)
class WaveRun(RunKind[DeploymentState, WaveStep]):
    """One deployment in waves, or the rollback of one. ``kind`` says which."""

    kind: str
    facts: Facts
    environment: Environment
    applier: Applier
    watch: Watch
    approve: Callable[[WaveStep], bool]
    journal: Journal

    step_errors: ClassVar[tuple[type[Exception], ...]] = (Breach, RegionDown, ClientError, BotoCoreError)

    @property
    def news(self) -> DeploymentNews:
        """See `RunKind`."""
        return DeploymentNews(self.kind)

    def state(self, events: Sequence[Event]) -> DeploymentState:
        """See `RunKind`."""
        return fold_deployment(events)

    def told_regions(self, state: DeploymentState) -> list[str]:
        """The regions with a release that are neither skipped nor down."""
        return [
            region
            for region, found in state.regions.items()
            if region not in self.facts.left_out
            and found.note not in (DOWN, _STILL_DOWN)
            and found.release is not None
        ]

    def kept_before(self, step: WaveStep, *, doubt: bool) -> Said:
        """The regions that take part."""
        del doubt
        return {"on": list(step.regions)}

    def kept_of_failure(self, error: Exception) -> Said:
        """As of every run, and what is known of each region."""
        if isinstance(error, StepFailed):
            where = f" [{error.where}]" if error.where else ""
            return {"error": f"{error.message}{where}", "regions": dict(error.regions), **error.said}
        return {"error": sentence_of(error)}

    def interruption(self, step: str, run_id: str) -> Interrupted:
        """See `RunKind`."""
        del step
        return Interrupted(f"Stopped as asked; the {self.kind} is not finished.", where=run_id, remedy=_GO_ON)

    def end(self, state: DeploymentState) -> RunEnd:
        """With every region's state, and the release of the links."""
        outcome = state.verdict or Outcome.STOPPED
        result = {**state.result(), "links": self.facts.links_now(state)}
        return RunEnd(outcome.value, result, failed=outcome is not Outcome.SUCCEEDED)

    def do(self, step: WaveStep, state: DeploymentState, *, doubt: bool) -> Said:
        """See `RunKind`."""
        match step.action:
            case "approve":
                if not self.approve(step):
                    raise StepFailed(f"wave {step.wave} was not approved", {})
                return {"by": self.applier.catalog.by}
            case "apply":
                return self._apply(step, state, doubt=doubt)
            case "links":
                return self._links(step, state, doubt=doubt)
            case "validate":
                return self._validate(step, state)
            case "bake":
                return self._bake(step, state)

    def _apply(self, step: WaveStep, state: DeploymentState, *, doubt: bool) -> Said:
        # A region between two releases may differ in AWS from the engine's state.
        doubt = doubt or not state.whole.issuperset(step.regions)
        goal, without = _releases(state), self.facts.left_out | _down(state) - set(step.regions)
        ends = state.plan.before if step.back else state.plan.target
        goal |= {region: ends[region] for region in step.regions}
        kept = {r: state.plan.before[r] for r in step.regions if step.back and goal[r] is None}
        if kept and not self.facts.to_nothing:
            held = dict.fromkeys(
                kept,
                "needs a person: it had no release before; to delete all that is there:"
                " regionshift rollback --to-nothing",
            )
            others = [region for region in step.regions if region not in kept]
            for region in kept:
                goal[region] = state.plan.target[region]
            found = self._recover(without, doubt=doubt)
            if others:
                self.applier.regions(others, goal, self.facts.links_now(state), without=without, doubt=doubt)
            return {"regions": held, **found}
        if not step.back and not doubt and not set(step.regions) & self.facts.moved:
            return {"engine": "not needed"}
        # On the way back the regions that answer go back, however many do not.
        tolerate = len(step.regions) if step.back else _tolerance_left(step, state)
        found = self._recover(without, doubt=doubt)
        down = self.applier.regions(
            step.regions, goal, self.facts.links_now(state), without=without, doubt=doubt, tolerate=tolerate
        )
        if step.back:
            down = dict.fromkeys(down, _STILL_DOWN)
        return {"regions": down, **found} if down else found

    def _recover(self, without: Collection[str], *, doubt: bool) -> dict[str, object]:
        """Adopt what a killed engine made, before anything changes: a way back would leave it."""
        if not doubt:
            return {}
        recovered = recover(self.environment.without(down=without))
        return {"recovery": recovered.to_json()} if recovered.taken or recovered.unclear else {}

    def _links(self, step: WaveStep, state: DeploymentState, *, doubt: bool) -> Said:
        if self.facts.left_out:
            return {"left": "a region is left out; the next `up` brings the links up to date"}
        if down := sorted(_down(state)):
            return {"left": f"{', '.join(down)} is down; the next `up` brings the links up to date"}
        doubt = doubt or bool(state.plan.unsettled) or (step.back and "links" not in state.done)
        if not self.facts.links_change and not doubt:
            return {"engine": "not needed"}
        links = self.facts.links_before if step.back else self.facts.links_target
        found = self._recover((), doubt=doubt)
        self.applier.links(_releases(state), links, doubt=doubt)
        return found

    def _validate(self, step: WaveStep, state: DeploymentState) -> Said:
        if step.wave is None and (self.facts.left_out or "links" in state.left):
            return {"left": "the links were left as they are"}
        regions = [region for region in step.regions if state.regions[region].release is not None]
        if not regions:
            return {}
        delays: dict[str, float | None] = {}
        if step.wave is None:
            context, probe = self._context(regions[0], state), ReplicationCheck()
            results = run_checks([probe], context, regions)
            delays = delays_in([probe])
            inside = [check for check in all_checks() if isinstance(check, FunctionCheck)]
            results += run_checks(inside, context, {context.primary} & set(regions))
        else:
            results = []
            for alike in _by_release(regions, state):
                results += run_checks(_without_links(), self._context(alike[0], state), alike)
        with suppress(StateUnreachable):  # only `status` needs the kept answers
            releases = {region: state.regions[region].release for region in regions}
            keep_checks(self.journal, results, releases, delays)
        said = said_of(results)
        wrong = [result for result in results if not result.passed]
        down = _all_outside(wrong)
        if down and len(down) <= _tolerance_left(step, state):
            return {**said, "regions": dict.fromkeys(sorted(down), DOWN)}
        if wrong:
            well = dict.fromkeys(set(regions) - {result.region for result in wrong}, DONE)
            shown = "; ".join(_shown(result) for result in wrong[:3])
            raise StepFailed(shown, well, where=wrong[0].region, said=said)
        return said

    def _bake(self, step: WaveStep, state: DeploymentState) -> Said:
        regions, down, left = list(step.regions), dict[str, str](), _tolerance_left(step, state)
        while regions:
            context = self._context(regions[0], state)
            replicated = self._replicated(regions, context, state, down)
            try:
                terms = self.facts.terms or Terms()
                said = self.watch.bake(terms, regions, context, self.facts.ignored, replicated)
            except RegionDown as gone:
                if len(down) >= left:
                    raise
                down[gone.region] = DOWN
                regions = [region for region in regions if region != gone.region]
            else:
                return {**said, "regions": down} if down else said
        return {"regions": down}

    def _replicated(
        self,
        regions: Collection[str],
        context: CheckContext,
        state: DeploymentState,
        down: Collection[str],
    ) -> list[str]:
        """The secondaries of the wave that the primary already replicates to; for the primary's wave, all of them."""
        primary = context.primary
        joined = {r for r, release in state.plan.before.items() if release} - self.facts.left_out - set(down)
        joined &= {r for r, found in state.regions.items() if found.release and not found.note}
        if self.facts.links_before is None or primary not in joined:
            return []
        # The links are still the old ones: a region that they do not know gets no replication.
        known = self.applier.catalog.known_regions(self.facts.links_before)
        if known is None or known.primary != primary:
            return []
        looked_at = joined if primary in regions else joined & set(regions)
        return [region for region in known.secondaries if region in looked_at]

    def _context(self, region: str, state: DeploymentState) -> CheckContext:
        """The context of checks of the region: the settings of the release that it has now."""
        digest = state.regions[region].release
        config = self.applier.catalog.take(digest).config if digest else self.environment.config
        config = without_regions(config, self.environment.scope.uncalled | _down(state))
        return CheckContext.of(self.environment, config, Outputs(self.environment.engine.outputs()))


def _by_release(regions: Sequence[str], state: DeploymentState) -> list[list[str]]:
    """The regions in groups with the same release. On a way back the regions of a wave may have several."""
    groups: dict[str | None, list[str]] = {}
    for region in regions:
        groups.setdefault(state.regions[region].release, []).append(region)
    return list(groups.values())


def _without_links() -> list[Check]:
    """The checks of a region before the links follow."""
    apart = [check for check in all_checks() if not isinstance(check, ReplicationCheck)]
    return [FunctionCheck(linked=False) if isinstance(check, FunctionCheck) else check for check in apart]


def _tolerance_left(step: WaveStep, state: DeploymentState) -> int:
    """How many of the step's regions may be down. On the way back none."""
    elsewhere = _down(state) - set(step.regions)
    return 0 if step.back else max(0, state.plan.failure_tolerance - len(elsewhere))


def _down(state: DeploymentState) -> set[str]:
    return {region for region, found in state.regions.items() if found.note == DOWN}


def _all_outside(wrong: Sequence[CheckResult]) -> set[str]:
    """The regions that did not answer; empty when a check failed for another reason."""
    if all(is_outage(result.detail) for result in wrong):
        return {result.region for result in wrong}
    return set()


def _releases(state: DeploymentState) -> dict[str, str | None]:
    """The release of every region now. For a half-done change, the one before; the guard keeps the engine away."""
    return {r: found.release for r, found in state.regions.items()}


def _shown(result: CheckResult) -> str:
    return f"{result.check} [{result.region}]: {result.detail}"
