"""Journals with runs for a report, written by the product's own types, steps and clock; nothing of it is really up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from model_store import MemoryStore
from pydantic import SecretStr

from regionshift.journal.journal import Journal, RunJournal
from regionshift.journal.releases import ReleaseStore
from regionshift.journal.sealing import SecretKey
from regionshift.operations.checks.base import said_of
from regionshift.operations.environment import Environment
from regionshift.operations.moving.promotion_plan import PromotionPlan
from regionshift.operations.report_data import report_data
from regionshift.operations.validate import all_checks
from regionshift.operations.waves.facts import Facts, Terms
from regionshift.report.values import CheckResult
from regionshift.runs.deployment_plan import DeploymentPlan, Wave, WaveStep
from regionshift.runs.deployment_state import DeploymentState, Outcome, fold_deployment
from regionshift.settings.config import MigrationConfig
from regionshift.settings.editing import Edit
from regionshift.settings.regions import REGIONS
from regionshift.settings.release import Artifact, Release

THREE = ("us-east-1", "eu-west-1", "ap-southeast-2")
THIRTY = REGIONS["aws"][:30]
_TAKES = {"apply": 41.0, "validate": 6.5, "bake": 60.0, "links": 12.0, "approve": 5400.0}
_CODE = b"the function"


@dataclass
class ReportWorld:
    """One environment: its journal and releases in memory, and a clock that goes on when it is told."""

    folder: Path
    regions: Sequence[str] = THREE
    by: str = "ann@example.com"
    at: datetime = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
    objects: dict[str, bytes] = field(default_factory=dict)
    project: str = "orders"

    def __post_init__(self) -> None:
        store = cast(Any, MemoryStore(self.objects))
        self.config = self._config(512)
        self.journal = Journal(store, self.config.identity.scope, lambda: self.at, by=self.by)
        self.releases = ReleaseStore(store, self.config.identity.scope, SecretKey(bytes(32)))
        self.environment = Environment(
            config=self.config,
            clients=cast(Any, None),
            engine=cast(Any, None),
            program=cast(Any, None),
            release=lambda: self.release(512),
            state_dir=self.folder,
            now=lambda: self.at,
        )
        self.newest: str | None = None

    def data(self, run: str | None = None) -> dict[str, Any]:
        return report_data(
            self.environment, self.journal, self.releases, run, by="bob@example.com", version="0.1.0"
        )

    def tick(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def release(self, memory: int, token: str = "one") -> Release:
        path = self.folder / "function.zip"
        path.write_bytes(_CODE)
        return Release(
            config=self._config(memory),
            artifact=Artifact(path, hashlib.sha256(_CODE).hexdigest()),
            zones={region: (f"{region}a", f"{region}b") for region in self.regions},
            secrets={"token": SecretStr(token)},
            secrets_digest=hashlib.sha256(token.encode()).hexdigest(),
            tool_version="0.1.0",
            plugin_version="7.51.1",
        )

    def keep(self, memory: int, token: str = "one") -> str:
        release = self.release(memory, token)
        self.releases.record(release, at=self.at, by=self.by, program="p", previous=self.newest)
        self.newest = release.digest
        return release.digest

    def up(self, memory: int = 512) -> str:
        """The first `up`: all regions in one run."""
        digest = self.keep(memory)
        run = self.journal.start(
            "deployment", {"releases": dict.fromkeys(self.regions, digest), "changes": 210}
        )
        self._step(run, "apply", 96.0)
        run.close("succeeded")
        self.tick(3600)
        return digest

    def waves(
        self,
        before: str,
        after: str,
        waves: Sequence[tuple[str, ...]],
        *,
        on_failure: str = "rollback",
        fails: Mapping[str, Callable[[WaveStep], dict[str, Any]]] = {},
        approve: Sequence[int] = (),
        stop_at: str | None = None,
    ) -> str:
        """A deployment in waves; ``fails``: by step, what it says of its failure. ``stop_at``: killed in that step."""
        plan = DeploymentPlan(
            before=dict.fromkeys(self.regions, before),
            target=dict.fromkeys(self.regions, after),
            waves=tuple(Wave(place, wave, place in approve) for place, wave in enumerate(waves, 1)),
            on_failure=cast(Any, on_failure),
        )
        facts = Facts(before, after, moved=frozenset(self.regions), terms=Terms(bake=60, min_samples=5))
        run = self.journal.start("deployment", facts.opening(plan))
        while (step := self._state(run).next_step) is not None:
            kept = {"on": list(step.regions)}
            run.append(step.name, "before", None, kept, only_looks=step.only_looks)
            if step.name == stop_at:
                self.tick(20)
                return run.run_id
            if step.name in fails:
                self.tick(_TAKES[step.action] / 3)
                run.append(step.name, "failed", None, fails[step.name](step))
            else:
                self.tick(_TAKES[step.action])
                run.append(step.name, "after", None, self._said(step))
        state = self._state(run)
        outcome = cast(Outcome, state.verdict)
        links = after if outcome is Outcome.SUCCEEDED else before
        run.close(outcome.value, {**state.result(), "links": links}, failed=outcome is not Outcome.SUCCEEDED)
        self.tick(1800)
        return run.run_id

    def migrate(
        self,
        name: str,
        *,
        counts: Mapping[str, int],
        status: str = "completed",
        unproven: Sequence[dict[str, str]] = (),
    ) -> str:
        """A migration from the first region to the second, as its run is written."""
        source, target = self.regions[:2]
        run = self.journal.start("migration", {"migration_id": name, "source": source, "target": target})
        planned = {"new": 9000, "changed": 400, "same": 1200, "conflict": counts.get("conflict", 0)}
        self._step(run, "plan", 8.0, target, {"counts": planned, "batches": 19})
        pace = [
            (float(each), round(9400 * (each / 90) ** 0.8), each * 31_000_000) for each in range(0, 91, 3)
        ]
        copied = {"status": status, "counts": dict(counts), "execution": "arn", "throughput": pace}
        self._step(run, "copy", 90.0, target, copied)
        delays: dict[str, float | None] = {target: 0.74}
        recovery = {"replication_seconds": delays, "rpo_seconds": 0.74, "seconds": 98.0, "warnings": []}
        back = {"undone": counts["written"]} if status == "rolled_back" else {}
        run.close(
            status,
            {
                "status": status,
                "counts": dict(counts),
                "bytes": 2_800_000_000,
                "recovery": recovery,
                "taken_back": back,
                "unproven": list(unproven),
            },
            failed=status != "completed",
        )
        self.tick(900)
        return run.run_id

    def take_back(self, name: str, reason: str) -> str:
        """A migration taken back by hand."""
        run = self.journal.start("rollback", {"migration_id": name, "reason": reason})
        counts = {"counts": {"undone": 9391, "conflict": 9}, "conflicts": 9}
        self._step(run, "undo", 55.0, self.regions[1], counts)
        run.close("conflicts", counts, failed=True)
        return run.run_id

    def promote(self, before: str, memory: int) -> str:
        """A change of primary that comes to its end."""
        old, new, *others = self.regions
        self.regions = (new, old, *others)
        after = self.keep(memory)
        edit = Edit(replacements=(), digest_before="0" * 64, digest_after="1" * 64)
        plan = PromotionPlan(
            old, new, tuple(others), dict.fromkeys(self.regions, before), before, after, edit
        )
        run = self.journal.start("promotion", {"promotion": plan.to_json()})
        said: dict[str, dict[str, Any]] = {
            "validate": {**said_of(self.answers([new])), "replication_seconds": 0.61},
            "last-copy": {"bucket": {"written": 3, "proven": 3, "bytes": 4096}},
            "settings": {"file": "regionshift.yaml"},
            "turn": {"changed": 14, "seconds": 22.0},
            "validate-all": {**said_of(self.answers(self.regions)), "replication_seconds": 0.48},
        }
        for step in plan.steps:
            self._step(
                run,
                step.name,
                {"settings": 0.4, "turn": 22.0}.get(step.name, 9.0),
                None,
                said.get(step.name, {}),
            )
        run.close("promoted", {**plan.where_regions_stand(done=True), "replication_seconds": 0.48})
        self.environment = replace(self.environment, config=self._config(512))
        self.tick(60)
        return run.run_id

    def answers(self, regions: Sequence[str], wrong: str = "") -> list[CheckResult]:
        """An answer to every check; ``wrong``: the region where the function does not answer."""
        found = []
        for check in all_checks():
            for region in regions:
                if check.name == "function" and region == wrong:
                    detail = "the function answered with an error: unhandled KeyError 'ORDERS_TABLE'"
                    remedy = "read the function's log group; `regionshift rollback` goes back"
                    found.append(CheckResult(check.name, region, "failed", detail, remedy, 3.2))
                elif check.name == "replication" and region == self.config.regions.primary:
                    why = "the primary is where replication starts"
                    found.append(CheckResult(check.name, region, "not applicable", why))
                else:
                    found.append(CheckResult(check.name, region, "passed", "as the settings say", None, 0.8))
        return found

    def _said(self, step: WaveStep) -> dict[str, Any]:
        match step.action:
            case "validate":
                return said_of(self.answers(step.regions))
            case "bake":
                counted = {region: 5 + place for place, region in enumerate(step.regions)}
                to = [region for region in step.regions if region != self.config.regions.primary]
                delays = {region: 0.4 + 0.13 * place for place, region in enumerate(to)}
                return {
                    "looks": 12,
                    "probes": counted,
                    "traffic": {},
                    "replication_seconds": delays,
                    "no_data": {},
                }
            case "approve":
                return {"by": "carla@example.com"}
        return {}

    def _state(self, run: RunJournal) -> DeploymentState:
        return fold_deployment(self.journal.events(run.run_id))

    def _step(
        self,
        run: RunJournal,
        name: str,
        seconds: float,
        region: str | None = None,
        said: Mapping[str, Any] = {},
    ) -> None:
        run.append(name, "before", region)
        self.tick(seconds)
        run.append(name, "after", region, said)

    def _config(self, memory: int) -> MigrationConfig:
        return MigrationConfig.model_validate(
            {
                "project": self.project,
                "environment": "prod",
                "account": "123456789012",
                "target": "aws",
                "regions": {"primary": self.regions[0], "secondaries": list(self.regions[1:])},
                "network": {"vpc_cidr": "10.0.0.0/8"},
                "function": {"memory": memory},
            }
        )


def success(folder: Path) -> ReportWorld:
    """Three waves with bakes, the second after somebody said yes."""
    world = ReportWorld(folder)
    first = world.up()
    world.migrate("orders-2026", counts={"written": 9400, "proven": 9400})
    world.waves(first, world.keep(1024), [("eu-west-1",), ("ap-southeast-2",), ("us-east-1",)], approve=[2])
    return world


def failure(folder: Path) -> ReportWorld:
    """A bake finds an alarm, and everything stays as it is."""
    world = ReportWorld(folder)
    red = "red: orders-prod-function-errors [ap-southeast-2] since 2026-11-30 10:14:00 UTC"
    fails = {"wave-2/bake": lambda _: {"error": red, "regions": {}}}
    waves = [("eu-west-1",), ("ap-southeast-2",), ("us-east-1",)]
    world.waves(world.up(), world.keep(1024), waves, on_failure="stop", fails=fails)
    return world


def taken_back(folder: Path) -> ReportWorld:
    """A broken release is found out in the second wave and goes back in both."""
    world = ReportWorld(folder)

    def broken(step: WaveStep) -> dict[str, Any]:
        results = world.answers(step.regions, wrong="ap-southeast-2")
        wrong = next(each for each in results if not each.passed)
        error = f"{wrong.check} [{wrong.region}]: {wrong.detail} [{wrong.region}]"
        return {"error": error, "regions": {}, **said_of(results)}

    first = world.up()
    wrong = [{"item": "orders-archive/2024/07/a.parquet", "reason": "its checksum is not that of the source"}]
    counts = {"written": 9391, "proven": 9390, "unproven": 1, "conflict": 9}
    world.migrate("orders-2026", counts=counts, status="incomplete", unproven=wrong)
    world.take_back("orders-2026", "wrong bucket")
    second = world.keep(1024, "another")
    waves = [("eu-west-1",), ("ap-southeast-2",), ("us-east-1",)]
    world.waves(first, second, waves, fails={"wave-2/validate": broken})
    return world


def promotion(folder: Path) -> ReportWorld:
    """The second region becomes the primary."""
    world = ReportWorld(folder)
    first = world.up()
    world.promote(first, 768)
    return world


def thirty(folder: Path) -> ReportWorld:
    """Thirty regions in five waves."""
    world = ReportWorld(folder, THIRTY)
    waves = [THIRTY[1:2], THIRTY[2:6], THIRTY[6:16], THIRTY[16:30], THIRTY[:1]]
    world.waves(world.up(), world.keep(1024), waves)
    return world
