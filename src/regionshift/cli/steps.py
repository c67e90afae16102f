"""The steps of a change of primary for the commands that show them, and what those commands have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from regionshift.cli.options import Choices
from regionshift.errors import InputError
from regionshift.operations.moving.driving import Said, Teller
from regionshift.report.moving import StepsView
from regionshift.runs.state import RunStep, SagaState
from regionshift.settings.config import MigrationConfig
from regionshift.settings.mistakes import SettingsError
from regionshift.wiring import ProjectFiles, settings, surroundings

MEANINGS = {
    "fence": "shut the lost region's roles",
    "validate": "check the new primary",
    "gather": "copy what only other regions have",
    "last-copy": "copy what replication did not carry",
    "settings": "change the settings",
    "unlink": "take the old replication away",
    "turn": "replicate from the new primary",
    "catch-up": "copy what was written meanwhile",
    "validate-all": "check every region",
}


def teller(view: StepsView, prefix: str = "") -> Teller:
    """Shows every step in ``view``, and once what an earlier process did."""
    seen: list[str] = []

    def tell(state: SagaState, step: RunStep, phase: str, said: Said) -> None:
        earlier = [name for name in _in_order(state) if name not in seen and name != step.name]
        view.done_before([prefix + name for name in earlier])
        seen.extend([*earlier, step.name])
        view.told(prefix + step.name, phase, said)

    return tell


def _in_order(state: SagaState) -> Sequence[str]:
    return [step.name for step in (*state.plan, *state.steps) if step.name in state.done]


def load_text(
    choices: Choices,
    text: str,
    remedy: str = "change this so that it fits both primaries, run `regionshift up`, and promote again",
) -> MigrationConfig:
    """The settings that ``text`` would give in place of the file; ``remedy`` if they would be wrong."""
    aside = ProjectFiles(choices.config).home / "settings-to-be.yaml"
    aside.write_bytes(text.encode())
    try:
        return settings(Path(aside), choices.overrides, surroundings())
    except SettingsError as error:
        first = error.mistakes[0]
        raise InputError(
            f"The settings with other regions would be wrong: {first}",
            where=first.path,
            remedy=remedy,
        ) from error
    finally:
        aside.unlink()
