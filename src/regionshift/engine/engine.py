"""One environment's stack, run by the real Pulumi engine through its Automation API."""

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
    tells_of_pending,
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
from regionshift.machine import CLOCK, is_full, tells_of_clock

_SKIP = "PULUMI_SKIP_CHECKPOINTS"
Program = Callable[[], None]
Listener = Callable[[StepProgress], None]
Done = TypeVar("Done")


@dataclass(frozen=True)
class EngineSettings:
    """Where the engine finds its parts.

    ``backend`` is the URL under which the state lies, ``environment`` everything the CLI's process may see:
    credentials, the passphrase file, the provider to attach to. ``exclusive``: runs change something, so none
    begins while the engine of a killed run is still at work. ``parallel``: how many resources the engine works on
    at once; None leaves it its own limit. ``slot``: where a part of the state lies while runs are not to know of it.
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
    """What one engine run did: every step it finished, and every error it met.

    ``left_open``: an earlier run was killed while it made something. ``outputs_differ``: the stack's outputs
    are others than those in the state, even when no resource changes. ``outputs``: what they are after the run,
    None when it did not come so far, or a secret is among them.
    """

    planned: list[ResourceStep] = field(default_factory=list)
    finished: list[ResourceStep] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    left_open: bool = False
    outputs_differ: bool = False
    outputs: dict[str, Any] | None = None

    @property
    def outcomes(self) -> list[ResourceStep]:
        """What becomes of each resource, one step a resource: for whoever counts or adds up."""
        return final_steps(self.planned)

    @property
    def changes(self) -> list[ResourceStep]:
        """Those of `outcomes` that alter something."""
        return [step for step in self.outcomes if step.changes]


class _PlainStack(Stack):
    """A stack that does not ask the CLI for outputs and history after each run: three processes of 0.5 s."""

    def outputs(self) -> dict[str, Any]:
        return {}

    def info(self, show_secrets: bool | None = None) -> Any:  # noqa: ARG002 - the SDK's signature
        return _NO_SUMMARY


_NO_SUMMARY = object()
_CUT = "unexpected end of JSON input"


class Engine:
    """Preview, apply, refresh and destroy one stack; each call is one engine run."""

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

    def interrupt(self) -> None:
        """Stop cleanly: what is under way is finished and written down, nothing new is begun."""
        self._command.interrupt()

    def halt(self) -> None:
        """Stop this run as `interrupt` does, and only this one: what follows it, a way back, runs."""
        self._command.halt()

    def hide(self, values: Iterable[str | bytes], shown: Collection[str] = ()) -> None:
        """From now on no error of a run repeats one of these secret values, unless it is one of those ``shown``."""
        self._hidden |= texts_of(values, shown)

    def close(self) -> None:
        """No more runs. What was taken out of the state is put back, unless somebody stopped the runs.

        Then nothing is started any more, and the next command puts it back.
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
        """The version of the CLI that runs."""
        return self._settings.version

    @property
    def mended(self) -> tuple[str, ...]:
        """What of the state was found cut and was mended from its copy; a sentence each."""
        return tuple(self._mended)

    @property
    def running(self) -> bool:
        """Whether a CLI is at work right now."""
        return self._command.running

    def preview(
        self,
        program: Program,
        *,
        target: Sequence[str] = (),
        excluded: StateExclusion = NOTHING,
        refresh: bool = False,
    ) -> RunRecord:
        """What `up` would do, with ``refresh`` also to what was changed by hand. Changes nothing.

        What is ``excluded`` is not in the state meanwhile.

        Raises:
            WorkFailed: the program or a provider refused it.
        """
        return self._run(
            "preview",
            program,
            None,
            excluded,
            target=list(target) or None,
            refresh=refresh or None,
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
        """Bring the cloud to what ``program`` says; one failed resource does not stop the others.

        What is ``excluded`` is not in the state meanwhile: it stays as it is, and gets no call. With ``checkpoints``
        the state is written step by step even where the engine's variables leave that out.

        Raises:
            WorkFailed: something could not be made; what was made is in the state.
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
        self,
        program: Program,
        listener: Listener | None = None,
        *,
        target: Sequence[str] = (),
        excluded: StateExclusion = NOTHING,
    ) -> RunRecord:
        """Read everything but what is ``excluded``, or the URNs in ``target``, back from the cloud into the state."""
        return self._run(
            "refresh",
            program,
            listener,
            excluded,
            target=list(target) or None,
        )

    def destroy(self, program: Program, listener: Listener | None = None) -> RunRecord:
        """Delete everything in the state, in the order of the graph reversed."""
        return self._run("destroy", program, listener, NOTHING, continue_on_error=True)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs as plain values; empty when there is no stack yet.

        Between two runs of an engine whose runs are exclusive the CLI, half a second of it, is asked once at most:
        an `up` tells what they are.
        """
        if self._outputs is None or not self._settings.exclusive:
            found = self._cli(["stack", "output", "--json"]) if self._exists() else ""
            self._outputs = self._excluded.plain_outputs() | json.loads(found or "{}")
        return dict(self._outputs)

    def resources(self) -> list[dict[str, Any]]:
        """Every resource in the state (urn, type, id, inputs, outputs), secrets encrypted."""
        return list(self._deployment().get("resources") or [])

    def pending(self) -> list[dict[str, Any]]:
        """Operations that a killed run left unfinished; creations stay open until they are settled."""
        return list(self._deployment().get("pending_operations") or [])

    @property
    def keeps_notes(self) -> bool:
        """Whether creations are open whose notes the state has no more; no CLI is asked."""
        return self._excluded.keeps_notes

    def settle_pending(self, made: Mapping[str, str], never_made: Collection[str]) -> None:
        """Say how creations that a killed run left open ended.

        Args:
            made: {URN: id} of what is there; it becomes a resource, to be read back by `refresh`.
            never_made: URNs that are not there. Others stay open.
        """
        if made or never_made:
            self._open()
            self._excluded.settle(made, never_made)

    def release_lock(self) -> None:
        """Remove the engine's own lock, left by a killed run. Only for who holds the environment's lock."""
        if self._exists():
            self._cli(["cancel", "--yes"])

    def remove_stack(self) -> None:
        """Forget an empty stack with its history, and what was left open in it."""
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
        # A temporary file is for its owner's eyes only; one that a killed process leaves goes with its folder.
        self._scratch.make()
        with NamedTemporaryFile("w", dir=self._scratch.folder, suffix=".json") as file:
            json.dump(exported, file)
            file.flush()
            self._past_stale_lock(lambda: self._cli(["stack", "import", "--file", file.name]))
        self._outputs = None

    def _exclude(self, excluded: StateExclusion) -> None:
        """Have out of the state what is ``excluded``, and nothing else. Only for whoever may change the state."""
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
        if self._claim is not None:  # with the claim in our hands no engine is at work on this stack
            settings = self._settings
            self._claim.take()
            self._mended += repair_state(settings.backend, settings.project, settings.stack)
            self._scratch.remove_dead()
        self._scratch.make()

    def _open(self, *, create: bool = True) -> Stack:
        """The stack; its workspace is kept in one folder, as the SDK would leave a new one each run."""
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
        # Not `create_or_select` and `select`: they give an ordinary stack whatever class they are called on.
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
            # With the claim in our hands no engine is alive, so the lock was left by a killed one.
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
            _take(event, record, listener, verb)

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
        """The failure, unless it is one because somebody asked to stop."""
        if failure is not None and not (self._command.interrupted or self._command.halted):
            return failure
        return Interrupted(
            "Stopped as asked; the state holds what was made.",
            remedy="run the command again to go on from there",
        )


def _take(event: EngineEvent, record: RunRecord, listener: Listener | None, verb: str) -> None:
    record.left_open = record.left_open or tells_of_pending(event)
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
    if listener:
        listener(progress)


class _EngineLocked(Refused):
    """The engine's own lock is taken."""

    error_id = "RS-ENGINE-004"


class EngineFailed(WorkFailed):
    """The engine could not do all it was asked; ``record`` holds what it did and every problem."""

    error_id = "RS-ENGINE-002"

    def __init__(
        self, message: str, record: RunRecord, *, where: str | None, remedy: str, error_id: str | None = None
    ) -> None:
        super().__init__(message, where=where, remedy=remedy, error_id=error_id)
        self.record = record


def _failure(verb: str, record: RunRecord, error: str) -> WorkFailed:
    """The first problem that belongs to a resource says most; the engine's closing line says least.

    A full disk or a clock that is wrong is nobody's fault there, however many resources tell of it.
    """
    said = [*(problem.message for problem in record.problems), error]
    if full := next((each for each in said if is_full(each)), None):
        # What else the engine does changes nothing that `resume` could find.
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
    """What to do, and the error's id where it is not the class's own."""
    if any(tells_of_clock(each) for each in said):
        return CLOCK, "RS-AWS-006"
    if any(_CUT in each for each in said):
        return (
            "the engine's state file is incomplete; regionshift resume, or up, restores it from its copy",
            "RS-ENGINE-003",
        )
    return "what was made is kept in the state: fix the cause and run the command again", None


def _line_of_full(text: str) -> str:
    return next(line.strip() for line in text.splitlines() if is_full(line))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if line.startswith("error:")), lines[-1] if lines else "")
