"""No type without a case, and no property that the real plugin does not have."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from provider_cases import CASES

from regionshift.local.provider.handler import Handler
from regionshift.local.provider.handlers import BY_TOKEN


def _properties(token: str) -> set[str]:
    """Names on the wire of all that the resource class of ``pulumi_aws`` has, inputs and outputs."""
    _, path, kind = token.split(":")
    module = path.partition("/")[0]
    resource: Any = getattr(importlib.import_module(f"pulumi_aws.{_MODULES.get(module, module)}"), kind)
    members = vars(resource).items()
    return {
        getattr(member.fget, "_pulumi_name", name) for name, member in members if isinstance(member, property)
    }


_MODULES = {"lambda": "lambda_"}


def test_every_type_has_a_case() -> None:
    assert {case.token for case in CASES} == set(BY_TOKEN)


@pytest.mark.parametrize("handler", BY_TOKEN.values(), ids=lambda handler: str(handler.token))
def test_a_type_has_the_properties_of_the_real_one(handler: Handler) -> None:
    known = _properties(handler.token)
    assert set(handler.all_fields()) <= known
    assert {*handler.outputs, *handler.volatile} <= known
    assert handler.taggable == ("tagsAll" in known)
    assert handler.regional == ("region" in known)
