"""``python -m regionshift.artifact``: lock the artifact to the distributions that are installed now."""

from regionshift.artifact.lock import LOCK, lock_text

LOCK.write_text(lock_text(), encoding="utf-8")
