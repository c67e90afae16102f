"""A fenced region comes back: shut first, then brought up as a secondary, then opened. Done again, it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.errors import InputError, Interrupted, RegionshiftError, WorkFailed
from regionshift.journal.journal import Journal, RunJournal
from regionshift.journal.store import StateUnreachable
from regionshift.operations.checks.base import CheckContext, run_checks
from regionshift.operations.environment import Environment
from regionshift.operations.moving.copying import LastCopy
from regionshift.operations.moving.driving import NewsListener, interruption
from regionshift.operations.moving.fencing import fenced_regions, open_roles, shut_bucket
from regionshift.operations.moving.settings_unchanged import (
    release_of,
    require_everywhere,
    require_release_unchanged,
)
from regionshift.operations.outputs import Outputs
from regionshift.operations.region_scope import without_regions
from regionshift.operations.validate import all_checks
from regionshift.releases.catalog import ReleaseCatalog
from regionshift.releases.deployed import DeployedReleases
from regionshift.runs.messages import SagaNews

STEPS = ("shut", "look", "open-roles", "turn", "copy-back", "validate")
Told = Callable[[str, str, Mapping[str, object]], None]


def course_of(region: str, primary: str) -> SagaNews:
    """A return in words."""
    return SagaNews(
        "rejoin",
        f"return of {region}",
        STEPS,
        success=f"{region} is a secondary of {primary}",
        undone=f"{region} stays fenced",
        go_on=f"regionshift up --rejoin {region}",
    )


def require_fenced(journal: Journal, region: str) -> None:
    """Raises InputError when ``region`` is not fenced."""
    fenced = fenced_regions(journal)
    if region not in fenced:
        raise InputError(
            f"{region} is not fenced.",
            where="--rejoin",
            remedy=f"one of {', '.join(fenced)}" if fenced else "run `regionshift up` without --rejoin",
        )


def require_unchanged(
    environment: Environment, catalog: ReleaseCatalog, deployed: DeployedReleases, region: str, settings: Path
) -> None:
    """The return of ``region`` brings nothing else: that would reach every region at once, and no canary first.

    Raises:
        Refused: the settings, the tool or a secret is not what is up, or a region is not at that release.
    """
    primary = environment.config.regions.primary
    base = release_of(catalog, deployed, primary)
    config = without_regions(environment.config, {region})
    require_release_unchanged(base, environment.release(), config, str(settings))
    require_everywhere(deployed, config.all_regions, base, primary)


@dataclass(frozen=True)
class Rejoin:
    """Brings one region back, as one run of the journal."""

    environment: Environment
    catalog: ReleaseCatalog
    journal: Journal
    deployed: DeployedReleases
    copies: Callable[[str, str], LastCopy]
    tell: Told
    herald: Callable[[str], NewsListener]

    def run(self, region: str) -> dict[str, dict[str, Any]]:
        """All steps; gives what each said.

        Raises:
            RegionshiftError: a step could not be done; the region stays fenced, and the same command goes on.
        """
        primary = self.environment.config.regions.primary
        rest = [each for each in fenced_regions(self.journal) if each != region]
        digest = self.environment.release().digest
        releases = dict.fromkeys(self.environment.regions, digest)
        self.catalog.keep(self.environment.release(), self.deployed.links)
        run = self.journal.start("deployment", {"releases": releases, "rejoins": region})
        said: dict[str, dict[str, Any]] = {}
        saga_news, herald = course_of(region, primary), self.herald(run.run_id)
        herald(saga_news.of_start())
        try:
            for step in STEPS:
                said[step] = self._step(run, step, region)
                herald(saga_news.of_done(step))
        except BaseException as error:
            stopped = isinstance(error, Interrupted | KeyboardInterrupt)
            try:
                run.close("interrupted" if stopped else "failed", failed=True)
            except StateUnreachable as failure:
                error.add_note(f"that could not be written down: {failure.message}")
                raise error from failure
            if stopped:
                herald(saga_news.of_interruption(step))
                raise interruption(step, saga_news) from error
            if isinstance(error, RegionshiftError):
                # The topics and the terminal name the command; whoever reads only the error has it too.
                error.remedy = error.remedy or saga_news.go_on
                herald(saga_news.of_failure(step, error.message))
            raise
        regions = {each: {"release": digest, "settled": True, "note": ""} for each in releases}
        ended = run.close("succeeded", {"regions": regions, "links": digest, "fenced": rest})
        took = (ended.ended - ended.started).total_seconds() if ended.ended else 0.0
        herald(saga_news.of_success(f"it took {took:.0f} s"))
        return said

    def _step(self, run: RunJournal, step: str, region: str) -> dict[str, Any]:
        run.append(step, "before", region)
        self.tell(step, "before", {})
        try:
            said = self._do(run, step, region)
        except (ClientError, BotoCoreError) as error:
            run.append(step, "failed", region, {"error": str(error)})
            self.tell(step, "failed", {"error": str(error)})
            raise WorkFailed(
                f"{region} could not be brought back: {error}",
                where=region,
                remedy=f"regionshift up --rejoin {region}",
            ) from error
        except RegionshiftError as error:
            run.append(step, "failed", region, {"error": error.message})
            self.tell(step, "failed", {"error": error.message})
            raise
        run.append(step, "after", region, said)
        self.tell(step, "after", said)
        return said

    def _do(self, run: RunJournal, step: str, region: str) -> dict[str, Any]:
        environment, config = self.environment, self.environment.config
        primary = config.regions.primary
        match step:
            case "shut":
                shut_bucket(environment.clients, config, region)
                return {}
            case "look":
                missed = self.copies(region, primary).missed()
                return {name: value for name, value in asdict(missed).items() if value}
            case "open-roles":
                return dict(open_roles(environment.clients, config, region, primary))
            case "turn":
                release = environment.release()
                program = environment.program(environment.same_everywhere(release), links=release)
                # What was shut was shut by hand, so the engine has to look before it can put it right.
                record = environment.engine.up(
                    program, excluded=environment.excluded, refresh=True, checkpoints=True
                )
                return {"changed": len(record.changes)}
            case "copy-back":
                copies = self.copies(primary, region)
                # The region's outputs are there since the turn.
                carrying = replace(copies.carrying, outputs=Outputs(environment.engine.outputs()))
                return replace(copies, carrying=carrying).copy_back(run.run_id)
        return self._validate(region)

    def _validate(self, region: str) -> dict[str, Any]:
        environment = self.environment
        outputs = Outputs(environment.engine.outputs())
        context = CheckContext(environment.called_config, outputs, environment.clients, environment.now)
        results = run_checks(all_checks(), context, [region])
        if wrong := [each for each in results if not each.passed]:
            raise WorkFailed(f"{wrong[0].check}: {wrong[0].detail}", where=region)
        return {"checks": len(results)}
