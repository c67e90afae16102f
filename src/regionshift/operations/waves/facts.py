"""The decisions of a deployment before its first change, which the journal keeps beside the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from regionshift.errors import WorkFailed
from regionshift.operations.alarms import RedAlarm, Watched
from regionshift.runs.deployment_plan import DeploymentPlan, NameSet
from regionshift.runs.deployment_state import DeploymentState
from regionshift.settings.config import MigrationConfig


@dataclass(frozen=True)
class Terms:
    """The options and settings that a deployment began with. A resume uses the same.

    Args:
        bake: seconds. min_samples: calls that a region must get in a bake. alarms: the user's own.
        longest_delay: seconds that replication may take. refresh, allow_data_loss: as given to the command.
    """

    bake: int = 0
    min_samples: int = 0
    alarms: tuple[Watched, ...] = ()
    longest_delay: int = 900
    refresh: bool = False
    allow_data_loss: bool = False


def terms_of(config: MigrationConfig, *, refresh: bool = False, allow_data_loss: bool = False) -> Terms:
    """The terms of today's settings and options."""
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
    """The decisions beside the plan. The aliases are the names in the journal.

    Args:
        links_before, links_target: the releases of the links; None for no links.
        links_change: whether the preview changes a link.
        moved: the regions that the preview changes. The others need no engine run.
        left_out: regions that get no call.
        ignored: alarms that were red before the first wave. They count again after they were green.
        to_nothing: a rollback may delete regions that had no release.
        allows_growth: the ids of access that it may open.
        terms: None in journals of older versions.
    """

    links_before: Annotated[str | None, Field(alias="links")] = None
    links_target: str | None = None
    links_change: bool = True
    moved: NameSet = frozenset()
    left_out: Annotated[NameSet, Field(alias="skipped")] = frozenset()
    ignored: tuple[RedAlarm, ...] = ()
    to_nothing: bool = False
    allows_growth: tuple[str, ...] = ()
    terms: Terms | None = None

    def opening(self, plan: DeploymentPlan) -> dict[str, object]:
        """The opening event's data."""
        return {"plan": plan.to_json(), **_form().dump_python(self, mode="json", by_alias=True)}

    def links_now(self, state: DeploymentState) -> str | None:
        """The release of the links, or the one that they go back to when a step is half done."""
        gone_there = "links" in state.done and "links" not in state.left and "back/links" not in state.done
        return self.links_target if gone_there else self.links_before

    def with_terms(self, terms: Terms) -> Facts:
        """The same, begun with ``terms``."""
        return replace(self, terms=terms)


@cache
def _form() -> TypeAdapter[Facts]:
    return TypeAdapter(Facts)


def facts_from_json(opened: Mapping[str, object]) -> Facts:
    """Read what :meth:`Facts.opening` wrote. Raises WorkFailed when it cannot be read."""
    try:
        return _form().validate_python(opened)
    except ValidationError as error:
        raise WorkFailed(
            "the journal's first event of this deployment cannot be read",
            remedy="restore the journal's first event",
            error_id="RS-STATE-002",
        ) from error
