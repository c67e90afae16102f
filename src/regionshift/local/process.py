"""Start, find and end the emulator's process."""

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
from contextlib import suppress
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
    """The process ended before it was ready, mostly because its port was taken."""


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether the port is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def environment(folder: StateFolder, certificates: Certificates, account: str, port: int) -> dict[str, str]:
    """Return all environment variables of the emulator. It inherits none.

    Its Lambda workers inherit them, so keys, profiles, proxies or certificates of the user's shell would reach
    functions. ``HOME`` is the state folder for the same reason. Docker, which the emulator would use, is disabled.
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
    """Start the emulator in its own session, so that it survives the command and its terminal.

    Args:
        module: the process's main module; tests of the patches run the plain emulator.
        weather: the variables of the weather.

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
    """Whether our emulator is ready. Another server cannot have a certificate of our authority."""
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
    """Return the recorded process if it still runs. Another process with the same id has another start time."""
    if not record.pid:
        return None
    try:
        process = psutil.Process(record.pid)
        is_it = process.create_time() == record.started and not _has_ended(process)
    except psutil.NoSuchProcess:
        return None
    return process if is_it else None


def end(process: psutil.Process) -> None:
    """Ask the emulator to save and stop, wait for it, and kill its Lambda workers.

    A zombie counts as ended: its parent may never wait for it, such as the first process of a container.
    Each process may end by itself at any moment.
    """
    family = [process]
    with suppress(psutil.NoSuchProcess):
        family += process.children(recursive=True)
        process.terminate()
    _until_ended([process], STOP_WITHIN)
    for survivor in family:
        if not _has_ended(survivor):
            with suppress(psutil.NoSuchProcess):
                survivor.kill()
    _until_ended(family, KILLED_WITHIN)
    psutil.wait_procs(family, timeout=0)  # removes zombies that are our children


def _until_ended(family: Sequence[psutil.Process], seconds: float) -> None:
    Waiter(seconds, longest=0.1).until(lambda: all(map(_has_ended, family)), bool)


def _has_ended(process: psutil.Process) -> bool:
    try:
        # Linux shows a zombie as soon as the first thread ended: the others may still run and write.
        is_zombie = process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
        return is_zombie or not process.is_running()
    except psutil.NoSuchProcess:
        return True


def log_tail(folder: StateFolder) -> str:
    """Return the last lines of the emulator's log, as one line."""
    lines = folder.log.read_text(errors="replace").splitlines()
    return " | ".join(line.strip() for line in lines[-LOG_TAIL_LINES:])
