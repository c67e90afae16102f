"""Find a suitable Pulumi CLI, and run it so that it can be stopped."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation._cmd import OnOutput
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from regionshift.errors import InputError, Refused

OLDEST = VersionInfo(3, 200, 0)
NEWEST_MAJOR = 3
_INSTALL_HINT = (
    "install Pulumi 3.200 or newer so that `pulumi` is on the PATH, "
    "or install Go 1.24 or newer and run `make tools` to build it"
)


def find_pulumi(variables: Mapping[str, str], extra: Sequence[Path] = ()) -> tuple[Path, VersionInfo]:
    """Return the first `pulumi` with a suitable version, in the PATH of ``variables``, then in ``extra``.

    Raises:
        InputError: there is none.
    """
    seen: list[str] = []
    folders = [variables.get("PATH", ""), *(str(folder) for folder in extra)]
    for folder in folders:
        found = shutil.which("pulumi", path=folder)
        if found is None:
            continue
        version = _version_of(Path(found), variables)
        if version is not None and version >= OLDEST and version.major == NEWEST_MAJOR:
            return Path(found), version
        seen.append(f"{found} is {version or 'of no readable version'}")
    problem = "; ".join(seen) if seen else "there is no `pulumi` command"
    raise InputError(
        f"There is no usable Pulumi CLI: {problem}.", remedy=_INSTALL_HINT, error_id="RS-ENGINE-001"
    )


def _version_of(command: Path, variables: Mapping[str, str]) -> VersionInfo | None:
    # Otherwise the CLI asks Pulumi's server for a newer version, and waits when there is no network.
    variables = {**variables, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    done = subprocess.run([command, "version"], capture_output=True, text=True, check=False, env=variables)
    match = re.search(r"v?(\d+\.\d+\.\d+\S*)", done.stdout)
    return VersionInfo.parse(match.group(1)) if match and done.returncode == 0 else None


class Claim:
    """A lock that this process shares with the CLIs that it starts, so that only one command changes the state.

    The CLI of a killed command runs for a while and still writes state. All processes that inherit the open file share
    the operating system's lock, so it is free only when the last of them has ended.
    """

    def __init__(self, path: Path, patience: float = 60.0) -> None:
        self._path = path
        self._patience = patience
        self._handle: int | None = None

    def take(self) -> int:
        """Take the lock and return the open file, which the next CLI inherits. Waits for CLIs of an earlier run.

        Raises:
            Refused: such a CLI still runs after ``patience`` seconds.
        """
        if self._handle is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() - began > self._patience:
                    raise Refused(
                        "The engine of an earlier run, which was killed, still runs.",
                        where=str(self._path),
                        remedy="wait until its `pulumi` process has ended, then run the command again",
                        error_id="RS-ENGINE-004",
                    ) from None
                time.sleep(0.2)
            else:
                return self._handle

    def give_back(self) -> None:
        """Close our copy of the file. The lock is free when no CLI has it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class StoppableCommand(PulumiCommand):
    """Runs the CLI in its own session, so that Ctrl-C in the terminal reaches it only once, through `interrupt`.

    An interrupted CLI finishes its running calls, writes its state and releases its lock.
    """

    def __init__(
        self, command: Path, version: VersionInfo, environment: Mapping[str, str], claim: Claim | None = None
    ) -> None:
        # Without the parent's constructor, which would run the CLI again to find its version.
        self.command = str(command)
        self.version = version
        self._environment = dict(environment)
        self._claim = claim
        self._running: subprocess.Popen[str] | None = None
        # A reentrant lock: a signal's handler can interrupt the thread that holds it.
        self._guard = threading.RLock()
        self._starting = self._missed = False
        self.interrupted = False
        self.halted = False

    def interrupt(self) -> None:
        """Ask the running CLI to stop cleanly, and start no other."""
        self.interrupted = True
        self._signal()

    def halt(self) -> None:
        """Ask only the running CLI to stop cleanly. The next one can run."""
        self.halted = True
        self._signal()

    def _signal(self) -> None:
        with self._guard:
            if self._starting:
                self._missed = True  # `_start` signals the process when it has started
            elif self._running is not None and self._running.poll() is None:
                self._running.send_signal(signal.SIGINT)

    @property
    def running(self) -> bool:
        """Whether a CLI runs or starts now."""
        with self._guard:
            return self._starting or (self._running is not None and self._running.poll() is None)

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> CommandResult:
        """Run one CLI command to its end. Raises the Automation API's `CommandError` when it fails."""
        environment = {**self._environment, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        handle = self._claim.take() if self._claim else None
        with self._start(args, cwd, environment, handle) as process:
            stdout, stderr = _collect(process, on_output, on_error)
        if process.returncode < 0:  # a killed process prints nothing
            stderr += f"\nerror: it was killed (signal {-process.returncode})"
        result = CommandResult(stdout=stdout, stderr=stderr, code=process.returncode)
        if process.returncode != 0:
            raise create_command_error(result)
        return result

    def _start(
        self, args: Sequence[str], cwd: str, environment: Mapping[str, str], handle: int | None
    ) -> subprocess.Popen[str]:
        # Under the guard, so that an interrupt comes either before the start or has a process to signal. A signal to
        # the starting child would be lost when it inherits an ignored SIGINT.
        with self._guard:
            if self.interrupted:
                raise create_command_error(CommandResult(stdout="", stderr="stopped as asked", code=130))
            self._starting, self._missed = True, False
            try:
                self._running = subprocess.Popen(
                    [self.command, "--non-interactive", *args],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd=cwd,
                    env=environment,
                    encoding="utf-8",
                    start_new_session=True,
                    pass_fds=() if handle is None else (handle,),
                )
            finally:
                self._starting = False
            if self._missed:
                self._signal()
            return self._running


def _collect(process: subprocess.Popen[str], *listeners: OnOutput | None) -> tuple[str, str]:
    lines: tuple[list[str], list[str]] = ([], [])

    def drain(stream: Any, listener: OnOutput | None, into: list[str]) -> None:
        try:
            for line in stream:
                into.append(line.rstrip())
                if listener:
                    listener(line.rstrip())
        except ValueError:
            if not stream.closed:  # closed after a second Ctrl-C, which leaves the CLI running
                raise

    threads = [
        threading.Thread(target=drain, args=(stream, listener, into))
        for stream, listener, into in zip((process.stdout, process.stderr), listeners, lines, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    process.wait()
    return "\n".join(lines[0]), "\n".join(lines[1])
