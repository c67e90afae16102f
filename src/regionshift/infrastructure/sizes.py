"""Sizes of the documents that the program writes, reckoned from the settings alone, against AWS's quotas. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from regionshift.infrastructure.policies.packing import length
from regionshift.infrastructure.site import Site
from regionshift.infrastructure.worker_rights import ROOM, foreseen, worker_policies
from regionshift.settings import components as named
from regionshift.settings.config import MigrationConfig
from regionshift.settings.quotas import INLINE_POLICIES, MANAGED_POLICY, Quota


@dataclass(frozen=True)
class DocumentSize:
    """One thing that AWS bounds.

    Args:
        what: its name. size: how large it will be, in the quota's unit. most: less than the quota where room is kept.
        shorten: what of the settings makes it shorter.
    """

    what: str
    region: str
    size: int
    most: int
    quota: Quota
    shorten: str

    @property
    def is_too_large(self) -> bool:
        """Whether AWS would refuse it."""
        return self.size > self.most

    @property
    def problem(self) -> str:
        """What is too large, in words."""
        return f"{self.what} would have {self.size:,} {self.quota.unit}, and {self.most:,} fit ({self.quota.page})"


_CARRY = (
    "shorten `carry`: fewer entries, shorter names and prefixes; one prefix above several takes their place"
)


def documents(config: MigrationConfig) -> Iterator[DocumentSize]:
    """Every document that grows with the settings, of every region."""
    for region in dict.fromkeys(config.all_regions):
        yield from _of_region(Site.by_settings(config, region))


def _of_region(site: Site) -> Iterator[DocumentSize]:
    role = site.name(named.WORKER_ROLE)
    policies = worker_policies(site, foreseen(site))
    inline = sum(length(each.statements) for each in policies.inline)
    yield DocumentSize(f"the inline policies of {role}", site.region, inline, ROOM, INLINE_POLICIES, _CARRY)
    for component, statements in policies.managed.items():
        yield DocumentSize(
            f"the policy {site.name(component)}",
            site.region,
            length(statements),
            MANAGED_POLICY.most,
            MANAGED_POLICY,
            _CARRY,
        )
