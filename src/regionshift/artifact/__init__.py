"""The Lambda artifact: our function and its locked dependencies in one reproducible zip."""

from regionshift.artifact.build import build
from regionshift.artifact.lock import ArtifactError

__all__ = ["ArtifactError", "build"]
