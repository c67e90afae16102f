"""Plan a change of primary, continue one, and close it. Planning changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.carriers.carrier import Entry
from regionshift.carriers.selection import selector
from regionshift.errors import InputError, Refused, WorkFailed
from regionshift.journal.events import RunView
from regionshift.journal.journal import Journal, RunJournal
from regionshift.operations.environment import Environment, without_regions
from regionshift.operations.moving.copying import LastCopy
from regionshift.operations.moving.engine_runs import PromotionApplier
from regionshift.operations.moving.fencing import NOT_SHUT, fenced_regions, not_shut, unproven
from regionshift.operations.moving.promoting import Promotion, read_text, require_writable
from regionshift.operations.moving.promotion_plan import PromotionPlan, promotion_from_json
from regionshift.operations.moving.settings_unchanged import (
    release_of,
    require_everywhere,
    require_settings_unchanged,
)
from regionshift.operations.orphans import Recovered, recover
from regionshift.operations.run_tools import Loader, RunTools
from regionshift.operations.up import PlanRefused
from regionshift.operations.usable_keys import key_findings
from regionshift.releases import DeployedReleases, ReleaseCatalog, deployed_releases
from regionshift.report.values import Plan
from regionshift.runs.driver import RunEnd, RunUnderWay, SagaRun, Said, drive, saga_state
from regionshift.runs.messages import RunListener, SagaNews
from regionshift.runs.state import Ending, RunStep, SagaState
from regionshift.settings.config import MigrationConfig
from regionshift.settings.editing import Edit, applied, swap_primary
from regionshift.settings.release import Release
from regionshift.settings.state_url import parse_key_url, parse_state_url

KIND = "promotion"


@dataclass(frozen=True)
class Proposed:
    """A planned change of primary, and the release that it makes."""

    plan: PromotionPlan
    release: Release


def propose(
    environment: Environment,
    catalog: ReleaseCatalog,
    journal: Journal,
    deployed: DeployedReleases,
    new: str,
    settings: Path,
    load: Loader,
    *,
    lost: bool = False,
) -> Proposed:
    """Check that ``new`` may become the primary, and decide how. Makes no call to a region.

    Raises:
        InputError: ``new`` is no secondary, or the settings file cannot be edited.
        Refused: a region is not as the settings say.
    """
    config = environment.config
    old = config.regions.primary
    fenced = fenced_regions(journal)
    edit, after = require_turnable(config, new, read_text(settings), settings, load, fenced=fenced)
    base = release_of(catalog, deployed, new)
    require_settings_unchanged(base, config, str(settings))
    uncalled = {old, *fenced} if lost else set(fenced)
    require_everywhere(deployed, [each for each in config.all_regions if each not in uncalled], base, new)
    if not uncalled and deployed.links != base.digest:
        raise Refused(
            f"The replication between regions is not at the release of {new}.",
            remedy="run `regionshift up` first",
            error_id="RS-REGION-005",
        )
    # The lost region is no secondary of the new release until it rejoins. The settings still name it.
    release = replace(base, config=without_regions(after, {old} if lost else ()))
    plan = PromotionPlan(
        old=old,
        new=new,
        others=tuple(region for region in config.regions.secondaries if region != new),
        before={region: deployed.releases.get(region) for region in config.all_regions},
        links=deployed.links,
        after=release.digest,
        edit=edit,
        lost=lost,
        fenced=fenced,
    )
    return Proposed(plan, release)


@dataclass(frozen=True)
class PromotionProposal:
    """The plan that a person sees before a change of primary.

    Args:
        preview: of the engine. facts: how much is left to copy, or what is unproven.
    """

    proposed: Proposed
    preview: Plan
    facts: Said

    @property
    def plan(self) -> PromotionPlan:
        """What is decided."""
        return self.proposed.plan

    @property
    def unproven(self) -> Sequence[str]:
        """Sentences on what may be missing in the new primary."""
        said = self.facts.get("unproven")
        return said if isinstance(said, list) else ()

    def require_no_obstacle(self) -> None:
        """Raises PlanRefused, Refused when there is an obstacle."""
        if self.preview.errors:
            raise PlanRefused(self.preview.errors)
        if conflicts := self.facts.get("conflicts"):
            raise Refused(
                f"{conflicts} items under `carry` were changed in {self.plan.new} by somebody else.",
                where=self.plan.new,
                remedy=f"see: regionshift migrate --from {self.plan.old} --to {self.plan.new} --plan-only",
                error_id="RS-CARRY-009",
            )


def prepare(tools: RunTools, new: str, *, lost: bool = False) -> PromotionProposal:
    """Plan how ``new`` becomes the primary, and check what all steps need. Changes nothing.

    Raises:
        InputError, Refused: as `propose`, or a place that a step copies from or to is missing or not fit.
    """
    environment, catalog, journal = tools.environment, tools.catalog, tools.journal
    deployed = deployed_releases(journal)
    proposed = propose(environment, catalog, journal, deployed, new, tools.settings, tools.load, lost=lost)
    plan = proposed.plan
    require_secrets(environment, new)
    catalog.add_unsaved(proposed.release)  # kept only once it is confirmed
    after = dict.fromkeys(plan.present, plan.after)
    findings = key_findings(environment.clients, environment.config, plan.present)
    preview = PromotionApplier(environment, catalog, plan.uncalled).preview(after, plan.after, findings)
    with promotion_run(tools, plan, "planned") as run:
        run.promotion.look()
        if not plan.lost:
            made = run.promotion.copies(plan.old, plan.new).plan()
            facts: dict[str, object] = {"to_copy": made.to_copy, "bytes": made.bytes}
            facts |= {"conflicts": len(made.conflicts)} if made.conflicts else {}
            return PromotionProposal(proposed, preview, facts)
    clients, now = environment.clients, environment.now()
    said = unproven(clients, journal, environment.config, plan.old, plan.new, now)
    return PromotionProposal(proposed, preview, {"unproven": said})


def promote_in_move(tools: RunTools, new: str, listeners: Sequence[RunListener[RunStep]]) -> Said:
    """Make ``new`` the primary, as a part of a move. Continues one that was killed.

    Raises:
        WorkFailed: it was undone.
    """
    left = unfinished(tools.journal)
    if left is not None:
        plan, run_id = plan_of(left), left.run_id
        take_over(tools, run_id)
    else:
        prepared = prepare(tools, new)
        prepared.require_no_obstacle()
        plan, run_id = prepared.plan, begin(tools.catalog, tools.journal, prepared.proposed).run_id
    with promotion_run(tools, plan, run_id) as run:
        state = drive(RunUnderWay(tools.journal, tools.journal.reopen(run_id), run, listeners))
    if state.ending is not Ending.DONE:
        why = "; ".join(f"{step}: {said}" for step, said in state.failed.items())
        raise WorkFailed(
            f"the change of primary was {state.ending or 'not finished'}: {why}",
            where=run_id,
            error_id="RS-RUN-008",
        )
    return {"run": run_id, **measured(state)}


def require_turnable(
    config: MigrationConfig,
    new: str,
    text: str,
    settings: Path,
    load: Loader,
    *,
    fenced: Collection[str] = (),
) -> tuple[Edit, MigrationConfig]:
    """Check that the settings allow ``new`` as the primary. Returns the edit, and the settings after it.

    Args:
        config: the settings in ``text``, without fenced regions.
        text: of the file ``settings``, as it is when the primary changes.

    Raises:
        InputError: ``new`` is no secondary, or the file cannot be edited or written.
        Refused: ``new`` is fenced, or the state would not be found afterwards.
    """
    _require_secondary(config, new, fenced)
    _require_findable_state(config)
    require_writable(settings)
    return _edited(text, config, new, lambda changed: without_regions(load(changed), fenced))


def require_secrets(environment: Environment, new: str, carried: Collection[Entry] = ()) -> None:
    """Raises Refused when a secret that the settings read from the primary region is not in ``new``.

    Args:
        carried: entries that are copied there first.
    """
    vault = environment.clients.get("secretsmanager", new)
    for name, source in environment.config.application.secrets.items():
        if source.secret is None or any(_brings(entry, source.secret) for entry in carried):
            continue
        try:
            vault.describe_secret(SecretId=source.secret)
        except (ClientError, BotoCoreError) as error:
            raise Refused(
                f"The secret {source.secret}, from which {name} is read, is not in {new}: {error}",
                where=f"application.secrets.{name}",
                remedy="name it under `carry` and migrate it, or take the value from elsewhere",
                error_id="RS-REGION-006",
            ) from error


def _brings(entry: Entry, secret: str) -> bool:
    """Whether ``entry`` may copy ``secret`` under its own name. Its tags are checked when it is copied."""
    begins = entry.source.prefix
    same = entry.kind == "secrets" and begins == entry.target.prefix and secret.startswith(begins)
    return same and selector(entry)(secret.removeprefix(begins))


def begin(catalog: ReleaseCatalog, journal: Journal, proposed: Proposed) -> RunJournal:
    """Keep the release and open the run."""
    catalog.keep(proposed.release, proposed.plan.before[proposed.plan.new])
    return journal.start(KIND, {"promotion": proposed.plan.to_json()})


def unfinished(journal: Journal) -> RunView | None:
    """The newest open change of primary."""
    return next((view for view in journal.unfinished() if view.kind == KIND), None)


def given_up_regions(journal: Journal) -> set[str]:
    """The regions that no command calls: fenced ones, and the primary that an open run gave up as lost."""
    view = unfinished(journal)
    return {*fenced_regions(journal), *(plan_of(view).uncalled if view else ())}


def take_over(tools: RunTools, run_id: str) -> None:
    """Prepare to continue an open run: adopt and report what its killed engine made."""
    found = take_over_engine(tools.environment, tools.journal, run_id)
    if findings := found.findings(tools.environment.config.all_regions):
        tools.tell(findings)


def take_over_engine(environment: Environment, journal: Journal, run_id: str) -> Recovered:
    """The same without a report.

    The caller holds the environment's lock, so the holder of the engine's own lock is dead.

    Raises:
        Refused: the run is not open, or a newer tool wrote it. Nothing is changed.
    """
    run = journal.reopen(run_id)
    environment.engine.release_lock()
    recovered = recover(environment)
    if recovered.taken or recovered.unclear:
        run.append("recovery", "after", data=recovered.to_json())
    return recovered


def plan_of(view: RunView) -> PromotionPlan:
    """The plan that a run began with."""
    return promotion_from_json(view.opened.get("promotion"))


@dataclass(frozen=True)
class PromotionRun(SagaRun):
    """A change of primary as a kind of run. It is closed when all is done, or all is undone."""

    promotion: Promotion
    journal: Journal

    @property
    def title(self) -> str:
        """See `RunKind`."""
        return f"promote {self.promotion.plan.new}"

    @property
    def command(self) -> str:
        """See `RunKind`."""
        return self.promotion.plan.command

    def facts(self, state: SagaState, view: RunView) -> Said:
        """The primary, the fenced regions, and the measurements."""
        plan, done = self.promotion.plan, state.ending is Ending.DONE
        found = measured(state)
        target = self.promotion.environment.config.recovery.rto
        return {
            "primary": plan.new if done else plan.old,
            "fenced": sorted(plan.uncalled if done else plan.fenced),
            **found,
            **(recovery(plan, view, found, target) if done else {}),
        }

    @property
    def steps(self) -> tuple[RunStep, ...]:
        """See `RunKind`."""
        return self.promotion.plan.steps

    @property
    def news(self) -> SagaNews:
        """See `RunKind`."""
        return self.promotion.plan.saga_news

    def told_regions(self, state: SagaState) -> tuple[str, ...]:
        """Those that change."""
        del state
        return self.promotion.plan.present

    def kept_before(self, step: RunStep, *, doubt: bool) -> Said:
        """See `RunKind`."""
        del step
        return {"doubt": doubt}

    def do(self, step: RunStep, state: SagaState, *, doubt: bool) -> Said:
        """See `RunKind`."""
        if step.back:
            return self.promotion.take_back(step, frozenset(state.began))
        return self.promotion.do(step, doubt=doubt)

    def end(self, state: SagaState) -> RunEnd | None:
        """See `RunKind`. The result has the state of every region, and the measurements."""
        if state.ending not in (Ending.DONE, Ending.TAKEN_BACK):
            return None
        plan, done = self.promotion.plan, state.ending is Ending.DONE
        result = {**plan.where_regions_stand(done=done), **measured(state)}
        if done and plan.lost:
            result["rpo_seconds"] = None  # unknown
            failed = state.said.get("fence", {}).get("failed")
            left = {plan.old: list(failed)} if isinstance(failed, Mapping) else {}
            result[NOT_SHUT] = {**not_shut(self.journal), **left}
        return RunEnd("promoted" if done else "rolled back", result, failed=not done)

    def figures(self, closed: RunView) -> str:
        """See `RunKind`."""
        return figures(closed, closed.result)


@contextmanager
def promotion_run(tools: RunTools, plan: PromotionPlan, run_id: str) -> Iterator[PromotionRun]:
    """The run of a change of primary, with its tools. Raises WorkFailed when the environment is not up."""
    environment, catalog, journal = tools.environment, tools.catalog, tools.journal
    with tools.carrying() as carrying:
        promotion = Promotion(
            plan,
            run_id,
            environment,
            catalog,
            PromotionApplier(environment, catalog, plan.uncalled),
            partial(LastCopy, carrying, journal, tools.clock),
            tools.settings,
            tools.clock,
            journal,
        )
        yield PromotionRun(promotion, journal)


def require_way_back(journal: Journal) -> None:
    """Raises Refused when all steps of an open change of primary are done, and only its end is missing."""
    view = unfinished(journal)
    if view is None:
        return
    plan = plan_of(view)
    if saga_state(journal, view.run_id, plan.steps).ending is Ending.DONE:
        again = f"regionshift promote {plan.old} makes {plan.old} the primary again"
        if plan.lost:
            again = f"regionshift up --rejoin {plan.old} brings {plan.old} back, as a secondary"
        raise Refused(
            f"{plan.new} is the primary: every step of {view.run_id} is done, so --back cannot undo it."
            " Nothing was changed.",
            where=view.run_id,
            remedy=f"regionshift resume ends it; then {again}",
            error_id="RS-RUN-005",
        )


def figures(view: RunView, found: Mapping[str, object]) -> str:
    """The duration of a run, including pauses, and its measurements, in words."""
    took = (view.ended - view.started).total_seconds() if view.ended else 0.0
    rto = served_after(view)
    parts = [f"it took {took:.0f} s"]
    if rto is not None:
        parts.append(f"the new primary served after {rto:.0f} s (RTO)")
    delay = found.get("replication_seconds")
    said = f"{delay:.2f} s" if isinstance(delay, int | float) else "not measured"
    if "rpo_seconds" in found and found["rpo_seconds"] is None:
        parts += ["how much was lost is unknown (RPO)", f"replication delay now {said}"]
    else:
        parts.append(f"replication delay {said} (RPO)")
    return ", ".join(parts)


def served_after(view: RunView) -> float | None:
    """Seconds from the beginning of a change of primary until the new primary served, including pauses.

    None when it did not come so far, was undone, or the run is no change of primary.
    """
    if view.kind != "promotion" or view.outcome == "rolled back":
        return None
    turned = next((step.at for step in view.steps if (step.step, step.phase) == ("turn", "after")), None)
    return round((turned - view.started).total_seconds(), 1) if turned else None


def recovery(
    plan: PromotionPlan, view: RunView, found: Mapping[str, object], target: float
) -> dict[str, object]:
    """RPO and RTO of a change of primary, None when not known, and sentences on missed targets.

    The loss with a lost region cannot be measured. The delay of the replication from another region afterwards does not
    show it.

    Args:
        target: seconds, the RTO in the settings.
    """
    rto = served_after(view)
    missed = rto is not None and rto > target
    said = [f"{plan.new} served after {rto:.0f} s, the target (RTO) is {target:.0f} s"] if missed else []
    return {
        "rpo_seconds": None if plan.lost else found.get("replication_seconds"),
        "rto_seconds": rto,
        "source_lost": plan.lost,
        "warnings": said,
    }


def measured(state: SagaState) -> Mapping[str, object]:
    """The measurements of the run: seconds of replication, and objects that were not replicated."""
    found: dict[str, object] = {}
    for step in ("validate", "validate-all"):
        seconds = state.said.get(step, {}).get("replication_seconds")
        if seconds is not None:
            found["replication_seconds"] = seconds
    bucket = state.said.get("last-copy", {}).get("bucket")
    if isinstance(bucket, dict):
        found["not_replicated"] = bucket.get("written", 0)
    if "unlink" in state.said:  # without the old primary there was no replication
        turn = [state.said.get(step, {}).get("seconds") for step in ("unlink", "turn")]
        found["turned_in_seconds"] = round(sum(each for each in turn if isinstance(each, int | float)), 2)
    return found


def _require_secondary(config: MigrationConfig, new: str, fenced: Collection[str]) -> None:
    if new in fenced:
        raise Refused(
            f"{new} is fenced.",
            where=new,
            remedy=f"first: regionshift up --rejoin {new}",
            error_id="RS-REGION-002",
        )
    if new == config.regions.primary:
        raise InputError(
            f"{new} is the primary already.",
            where=new,
            remedy="see: regionshift status",
            error_id="RS-REGION-001",
        )
    if new not in config.regions.secondaries:
        raise InputError(
            f"{new} is no secondary of this environment.",
            where=new,
            remedy=f"one of {', '.join(config.regions.secondaries)}"
            if config.regions.secondaries
            else "add one to the settings, then: regionshift up",
            error_id="RS-REGION-001",
        )


def _require_findable_state(config: MigrationConfig) -> None:
    """Raises Refused when the state bucket, or its key, has no region in its URL: the primary's is the default."""
    url = parse_state_url(config.state)
    if url.follows_primary:
        raise Refused(
            "`state` names no region for its bucket, and the primary region, where it is looked for, changes.",
            where="state",
            remedy=f"write the bucket's own region: {config.state}?region=…",
            error_id="RS-STATE-009",
        )
    key = parse_key_url(config.state_secrets)
    if key and key.region is None:
        raise Refused(
            "`state_secrets` names no region for its key, and the primary region, where it is looked for, changes.",
            where="state_secrets",
            remedy=f"write the key's own region: {config.state_secrets}?region=…",
            error_id="RS-STATE-009",
        )


def _edited(text: str, config: MigrationConfig, new: str, load: Loader) -> tuple[Edit, MigrationConfig]:
    """The edit of the file, and the settings after it."""
    old = config.regions.primary
    edit = swap_primary(text, old, new)
    after = load(applied(edit, text))
    swapped = tuple(old if region == new else region for region in config.regions.secondaries)
    regions = config.regions.model_copy(update={"primary": new, "secondaries": swapped})
    other = {old: new, new: old}
    waves = tuple(tuple(other.get(each, each) for each in wave) for wave in config.deployment.waves)
    deployment = config.deployment.model_copy(update={"waves": waves})
    if after != config.model_copy(update={"regions": regions, "deployment": deployment}):
        raise InputError(
            "The regions come from a REGIONSHIFT_ variable or an option, not from the file.",
            where="regions",
            remedy=f"take it away, or change it yourself: regions.primary={new},"
            f" regions.secondaries=[{', '.join(swapped)}]",
            error_id="RS-SETTINGS-003",
        )
    return edit, after
