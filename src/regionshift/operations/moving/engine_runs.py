"""The engine runs of a change of primary, and the guard that stops a forbidden one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regionshift.engine.engine import Program
from regionshift.engine.events import StepProgress
from regionshift.errors import Interrupted, Refused, WorkFailed
from regionshift.operations.environment import Environment, everything_of
from regionshift.operations.orphans import Recovered, forget_made, recover
from regionshift.operations.planning import is_link, link_targets, make_plan
from regionshift.operations.preflight import plan_findings
from regionshift.releases import ReleaseCatalog
from regionshift.report.values import Change, Finding, Plan

_ENDS = frozenset({"delete", "replace", "delete-replaced", "create-replacement"})
# A new value of a secret is a new version, which the engine calls a replacement.
_MAY_BE_REPLACED = frozenset({"aws:secretsmanager/secretVersion:SecretVersion"})


@dataclass(frozen=True)
class EngineChange:
    """The number of changes of an engine run, and what was recovered before it; None when nothing was in doubt."""

    changed: int
    recovered: Recovered | None = None

    def said(self) -> dict[str, object]:
        """For the journal."""
        found = self.recovered
        told = {"recovery": found.to_json()} if found and (found.taken or found.unclear) else {}
        return {"changed": self.changed, **told}


@dataclass(frozen=True)
class PromotionApplier:
    """Brings regions and links to their releases. Never replaces or deletes a resource in a region.

    Args:
        uncalled: regions that get no call. The program does not have them, and the engine does not see them.
    """

    environment: Environment
    catalog: ReleaseCatalog
    uncalled: frozenset[str] = frozenset()

    def preview(
        self, releases: Mapping[str, str | None], links: str | None, findings: Sequence[Finding] = ()
    ) -> Plan:
        """The plan of the turn, with ``findings``.

        Raises:
            Refused: it would replace or delete a resource in a region.
        """
        program = self._program(releases, links)
        record = self.environment.engine.preview(program, excluded=everything_of(self.uncalled))
        plan = make_plan(self.environment, record, [*findings, *plan_findings(self.environment, record)])
        if wrong := [
            change for change in plan.changes if _ends_something(change.op, change.urn, change.type)
        ]:
            raise _refused(wrong)
        return plan

    def turn(self, releases: Mapping[str, str | None], links: str | None, *, doubt: bool) -> EngineChange:
        """Bring every called region, and the links, to their releases.

        Args:
            doubt: an earlier attempt may be half done, so the state is refreshed first.
        """
        return self._up(self._program(releases, links), (), doubt=doubt)

    def links(self, releases: Mapping[str, str | None], links: str | None, *, doubt: bool) -> EngineChange:
        """Bring only the links to their release; None removes them. ``doubt``: see `turn`."""
        return self._up(self._program(releases, links), link_targets(), doubt=doubt)

    def _up(self, program: Program, targets: Sequence[str], *, doubt: bool) -> EngineChange:
        environment = self.environment.without(fenced=self.uncalled)
        # First adopt what a killed engine made: a way back would leave it.
        recovered = recover(environment) if doubt else None
        guard = _Guard(self)
        try:
            record = environment.engine.up(
                program,
                guard,
                target=targets,
                excluded=everything_of(self.uncalled),
                refresh=doubt,
                checkpoints=True,
            )
        except Interrupted as stopped:
            if guard.wrong:
                raise WorkFailed(
                    f"The engine was stopped before it changed something else: {guard.wrong}.",
                    error_id="RS-ENGINE-006",
                ) from stopped
            raise
        if doubt and (record.left_open or environment.engine.pending()):
            forget_made(environment)
        return EngineChange(len(record.changes), recovered)

    def _program(self, releases: Mapping[str, str | None], links: str | None) -> Program:
        built = {
            region: self.catalog.take(digest)
            for region, digest in releases.items()
            if digest is not None and region not in self.uncalled
        }
        return self.environment.program(built, links=self.catalog.take(links) if links else None)


class _Guard:
    """Stops the engine when it begins to replace or delete a resource in a region."""

    def __init__(self, applier: PromotionApplier) -> None:
        self._applier = applier
        self.wrong: str | None = None

    def __call__(self, progress: StepProgress) -> None:
        step = progress.step
        is_uncalled = any(step.urn.endswith(f"-{region}") for region in self._applier.uncalled)
        if step.changes and (is_uncalled or _ends_something(step.op, step.urn, step.type)):
            self.wrong = step.name
            self._applier.environment.engine.halt()


def _ends_something(op: str, urn: str, kind: str) -> bool:
    return op in _ENDS and not is_link(urn) and kind not in _MAY_BE_REPLACED


def _refused(wrong: Sequence[Change]) -> Refused:
    first = wrong[0]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return Refused(
        f"The change of primary would {first.op} {first.name}{more}.",
        where=first.region,
        remedy="run `regionshift preview`: something else differs from what is up; bring it there first",
        error_id="RS-REGION-005",
    )
