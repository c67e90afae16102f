"""This machine: errors that mean a problem of its disk or clock; processes and memory."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import re
from typing import Final

# errno(3): the problem with a file or its disk, and its remedy.
_DISK = {
    errno.ENOSPC: ("no room is left on the disk", "make room there, then run the command again"),
    errno.EDQUOT: ("the quota of this user is used up", "make room there, then run the command again"),
    errno.EROFS: ("the file system is mounted read-only", "mount it writable, or put it elsewhere"),
    errno.EACCES: ("this user may not do that", "run as the owner of the file, or give this user the right"),
    errno.EPERM: ("this user may not do that", "run as the owner of the file, or give this user the right"),
    errno.EEXIST: ("there is already a file of that name", "move that file away, or use another path"),
    errno.ENOTDIR: (
        "something in the path is a file, not a folder",
        "move that file away, or use another path",
    ),
    errno.EISDIR: ("a folder is where a file belongs", "move that folder away"),
    errno.ENAMETOOLONG: ("the path is too long", "use a shorter one"),
    errno.EIO: ("the disk does not read or write", "check the disk, and write nothing more to it"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n)"),
    errno.ENFILE: ("too many files are open on this machine", "close other programs"),
}
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def disk_trouble(error: BaseException) -> tuple[str, str] | None:
    """Return the problem with a file or its disk, and its remedy; None when the error is another one.

    Errors of libraries that quote the operating system's (Rust: "… (os error 28)") are read too.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := _OS_ERROR.search(str(error))):
        number = int(found.group(1))
    return _DISK.get(number) if number is not None else None


_FULL = ("no space left on device", "disk quota exceeded", "not enough space on the disk")


def is_full(said: BaseException | str) -> bool:
    """Whether an error, or the output of another program, says that a disk is full."""
    if isinstance(said, OSError):
        return said.errno in (errno.ENOSPC, errno.EDQUOT)
    return any(sign in str(said).lower() for sign in _FULL)


CLOCK: Final = "Set this machine's clock (it should follow a time server), then run the command again."
_TIME: Final = re.compile(
    r"RequestTimeTooSkewed|RequestInTheFuture|RequestExpired|Signature expired|Signature not yet current"
    r"|difference between the request time and the (?:current|server's) time is too large",
    re.IGNORECASE,
)


def is_clock_error(said: str) -> bool:
    """Whether a message of AWS, also quoted by another program, means that this machine's clock is wrong.

    AWS refuses a request that was signed more than five minutes (S3: fifteen) before or after its arrival.
    Sources: IAM User Guide, "Troubleshoot Signature Version 4 signing"; Amazon S3 API Reference, "Error responses".
    """
    return bool(_TIME.search(said))


def is_running(pid: int) -> bool:
    """Whether there is a process with that id on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


# Arguments of gc.set_threshold. Python's own (700, 10, 10) are for a small heap. Our program has a million objects, and
# few of them are garbage in cycles.
THRESHOLDS = (20_000, 20, 50)


def collect_garbage_less() -> None:
    """Collect cyclic garbage seldom, and not at exit.

    Otherwise a command that runs the engine for five regions spends a third of its own time on garbage collection, one
    second of it after its last output.
    """
    gc.set_threshold(*THRESHOLDS)
    atexit.register(gc.freeze)
