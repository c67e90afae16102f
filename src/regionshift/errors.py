"""The base class of every error that a person may see, with the exit code of the command.

Exit codes: 0 done, 1 the work failed, 2 the input is wrong, 3 refused by a guard, 130 interrupted. 2 and 3 promise
that nothing was changed: a command that began to change something ends with 1 instead.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_INPUT = 2
EXIT_REFUSED = 3
EXIT_INTERRUPTED = 130


@dataclass
class Changes:
    """Whether a command began to change something."""

    begun: bool = False

    def begin(self) -> None:
        """From now on the exit code does not promise that nothing was changed."""
        self.begun = True

    def exit_code(self, code: int) -> int:
        """``code``, or 1 if ``code`` would wrongly promise that nothing was changed."""
        return EXIT_FAILED if self.begun and code in (EXIT_INPUT, EXIT_REFUSED) else code


_CREDENTIALS = re.compile(
    r"(x-amz-security-token(?:\s*:\s*|=|%3D)|<token-\d+>|signature(?:=|%3D))[^\s&<,;'\\\"]+"
    r"|(?<=//)[^\s/@:]*:[^\s/@]*(?=@)",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """``text`` without credentials: session tokens, signatures, and the user and password of a URL.

    If a signature is wrong, AWS repeats the request in the error: "The Canonical String for this request should have
    been …" (IAM User Guide, "Troubleshoot Signature Version 4 signing"). The request has the token in the header
    ``x-amz-security-token``. S3 has the token in an element ``Token-0`` of the error.
    """
    return _CREDENTIALS.sub(lambda found: f"{found[1] or ''}[not shown]", text)


MASKED = "[secret]"
"""The mask for a secret value, in the engine's events and in errors (`without_texts`)."""
_SHORTEST_HIDDEN = 3
_PART_OF_WORDS = 8  # shorter ones stand in other words, as dev in developer
# Where a word begins: also after what JSON, Go and URLs write for a sign that is no part of one.
_WORD_BEGINS = r"(?:(?<!\w)|(?<=\\[abfnrtv])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4})|(?<=%[0-9A-Fa-f]{2}))"
_GO_ESCAPES = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}


def texts_of(values: Iterable[str | bytes], shown: Collection[str] = ()) -> set[str]:
    """The forms of secret values in an error: unchanged, on one line, quoted, in a URL, or as base64.

    AWS and its plugin repeat refused values, and the engine masks only its inputs and outputs. Like Pulumi's own
    filter, this leaves out values of one or two characters, true and false: they hide nothing, and would mask the
    error's own words (pulumi/pulumi, sdk/go/common/util/logging, CreateFilter).

    Args:
        shown: public texts, such as the region; a value that equals one of them is not hidden.
    """
    found = {text for value in values if value not in shown for text in _forms(value)}
    return {text for text in found if len(text) >= _SHORTEST_HIDDEN and text.lower() not in ("true", "false")}


def _forms(value: str | bytes) -> Iterator[str]:
    yield base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
    if isinstance(value, str):
        quoted = {form for text in (value, *_as_json(value)) for form in _as_go_quotes(text)}
        for text in (value, *_as_json(value), *quoted, *_in_urls(value)):
            yield from (text, " ".join(text.split()))


def _as_json(text: str) -> Iterator[str]:
    """The JSON of Python and of Go: Go's encoding/json escapes HTML's characters, and writes control characters as
    numbers."""
    for ascii_only in (True, False):
        plain = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        escaped = re.sub("[&<>\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", plain)
        # Go's before 1.22 knows no short form of these two.
        numbers = re.sub(
            r"\\(.)", lambda found: {"b": r"\u0008", "f": r"\u000c"}.get(found[1], found[0]), escaped
        )
        yield from (plain, escaped, numbers)


def _as_go_quotes(text: str) -> Iterator[str]:
    """The forms of Go's ``%q`` and ``%+q`` (package strconv, Quote and QuoteToASCII)."""

    def quoted(sign: str, *, ascii_only: bool) -> str:
        if sign in '"\\':
            return f"\\{sign}"
        if sign in _GO_ESCAPES:
            return _GO_ESCAPES[sign]
        if sign < " " or sign == "\x7f":
            return f"\\x{ord(sign):02x}"
        if sign.isprintable() and not (ascii_only and sign > "\x7f"):
            return sign
        return f"\\u{ord(sign):04x}" if sign <= "\uffff" else f"\\U{ord(sign):08x}"

    for ascii_only in (True, False):
        yield "".join(quoted(sign, ascii_only=ascii_only) for sign in text)


def _in_urls(text: str) -> Iterator[str]:
    """The forms in a form, a path or a query. Go's package net/url does not escape some characters of a path."""
    for found in (quote_plus(text), quote(text, safe=""), quote(text), quote(text, safe="$&+=:@")):
        yield from (found, re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), found))


def without_texts(text: str, hidden: Collection[str]) -> str:
    """``text`` without credentials, with a mask for each of ``hidden``; a short one is masked only as a whole word."""
    for each in sorted(hidden, key=len, reverse=True):
        if len(each) < _PART_OF_WORDS:
            begins = _WORD_BEGINS if re.match(r"\w", each) else ""
            ends = r"(?!\w)" if re.search(r"\w\Z", each) else ""
            text = re.sub(f"{begins}{re.escape(each)}{ends}", MASKED, text)
        else:
            text = text.replace(each, MASKED)
    return without_credentials(text)


class RegionshiftError(Exception):
    """Base of all errors: what happened, where, and what to do next. It shows no credentials.

    Args:
        message: one sentence that says what happened.
        where: region, resource or configuration path, if there is one.
        remedy: what the reader can do next, if it is known.
        error_id: its entry in `error_catalogue.CATALOGUE`; by default the class's.
    """

    exit_code = EXIT_FAILED
    error_id: str | None = None

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        remedy: str | None = None,
        error_id: str | None = None,
    ) -> None:
        self.message = without_credentials(message)
        super().__init__(self.message)
        self.error_id = error_id or self.error_id
        self.where = where and without_credentials(where)
        self.remedy = remedy and without_credentials(remedy)

    def exit_code_after(self, changes: Changes) -> int:
        """The exit code of the command."""
        return changes.exit_code(self.exit_code)


class WorkFailed(RegionshiftError):
    """The work failed, on AWS or in the engine."""


class InputError(RegionshiftError):
    """The user's input is wrong."""

    exit_code = EXIT_INPUT


class Refused(RegionshiftError):
    """A guard refused."""

    exit_code = EXIT_REFUSED


class Interrupted(RegionshiftError):
    """The user stopped the command; the state is complete."""

    exit_code = EXIT_INTERRUPTED
    error_id = "RS-USAGE-003"


class NoRoom(WorkFailed):
    """A disk of this machine is full. No step failed: nothing is rolled back, and a run in waves or steps stays
    open."""

    error_id = "RS-FILE-004"
