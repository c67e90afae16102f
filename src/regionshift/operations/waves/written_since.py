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
        if not run.of_data:
            continue
        target = journal.view(run.run_id).opened.get("target")
        if run.kind == "rollback" and run.outcome == "rolled_back":
            gone.add(run.subject)
        elif run.kind == "migration" and run.outcome == "completed" and target in regions:
            found.append(run.subject)
    return [migration for migration in dict.fromkeys(found) if migration and migration not in gone]
