"""The search for marked values finds each form of them, and nothing where there is none."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import textwrap
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import pytest

from planted_values import Search, planted, planted_bytes, planted_word

TEXT, WORD, BYTES = planted("here"), planted_word("there"), planted_bytes("bytes")
OTHER = "b3+/9Tz==not/planted+token=="  # as a session token has it, with what URLs escape


def _zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/inside", content)
    return file.getvalue()


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda value: b"key=" + value + b";",
    "only its beginning": lambda value: value[:20] + b"...",
    "only its end": lambda value: b"..." + value[-20:],
    "reversed": lambda value: value[::-1],
    "hex": lambda value: value.hex().encode(),
    "HEX": lambda value: value.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64, one byte before": lambda value: base64.b64encode(b"a" + value + b"b"),
    "base64, two bytes before": lambda value: base64.b64encode(b"ab" + value + b"b"),
    "base64 in lines": base64.encodebytes,
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(b"\xff\xfe" + value),
    "base64 twice": lambda value: base64.b64encode(b"x" + base64.b64encode(b"y" + value)),
    "every sign as percent": lambda value: "".join(f"%{byte:02X}" for byte in value).encode(),
    "broken over lines": lambda value: b"\n   ".join(value[at : at + 7] for at in range(0, len(value), 7)),
    "zip": _zipped,
    "zip in a zip": lambda value: _zipped(_zipped(value)),
    "gzip": gzip.compress,
    "zlib in base64 in JSON": lambda value: json.dumps(
        {"Data": base64.b64encode(zlib.compress(value)).decode()}
    ).encode(),
}
FORMS_OF_TEXT: dict[str, Callable[[str], bytes]] = {
    "URL": lambda text: quote(text, safe="").encode(),
    "form": lambda text: urlencode({"a": text}).encode(),
    "plus": lambda text: quote_plus(text).encode(),
    "JSON": lambda text: json.dumps({"a": [text]}).encode(),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"a": text})).encode(),
    "JSON, each sign": lambda text: "".join(f"\\u{ord(sign):04x}" for sign in text).encode(),
    "XML": lambda text: html.escape(text).encode(),
    "repr": lambda text: repr({"a": text}).encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big": lambda text: b"x" + text.encode("utf-16-be"),
    "base64 of UTF-16": lambda text: base64.b64encode(b"x" + text.encode("utf-16-le")),
    "a terminal of 30 columns": lambda text: textwrap.fill(f"error: {text} is wrong", 30).encode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [TEXT.encode(), WORD.encode(), BYTES], ids=["text", "word", "bytes"])
def test_each_form_of_a_planted_value_is_found(form: str, value: bytes) -> None:
    search = Search()
    search.look("place", FORMS[form](value))
    assert {find.whose for find in search.found} == {"planted"}
    with pytest.raises(AssertionError):
        search.require_nothing("place")


@pytest.mark.parametrize("form", FORMS_OF_TEXT)
@pytest.mark.parametrize("value", [TEXT, WORD], ids=["text", "word"])
def test_each_form_of_a_planted_text_is_found(form: str, value: str) -> None:
    search = Search()
    search.look("place", FORMS_OF_TEXT[form](value))
    assert search.found


@pytest.mark.parametrize("form", [form for form in FORMS if not form.startswith("only")])
def test_each_form_of_what_somebody_else_made_is_found(form: str) -> None:
    search = Search()
    search.also_for("a token", OTHER)
    search.look("place", FORMS[form](OTHER.encode()))
    assert {find.whose for find in search.found} == {"a token"}


@pytest.mark.parametrize("form", FORMS_OF_TEXT)
def test_each_form_of_another_text_is_found(form: str) -> None:
    search = Search()
    search.also_for("a token", OTHER)
    search.look("place", FORMS_OF_TEXT[form](OTHER))
    assert search.found


def test_values_in_structures_files_and_their_names_are_found(tmp_path: Path) -> None:
    search = Search()
    search.look("answer", {"a": [{"b": BYTES, "c": None}]})
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / WORD).write_text("nothing")
    (tmp_path / "sub" / "left-out").write_text(TEXT)
    search.folder("files", tmp_path, lambda path: path.name == "left-out")
    assert {find.place for find in search.found} == {"answer", "files: names"}


def test_nothing_is_found_where_there_is_none_and_something_must_be_looked_at(tmp_path: Path) -> None:
    search = Search()
    search.look("text", f"{TEXT[:9]} and a hash {'0a' * 32}, base64 {base64.b64encode(b'x' * 90).decode()}")
    search.look("zip", _zipped(b"clean"))
    search.folder("files", tmp_path)
    search.require_nothing("text", "zip")
    with pytest.raises(AssertionError, match="files"):
        search.require_nothing("text", "files")
