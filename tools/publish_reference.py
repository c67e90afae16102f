"""Writes the pages of the reference that are generated from the code: `make reference`.

This script writes whole pages in docs/reference/. `publish_settings.py` writes the schema, and tables in other pages.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import MagicMock

import publish_settings
import typer.main

from regionshift.cli.app import app
from regionshift.infrastructure.operator_rights import ExplainedStatement, operator_policies
from regionshift.infrastructure.program import of_region
from regionshift.infrastructure.runtime_rights import runtime_roles
from regionshift.infrastructure.site import Site
from regionshift.operations.validate import all_checks
from regionshift.settings.components import PipelineRole
from regionshift.settings.config import MigrationConfig

ROOT = Path(__file__).resolve().parent.parent
MADE = "<!-- made by tools/publish_reference.py -->\n"
# An environment with all kinds of data, so that it has all statements.
SAMPLE = {
    "project": "shop",
    "environment": "dev",
    "account": "123456789012",
    "target": "aws",
    "regions": {"primary": "us-east-1", "secondaries": ["eu-west-1"]},
    "network": {"vpc_cidr": "10.0.0.0/16", "function_in_vpc": True},
    "access": {"boundary": "arn:aws:iam::123456789012:policy/shop.dev.boundary"},
    "state": "s3://regionshift-state-123456789012/environments?region=eu-central-1",
    "state_secrets": "awskms://alias/regionshift-state?region=eu-central-1",
    "carry": {
        "s3": [{"bucket": "media-{region}"}],
        "ssm": [{"path": "/shop/legacy"}],
        "secrets": [{"name": "shop/legacy/"}],
    },
}
# The meaning of each output, by its name without the region.
OUTPUTS: Mapping[str, str] = MappingProxyType(
    {
        "lambda_function_name": "the function",
        "lambda_function_arn": "the function",
        "lambda_role_arn": "the function's role",
        "deployment_bucket_name": "the bucket of the environment's data",
        "deployment_bucket_arn": "the bucket of the environment's data",
        "log_bucket_name": "the bucket of access logs",
        "log_bucket_arn": "the bucket of access logs",
        "deployment_config_parameter_name": "the configuration, with `store: ssm`",
        "deployment_config_parameter_arn": "the configuration, with `store: ssm`",
        "deployment_config_secret_arn": "the configuration, with `store: secretsmanager`",
        "lambda_log_group_name": "the function's log",
        "validation_log_group_name": "the log of validations",
        "deployment_log_group_name": "the log of migrations and rollbacks",
        "deployment_topic_arn": "the topic with messages about every run",
        "alarm_topic_arn": "the topic with messages about alarms",
        "worker_function_name": "the function that copies data",
        "state_machine_arn": "the state machine that runs migrations",
        "vpc_id": "the VPC",
    }
)
_COMMON = 8  # An option that so many commands have is described once.
EXIT_CODES = """\
| exit code | meaning |
|---|---|
| 0 | Done. A `rollback` or a `resume --back` that succeeds ends with 0 too. |
| 1 | The work failed: AWS, the engine or a check refused. Also an `up`, `promote` or `resume` that was rolled back. |
| 2 | The input is wrong: settings, options, or something that must be installed. Nothing was changed. |
| 3 | A guard refused: another account, a held lock, a protected environment, data that would be lost, rights that would grow, no confirmation. Nothing was changed. Or a wave waits for a person. |
| 130 | Interrupted (Ctrl-C once). The state is complete and the lock is free. |

