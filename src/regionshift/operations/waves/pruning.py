"""Old releases make way: by number and age as the settings say, never one that is in use."""

from __future__ import annotations

from datetime import timedelta

from regionshift.journal.journal import Journal
from regionshift.journal.releases import ReleaseRecord, to_prune
from regionshift.operations.waves.deploying import newest_to_take_back
from regionshift.releases import ReleaseCatalog, deployed_releases


def prune(journal: Journal, catalog: ReleaseCatalog) -> list[ReleaseRecord]:
    """Remove the releases that are kept no longer, and the artifacts that only they had. Returns them.

    In use are those that a region or the links have, and those that the newest deployment came from, so that it can
    be taken back however short the settings keep things. While a run is open nothing goes, unless it carries data.
    The caller holds the environment's lock.
    """
    if any(not view.of_data for view in journal.unfinished()):
        return []
    terms, now = catalog.current.deployment, catalog.now()
    number, age = terms.keep_releases, timedelta(days=terms.keep_days)
    deployed = deployed_releases(journal)
    in_use = {digest for digest in (*deployed.releases.values(), deployed.links) if digest}
    if not to_prune(catalog.store.kept(), keep=number, older_than=age, in_use=in_use, now=now):
        return []
    in_use |= _of_the_newest(journal)
    return catalog.store.prune(keep=number, older_than=age, in_use=in_use, now=now)


def _of_the_newest(journal: Journal) -> set[str]:
    """Every release that the deployment which `rollback` would take back came from or went to."""
    run_id = newest_to_take_back(journal.history())
    opened = journal.view(run_id).opened if run_id else {}
    plan = opened.get("plan")
    maps = [plan[end] for end in ("before", "target")] if isinstance(plan, dict) else []
    named = [digest for each in maps for digest in each.values()]
    return {str(digest) for digest in (*named, opened.get("links")) if digest}
