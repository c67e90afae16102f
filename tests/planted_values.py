"""Marked values for every place where a secret enters, and a search for them in whatever somebody could read.

A marked value has the same beacon at both ends, so that a piece of it is found too. What is searched is also read
without its blanks and line ends (a terminal and MIME break lines), and archives in it are opened. The beacon is of
letters and digits alone, which URL, JSON, XML and shell escapes leave as they are; each form that does not leave it
so is a needle of its own. `tests/unit/test_planted_values.py` shows that each form is found.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import html
import io
import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

BEACON = "Qz7PlantedXw3kV9"
_BLANKS = re.compile(rb"(?:\s|\\[nrt])+")
_LONG_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{32,}={0,2}")
_MAGIC = (b"PK\x03\x04", b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda")
_DEEPEST = 3
_SHOWN = 60


def planted(name: str) -> str:
    """A marked text with signs that each escape changes; ``name`` says where it was planted."""
    return f"{BEACON}-{name}: \"ü\\/+&<%>='?~\n{BEACON}"


def planted_word(name: str) -> str:
    """The same of letters and digits alone, for what becomes part of a header or a URL."""
    return f"{BEACON}{name}{BEACON}"


def planted_bytes(name: str) -> bytes:
    """A marked content that is no text."""
    return f"{BEACON}-{name}".encode() + b"\xff\x00\xfe\x80" + BEACON.encode()


def _base64(content: bytes) -> Iterator[bytes]:
    """What is certain of the base64 of anything that holds ``content``, for each of the three places to begin."""
    for shift in range(3):
        begins, ends = -(-shift * 8 // 6), (shift + len(content)) * 8 // 6
        text = base64.b64encode(bytes(shift) + content)[begins:ends]
        yield text
        yield text.translate(bytes.maketrans(b"+/", b"-_"))


def forms_of(value: bytes) -> dict[str, frozenset[bytes]]:
    """How ``value`` can stand in something, by the form's name."""
    found = {"plain": {value}, "reversed": {value[::-1]}}
    found["hex"] = {value.hex().encode(), value.hex().upper().encode()}
    found["base64"] = set(_base64(value))
    found["base64 twice"] = {each for once in found["base64"] for each in _base64(once)}
    escaped = "".join(f"%{byte:02x}" for byte in value)
    found["percent"] = {escaped.encode(), escaped.upper().encode()}
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return {name: frozenset(needles) for name, needles in found.items()}
    wide = [text.encode("utf-16-le"), text.encode("utf-16-be")]
    found["UTF-16"] = set(wide)
    found["base64 of UTF-16"] = {each for one in wide for each in _base64(one)}
    units = "".join(f"\\u{ord(sign):04x}" for sign in text)
    found["\\u"] = {units.encode(), units.upper().replace("\\U", "\\u").encode()}
    for name, escape in (
        ("URL", lambda each: quote(each, safe="")),
        ("URL, path", quote),
        ("form", quote_plus),
        ("JSON", lambda each: json.dumps(each)[1:-1]),
        ("JSON, unicode", lambda each: json.dumps(each, ensure_ascii=False)[1:-1]),
        ("XML", html.escape),
        ("repr", lambda each: repr(each)[1:-1]),
    ):
        found[name] = {escape(text).encode()} - {value}
    return {name: frozenset(needles) for name, needles in found.items() if needles}


@dataclass(frozen=True)
class Find:
    """Where something that nobody may read was found: the place, whose value, in which form, and what stands there."""

    place: str
    whose: str
    form: str
    context: str


@dataclass
class Search:
    """What was found so far, and how many bytes of each kind of place were looked at.

    Args:
        more: other values that nobody may read, by name: keys and tokens that somebody else made.
    """

    more: dict[str, bytes] = field(default_factory=dict)
    found: list[Find] = field(default_factory=list)
    looked_at: Counter[str] = field(default_factory=Counter)
    _seen: set[bytes] = field(default_factory=set)

    def also_for(self, whose: str, value: str | bytes) -> None:
        """Search for this value too, from now on."""
        content = value.encode() if isinstance(value, str) else value
        assert len(content) >= len(BEACON), f"{whose} is too short to be told from chance"
        self.more[whose] = content

    def look(self, kind: str, content: object, name: str = "") -> None:
        """Search what stands at one place. ``kind``: which, for `require_looked_at`; what is no text or bytes is
        searched as JSON."""
        if isinstance(content, str):
            content = content.encode(errors="surrogateescape")
        elif not isinstance(content, bytes):
            content = json.dumps(content, default=_plainly, ensure_ascii=False).encode()
        self.looked_at[kind] += len(content)
        digest = hashlib.sha256(content).digest()
        if digest not in self._seen:  # copies of an artifact, say
            self._seen.add(digest)
            self._in(f"{kind} {name}".rstrip(), content, 0)

    def folder(self, kind: str, root: Path, leave_out: Callable[[Path], bool] = lambda _: False) -> None:
        """Search every file below ``root``, and its name."""
        for path in sorted(root.rglob("*")):
            if not leave_out(path) and path.is_file():
                self.look(kind, path.read_bytes(), str(path.relative_to(root)))
        self.look(f"{kind}: names", "\n".join(str(path.relative_to(root)) for path in root.rglob("*")))

    def require_nothing(self, *kinds: str) -> None:
        """Nothing was found, and there was something to be seen at every one of ``kinds``."""
        empty = [kind for kind in kinds if not self.looked_at[kind]]
        if self.found or empty:
            lines = [f"{each.place}: {each.whose}, {each.form}: {each.context}" for each in self.found]
            raise AssertionError(
                "\n".join([*lines, *(f"{kind}: nothing to be seen there" for kind in empty)])
            )

    def _in(self, place: str, content: bytes, depth: int) -> None:
        squeezed = _BLANKS.sub(b"", content)
        for whose, needles in self._needles():
            for form, each in needles:
                for text in (content, squeezed):
                    at = text.find(each)
                    if at >= 0:
                        shown = text[max(0, at - _SHOWN) : at + len(each) + _SHOWN]
                        self.found.append(Find(place, whose, form, repr(shown)))
                        break
        if depth < _DEEPEST:
            for name, inner in _opened(content):
                self._in(f"{place} / {name}", inner, depth + 1)

    def _needles(self) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
        for whose, value in {"planted": BEACON.encode(), **self.more}.items():
            yield (
                whose,
                [(form, each) for form, needles in forms_of(value).items() for each in sorted(needles)],
            )


def _plainly(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value)


def _opened(content: bytes) -> Iterator[tuple[str, bytes]]:
    """What is packed in ``content``, or in something in it that is base64."""
    yield from _unpacked(content)
    for found in _LONG_BASE64.finditer(content):
        text = found[0].translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
        try:
            inner = base64.b64decode(text + b"=" * (-len(text) % 4))
        except binascii.Error:
            continue
        if inner.startswith(_MAGIC):
            yield from _unpacked(inner)


def _unpacked(content: bytes) -> Iterable[tuple[str, bytes]]:
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return [(name, archive.read(name)) for name in archive.namelist()]
    try:
        if content.startswith(b"\x1f\x8b"):
            return [("gzip", gzip.decompress(content))]
        if content.startswith(_MAGIC):
            return [("zlib", zlib.decompress(content))]
    except (OSError, EOFError, zlib.error):
        return []
    return []
