"""What migrations wrote while a release ran, so that it can be taken back with the release."""

from __future__ import annotations

from collections.abc import Collection

from regionshift.journal.journal import Journal


def written_since(journal: Journal, run_id: str, regions: Collection[str]) -> list[str]:
    """The ids of the migrations into ``regions`` that completed after the deployment ``run_id`` began.

    The newest first, without those that were taken back since.
    """
    found: list[str] = []
    gone: set[str] = set()
    for run in journal.history():
        if run.run_id <= run_id:
            break
        if run.kind not in ("migration", "rollback"):
            continue
        opened = journal.view(run.run_id).opened
        migration = str(opened.get("migration_id") or "")
        if run.kind == "rollback" and run.outcome == "rolled_back":
            gone.add(migration)
        elif run.kind == "migration" and run.outcome == "completed" and opened.get("target") in regions:
            found.append(migration)
    return [migration for migration in dict.fromkeys(found) if migration and migration not in gone]
