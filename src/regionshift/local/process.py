"""Starting, recognising and ending the emulator's process."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from regionshift.errors import WorkFailed
from regionshift.local.certificates import Certificates
from regionshift.local.state import CloudRecord, StateFolder
from regionshift.waiting import Waiter

LOOPBACK = "127.0.0.1"
CHILD = "regionshift.local.child"
READY_WITHIN = 60.0
STOP_WITHIN = 60.0
KILLED_WITHIN = 5.0
LOG_TAIL_LINES = 15


class ExitedEarlyError(Exception):
    """The process ended before it was ready, mostly because somebody took its port first."""


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether the port could be listened on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def environment(folder: StateFolder, certificates: Certificates, account: str, port: int) -> dict[str, str]:
    """Every environment variable of the emulator; nothing is inherited.

    Its Lambda workers inherit all of it, so a key, a profile, a proxy or a certificate bundle of the
    user's shell would end up inside functions. ``HOME`` is the state folder for the same reason, and
    Docker, which the emulator would otherwise use and tidy up in, is out of reach.
    """
    trust = str(certificates.authority)
    return {
        "PATH": os.defpath,
        "HOME": str(folder.root),
        "LANG": "C.UTF-8",
        "TMPDIR": str(folder.temporary),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": LOOPBACK,
        "MINISTACK_ACCOUNT_ID": account,
        "AUTH": "true",
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(certificates.server),
        "MINISTACK_SSL_KEY": str(certificates.key),
        "AWS_CA_BUNDLE": trust,
        "REQUESTS_CA_BUNDLE": trust,
        "SSL_CERT_FILE": trust,
        "AWS_EC2_METADATA_DISABLED": "true",
        "DOCKER_HOST": f"unix://{folder.temporary}/no-docker",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "CLOUDTRAIL_RECORDING": "1",
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder.services),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder.objects),
        "LOG_LEVEL": "WARNING",
    }


def start(
    folder: StateFolder,
    certificates: Certificates,
    account: str,
    port: int,
    module: str = CHILD,
    weather: Mapping[str, str] | None = None,
) -> psutil.Process:
    """Starts the emulator in a session of its own, so that it survives the command and its terminal.

    ``module`` is what the process runs; tests of the gaps run the emulator as it is. ``weather`` are the variables
    that tell it.

    Raises:
        ExitedEarlyError: it ended before it answered.
        WorkFailed: it did not answer in time.
    """
    with folder.log.open("wb") as log:
        folder.log.chmod(0o600)
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            env=environment(folder, certificates, account, port) | dict(weather or {}),
            cwd=folder.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process = psutil.Process(child.pid)
    deadline = time.monotonic() + READY_WITHIN
    while not answers(port, certificates.authority):
        if child.poll() is not None:
            raise ExitedEarlyError(log_tail(folder))
        if time.monotonic() > deadline:
            end(process)
            raise WorkFailed(
                f"The embedded AWS did not answer within {READY_WITHIN:.0f} s.",
                where=str(folder.log),
                remedy=log_tail(folder),
                error_id="RS-LOCAL-002",
            )
        time.sleep(0.05)
    return process


def answers(port: int, authority: Path) -> bool:
    """Whether *our* emulator is ready there: another server cannot show a certificate of our authority."""
    trust = ssl.create_default_context(cafile=str(authority))
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
    )
    try:
        with direct.open(f"https://{LOOPBACK}:{port}/_ministack/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def find(record: CloudRecord) -> psutil.Process | None:
    """The recorded process if it still runs; another process with the same id is told apart by its start."""
    if not record.pid:
        return None
    try:
        process = psutil.Process(record.pid)
        is_it = process.create_time() == record.started and not _has_ended(process)
    except psutil.NoSuchProcess:
        return None
    return process if is_it else None


def end(process: psutil.Process) -> None:
    """Asks the emulator to save and stop, waits, and leaves none of its Lambda workers behind.

    One that ended stays as a zombie until its parent asks about it. That may be a program that never does, such as the
    first process of a container, so a zombie has ended.
    """
    family = [process, *process.children(recursive=True)]
    process.terminate()
    _until_ended([process], STOP_WITHIN)
    for survivor in family:
        if not _has_ended(survivor):
            survivor.kill()
    _until_ended(family, KILLED_WITHIN)
    psutil.wait_procs(family, timeout=0)  # asks about those that are ours


def _until_ended(family: Sequence[psutil.Process], seconds: float) -> None:
    Waiter(seconds, longest=0.1).until(lambda: all(map(_has_ended, family)), bool)


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def log_tail(folder: StateFolder) -> str:
    """The last lines that the emulator printed, as one."""
    lines = folder.log.read_text(errors="replace").splitlines()
    return " | ".join(line.strip() for line in lines[-LOG_TAIL_LINES:])
