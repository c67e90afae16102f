"""Open what a command works with: settings, session, topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from regionshift.cli.failure import changes_of_this_command
from regionshift.cli.options import Choices
from regionshift.cli.show import confirm, console, console_for_log, screen_of, working
from regionshift.errors import InputError
from regionshift.journal.lock import Holder
from regionshift.operations.migrations.carrying import Carrying
from regionshift.operations.run_tools import RunTools
from regionshift.report.printer import Screen
from regionshift.report.terminal import findings_table
from regionshift.report.values import Finding
from regionshift.runs.topics import TopicNotifier
from regionshift.session import (
    BootstrapSession,
    Session,
    Skipped,
    load_settings,
    open_bootstrap,
    open_session,
)
from regionshift.settings.config import MigrationConfig
from regionshift.settings.mistakes import SettingsError
from regionshift.surroundings import ProjectFiles, surroundings

_REMEDY = "change this so that it fits both primaries, run `regionshift up`, and promote again"


def settings_of(choices: Choices, path: Path | None = None) -> MigrationConfig:
    """The checked settings, of the file that was chosen or of ``path``. Raises SettingsError with every mistake."""
    return load_settings(path or choices.config, choices.overrides, surroundings())


@contextmanager
def opened(
    choices: Choices,
    *,
    locked: bool = False,
    skipped: Skipped = (),
    rejoining: Collection[str] = (),
    naming: Collection[str] = (),
    unsealed: bool = False,
) -> Iterator[Session]:
    """As `open_session`, with what ``choices`` says of settings, endpoint and a held lock.

    At the end it shows damage of the state that was repaired or does no harm.
    """
    opening = open_session(
        choices.config,
        choices.overrides,
        surroundings(),
        endpoint=choices.endpoint,
        locked=locked,
        force=_ask_before_breaking(choices) if choices.may_force else None,
        skipped=skipped,
        rejoining=rejoining,
        naming=naming,
        changing=changes_of_this_command().begin,
        unsealed=unsealed,
        patience=choices.lock_timeout,
        waiting=partial(_tell_of_lock, choices),
    )
    with ExitStack() as stack:
        # A lock that is to be broken is asked about, and nothing moves under a question.
        with nullcontext() if choices.may_force else working(choices, "reading settings and state"):
            session = stack.enter_context(opening)
        try:
            yield session
        finally:
            for sentence in (*session.journal.damage, *session.environment.engine.mended):
                screen_of(stderr=True).print(f"warning: {sentence}", style="yellow")


def opened_bootstrap(
    choices: Choices,
    repository: str | None = None,
    region: str | None = None,
    *,
    take_over: bool = False,
    gitlab: str | None = None,
) -> AbstractContextManager[BootstrapSession]:
    """As `open_bootstrap`, with what ``choices`` says of settings, endpoint and a held lock."""
    return open_bootstrap(
        choices.config,
        {**choices.overrides, "pipeline.repository": repository, "pipeline.gitlab": gitlab},
        surroundings(),
        endpoint=choices.endpoint,
        force=_ask_before_breaking(choices) if choices.may_force else None,
        patience=choices.lock_timeout,
        waiting=partial(_tell_of_lock, choices),
        region=region,
        take_over=take_over,
    )


def topics(session: Session, screen: Screen) -> TopicNotifier:
    """The topics of an environment; what cannot be told there is said on ``screen``."""
    environment = session.environment
    return TopicNotifier(
        environment.clients,
        environment.config,
        environment.now,
        lambda said: screen.print(f"warning: {said}", style="yellow"),
    )


def carrying_in(choices: Choices, session: Session) -> AbstractContextManager[Carrying]:
    """How the command works with migrations, with messages to the topics. Raises WorkFailed without an environment."""
    return session.carrying([topics(session, console(choices))])


def tools_of(choices: Choices, session: Session, remedy: str = _REMEDY) -> RunTools:
    """What the steps of a run work with in ``session``; ``remedy`` when settings that they make would be wrong."""

    def tell(found: Sequence[Finding]) -> None:
        console(choices).print(findings_table(found))

    return RunTools(
        session.environment,
        session.catalog,
        session.journal,
        session.machine,
        choices.config,
        partial(_load_text, choices, remedy),
        partial(carrying_in, choices, session),
        time.monotonic,
        tell,
    )


def _load_text(choices: Choices, remedy: str, text: str) -> MigrationConfig:
    """The settings that ``text`` would give in place of the file; ``remedy`` if they would be wrong."""
    aside = ProjectFiles(choices.config).home / "settings-to-be.yaml"
    aside.write_bytes(text.encode())
    try:
        return settings_of(choices, aside)
    except SettingsError as error:
        first = error.mistakes[0]
        raise InputError(
            f"The settings with other regions would be wrong: {first}",
            where=first.path,
            remedy=remedy,
            error_id="RS-SETTINGS-001",
        ) from error
    finally:
        aside.unlink()


def _tell_of_lock(choices: Choices, holder: Holder | None) -> None:
    console_for_log(choices).print(
        f"waiting for the lock, held by {holder or 'a process that is just starting'}"
    )


def _ask_before_breaking(choices: Choices) -> Callable[[Holder, MigrationConfig], None]:
    """Shows the lock's holder and asks, unless --yes was given; the answer no, or nobody to give it, is `Refused`."""

    def ask(holder: Holder, config: MigrationConfig) -> None:
        console(choices).print(f"The lock is held by {holder}.")
        confirm(choices, "Is that process dead for certain? Then its lock is broken. Break it?", config)

    return ask
