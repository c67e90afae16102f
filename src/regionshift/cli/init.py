"""`regionshift init`: a commented settings file."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from regionshift.cli.options import Choices
from regionshift.cli.show import (
    console,
    print_json,
)
from regionshift.errors import InputError
from regionshift.surroundings import ProjectFiles


def run_init(
    choices: Choices, project: str, environment: str, primary: str, secondaries: tuple[str, ...]
) -> None:
    """Write a commented settings file; never over one that is there.

    Raises:
        SettingsError: an option has a value that the settings do not allow; nothing was written.
    """
    from regionshift.settings.load import load_config
    from regionshift.settings.mistakes import SettingsError
    from regionshift.settings.schema import schema_text
    from regionshift.settings.template import LOCAL_SCHEMA, settings_template

    path = choices.config
    if path.exists() and not choices.yes:
        raise InputError(
            f"{path} exists already.",
            where=str(path),
            remedy="give another --config, or --yes to replace it",
            error_id="RS-FILE-003",
        )
    name = project or path.resolve().parent.name
    text = settings_template(
        project=name,
        environment=environment,
        account=choices.account or "000000000000",
        target=choices.target or "local",
        regions=(primary, *secondaries),
    )
    with TemporaryDirectory() as folder:
        trial = Path(folder, path.name)
        trial.write_text(text, encoding="utf-8")
        try:
            load_config(trial, {}, {})
        except SettingsError as error:
            raise SettingsError(
                error.mistakes,
                where="the options of init",
                remedy="Correct the options; nothing was written.",
            ) from None
    schema = path.parent / LOCAL_SCHEMA
    ProjectFiles(path).make_home()
    schema.write_text(schema_text(), encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    if choices.as_json:
        print_json({"config": str(path)})
    else:
        console(choices).print(f"Wrote {path}. Look it over, then: regionshift up")
