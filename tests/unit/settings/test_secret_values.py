"""Secrets of the application are read as they are, or refused by name; never changed unseen."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from settings_samples import tree

from regionshift.aws.clients import Clients
from regionshift.errors import InputError
from regionshift.operations.secret_values import read_secrets
from regionshift.settings.config import MigrationConfig


def read(folder: Path, content: bytes) -> str:
    (folder / "pw.txt").write_bytes(content)
    config = MigrationConfig.model_validate(tree(application={"secrets": {"pw": {"file": "pw.txt"}}}))
    return read_secrets(config, cast(Any, None), ["us-east-1"], {}, folder)["pw"].get_secret_value()


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"a\rb", "a\rb"),
        (b"a\r\nb", "a\r\nb"),
        (b"a\n", "a"),
        (b"a\r\n", "a"),
        (b"a\n\n", "a\n"),
        (b" a \n", " a "),
        ("ü€".encode(), "ü€"),
    ],
)
def test_a_file_is_the_value_to_the_byte_but_for_one_line_end(
    tmp_path: Path, content: bytes, value: str
) -> None:
    assert read(tmp_path, content) == value


def test_bytes_that_are_no_text_are_refused_by_name_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, b"hunter2\xff")
    assert "pw" in caught.value.message
    assert "pw.txt" in caught.value.message
    assert "hunter2" not in str(caught.value) + str(caught.value.__cause__)


def test_a_binary_secret_is_not_called_missing(tmp_path: Path) -> None:
    class Stored:
        def call(self, *_: object, **__: object) -> dict[str, bytes]:
            return {"SecretBinary": b"x"}

    config = MigrationConfig.model_validate(tree(application={"secrets": {"pw": {"secret": "old"}}}))
    with pytest.raises(InputError, match="the secret old is binary"):
        read_secrets(config, cast(Clients, Stored()), ["us-east-1"], {}, tmp_path)
