"""Runs migrations in processes that are killed at a given request. Driven over stdin by test_killed.py.

Each line is one job; a child forked for it does the work and kills itself (SIGKILL) before or after the
request that the job names. The parent answers with how the child ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.credentials import ReadOnlyCredentials
from carrier_world import Anywhere, seals_of

from regionshift.aws.clients import AccessKey, Clients
from regionshift.carriers.lines import read_entry
from regionshift.carriers.migration import Migrations
from regionshift.carriers.named_values import ClientSource
from regionshift.carriers.records import RecordStore
from regionshift.carriers.s3.objects import Objects
from regionshift.carriers.secrets import Secrets
from regionshift.carriers.ssm import Parameters
from regionshift.carriers.transport import Response, S3Request, Transport


@dataclass
class Doom:
    """Ends the process at its ``at``-th request, before it is sent or after it was answered."""

    at: int
    after: bool
    _count: int = 0
    _mine: threading.local = field(default_factory=threading.local)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sending(self) -> None:
        with self._lock:
            self._count += 1
            self._mine.come = self._count == self.at
        if self._mine.come and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)

    def answered(self) -> None:
        if self._mine.come:
            os.kill(os.getpid(), signal.SIGKILL)


class Doomed(Transport):
    """Tells its doom of every request."""

    doom: Doom

    def _once(self, request: S3Request) -> Response:
        self.doom.sending()
        answer = super()._once(request)
        self.doom.answered()
        return answer


def doomed_clients(job: dict[str, Any], doom: Doom) -> ClientSource:
    """boto3's clients, which tell it too."""
    key = AccessKey(job["access_key"], job["secret_key"])
    clients = Clients(key=key, endpoint=job["endpoint"], ca_bundle=Path(job["ca_bundle"]))
    known: set[tuple[str, str]] = set()

    def client(service: str, region: str) -> Any:
        found = clients.named(service, region)
        if (service, region) not in known:
            known.add((service, region))
            found.meta.events.register("before-send", lambda **_: doom.sending())
            found.meta.events.register("after-call", lambda **_: doom.answered())
        return found

    return client


def work(job: dict[str, Any]) -> None:
    credentials = ReadOnlyCredentials(job["access_key"], job["secret_key"], None)
    transport = Doomed(
        lambda: credentials,
        lambda _: job["endpoint"],
        "123456789012",
        ca_bundle=job["ca_bundle"],
        connections=4,
    )
    transport.doom = Doom(job["at"], job["after"])
    clients = doomed_clients(job, transport.doom)
    store = RecordStore(transport, job["region"], job["records"], seals_of(job["region"], job["records"]))
    carriers: Any = {"s3": Objects(transport), "ssm": Parameters(clients), "secrets": Secrets(clients)}
    migrations = Migrations(store, carriers, Anywhere(job["records"], ()), lambda: datetime.now(UTC))
    if job["do"] == "rollback":
        migrations.of(job["id"]).rollback()
    else:
        migrations.of(job["id"]).migrate([read_entry(job["entry"])])


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            status = 1
            try:
                work(json.loads(line))
                status = 0
            finally:
                if status:
                    traceback.print_exc()
                sys.stderr.flush()
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(ended) else f"exit {os.WEXITSTATUS(ended)}", flush=True)


if __name__ == "__main__":
    main()
