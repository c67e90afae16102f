"""What every migration and rollback of the command does around its work: the journal's end, and the topic's news."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.errors import RegionshiftError
from regionshift.function.notification import (
    Notification,
    NotificationStatus,
    log_group_link,
    send_notification,
)
from regionshift.journal.journal import RunJournal
from regionshift.operations.migrations.carrying import Carrying
from regionshift.settings import components as named


@dataclass
class MigrationNotifier:
    """Tells a region's deployment topic of one migration or rollback. A topic that fails stops nothing.

    Args:
        event: ``migrate`` or ``rollback``.
        run: where a message that could not be sent is noted.
    """

    carrying: Carrying
    run: RunJournal
    region: str
    event: str
    migration_id: str
    _open: bool = False

    def started(self, counts: Mapping[str, int] | None = None) -> None:
        """It is about to change something."""
        self._open = True
        self._tell("started", f"{self._what} started.", counts)

    def handed_over(self) -> None:
        """Whoever has it now tells its end."""
        self._open = False

    def ended(self, status: str, counts: Mapping[str, int]) -> None:
        """It ended here, as ``status``; nothing but ``completed`` is a success."""
        self._open = False
        self._tell(
            "success" if status == "completed" else "error", f"{self._what} ended as {status}.", counts
        )

    def failed(self, why: str, *, interrupted: bool = False) -> None:
        """It ended early. Told when its start was told and nothing else tells its end; always when interrupted."""
        if self._open or interrupted:
            self._tell("error", f"{self._what} ended early: {why}", None)
        self._open = False

    @property
    def _what(self) -> str:
        noun = "Migration" if self.event == "migrate" else "Rollback of"
        return f"{noun} {self.migration_id} in {self.region}"

    def _tell(self, status: NotificationStatus, summary: str, counts: Mapping[str, int] | None) -> None:
        environment = self.carrying.environment
        names = environment.config.names
        message = Notification(
            event=self.event,
            environment=environment.config.suffix,
            region=self.region,
            status=status,
            time=self.carrying.now().isoformat(),
            summary=summary,
            link=log_group_link(self.region, names.function_log_group(named.WORKER.name(names, self.region))),
            migration_id=self.migration_id,
            counts=dict(counts or {}),
        )
        topic = self.carrying.outputs.get("deployment_topic_arn", self.region)
        try:
            send_notification(environment.clients.get("sns", self.region), topic, message)
        except (ClientError, BotoCoreError, RegionshiftError) as problem:
            self.run.append("tell", "failed", self.region, {"error": str(problem), "status": status})


@contextmanager
def closed_early(
    run: RunJournal, step: str, news: MigrationNotifier, interrupted: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """When the block fails or is interrupted: close the run, tell it, and let the error go on.

    Args:
        step: what is under way.
        interrupted: called first on Ctrl-C.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        by_hand = isinstance(error, KeyboardInterrupt)
        why = "it was interrupted" if by_hand else str(error) or type(error).__name__
        try:
            if by_hand:
                interrupted()
            news.failed(why, interrupted=by_hand)
        except (RegionshiftError, ClientError, BotoCoreError) as second:
            error.add_note(f"and then: {second}")
        finally:
            _close(run, step, news.region, why, by_hand=by_hand, first=error)
        raise


def _close(run: RunJournal, step: str, region: str, why: str, *, by_hand: bool, first: BaseException) -> None:
    try:
        run.append(step, "failed", region, {"error": why})
        run.close("interrupted" if by_hand else "failed", failed=True)
    except RegionshiftError as second:
        # What went wrong first is what is told.
        first.add_note(f"the journal could not be closed: {second}")
