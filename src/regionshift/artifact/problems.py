"""What can be wrong with the artifact's ingredients."""

from __future__ import annotations

from regionshift.errors import WorkFailed


class ArtifactError(WorkFailed):
    """The artifact cannot be built from what is installed; the remedy says what to install."""
