"""Runs one environment's stack with the Pulumi engine, through its Automation API."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar

from pulumi.automation import (
    CommandError,
    EngineEvent,
    LocalWorkspace,
    ProjectBackend,
    ProjectRuntimeInfo,
    ProjectSettings,
    Stack,
)
from pulumi.automation._stack import StackInitMode
from pulumi.automation.errors import ConcurrentUpdateError, StackNotFoundError
from semver import VersionInfo

from regionshift import logs
from regionshift.engine.cli import Claim, StoppableCommand
from regionshift.engine.events import (
    Problem,
    ResourceStep,
    StepProgress,
    final_steps,
    holds_secret,
    outputs_of,
    problem_of,
    progress_of,
    warns_of_pending,
)
from regionshift.engine.sdk import Scratch, isolated_runs, quiet_sdk
from regionshift.engine.state_exclusion import NOTHING, ExcludedState, ExclusionStore, StateExclusion
from regionshift.engine.state_repair import repair_state
from regionshift.errors import (
    Interrupted,
    NoRoom,
    Refused,
    RegionshiftError,
    WorkFailed,
    texts_of,
    without_texts,
)
from regionshift.machine import CLOCK, is_clock_error, is_full

_SKIP = "PULUMI_SKIP_CHECKPOINTS"
Program = Callable[[], None]
Listener = Callable[[StepProgress], None]
Done = TypeVar("Done")


@dataclass(frozen=True)
class EngineSettings:
    """Settings of the engine.

    ``backend``: the URL of the state. ``environment``: all variables of the CLI's process (credentials, passphrase
    file, provider to attach to). ``exclusive``: runs change something, so none starts while the engine of a killed run
    still runs. ``parallel``: how many resources the engine handles at once; None: its default. ``slot``: keeps the
    parts of the state that runs must not see.
    """

    command: Path
    version: VersionInfo
    backend: str
    project: str
    stack: str
    work_dir: Path
    environment: Mapping[str, str] = field(repr=False)
    slot: ExclusionStore
    secrets_provider: str = "passphrase"
    exclusive: bool = False
    parallel: int | None = None


@dataclass
class RunRecord:
    """The steps and errors of one engine run.

    ``left_open``: an earlier run was killed while it created something. ``outputs_differ``: the stack's outputs differ
    from those in the state, also when no resource changes. ``outputs``: the outputs after the run; None when the run
    did not get so far, or when one is a secret.
    """

    planned: list[ResourceStep] = field(default_factory=list)
    finished: list[ResourceStep] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    left_open: bool = False
    outputs_differ: bool = False
    outputs: dict[str, Any] | None = None

    @property
    def outcomes(self) -> list[ResourceStep]:
        """The final step of each resource, for counting."""
        return final_steps(self.planned)

    @property
    def changes(self) -> list[ResourceStep]:
        """Those of `outcomes` that change something."""
        return [step for step in self.outcomes if step.changes]


class _PlainStack(Stack):
    """A stack that does not run the CLI for outputs and history after each run, which takes three times 0.5 s."""

    def outputs(self) -> dict[str, Any]:
        return {}

    def info(self, show_secrets: bool | None = None) -> Any:  # noqa: ARG002 - the SDK's signature
        return _NO_SUMMARY


_NO_SUMMARY = object()
_CUT = "unexpected end of JSON input"


class Engine:
    """Previews, applies, refreshes and destroys one stack. Each call is one engine run."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._claim = Claim(settings.work_dir / "engine.lock") if settings.exclusive else None
        self._scratch = Scratch(settings.work_dir / "tmp")
        environment = {**settings.environment, "TMPDIR": str(self._scratch.folder)}
        self._command = StoppableCommand(settings.command, settings.version, environment, self._claim)
        self._mended: list[str] = []
        self._hidden: set[str] = set()
        self._stack: Stack | None = None
        self._outputs: dict[str, Any] | None = None
        self._excluded = ExcludedState(settings.slot, self._export, self._import)
        self.watch: Listener | None = None
        """Called with the progress of each resource, for a view of the run."""

    def interrupt(self) -> None:
        """Stop cleanly: running operations end and are recorded, and no other starts."""
        self._command.interrupt()

    def halt(self) -> None:
        """Stop only this run, as `interrupt` does. The next run, for example a rollback, can start."""
        self._command.halt()

    def hide(self, values: Iterable[str | bytes], shown: Collection[str] = ()) -> None:
        """Remove these secret values from all later errors, except those in ``shown``."""
        self._hidden |= texts_of(values, shown)

    def close(self) -> None:
        """End the runs, and put the excluded part back into the state.

        After an interrupt nothing may start, so the next command puts it back.
        """
        try:
            if self._excluded.now and not self._command.interrupted:
                self._exclude(NOTHING)
        finally:
            if self._claim is not None:
                self._claim.give_back()
            self._scratch.remove()

    @property
    def version(self) -> VersionInfo:
        """The version of the CLI."""
        return self._settings.version

    @property
    def mended(self) -> tuple[str, ...]:
        """A sentence for each incomplete state file that was restored from its copy."""
        return tuple(self._mended)

    @property
    def running(self) -> bool:
        """Whether a CLI runs now."""
        return self._command.running

    def preview(
        self,
        program: Program,
        *,
        target: Sequence[str] = (),
        excluded: StateExclusion = NOTHING,
        refresh: bool = False,
    ) -> RunRecord:
        """Return what `up` would do. Changes nothing.

        Args:
            excluded: this part is not in the state during the run.
            refresh: also undo manual changes.

        Raises:
            WorkFailed: the program or a provider refused.
        """
        return self._run(
            "preview", program, None, excluded, target=list(target) or None, refresh=refresh or None
        )

    def up(
        self,
        program: Program,
        listener: Listener | None = None,
        *,
        target: Sequence[str] = (),
        excluded: StateExclusion = NOTHING,
        refresh: bool = False,
        checkpoints: bool = False,
    ) -> RunRecord:
        """Apply ``program``. A failed resource does not stop the others.

        Args:
            excluded: this part is not in the state during the run, so it does not change and gets no calls.
            refresh: also undo manual changes.
            checkpoints: write the state after each step, even when the engine's variables turn that off.

        Raises:
            WorkFailed: a resource failed; the state has all that was done.
            Interrupted: `interrupt` or `halt` was called.
        """
        return self._run(
            "up",
            program,
            listener,
            excluded,
            target=list(target) or None,
            refresh=refresh or None,
            continue_on_error=True,
            checkpoints=checkpoints,
        )

    def refresh(
        self, program: Program, *, target: Sequence[str] = (), excluded: StateExclusion = NOTHING
    ) -> RunRecord:
        """Read resources from the cloud into the state: all except the ``excluded``, or the URNs in ``target``."""
        return self._run("refresh", program, None, excluded, target=list(target) or None)

    def destroy(self, program: Program) -> RunRecord:
        """Delete everything in the state, in reverse order of dependencies."""
        return self._run("destroy", program, None, NOTHING, continue_on_error=True)

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs as plain values; empty when there is no stack yet.

        Asking the CLI takes half a second. An exclusive engine keeps the outputs of the last `up`.
        """
        if self._outputs is None or not self._settings.exclusive:
            found = self._cli(["stack", "output", "--json"]) if self._exists() else ""
            self._outputs = self._excluded.plain_outputs() | json.loads(found or "{}")
        return dict(self._outputs)

    def resources(self) -> list[dict[str, Any]]:
        """Return all resources in the state (urn, type, id, inputs, outputs), with secrets encrypted."""
        return list(self._deployment().get("resources") or [])

    def pending(self) -> list[dict[str, Any]]:
        """Return unfinished operations of a killed run. Creations stay open until they are settled."""
        return list(self._deployment().get("pending_operations") or [])

    @property
    def keeps_notes(self) -> bool:
        """Whether there are open creations in ``slot``, which the state has lost. Does not run the CLI."""
        return self._excluded.keeps_notes

    def settle_pending(self, made: Mapping[str, str], never_made: Collection[str]) -> None:
        """Close open creations of a killed run.

        Args:
            made: {URN: id} of resources that exist. They are added to the state; `refresh` reads them.
            never_made: URNs of resources that do not exist. All others stay open.
        """
        if made or never_made:
            self._open()
            self._excluded.settle(made, never_made)

    def release_lock(self) -> None:
        """Remove the engine's own lock after a killed run. The caller must hold the environment's lock."""
        if self._exists():
            self._cli(["cancel", "--yes"])

    def remove_stack(self) -> None:
        """Remove an empty stack with its history and open creations."""
        if self._exists():
            self._exclude(NOTHING)
            self._cli(["stack", "rm", "--yes"])
            self._outputs = None
        self._excluded.forget()

    def _deployment(self) -> dict[str, Any]:
        return self._excluded.deployment() if self._exists() else {}

    def _export(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._cli(["stack", "export"]))
        return found

    def _import(self, exported: Mapping[str, Any]) -> None:
        # Only the owner can read a temporary file. A killed process's file is removed with its folder.
        self._scratch.make()
        with NamedTemporaryFile("w", dir=self._scratch.folder, suffix=".json") as file:
            json.dump(exported, file)
            file.flush()
            self._past_stale_lock(lambda: self._cli(["stack", "import", "--file", file.name]))
        self._outputs = None

    def _exclude(self, excluded: StateExclusion) -> None:
        """Take exactly ``excluded`` out of the state. Only for callers that may change the state."""
        if self._excluded.now != excluded:
            self._open()
            self._excluded.exclude(excluded)

    def _exists(self) -> bool:
        try:
            self._open(create=False)
        except StackNotFoundError:
            return False
        return True

    def _cli(self, args: list[str]) -> str:
        work_dir = str(self._settings.work_dir)
        self._clear_torn()
        try:
            return self._command.run([*args, "--stack", self._settings.stack], work_dir, {}).stdout
        except ConcurrentUpdateError as error:
            raise self._locked() from error
        except CommandError as error:
            raise self._stopped_or(self._failure(args[0], RunRecord(), error)) from error

    def _locked(self) -> _EngineLocked:
        return _EngineLocked(
            "The engine's own lock is held by another run.",
            where=self._settings.backend,
            remedy="wait for it; if it was killed, run the command again with --force",
        )

    def _clear_torn(self) -> None:
        if self._claim is not None:  # while we hold the claim, no engine works on this stack
            settings = self._settings
            self._claim.take()
            self._mended += repair_state(settings.backend, settings.project, settings.stack)
            self._scratch.remove_dead()
        self._scratch.make()

    def _open(self, *, create: bool = True) -> Stack:
        """Return the stack. Its workspace has one folder, because the SDK would leave a new one after each run."""
        self._clear_torn()
        if self._stack is not None:
            return self._stack
        settings = self._settings
        settings.work_dir.mkdir(parents=True, exist_ok=True)
        workspace = LocalWorkspace(
            work_dir=str(settings.work_dir),
            pulumi_command=self._command,
            secrets_provider=settings.secrets_provider,
            project_settings=ProjectSettings(
                name=settings.project,
                runtime=ProjectRuntimeInfo(name="python"),
                backend=ProjectBackend(settings.backend),
            ),
        )
        # Not `create_or_select` and `select`: they return an ordinary `Stack` for any class.
        mode = StackInitMode.CREATE_OR_SELECT if create else StackInitMode.SELECT
        self._stack = _PlainStack(settings.stack, workspace, mode)
        return self._stack

    def _run(
        self, verb: str, program: Program, listener: Listener | None, excluded: StateExclusion, **options: Any
    ) -> RunRecord:
        self._exclude(excluded)
        return self._past_stale_lock(lambda: self._run_once(verb, program, listener, **options))

    def _past_stale_lock(self, work: Callable[[], Done]) -> Done:
        try:
            return work()
        except _EngineLocked:
            # While we hold the claim, no engine runs, so the lock is a killed one's.
            if self._claim is None:
                raise
        self.release_lock()
        return work()

    def _run_once(
        self,
        verb: str,
        program: Program,
        listener: Listener | None,
        *,
        checkpoints: bool = False,
        **options: Any,
    ) -> RunRecord:
        record = RunRecord()
        self._outputs = None
        self._command.halted = False

        def on_event(event: EngineEvent) -> None:
            if event.diagnostic_event and (problem := problem_of(event.diagnostic_event, self._hidden)):
                record.problems.append(problem)
            _take(event, record, verb, *filter(None, [listener, None if verb == "preview" else self.watch]))

        stack = self._open()
        stack.workspace.env_vars = {_SKIP: "false"} if checkpoints else {}
        options |= {"parallel": self._settings.parallel}
        given = {name: value for name, value in options.items() if value is not None}
        with quiet_sdk(), isolated_runs(), self._scratch.used_by_sdk(), logs.timed("engine", verb=verb):
            try:
                getattr(stack, verb)(
                    program=program, on_event=on_event, color="never", suppress_outputs=True, **given
                )
            except ConcurrentUpdateError as error:
                raise self._locked() from error
            except CommandError as error:
                raise self._stopped_or(self._failure(verb, record, error)) from error
        if self._command.interrupted or self._command.halted:
            raise self._stopped_or(None)
        if verb == "up" and record.outputs is not None:
            self._outputs = self._excluded.plain_outputs() | record.outputs
        return record

    def _failure(self, verb: str, record: RunRecord, error: CommandError) -> WorkFailed:
        return _failure(verb, record, without_texts(str(error), self._hidden))

    def _stopped_or(self, failure: WorkFailed | None) -> RegionshiftError:
        """Return the failure; ``Interrupted`` when the user stopped the run."""
        if failure is not None and not (self._command.interrupted or self._command.halted):
            return failure
        return Interrupted(
            "Stopped as asked; the state has all that was done.", remedy="run the command again to continue"
        )


def _take(event: EngineEvent, record: RunRecord, verb: str, *listeners: Listener) -> None:
    record.left_open = record.left_open or warns_of_pending(event)
    if (found := outputs_of(event)) is not None:
        before, after = found
        record.outputs_differ = before != after
        record.outputs = None if holds_secret(after) else after
    progress = progress_of(event)
    if progress is None:
        return
    if progress.phase == "started":
        record.planned.append(progress.step)
    elif progress.phase == "done":
        record.finished.append(progress.step)
    step = progress.step
    level = logs.DETAILS if verb == "preview" else logs.STEPS
    facts = {"op": step.op, "region": step.region, "type": step.type, "name": step.name}
    logs.tell(f"resource {progress.phase}", level, verb=verb, **facts)
    for listener in listeners:
        listener(progress)


class _EngineLocked(Refused):
    """The engine's own lock is taken."""

    error_id = "RS-ENGINE-004"


