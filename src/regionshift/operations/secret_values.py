"""Reads the application's secret values from the sources in the settings. The settings hold no values.

A value is kept byte for byte. Only one line end (LF or CRLF) at the very end of a text file is left out, as editors and
``echo`` put it there. UTF-8 is text, and any other content is binary. A secret of Secrets Manager keeps its type.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import SecretBytes, SecretStr

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.errors import InputError
from regionshift.settings.config import MigrationConfig, SecretSource
from regionshift.settings.quotas import ADVANCED_PARAMETER, SECRET
from regionshift.settings.release import SecretValue

_LARGEST = {"ssm": ADVANCED_PARAMETER.most, "secretsmanager": SECRET.most}


class _UnusableError(Exception):
    """Why a value cannot be used, and what to do. Never holds any part of the value."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


def read_secrets(
    config: MigrationConfig,
    clients: Clients,
    regions: Sequence[str],
    variables: Mapping[str, str],
    folder: Path,
) -> dict[str, SecretValue]:
    """Every secret of the application by name. Files are relative to ``folder``, the settings' own.

    Args:
        regions: of Secrets Manager: the first, or the next when that does not answer. A replicated secret has the same
            name there.

    Raises:
        InputError: a variable, file or secret is missing or empty, cannot be read, or does not fit the store. It names
            all of them.
        AwsFailed: Secrets Manager refused, or did not answer in any region.
    """
    found: dict[str, SecretValue] = {}
    missing: list[str] = []
    unusable: list[str] = []
    remedies: list[str] = []
    for name, source in config.application.secrets.items():
        try:
            value = _read(source, clients, regions, variables, folder)
            if value:
                found[name] = _storable(value, config.application.store)
            else:
                missing.append(f"{name} (from {_where(source)})")
        except _UnusableError as problem:
            unusable.append(f"The value of {name} from {_where(source)} {problem}.")
            remedies.append(problem.remedy)
    if missing:
        unusable.insert(0, f"No value for {', '.join(missing)}.")
        remedies.insert(0, "set the variable, write the file or create the secret that is named")
    if unusable:
        raise InputError(
            " ".join(unusable),
            where="application.secrets",
            remedy="; ".join(dict.fromkeys(remedies)),
            error_id="RS-SETTINGS-005",
        )
    return found


def _read(
    source: SecretSource,
    clients: Clients,
    regions: Sequence[str],
    variables: Mapping[str, str],
    folder: Path,
) -> str | bytes | None:
    if source.env is not None:
        # Bytes that are no UTF-8 stand in a variable's text as lone surrogates (PEP 383).
        value = variables.get(source.env)
        return None if value is None else _text_or_bytes(os.fsencode(value))
    if source.file is not None:
        content = _from_file(folder / source.file)
        return _without_line_end(content) if isinstance(content, str) else content
    for region in regions:
        try:
            secret = clients.call(region, "secretsmanager", "get_secret_value", SecretId=source.secret or "")
        except AwsFailed as error:
            if error.code == "ResourceNotFoundException":
                return None
            if not error.is_outside or region == regions[-1]:
                raise
        else:
            return secret.get("SecretString") or secret.get("SecretBinary")
    return None


def _from_file(path: Path) -> str | bytes | None:
    try:
        # A pipe or a device may have no end.
        if path.exists() and not path.is_file():
            raise _UnusableError("is no regular file", "name a file that holds the value and nothing else")
        return _text_or_bytes(path.read_bytes()) if path.is_file() else None
    except OSError as error:
        said = (error.strerror or "unreadable").lower()
        raise _UnusableError(f"cannot be read: {said}", "let this user read the file") from error


def _text_or_bytes(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _without_line_end(text: str) -> str:
    return text[: -2 if text.endswith("\r\n") else -1] if text.endswith("\n") else text


def _storable(value: str | bytes, store: str) -> SecretValue:
    size = len(value.encode() if isinstance(value, str) else value)
    if size > _LARGEST[store]:
        raise _UnusableError(
            f"has {size} bytes, and application.store: {store} holds up to {_LARGEST[store]}",
            "store what is large elsewhere, and only its key here"
            if store == "secretsmanager"
            else "set application.store: secretsmanager, which holds up to 65536 bytes",
        )
    if isinstance(value, str):
        return SecretStr(value)
    if store == "ssm":  # PutParameter takes text only (Systems Manager API Reference)
        raise _UnusableError(
            "is binary, no UTF-8 text, and application.store: ssm holds text only",
            "set application.store: secretsmanager, or save the value as text (base64, say)",
        )
    return SecretBytes(value)


def _where(source: SecretSource) -> str:
    if source.env is not None:
        return f"the variable {source.env}"
    return f"the file {source.file}" if source.file is not None else f"the secret {source.secret}"
