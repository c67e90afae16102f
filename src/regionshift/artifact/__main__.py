"""``python -m regionshift.artifact``: lock the artifact to the installed distributions."""

from regionshift.artifact.lock import LOCK, lock_text

LOCK.write_text(lock_text(), encoding="utf-8")
