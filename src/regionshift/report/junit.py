"""Check results as a JUnit file, the form that CI systems read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regionshift.report.printer import escaped
from regionshift.report.values import CheckResult


def write_junit(
    path: Path, results: Sequence[CheckResult], suite: str, recovery: Mapping[str, Any] | None = None
) -> None:
    """Write one test case for each result; a region is the class, a check is the name.

    Texts are escaped: XML 1.0 (2.2, Char) has no control characters, and a page would obey those that turn writing.

    Args:
        recovery: what was measured, written as properties; its warnings are the suite's output.
    """
    root = ET.Element(
        "testsuite",
        name=escaped(suite),
        tests=str(len(results)),
        failures=str(sum(result.outcome == "failed" for result in results)),
        skipped=str(sum(result.outcome == "not applicable" for result in results)),
        time=f"{sum(result.seconds for result in results):.3f}",
    )
    if recovery:
        _write_recovery(root, recovery)
    for result in results:
        case = ET.SubElement(
            root,
            "testcase",
            classname=escaped(result.region),
            name=escaped(result.check),
            time=f"{result.seconds:.3f}",
        )
        if result.outcome == "failed":
            text = "\n".join(escaped(part) for part in (result.detail, result.remedy) if part)
            ET.SubElement(case, "failure", message=escaped(result.detail)).text = text
        elif result.outcome == "warning":
            ET.SubElement(case, "system-out").text = escaped(f"warning: {result.detail}")
        elif result.outcome == "not applicable":
            ET.SubElement(case, "skipped", message=escaped(result.detail))
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _write_recovery(root: ET.Element, recovery: Mapping[str, Any]) -> None:
    rows = {name: value for name, value in recovery.items() if isinstance(value, float | int)}
    rows |= {f"replication_seconds.{name}": value for name, value in recovery["replication_seconds"].items()}
    properties = ET.SubElement(root, "properties")
    for name, value in rows.items():
        text = "not seen" if value is None else f"{value:.3f}"
        ET.SubElement(properties, "property", name=escaped(f"recovery.{name}"), value=text)
    if recovery["warnings"]:
        ET.SubElement(root, "system-out").text = "\n".join(
            escaped(f"warning: {text}") for text in recovery["warnings"]
        )
