"""S3 buckets and everything that is set on one."""

from __future__ import annotations

from regionshift.local.provider.handler import Handler
from regionshift.local.provider.handlers.s3.bucket import Bucket
from regionshift.local.provider.handlers.s3.encryption import Encryption
from regionshift.local.provider.handlers.s3.lifecycle import Lifecycle
from regionshift.local.provider.handlers.s3.logging import Logging
from regionshift.local.provider.handlers.s3.ownership import Ownership
from regionshift.local.provider.handlers.s3.policy import Policy
from regionshift.local.provider.handlers.s3.public_access import PublicAccess
from regionshift.local.provider.handlers.s3.replication import Replication
from regionshift.local.provider.handlers.s3.versioning import Versioning

HANDLERS: tuple[Handler, ...] = (
    Bucket(),
    Encryption(),
    Lifecycle(),
    Logging(),
    Ownership(),
    Policy(),
    PublicAccess(),
    Replication(),
    Versioning(),
)
