"""Every error that can be raised has its entry, every alarm its runbook, and both say what can be done."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from publish_settings import with_errors, with_runbooks
from typer.testing import CliRunner

from regionshift.aws.errors import AwsFailed
from regionshift.cli.app import app
from regionshift.cli.completion import complete_ids
from regionshift.cli.failure import run
from regionshift.error_catalogue import CATALOGUE
from regionshift.errors import RegionshiftError
from regionshift.iam.findings import RULES
from regionshift.infrastructure import alarms
from regionshift.infrastructure.runbooks import PAGE, RUNBOOKS, link, runbook_of
from regionshift.infrastructure.site import Site
from regionshift.settings.config import Alerts, MigrationConfig
from regionshift.settings.quotas import ALARM_DESCRIPTION

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "regionshift"
REMEDY = "run `python tools/publish_settings.py`"
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))}
ID = re.compile(r"RS-[A-Z]+-\d{3}")


def _names(nodes: list[ast.expr]) -> set[str]:
    return {node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "") for node in nodes}


def _error_classes() -> Mapping[str, type[RegionshiftError]]:
    """By name: the root and everything that comes from it, wherever it stands in the source."""
    found: dict[str, type[RegionshiftError]] = {RegionshiftError.__name__: RegionshiftError}
    before = 0
    while before != len(found):
        before = len(found)
        for path, tree in TREES.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef) and _names(node.bases) & set(found):
                    module = ".".join(("regionshift", *path.relative_to(SOURCE).with_suffix("").parts))
                    found[node.name] = getattr(
                        importlib.import_module(module.removesuffix(".__init__")), node.name
                    )
    return found


CLASSES = _error_classes()
# They serve many errors, so whoever raises one says which.
GENERAL = {name for name, kind in CLASSES.items() if kind.error_id is None and kind is not AwsFailed}


def _raised(general: set[str]) -> Iterator[tuple[str, str, str]]:
    """Where one of ``general`` is made, of which class, and the id that it is given."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (kind := _names([node.func]) & general):
                given = next((each.value for each in node.keywords if each.arg == "error_id"), None)
                ident = str(given.value) if isinstance(given, ast.Constant) else ""
                yield f"{path.relative_to(ROOT)}:{node.lineno}", kind.pop(), ident


def test_only_the_general_classes_have_no_id_of_their_own() -> None:
    assert {"RegionshiftError", "WorkFailed", "InputError", "Refused"} == GENERAL


def test_every_class_with_an_id_has_its_entry_with_its_exit_code() -> None:
    wrong = {
        name: kind.error_id
        for name, kind in CLASSES.items()
        if kind.error_id and getattr(CATALOGUE.get(kind.error_id), "exit_code", None) != kind.exit_code
    }
    assert not wrong


def test_whoever_raises_a_general_error_says_which_one_it_is() -> None:
    wrong = [
        (place, kind, ident)
        for place, kind, ident in _raised(GENERAL)
        if ident not in CATALOGUE or CATALOGUE[ident].exit_code != CLASSES[kind].exit_code
    ]
    assert not wrong, (
        "give it error_id= of an entry in error_catalogue.py that has the exit code of its class"
    )


def test_no_entry_is_without_an_error_and_no_id_without_an_entry() -> None:
    own = SOURCE / "error_catalogue.py"
    used = {
        name
        for path, tree in TREES.items()
        if path != own
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for name in ID.findall(node.value)
    } - set(RULES)
    assert used == set(CATALOGUE)
    assert not set(CATALOGUE) & set(RULES)


@pytest.mark.parametrize(
    ("code", "outside", "found"),
    [
        ("AccessDenied", False, "RS-AWS-001"),
        ("ExpiredToken", False, "RS-AWS-002"),
        ("NoCredentialsError", False, "RS-AWS-002"),
        ("InternalError", True, "RS-AWS-003"),
        ("ThrottlingException", False, "RS-AWS-004"),
        ("LimitExceededException", False, "RS-AWS-005"),
        ("ValidationException", False, "RS-AWS-007"),
    ],
)
def test_what_aws_says_has_the_id_of_its_kind(code: str, outside: bool, found: str) -> None:
    assert AwsFailed("no", code=code, where=None, remedy=None, is_outside=outside).error_id == found


def _quoted() -> list[str]:
    texts = [text for entry in CATALOGUE.values() for text in (*entry.causes, *entry.steps)]
    texts += [text for runbook in RUNBOOKS.values() for text in (*runbook.look_at, *runbook.steps)]
    return sorted(
        {each for text in texts for each in re.findall(r"`(regionshift [^`]+|--?[a-z][^`]*)`", text)}
    )


def _options(command: Any) -> set[str]:
    inner = getattr(command, "commands", {}).values()
    own = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    return own.union(*map(_options, inner))


