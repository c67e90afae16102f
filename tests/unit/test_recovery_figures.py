"""Measured figures against targets: what is missed is told, in every form of the report."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from pathlib import Path

from regionshift.operations.recovery import Recovery
from regionshift.report.junit import write_junit
from regionshift.report.migrations import recovery_lines
from regionshift.report.printer import Screen

MISSED = Recovery(
    "the validation", 75.0, 10.0, 60.0, {"eu-west-1": 12.5, "eu-west-2": None, "eu-west-3": 1.0}
)


def test_what_is_within_the_targets_warns_of_nothing() -> None:
    assert Recovery("the validation", 60.0, 10.0, 60.0, {"eu-west-1": 10.0}).warnings == ()


def test_each_target_that_is_missed_is_named_with_its_figures() -> None:
    assert MISSED.warnings == (
        "replication to eu-west-1 took 12.5 s, the target (RPO) is 10 s",
        "replication to eu-west-2 was not seen; the target (RPO) is 10 s",
        "the validation took 75 s, the target (RTO) is 60 s",
    )
    assert MISSED.delay == 12.5


def test_where_nothing_replicates_nothing_is_claimed() -> None:
    none = Recovery("the migration", 1.0, 10.0, 60.0)
    assert none.delay is None
    assert none.warnings == ()


def test_the_warnings_are_in_the_junit_file_and_on_the_screen(tmp_path: Path) -> None:
    write_junit(tmp_path / "checks.xml", [], "checks", MISSED.as_json)
    root = ET.parse(tmp_path / "checks.xml").getroot()
    found = {one.get("name"): one.get("value") for one in root.iter("property")}
    assert found["recovery.replication_seconds.eu-west-2"] == "not seen"
    assert found["recovery.rto_seconds"] == "75.000"
    assert MISSED.warnings[0] in (root.findtext("system-out") or "")
    screen = Screen(width=80, record=True, file=io.StringIO())
    screen.print(recovery_lines(MISSED.as_json))
    text = " ".join(screen.export_text().split())
    assert all(warning in text for warning in MISSED.warnings)
