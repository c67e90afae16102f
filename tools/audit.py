"""Check the packages of the lock files for known vulnerabilities: ``make audit``, the last step of ``make test-all``.

pip-audit asks OSV (https://osv.dev) about each pinned version. The exit code is 1 for a known vulnerability, unless
``requirements/audit-exceptions.toml`` has an exception with a reason and an end date. Packages that could not be
checked are listed. Exit code 2: pip-audit itself could not be run.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXCEPTIONS = ROOT / "requirements/audit-exceptions.toml"
CANNOT = "CANNOT CHECK dependencies for known vulnerabilities"
NOT_HERE = (
    "not checked: Go modules. The product ships none. For the CLI that `make tools` builds on this machine, use"
    " `govulncheck -mode binary .cache/bin/pulumi`"
)
_SHOWN = 5
# Errors of requests and pip-audit when OSV does not answer, or another server does.
_NO_ANSWER = re.compile(r"requests\.exceptions\.|ServiceError|ConnectionError")


@dataclass(frozen=True)
class Accepted:
    """An exception for a known vulnerability: id, package, reason, and the last valid day."""

    id: str
    package: str
    reason: str
    until: date


def accepted(text: str) -> list[Accepted]:
    """Read the file of exceptions.

    Raises:
        TypeError: one lacks id, package, reason or until.
        ValueError: a reason is empty, or ``until`` is not a date.
    """
    found = [Accepted(**each) for each in tomllib.loads(text).get("accepted", [])]
    for each in found:
        if not each.reason.strip() or not isinstance(each.until, date):
            raise ValueError(f"{each.id}: needs a reason, and a date without quotes in `until`")
    return found


def verdict(
    packages: Iterable[Mapping[str, Any]], exceptions: Sequence[Accepted], today: date
) -> tuple[list[str], int]:
    """Return the lines for pip-audit's ``dependencies``, and the exit code."""
    looked, unseen, lines, code = 0, [], [], 0
    needed: set[Accepted] = set()
    for package in packages:
        name = str(package["name"])
        if "skip_reason" in package:
            unseen.append(name)
            continue
        looked += 1
        for fault in package["vulns"]:
            ids = {fault["id"], *fault.get("aliases", [])}
            known = [each for each in exceptions if each.package == name and each.id in ids]
            needed.update(known)
            fixed = ", ".join(fault.get("fix_versions", [])) or "nothing yet"
            said = f"{name} {package['version']}: {', '.join(sorted(ids))}; fixed in {fixed}"
            if any(each.until >= today for each in known):
                lines.append(f"accepted until {max(each.until for each in known)}: {said}")
            else:
                lines.append(f"VULNERABILITY{' (its exception has ended)' if known else ''}: {said}")
                code = 1
    lines += [
        f"unused exception: {each.package} {each.id}" for each in exceptions if each not in needed and looked
    ]
    if unseen:
        more = f" and {len(unseen) - _SHOWN} more" if len(unseen) > _SHOWN else ""
        lines.append(f"{CANNOT}: the service does not know {', '.join(unseen[:_SHOWN])}{more}")
    if looked:
        lines.append(f"checked {looked} packages for known vulnerabilities")
    return lines, code


class NoAnswerError(Exception):
    """OSV does not answer; the message says why."""


def asked(lock: Path, options: Sequence[str]) -> list[dict[str, Any]]:
    """Return pip-audit's results for the packages of one lock file.

    Raises:
        NoAnswerError: OSV does not answer.
        RuntimeError: pip-audit itself failed.
    """
    how = ["-s", "osv", "--require-hashes", "--disable-pip", "-f", "json", "--progress-spinner", "off"]
    command = [sys.executable, "-m", "pip_audit", *how, "-r", str(lock), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = (done.stderr.strip().splitlines() or ["no answer"])[-1][:200]
        raise (NoAnswerError if _NO_ANSWER.search(done.stderr) else RuntimeError)(said) from None
    return found


def main(options: Sequence[str]) -> int:
    """Return the exit code. ``options``: pip-audit's own, such as ``--osv-url`` for a copy of OSV."""
    packages: dict[tuple[str, str], dict[str, Any]] = {}
    try:
        for lock in sorted((ROOT / "requirements").glob("*.txt")):
            packages |= {(each["name"], each.get("version", "")): each for each in asked(lock, options)}
    except NoAnswerError as problem:
        print(f"{CANNOT}: {problem}")
        return 0
    except RuntimeError as problem:
        print(f"pip-audit failed: {problem}")
        return 2
    lines, code = verdict(packages.values(), accepted(EXCEPTIONS.read_text()), datetime.now(UTC).date())
    print(*lines, NOT_HERE, sep="\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
