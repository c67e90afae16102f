"""Finding a Pulumi CLI that fits, and running it so that it can be asked to stop."""

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
    """The first `pulumi` whose version fits, in the PATH of ``variables``, then in the folders ``extra``.

    Raises:
        InputError: none is there, or none fits; says what to install.
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
    # Without the variable the CLI asks its maker's server for a newer one, and waits where there is no network.
    variables = {**variables, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    done = subprocess.run([command, "version"], capture_output=True, text=True, check=False, env=variables)
    match = re.search(r"v?(\d+\.\d+\.\d+\S*)", done.stdout)
    return VersionInfo.parse(match.group(1)) if match and done.returncode == 0 else None


class Claim:
    """A lock that this process shares with every CLI it starts, so that only one command's CLIs change something.

    A killed command's CLI lives on for a while, and goes on changing and writing state. All who inherited the open
    file share the operating-system lock, so it is free only when the last of them is gone.
    """

    def __init__(self, path: Path, patience: float = 60.0) -> None:
        self._path = path
        self._patience = patience
        self._handle: int | None = None

    def take(self) -> int:
        """The open file for the next CLI to inherit; waits for CLIs that an earlier run left running.

        Raises:
            Refused: it is still at work after ``patience`` seconds.
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
                        "The engine of an earlier run, which was killed, is still at work.",
                        where=str(self._path),
                        remedy="wait until its `pulumi` process has ended, then run the command again",
                        error_id="RS-ENGINE-004",
                    ) from None
                time.sleep(0.2)
            else:
                return self._handle

    def give_back(self) -> None:
        """Close our copy of the file; the lock is free when no CLI has it any more."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class StoppableCommand(PulumiCommand):
    """The CLI in a session of its own, so that a Ctrl-C in the terminal reaches it once, through `interrupt`.

    An interrupted CLI finishes the calls under way, writes its state and gives its lock back.
    """

    def __init__(
        self, command: Path, version: VersionInfo, environment: Mapping[str, str], claim: Claim | None = None
    ) -> None:
        # The parent's constructor would run the CLI once more to learn what `find_pulumi` knows already.
        self.command = str(command)
        self.version = version
        self._environment = dict(environment)
        self._claim = claim
        self._running: subprocess.Popen[str] | None = None
        # A signal's handler runs in the thread that it interrupts, which may be the one that has it already.
        self._guard = threading.RLock()
        self._starting = self._missed = False
        self.interrupted = False
        self.halted = False

    def interrupt(self) -> None:
        """Ask the running CLI to stop cleanly; the next one is not started."""
        self.interrupted = True
        self._signal()

    def halt(self) -> None:
        """Ask the running CLI alone to stop cleanly; the next one runs."""
        self.halted = True
        self._signal()

    def _signal(self) -> None:
        with self._guard:
            if self._starting:
                self._missed = True  # the process to signal is known in a moment
            elif self._running is not None and self._running.poll() is None:
                self._running.send_signal(signal.SIGINT)

    @property
    def running(self) -> bool:
        """Whether a CLI is at work right now, or about to be."""
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
        if process.returncode < 0:  # it could not say so itself
            stderr += f"\nerror: it was killed (signal {-process.returncode})"
        result = CommandResult(stdout=stdout, stderr=stderr, code=process.returncode)
        if process.returncode != 0:
            raise create_command_error(result)
        return result

    def _start(
        self, args: Sequence[str], cwd: str, environment: Mapping[str, str], handle: int | None
    ) -> subprocess.Popen[str]:
        # Under the guard, so that a person's stop comes either before the start or finds whom to signal. What is
        # not started needs no signal: a child that inherits an ignored SIGINT would not feel it this early.
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
            if not stream.closed:  # closed: a second Ctrl-C left the CLI to itself
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
