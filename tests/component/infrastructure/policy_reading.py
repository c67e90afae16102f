"""Finds every policy among what a run registered, and reads its statements."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from recorder import Run

POLICY_INPUTS = ("policy", "assumeRolePolicy")


@dataclass(frozen=True)
class Found:
    """One statement and where it stands."""

    type: str
    name: str
    statement: dict[str, Any]

    @property
    def actions(self) -> list[str]:
        return _listed(self.statement["Action"])

    @property
    def resources(self) -> list[str]:
        return _listed(self.statement.get("Resource", []))

    @property
    def is_key_policy(self) -> bool:
        return self.type == "aws:kms/key:Key"


def statements(run: Run) -> Iterator[Found]:
    """Every statement of every policy."""
    for resource in run.resources:
        for field in POLICY_INPUTS:
            for statement in json.loads(resource.inputs.get(field) or '{"Statement": []}')["Statement"]:
                yield Found(resource.type, resource.name, statement)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
