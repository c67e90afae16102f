"""Deploy, fail, crash, resume, take back, in any order: the journal and the regions agree at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from regionshift.errors import Refused
from regionshift.journal.events import DECISION
from regionshift.runs.deployment_plan import DeploymentPlan, Wave, WaveStep, rollback_plan
from regionshift.runs.deployment_state import (
    DOWN,
    DeploymentState,
    Direction,
    Outcome,
    RegionState,
    fold_deployment,
    regions_from_result,
)

REGIONS = ("p", "s1", "s2", "s3")
MIXED = "half-changed"


@dataclass(frozen=True)
class Told:
    step: str
    phase: str
    data: Mapping[str, object] = field(default_factory=dict)


class Deployments(RuleBasedStateMachine):
    """The world is what each region really runs; the machine under test sees only the journal."""

    def __init__(self) -> None:
        super().__init__()
        self.world: dict[str, str | None] = dict.fromkeys(REGIONS)
        self.known: dict[str, RegionState] = {region: RegionState(None) for region in REGIONS}
        self.events: list[Told] = []
        self.finished: list[DeploymentState] = []
        self.releases = 0

    @initialize(releases=st.lists(st.sampled_from([None, "r0"]), min_size=4, max_size=4))
    def begin_with(self, releases: list[str | None]) -> None:
        self.world = dict(zip(REGIONS, releases, strict=True))
        self.known = {region: RegionState(release) for region, release in self.world.items()}

    # What an operator does

    @precondition(lambda self: not self.events)
    @rule(
        order=st.permutations(REGIONS),
        cuts=st.sets(st.integers(1, 3)),
        on_failure=st.sampled_from(["rollback", "stop"]),
        tolerance=st.integers(0, 1),
        approve=st.booleans(),
    )
    def deploy(
        self, order: list[str], cuts: set[int], on_failure: str, tolerance: int, approve: bool
    ) -> None:
        self.releases += 1
        edges = [0, *sorted(cuts), len(order)]
        waves = tuple(
            Wave(number, tuple(order[low:high]), approve)
            for number, (low, high) in enumerate(pairwise(edges), start=1)
        )
        self._open(
            DeploymentPlan(
                before={region: state.release for region, state in self.known.items()},
                target=dict.fromkeys(REGIONS, f"r{self.releases}"),
                waves=waves,
                on_failure="rollback" if on_failure == "rollback" else "stop",
                failure_tolerance=tolerance,
                unsettled=frozenset(self._unsettled()),
            )
        )

    @precondition(lambda self: not self.events and self.finished)
    @rule()
    def take_back_by_hand(self) -> None:
        last = self.finished[-1]
        current = {region: state.release for region, state in self.known.items()}
        try:
            self._open(
                rollback_plan(last.plan, last.changed, current, unsettled=self._unsettled(), to_nothing=True)
            )
        except Refused:
            assert any(current[r] not in (last.plan.target[r], last.plan.before[r]) for r in last.changed)

    @precondition(lambda self: self.events and self._state().choices)
    @rule(data=st.data())
    def decide(self, data: st.DataObject) -> None:
        choice = data.draw(st.sampled_from(self._state().choices))
        self._tell(DECISION, "after", direction=choice)

    # What happens to a step

    @precondition(lambda self: self._next())
    @rule()
    def step_succeeds(self) -> None:
        step = self._begin()
        self._change(step, step.regions)
        self._tell(step.name, "after")

    @precondition(lambda self: self._next())
    @rule(data=st.data())
    def step_fails(self, data: st.DataObject) -> None:
        step = self._begin()
        said = {}
        if step.changes:
            touched = data.draw(st.sets(st.sampled_from(step.regions)))
            self._spoil(step, touched)
            said = {region: "unchanged" for region in step.regions if region not in touched}
        self._tell(step.name, "failed", error="boom", regions=said)

    @precondition(lambda self: self._next() and self._next().action == "apply")
    @rule(data=st.data())
    def a_region_is_down(self, data: st.DataObject) -> None:
        step = self._begin()
        down = data.draw(st.sampled_from(step.regions))
        self._change(step, [region for region in step.regions if region != down])
        self._spoil(step, [down])
        word = "needs a person: it holds data" if step.back else DOWN
        self._tell(step.name, "after", regions={down: word})

    @precondition(lambda self: self._next())
    @rule(data=st.data())
    def killed_in_a_step(self, data: st.DataObject) -> None:
        step = self._begin()
        if step.changes:
            self._spoil(step, data.draw(st.sets(st.sampled_from(step.regions))))

    @precondition(lambda self: self._next())
    @rule()
    def killed_before_the_journal_knows(self) -> None:
        step = self._begin()
        self._change(step, step.regions)

    @precondition(lambda self: self.events and self._state().verdict is not None)
    @rule()
    def close(self) -> None:
        state = self._state()
        assert state.verdict is not None
        self._check_verdict(state, state.verdict)
        self._tell("run", "after", outcome=state.verdict.value, **state.result())
        closed = self._state()
        assert closed.outcome == state.verdict
        assert closed.next_step is None
        assert closed.choices == ()
        self.known = regions_from_result(self.events[-1].data)
        self.finished.append(closed)
        self.events = []

    # What must hold

    @invariant()
    def a_settled_region_runs_what_the_journal_says(self) -> None:
        regions = self._state().regions if self.events else self.known
        assert set(regions) == set(REGIONS)
        for region, state in regions.items():
            if state.settled:
                assert self.world[region] == state.release

    @invariant()
    def outside_the_waves_begun_nothing_changed(self) -> None:
        if self.events:
            state = self._state()
            for region in REGIONS:
                if region not in state.changed:
                    assert state.regions[region].release == state.plan.before[region]

    def teardown(self) -> None:
        """Whatever was going on, doing what the journal says next ends it."""
        for _ in range(100):
            if not self.events or self._next() is None:
                break
            self.step_succeeds()
        if self.events:
            assert self._next() is None
            self.close()

    def _check_verdict(self, state: DeploymentState, verdict: Outcome) -> None:
        going = [region for wave in state.plan.waves for region in wave.regions]
        if verdict is Outcome.SUCCEEDED:
            assert all(self.world[region] == state.plan.target[region] for region in going)
        elif verdict is Outcome.ROLLED_BACK:
            assert all(self.world[region] == state.plan.before[region] for region in state.changed)
        elif verdict is Outcome.STOPPED:
            assert state.plan.on_failure == "stop"
        else:
            assert any(state.regions[region].note for region in going) or state.failed_back
        for region, word in state.said_per_region().items():
            if word == "updated":
                assert self.world[region] == state.plan.target[region]
            elif word == "rolled back":
                assert self.world[region] == state.plan.before[region]
            elif word == "removed":
                assert self.world[region] is None

    def _unsettled(self) -> list[str]:
        return [region for region, state in self.known.items() if not state.settled]

    def _open(self, plan: DeploymentPlan) -> None:
        self._tell("run", "before", plan=plan.to_json())

    def _tell(self, step: str, phase: str, **data: object) -> None:
        self.events.append(Told(step, phase, data))

    def _state(self) -> DeploymentState:
        return fold_deployment(self.events)

    def _next(self) -> WaveStep | None:
        return self._state().next_step if self.events else None

    def _begin(self) -> WaveStep:
        step = self._next()
        assert step is not None
        self._tell(step.name, "before")
        return step

    def _change(self, step: WaveStep, regions: object) -> None:
        if step.changes:
            state = self._state()
            assert state.direction is (Direction.BACK if step.back else Direction.FORWARD)
            goal = state.plan.before if step.back else state.plan.target
            self.world.update({region: goal[region] for region in regions})  # type: ignore[attr-defined]

    def _spoil(self, step: WaveStep, regions: object) -> None:
        if step.changes:
            self.world.update(dict.fromkeys(regions, MIXED))  # type: ignore[call-overload]


TestDeployments = Deployments.TestCase
TestDeployments.settings = settings(
    max_examples=settings.default.max_examples * 4 // 5, stateful_step_count=40
)
