"""A person at a terminal: sees what the command writes there, answers, and presses keys."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from dataclasses import dataclass, field
from types import TracebackType

from e2e_place import COMMAND, Place

CTRL_C = "\x03"
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PATIENCE_S = 240.0


@dataclass
class Terminal:
    """The command at a terminal of ``columns``, until it ends or is killed."""

    place: Place
    arguments: tuple[str, ...]
    columns: int = 80
    said: str = field(default="", init=False)

    def __enter__(self) -> Terminal:
        self._screen, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, self.columns, 0, 0))
        outside = {name: value for name, value in os.environ.items() if not name.startswith("REGIONSHIFT_")}
        self._process = subprocess.Popen(
            [COMMAND, *self.arguments],
            cwd=self.place.folder,
            env={**outside, **self.place.variables, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # The terminal is the session's own, so that Ctrl-C reaches the command as it does a person's.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,  # noqa: PLW1509
        )
        os.close(theirs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()
        os.close(self._screen)
        self.place.told.append(self.said)

    def wait_for(self, text: str) -> None:
        """Until ``text`` stands on the screen, on one line or broken over two."""
        until = time.monotonic() + _PATIENCE_S
        while text not in " ".join(self.said.split()):
            assert time.monotonic() < until, self.said
            assert self._read(), f"it ended without {text!r}: {self.said}"

    def press(self, keys: str) -> None:
        os.write(self._screen, keys.encode())

    def end(self) -> int:
        """The exit code, when the command has ended by itself."""
        while self._read():
            pass
        return self._process.wait(_PATIENCE_S)

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(_PATIENCE_S)

    def _read(self) -> bool:
        """Read what was written meanwhile; False when nobody can write any more."""
        ready, _, _ = select.select([self._screen], [], [], 1.0)
        if not ready:
            return True
        try:
            found = os.read(self._screen, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            return False
        self.said += _COLOURS.sub("", found.decode(errors="replace")).replace("\r", "")
        return bool(found)
