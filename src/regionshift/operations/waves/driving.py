"""Doing a deployment's steps one after the other, each written down before and after, until none is left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.errors import tells_of_outside
from regionshift.errors import Changes, Interrupted, NoRoom, Refused, RegionshiftError
from regionshift.journal.journal import Journal, RunJournal
from regionshift.operations.checks.base import Check, CheckContext, run_checks
from regionshift.operations.checks.function import FunctionCheck
from regionshift.operations.checks.replication import ReplicationCheck
from regionshift.operations.environment import Environment
from regionshift.operations.orphans import recover
from regionshift.operations.outputs import Outputs
from regionshift.operations.region_scope import without_regions
from regionshift.operations.validate import all_checks
from regionshift.operations.waves.apply import Applier, StepFailed
from regionshift.operations.waves.bake import Breach, Watch
from regionshift.operations.waves.down import RegionDown
from regionshift.operations.waves.facts import Facts, Terms, facts_from_json, terms_of
from regionshift.report.values import CheckResult
from regionshift.runs.deployment_plan import WaveStep
from regionshift.runs.deployment_state import DONE, DOWN, DeploymentState, Outcome, fold_deployment
from regionshift.runs.messages import DeploymentNews, News

Said = Mapping[str, object]
Teller = Callable[[WaveStep, str, Said], None]
"""Is told of every step: the step, ``before``, ``after`` or ``failed``, and what the journal keeps of it."""
WaveNewsListener = Callable[[str, News, Collection[str]], None]
"""Is told the news: the run, what there is to tell, and the regions that may be told of it."""

_STILL_DOWN = "needs a person: it is down and was not taken back; `regionshift up` when it answers"


GO_ON = "`regionshift resume` goes on with it, `regionshift resume --back` takes it back"


class Waits(Refused):
    """A wave waits for a person; the run stays open."""

    def exit_code_after(self, changes: Changes) -> int:
        """As documented also after the waves before it: a pipeline tells a wait from a failure by it."""
        del changes
        return self.exit_code


class Unanswered(Interrupted):
    """The person who was asked gave no answer; the wave waits, and the run stays open."""


@dataclass(frozen=True)
class Driver:
    """Everything that the steps of a deployment need.

    ``approve`` says whether a wave may begin, or raises `Waits` when there is nobody to say so.
    """

    environment: Environment
    journal: Journal
    applier: Applier
    watch: Watch
    approve: Callable[[WaveStep], bool]
    tell: Teller
    readers: Sequence[WaveNewsListener] = ()

    def drive(self, run: RunJournal) -> DeploymentState:
        """Do what is left of an open run, and close it.

        Raises:
            Interrupted: somebody asked to stop; the run stays open for `resume`.
            Waits: a wave waits for a person; the run stays open for `resume`.
            RegionshiftError: the journal or the lock is gone; the run stays open as it is.
        """
        view = self.journal.view(run.run_id)
        facts = facts_from_json(view.opened)
        if facts.terms is None:
            facts = facts.with_terms(terms_of(self.environment.config))
        try:
            return self._with(facts.terms)._drive(run, view.kind, facts)
        except Unanswered:
            raise
        except (Interrupted, KeyboardInterrupt) as stopped:
            self.journal.guard()  # the engine is stopped too when the lock is lost, and that nobody asked for
            raise Interrupted(
                f"Stopped as asked; the {view.kind} is not finished.", where=run.run_id, remedy=GO_ON
            ) from stopped

    def _with(self, terms: Terms | None) -> Driver:
        """The same under the terms that the deployment was begun with."""
        if terms is None:
            return self
        applier = replace(self.applier, allow_data_loss=terms.allow_data_loss, refresh=terms.refresh)
        return replace(self, applier=applier)

    def _drive(self, run: RunJournal, kind: str, facts: Facts) -> DeploymentState:
        state = self.state(run.run_id)
        if not state.began:
            self._spread(run, DeploymentNews(kind).of_start(state), state, facts)
        while (step := state.next_step) is not None:
            doubt = state.in_doubt
            opening: Said = {"on": list(step.regions)}
            run.append(step.name, "before", data=opening, only_looks=step.only_looks)
            self.tell(step, "before", opening)
            try:
                self._do(run, step, facts, doubt=doubt)
            except Waits:
                self._spread(run, DeploymentNews(kind).of_waiting(state, step), state, facts)
                raise
            before, state = state, self.state(run.run_id)
            if news := DeploymentNews(kind).of_step(before, state, step):
                self._spread(run, news, state, facts)
        outcome = state.verdict or Outcome.STOPPED
        content = {**state.result(), "links": facts.links_now(state)}
        run.close(outcome.value, content, failed=outcome is not Outcome.SUCCEEDED)
        self._spread(run, DeploymentNews(kind).of_end(state), state, facts)
        return state

    def _spread(self, run: RunJournal, news: News, state: DeploymentState, facts: Facts) -> None:
        """To every reader; a region that is skipped, down or holds nothing is not told."""
        regions = [
            region
            for region, found in state.regions.items()
            if region not in facts.left_out
            and found.note not in (DOWN, _STILL_DOWN)
            and found.release is not None
        ]
        for reader in self.readers:
            reader(run.run_id, news, regions)

    def state(self, run_id: str) -> DeploymentState:
        """Where a deployment stands, by its events."""
        return fold_deployment(self.journal.events(run_id))

    def _do(self, run: RunJournal, step: WaveStep, facts: Facts, *, doubt: bool) -> None:
        phase = "after"
        try:
            said = self._perform(step, self.state(run.run_id), facts, doubt=doubt)
        except (Interrupted, Waits, NoRoom):
            raise
        except StepFailed as error:
            phase, said = "failed", {"error": _sentence(error), "regions": dict(error.regions)}
        except RegionshiftError as error:
            phase, said = "failed", {"error": _sentence(error)}
        except (Breach, RegionDown, ClientError, BotoCoreError) as error:
            phase, said = "failed", {"error": str(error)}
        run.append(step.name, "after" if phase == "after" else "failed", data=said)
        self.tell(step, phase, said)

    def _perform(self, step: WaveStep, state: DeploymentState, facts: Facts, *, doubt: bool) -> Said:
        match step.action:
            case "approve":
                if not self.approve(step):
                    raise StepFailed(f"wave {step.wave} was not approved", {})
                return {"by": self.applier.catalog.by}
            case "apply":
                return self._apply(step, state, facts, doubt=doubt)
            case "links":
                return self._links(step, state, facts, doubt=doubt)
            case "validate":
                return self._validate(step, state, facts)
            case "bake":
                return self._bake(step, state, facts)

    def _apply(self, step: WaveStep, state: DeploymentState, facts: Facts, *, doubt: bool) -> Said:
        # What an earlier change left between two releases may be other in AWS than in the engine's state.
        doubt = doubt or not state.whole.issuperset(step.regions)
        goal, without = _releases(state), facts.left_out | _down(state) - set(step.regions)
        ends = state.plan.before if step.back else state.plan.target
        goal |= {region: ends[region] for region in step.regions}
        kept = {r: state.plan.before[r] for r in step.regions if step.back and goal[r] is None}
        if kept and not facts.to_nothing:
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
                self.applier.regions(others, goal, facts.links_now(state), without=without, doubt=doubt)
            return {"regions": held, **found}
        if not step.back and not doubt and not set(step.regions) & facts.moved:
            return {"engine": "not needed"}
        # On the way back the regions that are there go back, however many are not.
        tolerate = len(step.regions) if step.back else _tolerance_left(step, state)
        found = self._recover(without, doubt=doubt)
        down = self.applier.regions(
            step.regions, goal, facts.links_now(state), without=without, doubt=doubt, tolerate=tolerate
        )
        if step.back:
            down = dict.fromkeys(down, _STILL_DOWN)
        return {"regions": down, **found} if down else found

    def _recover(self, without: Collection[str], *, doubt: bool) -> dict[str, object]:
        """What a killed engine made comes into the state before anything is changed again, or a way back leaves it."""
        if not doubt:
            return {}
        recovered = recover(self.environment.without(down=without))
        return {"recovery": recovered.to_json()} if recovered.taken or recovered.unclear else {}

    def _links(self, step: WaveStep, state: DeploymentState, facts: Facts, *, doubt: bool) -> Said:
        if facts.left_out:
            return {"left": "a region is left out; the next `up` brings the links up to date"}
        if down := sorted(_down(state)):
            return {"left": f"{', '.join(down)} is down; the next `up` brings the links up to date"}
        doubt = doubt or bool(state.plan.unsettled) or (step.back and "links" not in state.done)
        if not facts.links_change and not doubt:
            return {"engine": "not needed"}
        links = facts.links_before if step.back else facts.links_target
        found = self._recover((), doubt=doubt)
        self.applier.links(_releases(state), links, doubt=doubt)
        return found

    def _validate(self, step: WaveStep, state: DeploymentState, facts: Facts) -> Said:
        if step.wave is None and (facts.left_out or "links" in state.left):
            return {"left": "the links were left as they are"}
        regions = [region for region in step.regions if state.regions[region].release is not None]
        if not regions:
            return {}
        if step.wave is None:
            context = self._context(regions[0], state)
            results = run_checks([ReplicationCheck()], context, regions)
            inside = [check for check in all_checks() if isinstance(check, FunctionCheck)]
            results += run_checks(inside, context, {context.primary} & set(regions))
        else:
            results = []
            for alike in _by_release(regions, state):
                results += run_checks(_without_links(), self._context(alike[0], state), alike)
        wrong = [result for result in results if not result.passed]
        down = _all_outside(wrong)
        if down and len(down) <= _tolerance_left(step, state):
            return {"checks": len(results), "regions": dict.fromkeys(sorted(down), DOWN)}
        if wrong:
            well = dict.fromkeys(set(regions) - {result.region for result in wrong}, DONE)
            raise StepFailed("; ".join(_shown(result) for result in wrong[:3]), well, where=wrong[0].region)
        return {"checks": len(results)}

    def _bake(self, step: WaveStep, state: DeploymentState, facts: Facts) -> Said:
        regions, down, left = list(step.regions), dict[str, str](), _tolerance_left(step, state)
        while regions:
            context = self._context(regions[0], state)
            replicated = self._replicated(regions, context, state, facts, down)
            try:
                terms = facts.terms or Terms()
                said = self.watch.bake(terms, regions, context, facts.ignored, replicated)
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
        facts: Facts,
        down: Collection[str],
    ) -> list[str]:
        """The secondaries to which the primary already replicates, of the wave, or all after the primary's."""
        primary = context.primary
        joined = {r for r, release in state.plan.before.items() if release} - facts.left_out - set(down)
        joined &= {r for r, found in state.regions.items() if found.release and not found.note}
        if facts.links_before is None or primary not in joined:
            return []
        # What joins the regions still is what it was: a region that it does not know is not replicated to.
        known = self.applier.catalog.known_regions(facts.links_before)
        if known is None or known.primary != primary:
            return []
        looked_at = joined if primary in regions else joined & set(regions)
        return [region for region in known.secondaries if region in looked_at]

    def _context(self, region: str, state: DeploymentState) -> CheckContext:
        """What the region is measured against: the settings of the release that it has now."""
        digest = state.regions[region].release
        config = self.applier.catalog.take(digest).config if digest else self.environment.config
        return CheckContext(
            without_regions(config, self.environment.scope.uncalled | _down(state)),
            Outputs(self.environment.engine.outputs()),
            self.environment.clients,
            self.environment.now,
        )


