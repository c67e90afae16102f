"""The one root of every error a person may see, each with the exit code of the command that met it.

Exit codes: 0 done, 1 the work failed, 2 the input is wrong, 3 refused by a guard, 130 interrupted. 2 and 3 promise
that nothing was touched: a command that had begun to change something ends with 1 instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_INPUT = 2
EXIT_REFUSED = 3
EXIT_INTERRUPTED = 130


@dataclass
class Changes:
    """What a command has done so far: whether it began to change something."""

    begun: bool = False

    def begin(self) -> None:
        """From here on the command does not end as if nothing was touched."""
        self.begun = True

    def exit_code(self, code: int) -> int:
        """``code``, or 1 in its place where it would say that nothing was touched, and that is not so."""
        return EXIT_FAILED if self.begun and code in (EXIT_INPUT, EXIT_REFUSED) else code


_CREDENTIALS = re.compile(
    r"(x-amz-security-token(?:\s*:\s*|=|%3D)|<token-\d+>|signature(?:=|%3D))[^\s&<,;'\\\"]+"
    r"|(?<=//)[^\s/@:]*:[^\s/@]*(?=@)",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """``text`` without what lets somebody in: session tokens, signatures, and the user and password of a URL.

    What AWS refuses for its signature it repeats in its sentence, with the token in the header
    ``x-amz-security-token`` ("The Canonical String for this request should have been …": IAM User Guide,
    "Troubleshoot Signature Version 4 signing"); S3 has the token in an element ``Token-0`` of the error.
    """
    return _CREDENTIALS.sub(lambda found: f"{found[1] or ''}[not shown]", text)


class RegionshiftError(Exception):
    """Something went wrong: what happened, where, and what to do next. Shows no credentials that others told it.

    Args:
        message: one sentence that says what happened.
        where: region, resource or configuration path, when there is one.
        remedy: what the reader can do next, when it is known.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.message = without_credentials(message)
        super().__init__(self.message)
        self.where = where and without_credentials(where)
        self.remedy = remedy and without_credentials(remedy)

    def exit_code_after(self, changes: Changes) -> int:
        """The exit code of the command that met this error."""
        return changes.exit_code(self.exit_code)


class WorkFailed(RegionshiftError):
    """The work itself failed, on AWS or in the engine."""


class InputError(RegionshiftError):
    """What the user gave is wrong."""

    exit_code = EXIT_INPUT


class Refused(RegionshiftError):
    """A guard said no."""

    exit_code = EXIT_REFUSED


class Interrupted(RegionshiftError):
    """The user asked to stop; the state is whole."""

    exit_code = EXIT_INTERRUPTED


class NoRoom(WorkFailed):
    """A disk of this machine is full. No step's fault: nothing is taken back for it, and a run in waves or steps
    stays open."""