class EngineFailed(WorkFailed):
    """An engine run failed; ``record`` has its steps and problems."""

    error_id = "RS-ENGINE-002"

    def __init__(
        self, message: str, record: RunRecord, *, where: str | None, remedy: str, error_id: str | None = None
    ) -> None:
        super().__init__(message, where=where, remedy=remedy, error_id=error_id)
        self.record = record


def _failure(verb: str, record: RunRecord, error: str) -> WorkFailed:
    """Return the error for a failed run: its message is the first problem of a resource, if there is one.

    A full disk or a wrong clock comes first, because many resources can fail because of it.
    """
    said = [*(problem.message for problem in record.problems), error]
    if full := next((each for each in said if is_full(each)), None):
        # `resume` is only for runs of `up`.
        then = "then: regionshift resume" if verb == "up" else "then run the command again"
        return NoRoom(
            f"The engine's {verb} stopped, because a disk of this machine is full: {_line_of_full(full)}",
            remedy=f"make room (the state, .regionshift and the temporary folder), {then}",
        )
    own = [problem for problem in record.problems if problem.urn and "pulumi:pulumi:Stack" not in problem.urn]
    first = (own or record.problems or [None])[0]  # type: ignore[list-item]
    message = first.message if first else _last_line(error)
    where = " ".join(part for part in (first.region, first.resource) if part) if first else None
    more = f" (and {len(own) - 1} more)" if len(own) > 1 else ""
    remedy, error_id = _remedy(said)
    return EngineFailed(
        f"The engine's {verb} failed: {message}{more}",
        record,
        where=where or None,
        remedy=remedy,
        error_id=error_id,
    )


def _remedy(said: Sequence[str]) -> tuple[str, str | None]:
    """Return the remedy, and the error's id when it differs from the class's."""
    if any(is_clock_error(each) for each in said):
        return CLOCK, "RS-AWS-006"
    if any(_CUT in each for each in said):
        return (
            "the engine's state file is incomplete; regionshift resume or up restores it from its copy",
            "RS-ENGINE-003",
        )
    return "fix the cause and run the command again; the state has all that was done", None


def _line_of_full(text: str) -> str:
    return next(line.strip() for line in text.splitlines() if is_full(line))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if line.startswith("error:")), lines[-1] if lines else "")
