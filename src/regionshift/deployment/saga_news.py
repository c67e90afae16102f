"""What people are told of a change of primary, a move and a return: start, each step, a failure, the end. Pure.

As with deployments, it is told from the fold before and after an event, so that terminal and topics say the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from regionshift.deployment.news import News, NewsEvent
from regionshift.deployment.saga import Ending, SagaState, SagaStep


@dataclass(frozen=True)
class SagaNews:
    """One run of steps in words.

    Args:
        event: what a subscription filters on; the way back is told as ``rollback``.
        title: what is done, as "change of primary from A to B".
        steps: their names, in order.
        success, undone: how it stands when all is done, and when all is taken back.
        go_on: the command that goes on with it.
    """

    event: NewsEvent
    title: str
    steps: tuple[str, ...]
    success: str
    undone: str
    go_on: str

    def of_start(self, *, again: bool = False, back: bool = False) -> News:
        """It begins, or an earlier process's work is gone on with, or is taken back."""
        word = "is taken back" if back else "goes on" if again else "began"
        event: NewsEvent = "rollback" if back else self.event
        order = "" if back else f": {', '.join(self.steps)}"
        return News(event, "started", f"{self.title} {word}{order}", self._counts())

    def of_done(self, step: str) -> News:
        """A step is done."""
        number = self.steps.index(step) + 1
        summary = f"step {number} of {len(self.steps)} is done: {step} ({self.title})"
        return News(self.event, "success", summary, {"step": number, **self._counts()})

    def of_failure(self, step: str, why: str) -> News:
        """A step failed, and what is done stays as it is until somebody goes on."""
        return News(self.event, "error", f"{step} failed: {why}; go on with: {self.go_on}", self._counts())

    def of_interruption(self, step: str) -> News:
        """Somebody asked to stop; it stays open at this step."""
        return News(
            self.event,
            "error",
            f"{self.title} was stopped at {step}; go on with: {self.go_on}",
            self._counts(),
        )

    def of_success(self, figures: str = "") -> News:
        """All is done; ``figures``: what was measured, in words."""
        said = f"{self.title} ended: {self.success}{'; ' + figures if figures else ''}"
        return News(self.event, "success", said, self._counts())

    def of_stop(self) -> News:
        """All is taken back, or it was stopped."""
        return News("rollback", "error", f"{self.title} ended, rolled back: {self.undone}", self._counts())

    def of_step(self, before: SagaState, after: SagaState, step: SagaStep) -> News | None:
        """What the end of a step with a way back is worth telling."""
        if step.name in after.failed:
            turned = after.backward and not before.backward
            began = ", ".join(
                each.name for each in after.plan if each.reversible and each.name in after.began
            )
            turn = f"; taking back {began or 'nothing, for nothing was changed'}" if turned else ""
            why = after.failed[step.name]
            return News("rollback", "error", f"{step.name} failed: {why}{turn}", self._counts())
        return None if step.back else self.of_done(step.name)

    def of_warning(self, step: str, warning: str) -> News:
        """A step that is done as far as it could be; what is left is for a person."""
        return News(self.event, "error", f"{step}: {warning}", self._counts())

    def of_end(self, state: SagaState, figures: str = "") -> News:
        """How a run whose steps have ways back ended, or that it waits for a person."""
        if state.ending is Ending.DONE:
            return self.of_success(figures)
        if state.ending is Ending.TAKEN_BACK:
            return self.of_stop()
        said = f"{self.title} is between, and needs a person: mend the cause, then: {self.go_on}"
        return News("rollback", "error", said, self._counts())

    def _counts(self) -> dict[str, int]:
        return {"steps": len(self.steps)}