Once a command has begun to change something, wrong input and a refusal end it with 1. `doctor` and `preview` end with
1, 2 or 3 where `up` would.
"""


def commands() -> str:
    """Return Markdown: all commands with their options and examples."""
    root: Any = typer.main.get_command(app)
    parts = [
        f"{MADE}# Commands\n",
        "Every command with its options and examples, as in `regionshift COMMAND --help`. `--json` prints the result, and"
        " errors, as JSON. Variables can set the common options: see [Settings](../settings.md#which-value-counts).\n",
        f"## Exit codes\n\n{EXIT_CODES}",
    ]
    every = list(leaves(root))
    times = Counter(record for path, command in every for record in _options(path, command))
    common = {record for record, count in times.items() if count >= _COMMON}
    parts.append(f"## Common options\n\n{_table(record for record in times if record in common)}\n")
    parts.extend(_command(path, command, common) for path, command in every)
    return "\n".join(parts)


def leaves(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield all commands with their words, in the order of the help."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, *path, name)
        else:
            yield (*path, name), command


def _command(path: tuple[str, ...], command: Any, common: Collection[tuple[str, str]]) -> str:
    words = " ".join(path)
    prose, _, examples = inspect.cleandoc(command.help).replace("\b", "").partition("Examples:")
    shown = "\n".join(f"$ {line.strip()}" for line in examples.splitlines() if line.strip())
    context = _context(path, command)
    usage = " ".join((context.info_name or "", *command.collect_usage_pieces(context)))
    records = _options(path, command)
    own = [record for record in records if record not in common]
    names = ", ".join(
        f"`{name.split(',')[-1].split()[0]}`" for name, meaning in records if (name, meaning) in common
    )
    parts = [f"## {words}\n\n`usage: {usage}`", prose.strip(), f"```console\n{shown}\n```"]
    parts += [_table(own)] if own else []
    parts += [f"[Common options](#common-options): {names}"] if names else []
    return "\n\n".join(parts) + "\n"


def _context(path: tuple[str, ...], command: Any) -> typer.Context:
    return typer.Context(command, info_name=" ".join(("regionshift", *path)))


def _options(path: tuple[str, ...], command: Any) -> list[tuple[str, str]]:
    context = _context(path, command)
    return [record for each in command.params if (record := each.get_help_record(context))]


def _table(records: Iterable[tuple[str, str]]) -> str:
    rows = [f"| `{_cell(name)}` | {_cell(meaning)} |" for name, meaning in records]
    return "\n".join(("| option | meaning |", "|---|---|", *rows))


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def checks() -> str:
    """Return Markdown: the checks of `validate`."""
    rows = [
        f"| {check.name} | {_cell((inspect.getdoc(check) or '').splitlines()[0])} | {_cell(check.remedy)} |"
        for check in all_checks()
    ]
    return (
        f"{MADE}# Checks\n\n`regionshift validate` makes these checks in every region; `up` makes them after each"
        " wave. A check leaves nothing behind. A red alarm is a warning. If any other check fails, the exit code is 1.\n\n| check | what it checks | what to do if it fails |\n|---|---|---|\n"
        + "\n".join(rows)
        + "\n\n[The function](../function.md) lists the checks of its own validation, from inside the region.\n"
    )


def outputs() -> str:
    """Return Markdown: the outputs of `outputs`."""
    rows = [f"| `{name}_REGION` | {OUTPUTS[name]} |" for name in output_names()]
    return (
        f"{MADE}# Outputs\n\n`regionshift outputs` prints names and ARNs of the deployed resources, and `--json` prints"
        " them for scripts. `REGION` is a region with underscores, such as `eu_west_1`. The primary's outputs also exist"
        " with `primary` instead of the region.\n\n| output | what it names |\n|---|---|\n"
        "| `project`, `environment`, `environment_suffix` | the environment |\n"
        "| `primary_region`, `secondary_regions` | its regions |\n" + "\n".join(rows) + "\n"
    )


def output_names() -> list[str]:
    """Return the names of a region's outputs, for both stores of the configuration."""
    found: dict[str, None] = {}
    for parameter, secret in ((MagicMock(), None), (None, MagicMock())):
        region = MagicMock()
        region.secrets.parameter, region.secrets.secret = parameter, secret
        found.update(dict.fromkeys(of_region(region)))
    return list(found)


def iam() -> str:
    """Return Markdown: each statement of all roles, with its reason."""
    config = MigrationConfig.model_validate(SAMPLE)
    parts = [
        f"{MADE}# IAM\n",
        "The rights of each role, statement by statement, for an environment with every feature. Resources and"
        " conditions depend on your settings: `regionshift policy deploy` and `regionshift policy runtime` print your"
        " policies. [What is trusted](../security.md) explains them.\n",
        "## Roles of a pipeline\n\n`regionshift bootstrap` creates them. Each is for one environment.\n",
    ]
    for role in PipelineRole:
        statements = [each for policy in operator_policies(config, role) for each in policy.statements]
        parts.append(f"### {role}\n\n{_statements(statements)}")
    parts.append("## Roles of the environment\n\n`regionshift up` creates them in every region.\n")
    for made in runtime_roles(Site.by_settings(config, config.regions.primary)):
        parts.append(f"### {made.purpose}\n\n{_statements(made.statements)}")
    return "\n".join(parts)


def _statements(statements: Iterable[ExplainedStatement]) -> str:
    rows = ["| statement | why | actions |", "|---|---|---|"]
    for each in statements:
        actions = ", ".join(f"`{action}`" for action in _listed(each.statement.get("Action", [])))
        denied = "denied: " if each.statement["Effect"] == "Deny" else ""
        rows.append(f"| `{each.statement['Sid']}` | {_cell(each.why)} | {denied}{_cell(actions)} |")
    return "\n".join(rows) + "\n"


def _listed(actions: str | Iterable[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else sorted(actions)


PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "docs/reference/commands.md": commands,
        "docs/reference/checks.md": checks,
        "docs/reference/outputs.md": outputs,
        "docs/reference/iam.md": iam,
    }
)


def main() -> None:
    """Write all of them."""
    for name, page in PAGES.items():
        (ROOT / name).write_text(page(), encoding="utf-8")
    publish_settings.main()


if __name__ == "__main__":
    main()
