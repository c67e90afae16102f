"""What the embedded AWS keeps on disk: one folder, readable by its owner only.

::

    <state_dir>/cloud.json   account, port, process and admin key of the running cloud (0600)
    <state_dir>/tls/         its certificate authority and certificate
    <state_dir>/services/    what each emulated service stores
    <state_dir>/objects/     the bytes of S3 objects
    <state_dir>/tmp/         functions, unpacked once for each code, and other temporary files
    <state_dir>/emulator.log what the process printed
    <state_dir>/requests.jsonl every request, written down when this file is there as the process starts
    <state_dir>/questions.jsonl every question that a role's policies are asked, likewise
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
# An IAM user, because policies do not apply to the emulator's root.
ADMIN = "regionshift-admin"


@dataclass(frozen=True)
class CloudRecord:
    """The content of ``cloud.json``. ``started`` is the process's start in seconds since the epoch:

    a process id alone may belong to somebody else by now. ``weather`` and ``seed`` are those of the last start.
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
        """The same cloud, stopped."""
        return replace(self, pid=0, started=0.0)


@dataclass(frozen=True)
class StateFolder:
    """Paths under the state folder, and the record in it."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def record(self) -> Path:
        return self.root / "cloud.json"

    @property
    def log(self) -> Path:
        return self.root / "emulator.log"

    @property
    def tls(self) -> Path:
        return self.root / "tls"

    @property
    def services(self) -> Path:
        return self.root / "services"

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    def make(self) -> None:
        """Creates the folders; other users of the machine may not look inside."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(OWNER_ONLY_FOLDER)
        for folder in (self.tls, self.services, self.objects, self.temporary):
            folder.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)

    def read(self) -> CloudRecord | None:
        """The record, or None when there is none or it is not whole (it is then made anew)."""
        try:
            return CloudRecord(**json.loads(self.record.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, record: CloudRecord) -> None:
        """Replaces the record in one step; it holds a key, so only its owner may read it."""
        write_private(self.record, json.dumps(asdict(record), indent=2).encode())


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner can read, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
