"""`--force`: whose lock is about to be broken, and whether that is really wanted."""

from __future__ import annotations

from collections.abc import Callable

from regionshift.cli.options import Choices
from regionshift.cli.show import confirm, console
from regionshift.journal.lock import Holder
from regionshift.settings.config import MigrationConfig


def ask_before_breaking(choices: Choices) -> Callable[[Holder, MigrationConfig], None]:
    """Shows the holder and asks, unless --yes was given; the answer no, or nobody to give it, is `Refused`."""

    def ask(holder: Holder, config: MigrationConfig) -> None:
        console(choices).print(f"The lock is held by {holder}.")
        confirm(choices, "Is that process certainly dead, and shall its lock be broken?", config)

    return ask
