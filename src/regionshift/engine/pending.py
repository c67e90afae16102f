"""The creations that a killed run noted in its state and never said the end of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

CREATING = "creating"
"""What the engine calls the operation in the note of a creation."""


def settle(deployment: dict[str, Any], made: Mapping[str, str], never_made: Collection[str]) -> None:
    """Edit an exported state: what was made becomes a resource, what never was is forgotten.

    A note holds the resource as it was to be (inputs, parent, provider, what it depends on), and all of that is in
    the state before it, so its place is the end. Without outputs the provider reads it as in an import. What is there
    already by that id stays: whoever was killed right after settling it does so again.
    """
    left = []
    there = {(resource["urn"], resource.get("id")) for resource in deployment.get("resources") or []}
    for operation in deployment.get("pending_operations") or []:
        resource = operation["resource"]
        urn = resource["urn"]
        if operation["type"] == CREATING and urn in made:
            if (urn, made[urn]) not in there:
                deployment["resources"].append({**resource, "id": made[urn], "outputs": {}})
                there.add((urn, made[urn]))
        elif operation["type"] != CREATING or urn not in never_made:
            left.append(operation)
    deployment["pending_operations"] = left
