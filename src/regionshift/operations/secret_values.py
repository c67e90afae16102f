"""The application's secret values, from where the settings say they are; never from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from botocore.exceptions import ClientError
from pydantic import SecretStr

from regionshift.aws.clients import Clients
from regionshift.errors import InputError
from regionshift.settings.config import MigrationConfig
from regionshift.settings.sections import SecretSource


def read_secrets(
    config: MigrationConfig, clients: Clients, variables: Mapping[str, str], folder: Path
) -> dict[str, SecretStr]:
    """Every secret of the application by name. Files are relative to ``folder``, the settings' own.

    Raises:
        InputError: a variable, file or secret is missing or empty; all of them are named at once.
    """
    found: dict[str, SecretStr] = {}
    missing: list[str] = []
    for name, source in config.application.secrets.items():
        value = _read(source, clients, config.regions.primary, variables, folder)
        if value:
            found[name] = SecretStr(value)
        else:
            missing.append(f"{name} (from {_where(source)})")
    if missing:
        raise InputError(
            f"No value for {', '.join(missing)}.",
            where="application.secrets",
            remedy="set the variable, write the file or create the secret that is named",
        )
    return found


def _read(
    source: SecretSource, clients: Clients, region: str, variables: Mapping[str, str], folder: Path
) -> str | None:
    if source.env is not None:
        return variables.get(source.env)
    if source.file is not None:
        path = folder / source.file
        return path.read_text(encoding="utf-8").rstrip("\n") if path.is_file() else None
    try:
        secret = clients.get("secretsmanager", region).get_secret_value(SecretId=source.secret or "")
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    return secret.get("SecretString")


def _where(source: SecretSource) -> str:
    if source.env is not None:
        return f"the variable {source.env}"
    return f"the file {source.file}" if source.file is not None else f"the secret {source.secret}"
