"""Doing a deployment's steps one after the other, each written down before and after, until none is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.deployment.state import DeploymentState, Outcome, fold_deployment
from regionshift.deployment.steps import Step
from regionshift.errors import Interrupted, RegionshiftError
from regionshift.journal.journal import Journal, RunJournal
from regionshift.operations.checks.base import Check, CheckContext, run_checks
from regionshift.operations.checks.replication import Replication
from regionshift.operations.environment import Environment
from regionshift.operations.outputs import Outputs
from regionshift.operations.validate import all_checks
from regionshift.operations.waves.apply import Applier, StepFailed
from regionshift.operations.waves.bake import Breach, Watch
from regionshift.operations.waves.facts import Facts, facts_from_json
from regionshift.report.values import CheckResult

Said = Mapping[str, object]
Teller = Callable[[Step, str, Said], None]
"""Is told of every step: the step, ``before``, ``after`` or ``failed``, and what the journal keeps of it."""


@dataclass(frozen=True)
class Driver:
    """Everything that the steps of a deployment need."""

    environment: Environment
    journal: Journal
    applier: Applier
    watch: Watch
    approve: Callable[[Step], bool]
    tell: Teller

    def drive(self, run: RunJournal) -> DeploymentState:
        """Do what is left of an open run, and close it.

        Raises:
            Interrupted: somebody asked to stop; the run stays open for `resume`.
            RegionshiftError: the journal or the lock is gone; the run stays open as it is.
        """
        facts = facts_from_json(self.journal.view(run.run_id).opened)
        state = self.state(run.run_id)
        while (step := state.next_step) is not None:
            doubt = state.in_doubt
            opening: Said = {"on": list(step.regions)}
            run.append(step.name, "before", data=opening)
            self.tell(step, "before", opening)
            self._do(run, step, facts, doubt=doubt)
            state = self.state(run.run_id)
        outcome = state.verdict or Outcome.STOPPED
        content = {**state.result(), "links": facts.links_now(state)}
        run.close(outcome.value, content, failed=outcome is not Outcome.SUCCEEDED)
        return state

    def state(self, run_id: str) -> DeploymentState:
        """Where a deployment stands, by its events."""
        return fold_deployment(self.journal.events(run_id))

    def _do(self, run: RunJournal, step: Step, facts: Facts, *, doubt: bool) -> None:
        phase = "after"
        try:
            said = self._perform(step, self.state(run.run_id), facts, doubt=doubt)
        except Interrupted:
            raise
        except StepFailed as error:
            phase, said = "failed", {"error": _sentence(error), "regions": dict(error.regions)}
        except RegionshiftError as error:
            phase, said = "failed", {"error": _sentence(error)}
        except (Breach, ClientError, BotoCoreError) as error:
            phase, said = "failed", {"error": str(error)}
        run.append(step.name, "after" if phase == "after" else "failed", data=said)
        self.tell(step, phase, said)

    def _perform(self, step: Step, state: DeploymentState, facts: Facts, *, doubt: bool) -> Said:
        match step.action:
            case "approve":
                if not self.approve(step):
                    raise StepFailed(f"wave {step.wave} was not approved", {})
                return {}
            case "apply":
                return self._apply(step, state, facts, doubt=doubt)
            case "links":
                return self._links(step, state, facts, doubt=doubt)
            case "validate":
                return self._validate(step, state, facts)
            case "bake":
                config = self.environment.config
                context = self._context(step.regions[0], state)
                return self.watch.bake(config, step.regions, context, facts.ignored)

    def _apply(self, step: Step, state: DeploymentState, facts: Facts, *, doubt: bool) -> Said:
        goal = _releases(state)
        ends = state.plan.before if step.back else state.plan.target
        goal |= {region: ends[region] for region in step.regions}
        kept = {r: state.plan.before[r] for r in step.regions if step.back and goal[r] is None}
        if kept and not facts.to_nothing:
            held = dict.fromkeys(
                kept, "needs a person: it had no release before, and going back to nothing was not allowed"
            )
            others = [region for region in step.regions if region not in kept]
            for region in kept:
                goal[region] = state.plan.target[region]
            if others:
                self.applier.regions(others, goal, facts.links_now(state), doubt=doubt)
            return {"regions": held}
        if not step.back and not doubt and not set(step.regions) & facts.moved:
            return {"engine": "not needed"}
        tolerate = 0 if step.back else state.plan.failure_tolerance
        links = facts.links_now(state)
        down = self.applier.regions(step.regions, goal, links, doubt=doubt, tolerate=tolerate)
        return {"regions": down} if down else {}

    def _links(self, step: Step, state: DeploymentState, facts: Facts, *, doubt: bool) -> Said:
        if facts.skipped:
            return {"left": "a region is skipped; the next `up` brings the links up to date"}
        if not facts.links_change and not doubt:
            return {"engine": "not needed"}
        links = facts.links_before if step.back else facts.links_target
        goal = _releases(state)
        self.applier.links(goal, links, doubt=doubt)
        return {}

    def _validate(self, step: Step, state: DeploymentState, facts: Facts) -> Said:
        checks: Sequence[Check] = [check for check in all_checks() if not isinstance(check, Replication)]
        if step.wave is None:
            if facts.skipped:
                return {"left": "a region is skipped"}
            checks = [Replication()]
        regions = [region for region in step.regions if state.regions[region].release is not None]
        if not regions:
            return {}
        results = run_checks(checks, self._context(regions[0], state), regions)
        wrong = [result for result in results if not result.passed]
        if wrong:
            raise StepFailed("; ".join(_shown(result) for result in wrong[:3]), {}, where=wrong[0].region)
        return {"checks": len(results)}

    def _context(self, region: str, state: DeploymentState) -> CheckContext:
        """What the region is measured against: the settings of the release that it has now."""
        digest = state.regions[region].release
        config = self.applier.shelf.take(digest).config if digest else self.environment.config
        return CheckContext(
            config, Outputs(self.environment.engine.outputs()), self.environment.clients, self.environment.now
        )


def _releases(state: DeploymentState) -> dict[str, str | None]:
    """Every region's release now; where a change is half done, what it had, which the engine is not let near."""
    return {r: found.release for r, found in state.regions.items()}


def _sentence(error: RegionshiftError) -> str:
    where = f" [{error.where}]" if error.where else ""
    remedy = f" → {error.remedy}" if error.remedy and not isinstance(error, StepFailed) else ""
    return f"{error.message}{where}{remedy}"


def _shown(result: CheckResult) -> str:
    return f"{result.check} [{result.region}]: {result.detail}"
