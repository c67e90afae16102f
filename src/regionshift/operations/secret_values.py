"""The application's secret values, from where the settings say they are; never from the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed
from regionshift.errors import InputError
from regionshift.settings.config import MigrationConfig
from regionshift.settings.sections import SecretSource


def read_secrets(
    config: MigrationConfig,
    clients: Clients,
    regions: Sequence[str],
    variables: Mapping[str, str],
    folder: Path,
) -> dict[str, SecretStr]:
    """Every secret of the application by name. Files are relative to ``folder``, the settings' own.

    Args:
        regions: where Secrets Manager is asked: the first, or the next when it does not answer (a secret that is
            replicated has the same name there).

    Raises:
        InputError: a variable, file or secret is missing or empty, all of them named at once; or one is binary.
        AwsFailed: Secrets Manager refused, or answered nowhere.
    """
    found: dict[str, SecretStr] = {}
    missing: list[str] = []
    for name, source in config.application.secrets.items():
        value = _read(name, source, clients, regions, variables, folder)
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
    name: str,
    source: SecretSource,
    clients: Clients,
    regions: Sequence[str],
    variables: Mapping[str, str],
    folder: Path,
) -> str | None:
    if source.env is not None:
        return variables.get(source.env)
    if source.file is not None:
        path = folder / source.file
        return _text(name, source, path) if path.is_file() else None
    for region in regions:
        try:
            secret = clients.call(region, "secretsmanager", "get_secret_value", SecretId=source.secret or "")
        except AwsFailed as error:
            if error.code == "ResourceNotFoundException":
                return None
            if not error.is_outside or region == regions[-1]:
                raise
        else:
            if "SecretBinary" in secret:
                raise _no_text(name, source)
            return secret.get("SecretString")
    return None


def _text(name: str, source: SecretSource, path: Path) -> str:
    """The file's text to the byte, but for one line end at its very end, which editors put there."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise _no_text(name, source) from None  # its text would show a part of the value
    except OSError as error:
        raise InputError(
            f"The value of {name} cannot be read from {_where(source)}: {error.strerror}.",
            where=f"application.secrets.{name}",
            remedy="let this user read the file, or name another one",
        ) from error
    return text[: -2 if text.endswith("\r\n") else -1] if text.endswith("\n") else text


def _no_text(name: str, source: SecretSource) -> InputError:
    return InputError(
        f"The value of {name} from {_where(source)} is binary, and secrets here are text.",
        where=f"application.secrets.{name}",
        remedy="keep it as text, in base64 for example, and let the application decode it",
    )


def _where(source: SecretSource) -> str:
    if source.env is not None:
        return f"the variable {source.env}"
    return f"the file {source.file}" if source.file is not None else f"the secret {source.secret}"
