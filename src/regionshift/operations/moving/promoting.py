"""The steps of a change of primary: what each does, and how it is undone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from regionshift.errors import InputError, WorkFailed
from regionshift.journal.journal import Journal
from regionshift.operations.checks.base import Check, said_of
from regionshift.operations.checks.replication import ReplicationCheck
from regionshift.operations.environment import Environment, without_regions
from regionshift.operations.moving.copying import LastCopy
from regionshift.operations.moving.engine_runs import EngineChange, PromotionApplier
from regionshift.operations.moving.fencing import open_roles, shut_roles
from regionshift.operations.moving.promotion_plan import PromotionPlan
from regionshift.operations.validate import all_checks, require_well
from regionshift.releases import ReleaseCatalog
from regionshift.report.values import CheckResult
from regionshift.runs.state import RunStep
from regionshift.settings.config import MigrationConfig
from regionshift.settings.editing import applied, digest_of_text, names_regions, taken_back

Said = Mapping[str, object]


@dataclass(frozen=True)
class Promotion:
    """Does and undoes the steps of one plan.

    Args:
        copies: gives the copies from one region to another.
        settings: the settings file.
    """

    plan: PromotionPlan
    run_id: str
    environment: Environment
    catalog: ReleaseCatalog
    applier: PromotionApplier
    copies: Callable[[str, str], LastCopy]
    settings: Path
    clock: Callable[[], float]
    journal: Journal

    def look(self) -> None:
        """Check what the copies of all steps need, before the first step. Changes nothing.

        Raises:
            InputError, Refused: see `LastCopy.look`.
        """
        if not self.plan.lost:
            self._last.look(self.run_id)
        for region in self._others:
            if self.plan.lost:
                self.copies(region, self.plan.new).look_to_catch_up(f"{self.run_id}-{region}")
            self.copies(self.plan.new, region).look_at_bucket(f"{self.run_id}-to-{region}")

    def do(self, step: RunStep, *, doubt: bool) -> Said:
        """One step forward. Raises RegionshiftError when it cannot be done."""
        plan = self.plan
        names = [each.name for each in plan.steps]
        if names.index(step.name) > names.index("settings"):
            # Another machine may have done that step. Then the file on this machine is not changed yet.
            write_settings(self.settings, plan)
        match step.name:
            case "fence":
                environment = self.environment
                return shut_roles(environment.clients, environment.config, plan.old, plan.new).said()
            case "validate":
                return self._validate_new()
            case "last-copy":
                return self._last.copy(self.run_id)
            case "gather":
                return self._gather()
            case "settings":
                return write_settings(self.settings, plan)
            case "unlink":
                return self._timed(lambda: self.applier.links(plan.before, None, doubt=doubt))
            case "turn":
                after = dict.fromkeys(plan.present, plan.after)
                return self._timed(lambda: self.applier.turn(after, plan.after, doubt=doubt))
            case "catch-up":
                return self._catch_up()
            case "validate-all":
                return self._validate_all()
        raise WorkFailed(f"there is no step {step.name}", error_id="RS-RUN-008")

    def take_back(self, step: RunStep, began: frozenset[str]) -> Said:
        """Undo one step. Nothing of it may have been done."""
        plan = self.plan
        match step.name.removeprefix("back/"):
            case "fence":
                return open_roles(self.environment.clients, self.environment.config, plan.old, plan.new)
            case "last-copy":
                ids = (f"{self.run_id}-carry", f"{self.run_id}-bucket")
                return {migration_id: self._last.take_back(migration_id) for migration_id in ids}
            case "gather":
                return {
                    region: self.copies(region, plan.new).take_back(f"{self.run_id}-{region}-catch-up")
                    for region in self._others
                }
            case "catch-up":
                for region in self._others:
                    self.copies(plan.new, region).take_back(f"{self.run_id}-to-{region}")
                return self._last.take_back(f"{self.run_id}-catch-up")
            case "settings":
                return restore_settings(self.settings, plan)
            case "turn":
                present = {region: plan.before[region] for region in plan.present}
                return self._timed(lambda: self.applier.turn(present, plan.links, doubt=True))
            case "unlink":
                if "turn" in began:
                    return {"engine": "not needed: the turn's way back brought the links"}
                return self._timed(lambda: self.applier.links(plan.before, plan.links, doubt=True))
        raise WorkFailed(f"there is no way back from {step.name}", error_id="RS-RUN-008")

    @property
    def _last(self) -> LastCopy:
        return self.copies(self.plan.old, self.plan.new)

    @property
    def _others(self) -> list[str]:
        return [region for region in self.plan.others if region not in self.plan.uncalled]

    def _gather(self) -> Said:
        """Copy what the lost primary replicated to another region but not to the new primary."""
        return {
            region: self.copies(region, self.plan.new).catch_up(f"{self.run_id}-{region}")
            for region in self._others
        }

    def _catch_up(self) -> Said:
        """After the turn: copy what was written to the old primary meanwhile, then do the same for the other regions.

        S3 does not replicate objects that are older than the rule (Amazon S3 User Guide, "What does Amazon S3
        replicate?"). So the objects that were copied into the new primary before the turn are copied on.
        """
        said = dict(self._last.catch_up(self.run_id))
        for region in self._others:
            copied = self.copies(self.plan.new, region).copy_bucket(f"{self.run_id}-to-{region}")
            if copied.get("written"):
                said[region] = copied
        return said

    def _timed(self, run: Callable[[], EngineChange]) -> Said:
        began = self.clock()
        turned = run()
        return {**turned.said(), "seconds": round(self.clock() - began, 2)}

    def _validate_new(self) -> Said:
        new = self.plan.new
        checks = all_checks() if not self.plan.lost else _without_replication()
        results, delays = self._check(checks, [new], self.plan.before[new])
        return {**said_of(results), "replication_seconds": delays.get(new)}

    def _validate_all(self) -> Said:
        results, delays = self._check(all_checks(), self.plan.present, self.plan.after)
        seen = [seconds for seconds in delays.values() if seconds is not None]
        slowest = max(seen, default=None) if len(seen) == len(delays) else None
        return {**said_of(results), "replication_seconds": slowest}

    def _check(
        self, checks: Sequence[Check], regions: Sequence[str], digest: str | None
    ) -> tuple[list[CheckResult], dict[str, float | None]]:
        return require_well(self.environment, self.journal, checks, regions, self._config(digest), digest)

    def _config(self, digest: str | None) -> MigrationConfig:
        config = self.catalog.take(digest).config if digest else self.environment.config
        return without_regions(config, self.plan.uncalled)


def _without_replication() -> list[Check]:
    return [check for check in all_checks() if not isinstance(check, ReplicationCheck)]


def write_settings(path: Path, plan: PromotionPlan) -> Said:
    """Write the settings file with the new primary, whole or not at all. Does nothing when it has it already."""
    text = read_text(path)
    if digest_of_text(text) != plan.edit.digest_after:
        try:
            write_text(path, applied(plan.edit, text))
        except ValueError as error:
            raise WorkFailed(
                f"the settings file could not be changed: {error}",
                where=str(path),
                error_id="RS-SETTINGS-004",
            ) from error
    return {"file": path.name}


def restore_settings(path: Path, plan: PromotionPlan) -> Said:
    """Restore the bytes of the settings file. A file that still names the old primary is left alone.

    Raises:
        WorkFailed: somebody changed the file after it got the new primary.
    """
    text = read_text(path)
    if digest_of_text(text) != plan.edit.digest_before:
        try:
            write_text(path, taken_back(plan.edit, text))
        except ValueError as error:
            named = names_regions(text)
            if named and named[0] == plan.old and plan.new in named[1]:
                return {"file": path.name, "left": "as somebody changed it meanwhile"}
            raise WorkFailed(
                f"the settings file could not be restored: {error}",
                where=str(path),
                remedy=f"write {plan.old} as the primary and {plan.new} as a secondary, then: regionshift resume",
                error_id="RS-SETTINGS-004",
            ) from error
    return {"file": path.name}


def read_text(path: Path) -> str:
    """The text of the file, with its own line ends."""
    return path.read_bytes().decode("utf-8")


def require_writable(path: Path) -> None:
    """Check what :func:`write_text` needs. Raises InputError when the file cannot be replaced."""
    try:
        handle, aside = _aside(path.resolve())
    except OSError as error:
        raise InputError(
            f"This command has to change the settings file, which cannot be written: {error.strerror}.",
            where=str(path),
            remedy="make the file and its folder writable for the user who runs the command",
            error_id="RS-SETTINGS-003",
        ) from error
    os.close(handle)
    aside.unlink()


def _aside(real: Path) -> tuple[int, Path]:
    handle, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    return handle, Path(name)


def write_text(path: Path, text: str) -> None:
    """Replace the file atomically and durably, with the permissions that it had. A link stays a link."""
    real = path.resolve()
    handle, aside = _aside(real)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        aside.chmod(real.stat().st_mode & 0o7777)
        aside.replace(real)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
