"""Whether a package of the lock files has a known fault: ``make audit``, and the last step of ``make test-all``.

pip-audit asks OSV (https://osv.dev) about every pinned version. A fault that is known ends it with 1, unless
``requirements/audit-exceptions.toml`` has it with a reason and a day until which that holds. Whatever could not be
looked at is named: an answer that never came is no good news. Exit code 2: pip-audit itself could not be run.
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
CANNOT = "CANNOT LOOK for known faults of dependencies"
NOT_HERE = (
    "not looked at: Go modules. The product ships none; of the CLI that `make tools` builds on this machine,"
    " `govulncheck -mode binary .cache/bin/pulumi` tells"
)
_SHOWN = 5
# What requests, and pip-audit's own services, raise where nobody answers, or not as OSV does.
_NO_ANSWER = re.compile(r"requests\.exceptions\.|ServiceError|ConnectionError")


@dataclass(frozen=True)
class Accepted:
    """A known fault that is lived with: its id, the package, why, and the last day on which that holds."""

    id: str
    package: str
    reason: str
    until: date


def accepted(text: str) -> list[Accepted]:
    """What the file of exceptions says.

    Raises:
        TypeError: one has not all of id, package, reason and until.
        ValueError: a reason is empty, or ``until`` is no date.
    """
    found = [Accepted(**each) for each in tomllib.loads(text).get("accepted", [])]
    for each in found:
        if not each.reason.strip() or not isinstance(each.until, date):
            raise ValueError(f"{each.id}: a reason, and a date without quotes in `until`")
    return found


def verdict(
    packages: Iterable[Mapping[str, Any]], exceptions: Sequence[Accepted], today: date
) -> tuple[list[str], int]:
    """What is said of pip-audit's ``dependencies``, line by line, and the exit code."""
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
                lines.append(f"FAULT{' (its exception has ended)' if known else ''}: {said}")
                code = 1
    lines += [
        f"needless exception: {each.package} {each.id}"
        for each in exceptions
        if each not in needed and looked
    ]
    if unseen:
        more = f" and {len(unseen) - _SHOWN} more" if len(unseen) > _SHOWN else ""
        lines.append(f"{CANNOT}: the service does not know {', '.join(unseen[:_SHOWN])}{more}")
    if looked:
        lines.append(f"looked at {looked} packages for known faults")
    return lines, code


class NoAnswerError(Exception):
    """The service does not answer; the message says how."""


def asked(lock: Path, options: Sequence[str]) -> list[dict[str, Any]]:
    """What pip-audit says of the packages of one lock file.

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
    """The exit code; ``options`` are pip-audit's own, as ``--osv-url`` for a copy of OSV."""
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
