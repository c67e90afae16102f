"""Deploy, fail, crash, resume and take back, in any order, through the real operations with a real journal.

At the end every region is at a release that the journal names, and the regions agree with it.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from deployment_world import Agrees, NoReplication, Process, disagreements
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from model_regions import WAVES, Crash, Fault, World

from regionshift.errors import RegionshiftError
from regionshift.operations.waves import wave_run

pytestmark = pytest.mark.component

faults = st.none() | st.builds(
    Fault,
    where=st.just("step"),
    how=st.sampled_from(["fail", "lost", "interrupt", "crash before", "crash after"]),
    at=st.integers(1, 25),
)
faults |= st.builds(
    Fault,
    where=st.just("write"),
    how=st.sampled_from(["lost before", "lost after", "crash before", "crash after"]),
    at=st.integers(1, 30),
)
faults |= st.builds(Fault, where=st.just("lock"), how=st.just("lost"), at=st.integers(1, 30))
breaks = st.dictionaries(st.sampled_from(WAVES), st.sampled_from(["validate", "bake", "alarm"]), max_size=2)


class Environments(RuleBasedStateMachine):
    """A person at the command line, and a machine that fails. Every command is a process of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="regions-"))
        self.world = World(self.folder / "world")
        self.patches = [
            patch("regionshift.journal.backends._sync", lambda _: None),
            patch.object(Agrees, "world", self.world, create=True),
            patch.object(wave_run, "all_checks", lambda: [Agrees()]),
            patch.object(wave_run, "ReplicationCheck", NoReplication),
        ]
        for each in self.patches:
            each.start()

    @rule(number=st.integers(0, 3), broken=breaks, stop=st.booleans(), fault=faults)
    def up(self, number: int, broken: dict[str, str], stop: bool, fault: Fault | None) -> None:
        if not self._is_open:
            self.world.wanted = number
            self.world.on_failure = "stop" if stop else "rollback"
            digest = self.world.digest(number)
            self.world.broken = {(digest, region): how for region, how in broken.items()}
        self._run("up", fault)

    @precondition(lambda self: self._is_open)
    @rule(back=st.booleans(), fault=faults)
    def resume(self, back: bool, fault: Fault | None) -> None:
        self._run("resume", fault, back=back)

    @rule(fault=faults)
    def rollback(self, fault: Fault | None) -> None:
        self._run("rollback", fault)

    @invariant()
    def a_settled_region_runs_what_the_journal_says(self) -> None:
        assert disagreements(self.world) == []

    def teardown(self) -> None:
        """Whatever happened, `resume` ends what is open and `up` brings every region to one release."""
        try:
            self.world.broken = {}
            for _ in range(5):
                if not self._is_open:
                    break
                Process(self.world).resume()
            assert not self._is_open
            Process(self.world).up()
            deployed = Process(self.world).deployed
            assert disagreements(self.world) == []
            assert set(deployed.releases.values()) == {self.world.digest(self.world.wanted)}
            assert not deployed.unsettled
            links = self.world.digest(self.world.wanted)
            assert self.world.parts("links") == {"links": links} == {"links": deployed.links}
        finally:
            for each in reversed(self.patches):
                each.stop()
            shutil.rmtree(self.folder)

    @property
    def _is_open(self) -> bool:
        return Process(self.world).is_open

    def _run(self, command: str, fault: Fault | None, **options: bool) -> None:
        process = Process(self.world, [fault] if fault else [])
        try:
            getattr(process, command)(**options)
        except (Crash, RegionshiftError):
            return


TestEnvironments = Environments.TestCase
TestEnvironments.settings = settings(
    max_examples=settings.default.max_examples * 2 // 5, stateful_step_count=12
)
