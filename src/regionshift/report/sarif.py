"""Findings of policies as a SARIF file, the form that code scanning reads (OASIS, SARIF 2.1.0)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from regionshift.iam.findings import RULES, PolicyRule
from regionshift.report.values import PolicyFinding
from regionshift.settings.mistakes import FieldPath

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
# GitHub Docs, "SARIF support for code scanning", reportingDescriptor: high from 7.0, medium from 4.0, low below.
_SEVERITIES = {"error": "8.0", "warning": "5.0", "info": "2.0"}


def write_sarif(
    path: Path,
    findings: Sequence[PolicyFinding],
    *,
    settings: str,
    line_of: Callable[[FieldPath], int],
    version: str,
) -> None:
    """Write a result for each finding, at the line of the setting that it comes from.

    A waived finding is a note of the run, not a result: GitHub ignores suppressions, and would show it as open.

    Args:
        settings: the settings file as the repository calls it, from its top, with slashes.
        line_of: the line of a setting, from 1. version: of this tool.
    """
    open_ones = [each for each in findings if not each.waived]
    used = list(dict.fromkeys(each.code for each in open_ones))
    seen: dict[str, int] = {}
    run = {
        "tool": {
            "driver": {
                "name": "regionshift",
                "version": version,
                "rules": [_rule(RULES[code]) for code in used],
            }
        },
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {"level": "note", "message": {"text": each.message}} for each in findings if each.waived
                ],
            }
        ],
        "results": [
            _result(each, used.index(each.code), settings, line_of(each.setting), seen) for each in open_ones
        ],
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(log, indent=2) + "\n", encoding="utf-8")


def _rule(rule: PolicyRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title}. {rule.meaning}"},
        "help": {"text": f"{rule.meaning} What to do: {rule.remedy}. Source: {rule.page}."},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["security"], "security-severity": _SEVERITIES[rule.severity]},
    }


def _result(
    finding: PolicyFinding, place: int, settings: str, line: int, seen: dict[str, int]
) -> dict[str, Any]:
    """``seen`` counts those that are alike: what tells one from another must be the same in the next run."""
    text = "\n".join((finding.code, finding.document, finding.statement))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    seen[digest] = seen.get(digest, 0) + 1
    return {
        "ruleId": finding.code,
        "ruleIndex": place,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message}. What to do: {finding.remedy}."},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": settings},
                    "region": {"startLine": line},
                },
                "logicalLocations": [{"name": finding.document, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"primaryLocationLineHash": f"{digest}:{seen[digest]}"},
        "properties": {"regions": list(finding.regions)},
    }
