"""`doctor`: everything that would stand in the way, and what to do about each, found without changing anything."""

from __future__ import annotations

import sys
from dataclasses import replace

from regionshift.cli.opening import settings_of
from regionshift.cli.options import Choices
from regionshift.cli.show import console, print_json, working
from regionshift.errors import RegionshiftError
from regionshift.journal.journal import NotSealed
from regionshift.journal.lock import Holder, current_holder
from regionshift.journal.store import StateUnreachable
from regionshift.operations.account import look_at
from regionshift.operations.obstacles import without_plan
from regionshift.operations.preflight import without_down
from regionshift.operations.unfinished import alive_runs, unfinished_findings
from regionshift.releases import deployed_releases
from regionshift.report.terminal import facts_table, findings_table
from regionshift.report.values import Finding, as_data, exit_code_of
from regionshift.session import Session, open_session
from regionshift.surroundings import surroundings

_BEYOND_ASCII = "✓ → é Ж 漢"
_Facts = dict[str, object]
_LOOK = "look at the place that the message names, and at who may use it"


def run_doctor(choices: Choices) -> int:
    """Everything that `up` would ask, the lock, and what this machine has; it ends as an `up` that errors stop."""
    with working(choices, "looking"):
        facts, findings, code = _examine(choices)
    if choices.as_json:
        print_json({**facts, "findings": as_data(findings)})
    else:
        screen = console(choices)
        screen.print(facts_table((name, _text(value)) for name, value in facts.items()))
        screen.print(findings_table(findings) if findings else "Nothing stands in the way.")
    return code


def _examine(choices: Choices) -> tuple[_Facts, list[Finding], int]:
    """What this machine has, what stands in the way, and how an `up` would end on it."""
    try:
        with open_session(
            choices.config, choices.overrides, surroundings(), endpoint=choices.endpoint, without_engine=True
        ) as opened:
            deployed = deployed_releases(opened.journal)
            environment, regional = without_down(opened.environment, tolerate=not deployed.is_empty)
            session = replace(opened, environment=environment)
            holder = current_holder(session.store, session.identity.scope)
            alive = alive_runs(session.journal, holder.run_id) if holder else ()
            up = [region for region, digest in deployed.releases.items() if digest]
            account = look_at(environment, up, has_state=session.machine.engine_problem is None)
            findings = [
                *account.findings,
                *without_plan(
                    environment,
                    session.journal,
                    session.catalog,
                    session.machine,
                    regional,
                    unfinished_findings(session.journal, alive),
                    alive,
                ),
                *_held(holder),
                *_damage(session),
                *_unsealed(session),
                *terminal_findings(),
            ]
            return {**_facts(session, holder), **account.facts}, findings, exit_code_of(findings)
    except StateUnreachable as error:
        config = settings_of(choices)
        facts: _Facts = {
            "environment": config.suffix,
            "account": config.account,
            "regions": list(config.all_regions),
            "state": "out of reach",
        }
        where = f" ({error.where})" if error.where else ""
        found = Finding("state", "error", f"{error.message}{where}", None, error.remedy or _LOOK)
        return facts, [found], error.exit_code


def _facts(session: Session, holder: Holder | None) -> _Facts:
    environment, machine = session.environment, session.machine
    return {
        "environment": environment.name,
        "account": environment.config.account,
        "regions": list(environment.regions),
        "pulumi": "none that fits" if machine.engine_problem else str(environment.engine.version),
        "free_memory_mb": machine.free_memory_mb,
        "endpoint": session.cloud.endpoint if session.cloud else "AWS",
        "state": session.store.url,
        "lock": f"held by {holder}" if holder else "free",
    }


def _held(holder: Holder | None) -> list[Finding]:
    if holder is None:
        return []
    remedy = "wait until that is done; if the process is certainly dead, give the command --force"
    return [Finding("lock", "error", f"the environment is locked by {holder}", None, remedy)]


def _damage(session: Session) -> list[Finding]:
    remedy = "restore that file from a backup, if there is one"
    return [Finding("journal", "warning", sentence, None, remedy) for sentence in session.journal.damage]


def _unsealed(session: Session) -> list[Finding]:
    try:
        found = session.journal.unsealed()
    except RegionshiftError as error:  # the key cannot be used, or what was taken is not sealed
        message = f"it cannot be seen whether the journal is sealed: {error.message}"
        return [Finding("journal", "error", message, None, error.remedy or _LOOK)]
    if not found:
        return []
    refused = NotSealed(min(found))
    message = f"{len(found)} events of the journal are not sealed with this state's key"
    return [Finding("journal", "error", message, None, refused.remedy or _LOOK)]


def terminal_findings() -> list[Finding]:
    """Characters that the encoding lacks are replaced in the output; ``--json`` is ASCII and exact."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        _BEYOND_ASCII.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        message = (
            f"this terminal's encoding is {encoding}: a sign that it lacks is shown as a plain one or as ?"
        )
        remedy = (
            "set LC_ALL=C.UTF-8; do not copy such a key, path or name from the screen, or take it from --json"
        )
        return [Finding("terminal", "warning", message, None, remedy)]
    return []


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "unknown" if value is None else str(value)
