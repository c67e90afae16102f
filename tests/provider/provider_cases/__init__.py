"""A case for each resource type of the local provider; a type without one fails test_cases.py."""

from __future__ import annotations

from provider_cases import cloudwatch, ec2, functions, identities, kms, messages, s3, secrets

CASES = (
    *kms.CASES,
    *s3.CASES,
    *identities.CASES,
    *functions.CASES,
    *ec2.CASES,
    *cloudwatch.CASES,
    *messages.CASES,
    *secrets.CASES,
)