@pytest.mark.parametrize("said", _quoted())
def test_every_command_and_option_that_is_advised_exists(said: str) -> None:
    command: Any = typer.main.get_command(app)
    words = shlex.split(said)
    if words[0] != "regionshift":
        assert words[0] in _options(command)
        return
    words = words[1:]
    while words and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    # Each with its values, as a shell would hand them over: an option that is unknown or lacks its value fails.
    required = {"--from": "a", "--to": "b"} if command.name == "move" else {}
    more = [word for name, value in required.items() if name not in words for word in (name, value)]
    values = ["1" if each == "NUMBER" else each for each in words]
    command.make_context(command.name, [*values, *more], resilient_parsing=False)


def test_the_pages_are_current() -> None:
    for name, made in (("docs/errors.md", with_errors), (PAGE, with_runbooks)):
        page = (ROOT / name).read_text(encoding="utf-8")
        assert made(page) == page, REMEDY


CONFIG = MigrationConfig.model_validate(
    {
        "project": "throttles",
        "environment": "duration",
        "account": "123456789012",
        "regions": {"primary": "eu-west-1", "secondaries": ["us-east-1"]},
        "network": {"vpc_cidr": "10.0.0.0/16"},
    }
)


def _all_alarms() -> list[alarms.Alarm]:
    here, there = (Site.by_settings(CONFIG, region) for region in CONFIG.all_regions)
    return [
        *alarms.function_alarms(here),
        *alarms.action_alarms(here),
        *alarms.migration_alarms(here),
        alarms.replication_latency_alarm(here, there),
        alarms.replication_failed_alarm(here, there),
    ]


@pytest.mark.parametrize("alarm", _all_alarms(), ids=lambda alarm: alarm.component.part)
def test_every_alarm_has_a_runbook_that_its_whole_name_finds(alarm: alarms.Alarm) -> None:
    """Also where project and environment are called like other alarms."""
    part = alarm.component.part
    name = alarm.component.name(CONFIG.names, "eu-west-1")
    for asked in (part, name, name.upper(), f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}"):
        found = runbook_of(asked)
        assert found is not None and part.startswith(found[0])
    anchor = re.search(rf"{re.escape(PAGE)}#([a-z-]+)", link(alarm.component))
    assert anchor is not None
    assert f"\n## {anchor[1]}\n" in (ROOT / PAGE).read_text(encoding="utf-8")


def test_no_runbook_is_without_an_alarm_and_cloudwatch_takes_every_description() -> None:
    parts = [alarm.component.part for alarm in _all_alarms()]
    assert all(any(part.startswith(kind) for part in parts) for kind in RUNBOOKS)
    page = f"https://{'d' * 392}"
    assert Alerts(runbooks=page).runbooks == page
    longest = max(len(f"{alarm.description}. {link(alarm.component, page)}") for alarm in _all_alarms())
    assert longest <= ALARM_DESCRIPTION.most


def test_explain_prints_an_entry_a_rule_and_a_runbook() -> None:
    said = CliRunner().invoke(app, ["explain", "rs-lock-001"]).stdout
    assert CATALOGUE["RS-LOCK-001"].happened in " ".join(said.split())
    assert "regionshift status" in said and "3; 1 once" in said
    rule = json.loads(CliRunner().invoke(app, ["explain", "RS-IAM-001", "--json"]).stdout)
    assert (rule["id"], rule["page"]) == ("RS-IAM-001", RULES["RS-IAM-001"].page)
    said = CliRunner().invoke(app, ["explain", "orders-dead-letters-eu-west-1-dev"]).stdout
    assert said.startswith("dead-letters\n") and "What to look at" in said
    said = CliRunner().invoke(app, ["explain", "orders-function-errors-eu-west-1-dev"]).stdout
    assert "regionshift validate --region eu-west-1" in said and "REGION" not in said
    listed = CliRunner().invoke(app, ["explain"]).stdout
    assert all(each in listed for each in (*CATALOGUE, *RULES, *RUNBOOKS))


@pytest.mark.parametrize(
    ("asked", "nearest"), [("RS-LOCK-01", "RS-LOCK-001"), ("replication-latensy", "replication-latency")]
)
def test_what_is_unknown_is_answered_with_the_nearest(
    asked: str, nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(app, ["explain", asked]) == 2
    assert nearest in capsys.readouterr().err
    assert run(app, ["explain", "RS-NOPE-1"]) == 2
    assert "did you mean" not in capsys.readouterr().err
    assert run(app, ["explain", "zzz"]) == 2
    assert "`regionshift explain` lists all" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["explain", "zzz"], "RS-USAGE-001"),
        (["explain", "--no-such-option"], "RS-USAGE-001"),
        (["doctor", "--config", "missing.yaml"], "RS-SETTINGS-002"),
    ],
)
def test_an_error_names_its_id_on_the_terminal_and_in_json(
    arguments: list[str], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(app, [*arguments, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["id"] == found
    if "--no-such-option" not in arguments:  # there the usage says more
        assert run(app, arguments) == 2
        assert capsys.readouterr().err.splitlines()[-1].split() == ["more:", "regionshift", "explain", found]


def test_ids_complete() -> None:
    assert complete_ids("rs-lock") == ["RS-LOCK-001", "RS-LOCK-002"]
    assert complete_ids("dead") == ["dead-letters"]
