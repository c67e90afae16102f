"""Secrets of the application are taken byte for byte from where the settings say, or refused by name."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from regionshift.aws.clients import Clients
from regionshift.errors import InputError
from regionshift.operations.secret_values import read_secrets
from regionshift.settings.config import MigrationConfig

pytestmark = pytest.mark.component
REGION = "eu-north-1"
Read = Callable[..., str | bytes]


@pytest.fixture
def read(clients: Clients, tmp_path: Path) -> Read:
    def one(store: str, variables: Mapping[str, str] | None = None, **source: str) -> str | bytes:
        config = MigrationConfig.model_validate(
            {
                "project": "flight",
                "environment": "dev",
                "account": "123456789012",
                "target": "local",
                "regions": {"primary": REGION},
                "network": {"vpc_cidr": "10.0.0.0/16"},
                "application": {"store": store, "secrets": {"token": source}},
            }
        )
        found = read_secrets(config, clients, [REGION], variables or {}, tmp_path)
        assert "hunter" not in repr(found)
        return found["token"].get_secret_value()

    return one


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"hunter2", "hunter2"),
        (b"hunter2\n", "hunter2"),
        (b"hunter2\n\n", "hunter2\n"),
        (b"hunter2\r\n", "hunter2"),
        (b"hunter2\r\r\n", "hunter2\r"),
        (b"a\rb\r\nc\n d \n", "a\rb\r\nc\n d "),
        (b"\xef\xbb\xbfhunter2", "\ufeffhunter2"),
        ("pässwört\n".encode(), "pässwört"),
    ],
)
@pytest.mark.parametrize("store", ["ssm", "secretsmanager"])
def test_a_file_of_text_loses_one_last_line_end_and_nothing_else(
    read: Read, tmp_path: Path, store: str, content: bytes, kept: str
) -> None:
    (tmp_path / "token.txt").write_bytes(content)
    assert read(store, file="token.txt") == kept


def test_bytes_that_are_no_text_are_kept_whole_where_the_store_takes_them(read: Read, tmp_path: Path) -> None:
    content = b"\xff\xfe\x00\r\nhunter\n"
    (tmp_path / "token.key").write_bytes(content)
    assert read("secretsmanager", file="token.key") == content
    with pytest.raises(InputError, match=r"token from the file token.key is binary") as refused:
        read("ssm", file="token.key")
    assert "secretsmanager" in str(refused.value.remedy)
    assert "hunter" not in f"{refused.value} {refused.value.__cause__} {refused.value.__context__}"


def test_a_variable_is_taken_as_it_is(read: Read) -> None:
    assert read("ssm", {"TOKEN": " hunter2\r\n"}, env="TOKEN") == " hunter2\r\n"
    odd = {"TOKEN": os.fsdecode(b"hunter\xff")}
    assert read("secretsmanager", odd, env="TOKEN") == b"hunter\xff"
    with pytest.raises(InputError, match=r"token from the variable TOKEN is binary"):
        read("ssm", odd, env="TOKEN")


@pytest.mark.parametrize(
    "value", [{"SecretString": "hunter\r\n"}, {"SecretBinary": b"\xff\r\n"}, {"SecretBinary": b"text\n"}]
)
def test_an_existing_secret_is_text_or_binary_as_it_is_there(
    read: Read, clients: Clients, value: dict[str, Any]
) -> None:
    name = f"ours/{uuid.uuid4().hex}"
    clients.get("secretsmanager", REGION).create_secret(Name=name, **value)
    (content,) = value.values()
    assert read("secretsmanager", secret=name) == content
    if isinstance(content, bytes):
        with pytest.raises(InputError, match=rf"token from the secret {name} is binary"):
            read("ssm", secret=name)


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", None])
def test_what_is_missing_or_empty_is_named(read: Read, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "token.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"No value for token \(from the file token.txt\)"):
        read("ssm", file="token.txt")


@pytest.mark.parametrize(("store", "most"), [("ssm", 8_192), ("secretsmanager", 65_536)])
def test_what_is_too_large_for_the_store_is_named_with_its_size(
    read: Read, tmp_path: Path, store: str, most: int
) -> None:
    (tmp_path / "token.txt").write_bytes("é".encode() * (most // 2) + b"\n")
    assert len(read(store, file="token.txt")) == most // 2
    (tmp_path / "token.txt").write_bytes(b"x" * (most + 1))
    with pytest.raises(InputError, match=rf"token.txt has {most + 1} bytes") as refused:
        read(store, file="token.txt")
    assert "xxx" not in str(refused.value)


def test_a_folder_and_a_pipe_are_no_files(read: Read, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(InputError, match=rf"token from the file {name} is no regular file"):
            read("ssm", file=name)
