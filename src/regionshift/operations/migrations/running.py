"""A migration or its way back as a run of the command.

Step Functions does the work, also when no command lives: the steps here are what the command does about it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from regionshift.journal.events import Event
from regionshift.operations.migrations.carrying import Carrying
from regionshift.runs.driver import RunKind, WhenFailed
from regionshift.runs.messages import DataNews
from regionshift.runs.state import RunStep, SagaState, fold_saga


@dataclass
class DataRun(RunKind[SagaState, RunStep]):
    """What the command knows of it while it works.

    Args:
        region: that is written to. changes: something is to be changed. handed_over: the state machine has it, and
            tells its end. ended: as what it ended, when that was here; only ``completed`` is a success.
        counts: what is to be done, and at the end what was.
    """

    carrying: Carrying
    migration_id: str
    region: str
    changes: bool = field(default=False, init=False)
    handed_over: bool = field(default=False, init=False)
    ended: str = field(default="", init=False)
    counts: Mapping[str, int] = field(default_factory=dict, init=False)

    event: ClassVar[str]
    when_failed: ClassVar[WhenFailed] = WhenFailed.CLOSE

    @property
    @abstractmethod
    def steps(self) -> tuple[RunStep, ...]:
        """Those that are known to be needed by now."""

    @property
    def event_region(self) -> str:
        """As of every run."""
        return self.region

    @property
    def news(self) -> DataNews:
        """As of every run."""
        is_open = self.changes and not self.handed_over
        return DataNews(
            self.event, self.migration_id, self.region, is_open=is_open, ended=self.ended, counts=self.counts
        )

    def state(self, events: Sequence[Event]) -> SagaState:
        """As of every run."""
        return fold_saga(self.steps, events[1:])

    def told_regions(self, state: SagaState) -> tuple[str, ...]:
        """The one that is written to."""
        del state
        return (self.region,)

    def why(self, error: BaseException) -> str:
        """As of every run."""
        return "it was interrupted" if isinstance(error, KeyboardInterrupt) else super().why(error)