def _by_release(regions: Sequence[str], state: DeploymentState) -> list[list[str]]:
    """The regions in groups that have one release; on a way back those of a wave may have several."""
    groups: dict[str | None, list[str]] = {}
    for region in regions:
        groups.setdefault(state.regions[region].release, []).append(region)
    return list(groups.values())


def _without_links() -> list[Check]:
    """What is asked of a region before what joins regions follows it."""
    apart = [check for check in all_checks() if not isinstance(check, ReplicationCheck)]
    return [FunctionCheck(linked=False) if isinstance(check, FunctionCheck) else check for check in apart]


def _tolerance_left(step: WaveStep, state: DeploymentState) -> int:
    """How many of the step's regions may be found down; on the way back none."""
    elsewhere = _down(state) - set(step.regions)
    return 0 if step.back else max(0, state.plan.failure_tolerance - len(elsewhere))


def _down(state: DeploymentState) -> set[str]:
    return {region for region, found in state.regions.items() if found.note == DOWN}


def _all_outside(wrong: Sequence[CheckResult]) -> set[str]:
    """The regions that did not answer; empty when anything is wrong for another reason."""
    if all(tells_of_outside(result.detail) for result in wrong):
        return {result.region for result in wrong}
    return set()


def _releases(state: DeploymentState) -> dict[str, str | None]:
    """Every region's release now; where a change is half done, what it had, which the engine is not let near."""
    return {r: found.release for r, found in state.regions.items()}


def _sentence(error: RegionshiftError) -> str:
    where = f" [{error.where}]" if error.where else ""
    remedy = f" → {error.remedy}" if error.remedy and not isinstance(error, StepFailed) else ""
    return f"{error.message}{where}{remedy}"


def _shown(result: CheckResult) -> str:
    return f"{result.check} [{result.region}]: {result.detail}"
