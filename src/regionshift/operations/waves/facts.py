"""What a deployment decided before its first change, as the journal keeps it beside the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from regionshift.operations.alarms import RedAlarm, Watched, red_from_json
from regionshift.runs.deployment_plan import DeploymentPlan
from regionshift.runs.deployment_state import DeploymentState
from regionshift.settings.config import MigrationConfig


@dataclass(frozen=True)
class Terms:
    """The options and settings a deployment was begun with; a resume keeps to them.

    Args:
        bake: seconds. min_samples: calls a region must have in a bake. alarms: the user's own.
        longest_delay: seconds that replication may take. refresh, allow_data_loss: as given to the command.
    """

    bake: int = 0
    min_samples: int = 0
    alarms: tuple[Watched, ...] = ()
    longest_delay: int = 900
    refresh: bool = False
    allow_data_loss: bool = False

    def to_json(self) -> dict[str, object]:
        """As the journal keeps them."""
        return {
            "bake": self.bake,
            "min_samples": self.min_samples,
            "alarms": [{"name": alarm.name, "region": alarm.region} for alarm in self.alarms],
            "longest_delay": self.longest_delay,
            "refresh": self.refresh,
            "allow_data_loss": self.allow_data_loss,
        }


def terms_of(config: MigrationConfig, *, refresh: bool = False, allow_data_loss: bool = False) -> Terms:
    """The terms that today's settings and options make."""
    return Terms(
        bake=config.bake,
        min_samples=config.deployment.bake_min_samples,
        alarms=tuple(Watched(alarm.name, alarm.region) for alarm in config.deployment.alarms),
        longest_delay=config.recovery.rpo,
        refresh=refresh,
        allow_data_loss=allow_data_loss,
    )


@dataclass(frozen=True)
class Facts:
    """Beside the plan.

    Args:
        links_before, links_target: the releases of what joins regions; None for no links.
        links_change: whether the preview changes a link.
        moved: the regions that the preview changes; the others have nothing for the engine to do.
        left_out: regions that get no call at all.
        ignored: alarms that were red before the first wave; they count once they were green.
        to_nothing: regions that had no release may go back to nothing.
        terms: what it was begun with; None in journals of older versions.
    """

    links_before: str | None
    links_target: str | None
    links_change: bool
    moved: frozenset[str]
    left_out: frozenset[str] = frozenset()
    ignored: tuple[RedAlarm, ...] = ()
    to_nothing: bool = False
    terms: Terms | None = None

    def opening(self, plan: DeploymentPlan) -> dict[str, object]:
        """The opening event's data."""
        return {
            "plan": plan.to_json(),
            "links": self.links_before,
            "links_target": self.links_target,
            "links_change": self.links_change,
            "moved": sorted(self.moved),
            "skipped": sorted(self.left_out),
            "ignored": [alarm.to_json() for alarm in self.ignored],
            "to_nothing": self.to_nothing,
            **({"terms": self.terms.to_json()} if self.terms else {}),
        }

    def links_now(self, state: DeploymentState) -> str | None:
        """The release that the links have, or that they are to be brought back to when a step is half done."""
        gone_there = "links" in state.done and "links" not in state.left and "back/links" not in state.done
        return self.links_target if gone_there else self.links_before

    def with_terms(self, terms: Terms) -> Facts:
        """The same, begun with ``terms``."""
        return replace(self, terms=terms)


def facts_from_json(opened: Mapping[str, object]) -> Facts:
    """What :meth:`Facts.opening` wrote."""
    before, target = opened.get("links"), opened.get("links_target")
    return Facts(
        links_before=str(before) if before else None,
        links_target=str(target) if target else None,
        links_change=bool(opened.get("links_change", True)),
        moved=frozenset(_texts(opened.get("moved"))),
        left_out=frozenset(_texts(opened.get("skipped"))),
        ignored=red_from_json(opened.get("ignored")),
        to_nothing=bool(opened.get("to_nothing")),
        terms=_terms_from_json(opened.get("terms")),
    )


def _terms_from_json(value: object) -> Terms | None:
    if not isinstance(value, dict):
        return None
    return Terms(
        bake=int(value["bake"]),
        min_samples=int(value["min_samples"]),
        alarms=tuple(Watched(str(alarm["name"]), str(alarm["region"])) for alarm in value["alarms"]),
        longest_delay=int(value["longest_delay"]),
        refresh=bool(value["refresh"]),
        allow_data_loss=bool(value["allow_data_loss"]),
    )


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
