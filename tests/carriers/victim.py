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
from datetime import UTC, datetime
from typing import Any

from botocore.credentials import ReadOnlyCredentials
from kms_etags import under_kms

from regionshift.carriers.lines import read_entry
from regionshift.carriers.migration import Migrations
from regionshift.carriers.records import RecordStore
from regionshift.carriers.s3.objects import Objects
from regionshift.carriers.transport import Request, Response, Transport


class Doomed(Transport):
    """Dies at its ``at``-th request, before it is sent or after it was answered."""

    at = 0
    after = False
    _count = 0
    _lock = threading.Lock()

    def _once(self, request: Request) -> Response:
        with self._lock:
            Doomed._count += 1
            mine = Doomed._count == self.at
        if mine and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = super()._once(request)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


def work(job: dict[str, Any]) -> None:
    Doomed.at, Doomed.after = job["at"], job["after"]
    credentials = ReadOnlyCredentials(job["access_key"], job["secret_key"], None)
    transport = Doomed(
        lambda: credentials, lambda _: job["endpoint"], ca_bundle=job["ca_bundle"], connections=4
    )
    if job["kms"]:
        transport._once = under_kms(transport._once)  # type: ignore[method-assign]
    store = RecordStore(transport, job["region"], job["records"])
    migrations = Migrations(store, {"s3": Objects(transport)}, lambda: datetime.now(UTC))
    if job["do"] == "rollback":
        migrations.rollback(job["id"])
    else:
        migrations.migrate(job["id"], [read_entry(job["entry"])])


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
