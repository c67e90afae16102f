"""The Lambda artifact: our function and its locked dependencies in one zip, the same bytes every time."""

from regionshift.artifact.build import build
from regionshift.artifact.lock import ArtifactError

__all__ = ["ArtifactError", "build"]
