"""Doing a run's steps one after the other, each written down before and after; back again when one fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.carriers.transport import AnswerLostError, S3Error
from regionshift.errors import Interrupted, NoRoom, RegionshiftError
from regionshift.journal.journal import Journal, RunJournal
from regionshift.machine import is_full
from regionshift.runs.messages import News, SagaNews
from regionshift.runs.state import Ending, RunStep, SagaState, fold_saga

Said = Mapping[str, object]
Teller = Callable[[SagaState, RunStep, str, Said], None]
"""Is told of every step: where the run stands, the step, ``before``, ``after`` or ``failed``, what is kept."""

NewsListener = Callable[[News], None]
"""Tells people what is new: the terminal and the topics."""


class Performer(Protocol):
    """What the steps of a run do."""

    def do(self, step: RunStep, *, doubt: bool) -> Said:
        """One step forward; ``doubt``: an earlier attempt was killed."""

    def take_back(self, step: RunStep, began: frozenset[str]) -> Said:
        """One step back, as far as it was done; ``began``: the names of all steps that began."""


def drive(
    journal: Journal,
    run: RunJournal,
    steps: Sequence[RunStep],
    performer: Performer,
    tell: Teller,
    saga_news: SagaNews,
    herald: NewsListener,
) -> SagaState:
    """Do what is left of an open run. The caller closes it, unless it ends as stuck, and tells its end.

    Raises:
        Interrupted: somebody asked to stop; the run stays open for `resume`.
        RegionshiftError: the journal or the lock is gone, or a disk is full; the run stays open as it is.
    """
    state = state_of(journal, run.run_id, steps)
    tried = False
    herald(saga_news.of_start(again=bool(state.began), back=state.backward))
    # A way back that failed is tried once more by whoever resumes, not again and again.
    while (step := state.next_step) is not None and not (state.stuck and tried):
        doubt = state.in_doubt
        run.append(step.name, "before", data={"doubt": doubt})
        tell(state, step, "before", {})
        try:
            phase, said = _perform(performer, step, frozenset(state.began), doubt=doubt)
        except (Interrupted, KeyboardInterrupt) as stopped:
            journal.guard()  # the engine is stopped too when the lock is lost, and that nobody asked for
            herald(saga_news.of_interruption(step.name))
            raise interruption(step.name, saga_news) from stopped
        run.append(step.name, "after" if phase == "after" else "failed", data=said)
        before, state = state, state_of(journal, run.run_id, steps)
        tell(state, step, phase, said)
        if news := saga_news.of_step(before, state, step):
            herald(news)
        if warning := said.get("warning"):
            herald(saga_news.of_warning(step.name, str(warning)))
        tried = tried or step.back
    return state


def interruption(step: str, saga_news: SagaNews) -> Interrupted:
    """What whoever pressed Ctrl-C reads; also where nothing but Python itself was there to stop."""
    return Interrupted(f"Stopped as asked, at {step}: {saga_news.title} is open.", remedy=saga_news.go_on)


def state_of(journal: Journal, run_id: str, steps: Sequence[RunStep]) -> SagaState:
    """Where a run stands, by its events."""
    return fold_saga(steps, journal.events(run_id)[1:])


def is_over(state: SagaState) -> bool:
    """Whether the run may be closed: all is done, or all is taken back."""
    return state.ending in (Ending.DONE, Ending.TAKEN_BACK)


def _perform(
    performer: Performer, step: RunStep, began: frozenset[str], *, doubt: bool
) -> tuple[str, dict[str, object]]:
    try:
        said = performer.take_back(step, began) if step.back else performer.do(step, doubt=doubt)
    except (Interrupted, NoRoom):
        raise
    except RegionshiftError as error:
        where = f" [{error.where}]" if error.where else ""
        remedy = f" → {error.remedy}" if error.remedy else ""
        return "failed", {"error": f"{error.message}{where}{remedy}"}
    except (ClientError, BotoCoreError, S3Error, AnswerLostError, OSError) as error:
        if isinstance(error, OSError) and is_full(error):
            raise NoRoom(
                "No room is left on a disk of this machine.",
                where=str(error.filename or step.name),
                remedy="make room there, then: regionshift resume",
            ) from error
        return "failed", {"error": str(error)}
    return "after", dict(said)
