"""AWS's quotas of the documents and lists that the program writes, each with the page that it comes from.

The program is reckoned against them before anything is made (`infrastructure/sizes.py`), and the embedded AWS refuses
by them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quota:
    """The most that AWS takes of something.

    Args:
        of: what is measured. unit: in what. page: where AWS says so.
    """

    of: str
    most: int
    unit: str
    page: str


_IAM = 'IAM User Guide, "IAM and AWS STS quotas"'

INLINE_POLICIES = Quota("the inline policies of a role together", 10_240, "characters", _IAM)
MANAGED_POLICY = Quota("a managed policy", 6_144, "characters", _IAM)
MANAGED_POLICIES = Quota("managed policies attached to a role", 10, "policies", _IAM)
