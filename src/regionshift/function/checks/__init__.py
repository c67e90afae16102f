"""The questions ``validate`` asks, a file each, in the order in which they are shown.

A check takes a ``Subject`` and gives findings; it is true when every finding is. A new check is a new
file and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from regionshift.function.checks.bucket import check_bucket
from regionshift.function.checks.connectivity import check_connectivity
from regionshift.function.checks.encryption import check_encryption
from regionshift.function.checks.notifications import check_notifications
from regionshift.function.checks.parameters import check_parameters
from regionshift.function.checks.replication import check_replication
from regionshift.function.checks.subject import CheckAnswer, Subject

Check = Callable[[Subject], Sequence[CheckAnswer]]

CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "s3_bucket": check_bucket,
        "parameters": check_parameters,
        "connectivity": check_connectivity,
        "encryption": check_encryption,
        "replication": check_replication,
        "notifications": check_notifications,
    }
)
