"""This machine: what is wrong with its disk or clock, by errors or another program's words; processes and memory."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import re
from typing import Final

# errno(3). What the operating system says of a file or its disk, and what a person can do about it.
_DISK = {
    errno.ENOSPC: ("no room is left on the disk", "make room there, then run the command again"),
    errno.EDQUOT: ("the quota of this user is used up", "make room there, then run the command again"),
    errno.EROFS: ("the file system is mounted read-only", "mount it writable, or put it elsewhere"),
    errno.EACCES: ("this user may not do that", "run as the user whose it is, or give this one the right"),
    errno.EPERM: ("this user may not do that", "run as the user whose it is, or give this one the right"),
    errno.EEXIST: (
        "something is there already that is no folder",
        "move that file away, or use another path",
    ),
    errno.ENOTDIR: (
        "something in the path is a file, not a folder",
        "move that file away, or use another path",
    ),
    errno.EISDIR: ("a folder is where a file belongs", "move that folder away"),
    errno.ENAMETOOLONG: ("the path is too long", "use a shorter one"),
    errno.EIO: ("the disk does not read or write", "look at the disk; nothing more is to be written there"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n)"),
    errno.ENFILE: ("too many files are open on this machine", "close what is not needed"),
}
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def disk_trouble(error: BaseException) -> tuple[str, str] | None:
    """What is wrong with a file or its disk, and what to do; None when the error tells of neither.

    An error of a library that only quotes the operating system's (Rust: "… (os error 28)") is read too.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := _OS_ERROR.search(str(error))):
        number = int(found.group(1))
    return _DISK.get(number) if number is not None else None


_FULL = ("no space left on device", "disk quota exceeded", "not enough space on the disk")


def is_full(said: BaseException | str) -> bool:
    """Whether an error, or what another program printed, says that a disk is full."""
    if isinstance(said, OSError):
        return said.errno in (errno.ENOSPC, errno.EDQUOT)
    return any(sign in str(said).lower() for sign in _FULL)


CLOCK: Final = "Set this machine's clock (it should follow a time server), then run the command again."
_TIME: Final = re.compile(
    r"RequestTimeTooSkewed|RequestInTheFuture|RequestExpired|Signature expired|Signature not yet current"
    r"|difference between the request time and the (?:current|server's) time is too large",
    re.IGNORECASE,
)


def tells_of_clock(said: str) -> bool:
    """Whether AWS's words, as such or quoted by another program, mean that this machine's clock is wrong.

    AWS refuses a request that was signed more than five minutes (S3: fifteen) before or after the time at which it
    came (IAM User Guide, "Troubleshoot Signature Version 4 signing"; Amazon S3 API Reference, "Error responses").
    """
    return bool(_TIME.search(said))


def lives(pid: int) -> bool:
    """Whether there is a process of that number on this machine, ours or somebody else's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


# Containers made since the last look, and looks until one at older generations. Python's own (700, 10, 10) suit
# a small heap; the program's resources make one of a million objects, and few of them are garbage in cycles.
THRESHOLDS = (20_000, 20, 50)


def collect_garbage_less() -> None:
    """Look for garbage seldom, and not once more at the end, when the whole process goes.

    What is in no cycle goes when it is let go of, as always. A command that runs the engine for five regions spends
    a third of its own time on looking otherwise, one second of it after its last word.
    """
    gc.set_threshold(*THRESHOLDS)
    atexit.register(gc.freeze)
