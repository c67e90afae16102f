"""The Lambda artifact: our function and its locked dependencies in one zip, the same bytes every time."""

from regionshift.artifact.build import build
from regionshift.artifact.problems import ArtifactError

__all__ = ["ArtifactError", "build"]
