"""SECURITY.md leaves no role out, and leads to where it says."""

from __future__ import annotations

import re
from pathlib import Path

from regionshift.settings import components
from regionshift.settings.components import Component, PipelineRole
from regionshift.settings.names import NameKind

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
# What people call the role of a component where the component's own name is no word of theirs.
_CALLED = {"states": "state machine", "flow-logs": "flow logs'"}


def test_every_role_has_its_row() -> None:
    every = [each for each in vars(components).values() if isinstance(each, Component)]
    roles = [_CALLED.get(each.part, each.part) for each in every if each.kind is NameKind.ROLE]
    assert len(roles) >= 5
    rows = re.findall(r"^\| the \*\*(.+?)\*\*(?:'s)? role \|", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted([*roles, *PipelineRole])


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert len(links) > 5
    for link in links:
        path, _, anchor = link.partition("#")
        lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
        heads = {re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in lines}
        assert not anchor or anchor in heads, link
