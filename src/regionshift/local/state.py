"""The state folder of the embedded AWS, which only its owner can read.

::

    <state_dir>/cloud.json   account, port, process and admin key of the running cloud (0600)
    <state_dir>/tls/         its certificate authority and certificate
    <state_dir>/services/    the state of each emulated service
    <state_dir>/objects/     the bytes of S3 objects
    <state_dir>/tmp/         unpacked functions, and other temporary files
    <state_dir>/emulator.log the output of the process
    <state_dir>/requests.jsonl a log of all requests, if this file exists when the process starts
    <state_dir>/questions.jsonl a log of the evaluations of roles' policies, likewise
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from regionshift.local.weather import CALM

OWNER_ONLY_FOLDER = 0o700
OWNER_ONLY_FILE = 0o600
REQUESTS = "requests.jsonl"
QUESTIONS = "questions.jsonl"
# An IAM user, because policies do not apply to root.
ADMIN = "regionshift-admin"


@dataclass(frozen=True)
class CloudRecord:
    """The content of ``cloud.json``.

    ``started``: the start of the process in seconds since the epoch, because a process id can be used again.
    ``weather``, ``seed``: those of the last start.
    """

    account: str
    port: int
    pid: int = 0
    started: float = 0.0
    access_key: str = ""
    secret_key: str = ""
    weather: str = CALM
    seed: int = 0

    def without_process(self) -> CloudRecord:
        """Return the record of the stopped cloud."""
        return replace(self, pid=0, started=0.0)


class StateFolder:
    """Paths under the state folder, and the record in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = root / "lock"
        self.record = root / "cloud.json"
        self.log = root / "emulator.log"
        self.tls = root / "tls"
        self.services = root / "services"
        self.objects = root / "objects"
        self.temporary = root / "tmp"

    def make(self) -> None:
        """Create the folders, for their owner only."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(OWNER_ONLY_FOLDER)
        for folder in (self.tls, self.services, self.objects, self.temporary):
            folder.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)

    def read(self) -> CloudRecord | None:
        """Return the record; None when it is missing or damaged."""
        try:
            return CloudRecord(**json.loads(self.record.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, record: CloudRecord) -> None:
        """Replace the record atomically. It has a key, so only its owner can read it."""
        write_private(self.record, json.dumps(asdict(record), indent=2).encode())


def write_private(path: Path, content: bytes) -> None:
    """Write a file atomically, for its owner only."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
