"""Regions that are small files, and an engine that changes them part by part, as Pulumi changes resources.

As Pulumi it knows of a region what its own state says, until it reads the region back.
Every way to fail happens exactly once, where a test put it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from regionshift.engine.engine import EngineFailed, Listener, RunRecord
from regionshift.engine.events import Problem, ResourceStep, StepProgress
from regionshift.engine.state_exclusion import NOTHING, StateExclusion
from regionshift.errors import Interrupted, NoRoom
from regionshift.operations.planning import is_link
from regionshift.settings.config import MigrationConfig
from regionshift.settings.release import Artifact, Release

PRIMARY, CANARY, OTHER = "us-east-1", "eu-west-1", "us-west-2"
WAVES = (CANARY, OTHER, PRIMARY)
_CODE = b"artifact"
_TYPE = "aws:cloudwatch/logGroup:LogGroup"


class Crash(BaseException):
    """kill -9: nothing after it is done, and nothing is written any more."""


@dataclass
class Fault:
    """What goes wrong at the ``at``-th time that ``where`` is passed (from 1), once.

    where: ``step`` (of the engine), ``write`` (of the journal). how: ``fail``, ``lost`` (the step is done, and fails
    all the same, as its answer is lost), ``interrupt``, ``full`` (the disk), ``crash before``, ``crash after``,
    ``lost before``, ``lost after`` (the write is done, its answer is lost), ``lock``.
    """

    where: str
    how: str
    at: int = 1
    only: Callable[[str], bool] = lambda _: True
    passed: int = 0
    happened: bool = False

    def now(self, where: str, what: str) -> str | None:
        if self.happened or where != self.where or not self.only(what):
            return None
        self.passed += 1
        if self.passed != self.at:
            return None
        self.happened = True
        return self.how


class Faults(Protocol):
    """The process that an engine runs in."""

    def fault(self, where: str, what: str) -> str | None: ...
    def die(self) -> Crash: ...
    def require_alive(self) -> None: ...


@dataclass
class World:
    """Everything that outlives a process: the regions' files and the state, a folder or, faster, in memory."""

    folder: Path
    memory: dict[str, bytes] | None = None
    wanted: int = 0
    on_failure: str = "rollback"
    broken: dict[tuple[str, str], str] = field(default_factory=dict)
    """(release, region) to what finds it out: ``validate``, ``bake`` or ``alarm``; ``silent``: down when watched."""
    down: set[str] = field(default_factory=set)
    """Regions that do not answer: not to the engine, and not when they are asked."""
    waves: tuple[tuple[str, ...], ...] = ()
    tolerance: int = 0
    primaries: dict[int, str] = field(default_factory=dict)
    """Release to its primary, where that is another."""

    def copy(self, to: Path) -> World:
        shutil.copytree(self.folder, to)
        memory = None if self.memory is None else dict(self.memory)
        copied = World(to, memory, self.wanted, self.on_failure, dict(self.broken), set(self.down))
        copied.waves, copied.tolerance, copied.primaries = self.waves, self.tolerance, dict(self.primaries)
        return copied

    def parts(self, home: str, where: str = "regions") -> dict[str, str]:
        """What is there; with ``where="state"`` what the engine knows of it."""
        path = self.folder / where / home
        return json.loads(path.read_text()) if path.exists() else {}

    def put(self, home: str, part: str, value: str | None, where: str = "regions") -> None:
        parts = self.parts(home, where)
        parts.pop(part, None)
        if value is not None:
            parts[part] = value
        self.write(home, parts, where)

    def write(self, home: str, parts: dict[str, str], where: str) -> None:
        (self.folder / where).mkdir(exist_ok=True, parents=True)
        (self.folder / where / home).write_text(json.dumps(parts))

    def release(self, number: int) -> Release:
        path = self.folder / "artifact.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_CODE)
        return _release(number, self.on_failure, path, self.waves, self.tolerance, self._primary(number))

    def digest(self, number: int) -> str:
        return _digest(number, self._primary(number))

    def _primary(self, number: int) -> str:
        return self.primaries.get(number, PRIMARY)

    def runs(self, region: str) -> str | None:
        """The release that a region wholly has; None when it has nothing. Anything between is ``half``."""
        parts = self.parts(region)
        for digest in set(parts.values()):
            if parts == goal_of(digest):
                return digest
        return "half" if parts else None


def goal_of(digest: str | None) -> dict[str, str]:
    """What a region of this release is made of: two things that every release has, one of its own."""
    return {} if digest is None else dict.fromkeys(("code", "topic", f"own-{digest[:8]}"), digest)


def _release(
    number: int,
    on_failure: str,
    path: Path,
    waves: tuple[tuple[str, ...], ...] = (),
    tolerance: int = 0,
    primary: str = PRIMARY,
) -> Release:
    return Release(
        config=_config(number, on_failure, waves, tolerance, primary),
        artifact=Artifact(path, hashlib.sha256(_CODE).hexdigest()),
        zones={region: (f"{region}a", f"{region}b", f"{region}c") for region in WAVES},
        secrets={},
        secrets_digest="",
        tool_version="1",
        plugin_version="7",
    )


@cache
def _digest(number: int, primary: str) -> str:
    """How a failure is met is no part of a release."""
    return _release(number, "stop", Path(), primary=primary).digest


