"""Publishes the messages of a run to the deployment topics of regions. A topic that fails stops nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.clients import Clients
from regionshift.errors import RegionshiftError
from regionshift.function.notification import Notification, log_group_link, send_notification
from regionshift.runs.messages import News, RunListener
from regionshift.runs.state import RunStep
from regionshift.settings import components
from regionshift.settings.config import MigrationConfig
from regionshift.settings.regions import partition_of

_PATIENCE_S = 15.0


@dataclass
class TopicNotifier(RunListener[RunStep]):
    """Publishes each message to the deployment topics of the regions, all at once.

    Args:
        complain: gets a sentence about a region that could not be reached, once for each region.
    """

    clients: Clients
    config: MigrationConfig
    now: Callable[[], datetime]
    complain: Callable[[str], None]
    _silent: set[str] = field(default_factory=set, repr=False)

    def on_news(self, run_id: str, news: News, regions: Collection[str]) -> None:
        """Publish to ``regions``. Never raises for what a topic does, and waits at most 15 s for each."""
        told = [region for region in regions if region not in self._silent]
        wrong: dict[str, str] = {}
        # Daemon threads: a region that does not answer must not keep the command from ending.
        threads = {
            region: threading.Thread(target=self._publish, args=(run_id, news, region, wrong), daemon=True)
            for region in told
        }
        for thread in threads.values():
            thread.start()
        for region, thread in threads.items():
            thread.join(_PATIENCE_S)
            if thread.is_alive():
                wrong[region] = f"no answer within {_PATIENCE_S:.0f} s"
        for region, why in sorted(wrong.items()):
            self._silent.add(region)
            self.complain(f"the deployment topic of {region} could not be told: {why}")

    def _publish(self, run_id: str, news: News, region: str, wrong: dict[str, str]) -> None:
        names = self.config.names
        # A migration logs in the worker's log group.
        component = components.WORKER if news.migration_id else components.FUNCTION
        function = component.name(names, region)
        topic = components.DEPLOYMENT_TOPIC.name(names, region)
        message = Notification(
            event=news.event,
            environment=self.config.suffix,
            region=region,
            status=news.status,
            time=self.now().isoformat(),
            summary=news.summary,
            link=log_group_link(region, names.function_log_group(function)),
            deployment_id=None if news.migration_id else run_id,
            migration_id=news.migration_id,
            counts=news.counts,
        )
        arn = f"arn:{partition_of(region)}:sns:{region}:{self.config.account}:{topic}"
        try:
            send_notification(self.clients.get("sns", region), arn, message)
        except (ClientError, BotoCoreError, RegionshiftError) as error:
            wrong[region] = str(error)
