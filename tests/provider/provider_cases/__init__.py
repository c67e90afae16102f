"""A case for each resource type of the local provider; a type without one fails test_cases.py."""

from __future__ import annotations

from provider_cases import kms

CASES = (*kms.CASES,)