@cache
def _config(
    number: int, on_failure: str, waves: tuple[tuple[str, ...], ...], tolerance: int, primary: str
) -> MigrationConfig:
    deployment = {"on_failure": on_failure, "bake": 0, "failure_tolerance": tolerance}
    return MigrationConfig.model_validate(
        {
            "project": "shop",
            "environment": "dev",
            "account": "111122223333",
            "target": "local",
            "regions": {
                "primary": primary,
                "secondaries": [each for each in (CANARY, OTHER, PRIMARY) if each != primary],
            },
            "network": {"vpc_cidr": "10.0.0.0/8"},
            "tags": {"number": str(number)},
            "deployment": deployment | ({"waves": waves} if waves else {}),
        }
    )


@dataclass(frozen=True)
class Built:
    """The program as the model engine reads it."""

    releases: Mapping[str, Release]
    links: Release | None

    def __call__(self) -> None:
        """Nothing: the model engine reads the fields."""

    def goal(self, home: str) -> dict[str, str]:
        if home == "links":
            return {} if self.links is None else {"links": self.links.digest}
        return goal_of(self.releases[home].digest if home in self.releases else None)


@dataclass
class ModelEngine:
    """Changes files part by part. Only what it is used for is there."""

    world: World
    process: Faults
    interrupted: bool = False
    watch: Listener | None = None
    version: str = "3.200.0"
    mended: tuple[str, ...] = ()

    def interrupt(self) -> None:
        self.interrupted = True

    def preview(
        self,
        program: Built,
        *,
        target: Sequence[str] = (),
        excluded: StateExclusion = NOTHING,
        refresh: bool = False,
        **_: object,
    ) -> RunRecord:
        where = "regions" if refresh else "state"
        return RunRecord(planned=[step for step, _ in self._steps(program, target, excluded, where)])

    def up(
        self,
        program: Built,
        listener: Listener | None = None,
        *,
        target: Sequence[str] = (),
        excluded: StateExclusion = NOTHING,
        refresh: bool = False,
        **_: object,
    ) -> RunRecord:
        record = RunRecord()
        stuck: set[str] = set()
        for home in _homes(target) if refresh else ():
            if not excluded.has(_urn(home, "any")):
                self.world.write(home, self.world.parts(home), "state")
        for step, value in self._steps(program, target, excluded):
            home = "links" if is_link(step.urn) else str(step.region)
            if home in self.world.down:
                record.problems += _problems_of_a_region_that_is_down(step)
            if home in stuck | self.world.down:
                continue
            if self.interrupted:
                raise Interrupted("stopped")
            for told in filter(None, [listener, self.watch]):
                told(StepProgress("started", step))
            how = self.process.fault("step", f"{home} {step.op}")
            if how == "interrupt":
                self.interrupted = True
            if how != "fail":
                self._do(home, step, value, how)
            if how in ("fail", "lost"):
                record.problems.append(Problem(how, step.urn, step.region))
                stuck.add(home)
                continue
            record.finished.append(step)
        if record.problems:
            first = record.problems[0]
            where = " ".join(part for part in (first.region, first.resource) if part)
            raise EngineFailed("AccessDenied", record, where=where, remedy="mend it")
        if self.interrupted:
            raise Interrupted("stopped")
        return record

    def _do(self, home: str, step: ResourceStep, value: str | None, how: str | None) -> None:
        """In the region, then in the state."""
        part = step.name.rpartition("/")[0]
        if how == "crash before":
            raise self.process.die()
        self.world.put(home, part, value)
        if how == "crash after":
            raise self.process.die()
        if how == "full":  # what the engine did is not in its state
            raise NoRoom("No room is left on the disk.")
        if how != "lost":
            self.world.put(home, part, value, "state")

    def refresh(self, *_: object, **__: object) -> RunRecord:
        return RunRecord()

    def outputs(self) -> dict[str, Any]:
        return {"up": True}

    def resources(self) -> list[dict[str, Any]]:
        return []

    def pending(self) -> list[dict[str, Any]]:
        return []

    @property
    def keeps_notes(self) -> bool:
        return False

    def release_lock(self) -> None:
        """There is none."""

    def _steps(
        self, program: Built, target: Sequence[str], excluded: StateExclusion, where: str = "state"
    ) -> Iterable[tuple[ResourceStep, str | None]]:
        for home in _homes(target):
            if excluded.has(_urn(home, "any")):
                assert home not in program.releases, f"{home} is in the program, and not in the state"
                assert home != "links" or program.links is None
                continue
            now, goal = self.world.parts(home, where), program.goal(home)
            for part in sorted({*now, *goal}):
                old, new = now.get(part), goal.get(part)
                if old != new:
                    op = "create" if old is None else "delete" if new is None else "update"
                    yield ResourceStep(op, _urn(home, part), _TYPE, None if home == "links" else home), new


def _problems_of_a_region_that_is_down(step: ResourceStep) -> list[Problem]:
    """Its own, and that of what needs it and is checked without it."""
    said = ("dial tcp: i/o timeout", "resource 'other' has a problem: policy is required")
    return [Problem(each, step.urn, step.region) for each in said]


def _homes(target: Sequence[str]) -> list[str]:
    """What the engine's targets name; everything when there are none."""
    return [
        home
        for home in (*WAVES, "links")
        if not target or any(pattern.endswith(f"-{home}") or _of_links(pattern, home) for pattern in target)
    ]


def _of_links(pattern: str, home: str) -> bool:
    return home == "links" and "Links" in pattern


def _urn(home: str, part: str) -> str:
    component = "Links" if home == "links" else "Region"
    return f"urn:pulumi:dev::shop::regionshift:infrastructure:{component}${_TYPE}::{part}/-{home}"
