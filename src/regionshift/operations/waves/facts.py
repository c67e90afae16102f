"""What a deployment decided before its first change, as the journal keeps it beside the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regionshift.deployment.plan import DeploymentPlan
from regionshift.deployment.state import DeploymentState


@dataclass(frozen=True)
class Facts:
    """Beside the plan.

    Args:
        links_before, links_target: the releases of what joins regions; None for no links.
        links_change: whether the preview changes a link.
        moved: the regions that the preview changes; the others have nothing for the engine to do.
        skipped: regions that get no call at all.
        ignored: alarms that were red before the first wave and are not looked at.
        to_nothing: regions that had no release may go back to nothing.
    """

    links_before: str | None
    links_target: str | None
    links_change: bool
    moved: frozenset[str]
    skipped: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()
    to_nothing: bool = False

    def opening(self, plan: DeploymentPlan) -> dict[str, object]:
        """The opening event's data."""
        return {
            "plan": plan.to_json(),
            "links": self.links_before,
            "links_target": self.links_target,
            "links_change": self.links_change,
            "moved": sorted(self.moved),
            "skipped": sorted(self.skipped),
            "ignored": list(self.ignored),
            "to_nothing": self.to_nothing,
        }

    def links_now(self, state: DeploymentState) -> str | None:
        """The release that the links have, or that they are to be brought back to when a step is half done."""
        gone_there = "links" in state.done and "back/links" not in state.done and not self.skipped
        return self.links_target if gone_there else self.links_before


def facts_from_json(opened: Mapping[str, object]) -> Facts:
    """What :meth:`Facts.opening` wrote."""
    before, target = opened.get("links"), opened.get("links_target")
    return Facts(
        links_before=str(before) if before else None,
        links_target=str(target) if target else None,
        links_change=bool(opened.get("links_change", True)),
        moved=frozenset(_texts(opened.get("moved"))),
        skipped=frozenset(_texts(opened.get("skipped"))),
        ignored=tuple(_texts(opened.get("ignored"))),
        to_nothing=bool(opened.get("to_nothing")),
    )


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
