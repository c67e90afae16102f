"""The part of the settings that says how a change goes through the regions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from regionshift.settings import fields
from regionshift.settings.sections import Section


class WatchedAlarm(Section):
    """An alarm of the user's own that a bake watches too."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    """The alarm's name."""
    region: fields.Region
    """The region where it stands; it is watched after the wave that holds this region."""


class Deployment(Section):
    """Waves, and what is watched between them."""

    waves: tuple[Annotated[tuple[fields.Region, ...], Field(min_length=1)], ...] = ()
    """The regions that change together, in order; by default one secondary, the others, the primary."""
    bake: fields.Duration | None = None
    """How long alarms are watched after a wave; by default 10m on AWS and 0 offline."""
    bake_min_samples: int = Field(default=10, ge=0)
    """Invocations a region must have had in a bake; probes are made when there were fewer."""
    failure_tolerance: int = Field(default=0, ge=0, le=29)
    """Regions that may be down: they are left out and marked, and the next `up` brings them there."""
    max_parallel: int | None = Field(default=None, ge=1)
    """Resources that the engine works on at once; its own limit when left out."""
    on_failure: fields.OnFailure = "rollback"
    """What follows a breach: every changed region goes back, or everything stays as it is."""
    approve: tuple[Annotated[int, Field(ge=1, le=30)], ...] = ()
    """Numbers of the waves, from 1, before which a person is asked."""
    keep_releases: int = Field(default=10, ge=1)
    """The newest releases that are kept, however old; beside them those that are in use."""
    keep_days: int = Field(default=30, ge=0)
    """Days that every release is kept, however many there are."""
    alarms: tuple[WatchedAlarm, ...] = ()
    """Alarms to watch beside the environment's own."""
