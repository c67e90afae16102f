"""The plan of a change of primary, which the journal keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from pydantic import TypeAdapter

from regionshift.errors import WorkFailed
from regionshift.journal.journal import Journal
from regionshift.operations.moving.fencing import fenced_regions, note_of
from regionshift.releases import DeployedReleases
from regionshift.runs.messages import SagaNews
from regionshift.runs.state import RunStep
from regionshift.settings.editing import Edit

_VALIDATE = RunStep("validate", reversible=False, meaning="check the new primary")
_SETTINGS = RunStep("settings", meaning="change the settings")
_TURN = RunStep("turn", meaning="replicate from the new primary")
_VALIDATE_ALL = RunStep("validate-all", reversible=False, meaning="check every region")
STEPS = (
    _VALIDATE,
    RunStep("last-copy", meaning="copy what replication did not carry"),
    _SETTINGS,
    RunStep("unlink", meaning="take the old replication away"),
    _TURN,
    RunStep("catch-up", meaning="copy what was written meanwhile"),
    _VALIDATE_ALL,
)
# No step calls the lost region. Its roles are shut first: IAM is not in that region.
STEPS_WITHOUT_SOURCE = (
    RunStep("fence", meaning="shut the lost region's roles"),
    _VALIDATE,
    RunStep("gather", meaning="copy what only other regions have"),
    _SETTINGS,
    _TURN,
    _VALIDATE_ALL,
)


@dataclass(frozen=True)
class PromotionPlan:
    """A change of primary from ``old`` to ``new``.

    Args:
        others: the regions beside the two. before: every region's release. links: the release of the links.
        after: the new release of all. edit: of the settings file.
        lost: the old primary is lost and gets no call.
        fenced: other regions that are fenced.
    """

    old: str
    new: str
    others: tuple[str, ...]
    before: Mapping[str, str | None]
    links: str | None
    after: str
    edit: Edit
    lost: bool = False
    fenced: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[RunStep, ...]:
        """The steps in their order, each with its regions."""
        one = dict.fromkeys(("validate", "last-copy", "gather"), (self.new,))
        regions = {**one, "fence": (self.old,), "settings": ()}
        steps = STEPS_WITHOUT_SOURCE if self.lost else STEPS
        return tuple(replace(step, regions=regions.get(step.name, self.present)) for step in steps)

    @property
    def uncalled(self) -> frozenset[str]:
        """The regions that get no call."""
        return frozenset({self.old, *self.fenced} if self.lost else self.fenced)

    @property
    def present(self) -> tuple[str, ...]:
        """The regions that change, the new primary first."""
        return tuple(region for region in (self.new, self.old, *self.others) if region not in self.uncalled)

    @property
    def saga_news(self) -> SagaNews:
        """The same in words."""
        fenced = f"{self.old} is fenced; when it is back: regionshift up --rejoin {self.old}"
        fate = fenced if self.lost else f"{self.old} is a secondary"
        return SagaNews(
            "promote",
            f"change of primary from {self.old} to {self.new}",
            tuple(step.name for step in self.steps),
            success=f"{self.new} is the primary, {fate}",
            undone=f"{self.old} is the primary",
            go_on="regionshift resume",
        )

    @property
    def command(self) -> str:
        """What begins it, as it is typed."""
        return f"regionshift promote {self.new}{' --source-lost' if self.lost else ''}"

    def to_json(self) -> dict[str, object]:
        """The plan as plain JSON."""
        content: dict[str, object] = _form().dump_python(self, mode="json")
        return content

    def where_regions_stand(self, *, done: bool) -> dict[str, object]:
        """The regions when the run is over, in the form that `deployed_releases` reads."""
        releases = {**self.before, **dict.fromkeys(self.present, self.after)} if done else dict(self.before)
        out = self.uncalled if done else frozenset(self.fenced)
        return {
            "regions": {
                region: {
                    "release": None if region in out else release,
                    "settled": region not in out,
                    "note": note_of(region) if region in out else "",
                }
                for region, release in releases.items()
            },
            "links": self.after if done else self.links,
            "fenced": sorted(out),
        }


@cache
def _form() -> TypeAdapter[PromotionPlan]:
    return TypeAdapter(PromotionPlan)


def promotion_from_json(content: object) -> PromotionPlan:
    """Read what :meth:`PromotionPlan.to_json` wrote. Raises WorkFailed when it cannot be read."""
    try:
        plan = _form().validate_python(content)
        # A missing field has no default: a region may be lost, or fenced.
        if not isinstance(content, Mapping) or not PromotionPlan.__dataclass_fields__.keys() <= {*content}:
            raise ValueError("a part of it is missing")
        return plan
    except ValueError as error:  # pydantic's ValidationError is one
        raise WorkFailed(
            "the plan of this change of primary cannot be read",
            remedy="restore the journal's first event",
            error_id="RS-STATE-002",
        ) from error


def rollback_obstacle(journal: Journal, deployed: DeployedReleases, run_id: str) -> str | None:
    """What to do first when the primary changed after the deployment ``run_id``; None when it did not.

    Every change of primary makes a release. So the deployment can be rolled back after the change is reversed.
    """
    for run in journal.history():
        if run.run_id == run_id:
            return None
        if run.kind == "promotion" and run.outcome == "promoted":
            plan = promotion_from_json(journal.view(run.run_id).opened.get("promotion"))
            if plan.old in fenced_regions(journal):
                first = f"regionshift up --rejoin {plan.old}, then regionshift promote {plan.old}"
            elif plan.old in deployed.releases:
                first = f"regionshift promote {plan.old}"
            else:
                return (
                    f"{plan.old}, the primary of then, is retired: change the settings, then: regionshift up"
                )
            return f"turn the change of primary ({run.run_id}) back first: {first}"
    return None
