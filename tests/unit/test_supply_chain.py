"""What is installed is pinned by digests, what the product is made of is written down, and known faults are told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from audit import CANNOT, EXCEPTIONS, NOT_HERE, Accepted, accepted, verdict

from regionshift.artifact.lock import LOCK, SELECTIONS, read_lock

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
TOOLS = ROOT / ".cache/supply/bin/python"
TODAY = date(2026, 11, 30)


def pinned(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_line_of_a_lock_is_one_version_with_its_digests_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    lines = [
        line for line in text.replace("\\\n", " ").splitlines() if line and not line.lstrip().startswith("#")
    ]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==\S+( ; .*?)?( +--hash=sha256:[0-9a-f]{64})+ *", line), line
    assert not re.search(r"://|--(index|extra-index|find-links|trusted-host)", text)


def test_nothing_is_installed_without_its_digest() -> None:
    calls = [line for line in (ROOT / "Makefile").read_text().splitlines() if "-m pip install" in line]
    assert len([line for line in calls if "--require-hashes" in line]) == len(LOCKS)
    others = [line for line in calls if "--require-hashes" not in line]
    assert all("--no-deps --no-build-isolation --editable ." in line for line in others), others


def test_the_function_is_made_of_what_is_locked() -> None:
    locked, function = pinned(ROOT / "requirements/lock.txt"), read_lock()
    assert set(function) == {each.name for each in SELECTIONS}
    assert {name: each.version for name, each in function.items()} == {
        name: locked[name] for name in function
    }
    lines = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(function), "a line without a digest is none"


def test_every_module_of_the_engine_has_its_checksum() -> None:
    folder = ROOT / "tools/pulumi"
    modules = re.findall(r"^\t(\S+) (v\S+)", (folder / "go.mod").read_text(), re.MULTILINE)
    sums = {tuple(line.split()[:2]) for line in (folder / "go.sum").read_text().splitlines()}
    assert len(modules) > 100
    assert [each for each in modules if each not in sums] == []


def fault(name: str = "requests", **more: Any) -> dict[str, Any]:
    known = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3"], **more}
    return {"name": name, "version": "2", "vulns": [known]}


def exception(until: date = TODAY, package: str = "requests") -> Accepted:
    return Accepted("CVE-1", package, "not used", until)


@pytest.mark.parametrize(
    ("packages", "exceptions", "code", "words"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], [], 0, "checked 1 package"),
        ([fault()], [], 1, "VULNERABILITY: requests 2: CVE-1, PYSEC-1; fixed in 3"),
        ([fault(fix_versions=[])], [], 1, "fixed in nothing yet"),
        ([fault()], [exception()], 0, "accepted until 2026-11-30"),
        ([fault()], [exception(date(2026, 11, 29))], 1, "its exception has ended"),
        ([fault()], [exception(package="other")], 1, "unused exception: other CVE-1"),
        ([{"name": "a", "skip_reason": "?"}, fault()], [exception()], 0, f"{CANNOT}: the service does not know a"),
    ],
)  # fmt: skip
def test_a_known_fault_fails_unless_it_is_accepted_for_now(
    packages: list[dict[str, Any]], exceptions: list[Accepted], code: int, words: str
) -> None:
    lines, ended = verdict(packages, exceptions, TODAY)
    assert ended == code
    assert words in "\n".join(lines)


def test_where_nothing_could_be_looked_at_nothing_else_is_said() -> None:
    lines, code = verdict([{"name": "a", "skip_reason": "not found"}], [exception()], TODAY)
    assert (code, len(lines)) == (0, 1)
    assert lines[0].startswith(CANNOT)


def test_an_exception_needs_a_reason_and_a_day() -> None:
    assert accepted(EXCEPTIONS.read_text()) == []
    good = '[[accepted]]\nid = "CVE-1"\npackage = "requests"\nreason = "not used"\nuntil = 2026-11-30\n'
    assert accepted(good) == [exception()]
    for wrong in ('reason = "not used"', "until = 2026-11-30"):
        with pytest.raises(TypeError):
            accepted(good.replace(wrong, ""))
    for wrong, instead in (("not used", " "), ("2026-11-30", '"2026-11-30"')):
        with pytest.raises(ValueError, match="CVE-1"):
            accepted(good.replace(wrong, instead))


@contextmanager
def osv(faulty: str) -> Iterator[str]:
    """A stand-in for OSV that knows one fault, of the package ``faulty``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = {"id": "GHSA-1", "affected": [], "details": "a fault", "aliases": ["CVE-1"]}
            known |= {"published": "2026-01-01T00:00:00Z"}
            affected = {"package": asked["package"], "ranges": [], "versions": [asked["version"]]}
            is_faulty = asked["package"]["name"] == faulty
            said = json.dumps({"vulns": [{**known, "affected": [affected]}]} if is_faulty else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Nothing is said of single calls."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


needs_tools = pytest.mark.skipif(
    not TOOLS.exists(), reason="`make sbom` installs what writes and checks the SBOM"
)


def run(tool: str, *options: str) -> subprocess.CompletedProcess[str]:
    direct = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    command = [TOOLS, ROOT / "tools" / tool, *options]
    return subprocess.run(command, cwd=ROOT, env=direct, capture_output=True, text=True, check=False)


@needs_tools
@pytest.mark.thorough
def test_the_audit_finds_a_fault_and_tells_when_nobody_answers() -> None:
    with osv("cryptography") as url:
        found = run("audit.py", "--osv-url", url)
        assert found.returncode == 1, found.stdout + found.stderr
        version = pinned(ROOT / "requirements/lock.txt")["cryptography"]
        assert f"VULNERABILITY: cryptography {version}: CVE-1, GHSA-1" in found.stdout
        assert NOT_HERE in found.stdout
        looked = int(re.findall(r"checked (\d+) packages", found.stdout)[0])
        assert looked >= len({each for lock in LOCKS for each in pinned(lock).items()})
    nobody = run("audit.py", "--osv-url", url)
    assert (nobody.returncode, nobody.stdout.startswith(CANNOT)) == (0, True), nobody.stdout
    assert run("audit.py", "--no-such-option").returncode == 2


@needs_tools
@pytest.mark.thorough
def test_the_sbom_has_all_that_is_locked_and_is_the_same_twice() -> None:
    assert run("sbom.py").returncode == 0
    written = (ROOT / ".cache/sbom.json").read_bytes()
    assert run("sbom.py").returncode == 0
    assert (ROOT / ".cache/sbom.json").read_bytes() == written
    content = json.loads(written)
    assert (content["bomFormat"], content["specVersion"]) == ("CycloneDX", "1.6")
    top = {each["name"]: each for each in content["components"] if each["type"] == "library"}
    assert {name: each["version"] for name, each in top.items()} == pinned(ROOT / "requirements/lock.txt")
    assert all(each["properties"] for each in top.values())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    runs = [re.split(r"[^A-Za-z0-9-]", each)[0] for each in project["dependencies"]]
    assert {top[name]["scope"] for name in runs} == {"required"}
    assert {top[name]["scope"] for name in ("pytest", "ruff", "mypy")} == {"excluded"}
    whole = {each["name"]: each for each in content["components"] if each["type"] == "application"}
    inside = {each["name"] for each in whole["regionshift-function"]["components"]}
    assert inside == {"regionshift", *read_lock()}
    assert re.fullmatch("[0-9a-f]{64}", whole["regionshift-function"]["hashes"][0]["content"])
    modules = re.findall(r"^\t(\S+) (v\S+)", (ROOT / "tools/pulumi/go.mod").read_text(), re.MULTILINE)
    built = {(each["name"], each["version"]) for each in whole["pulumi"]["components"]}
    assert built == set(modules)
    assert (
        whole["pulumi-resource-aws"]["version"] == f"v{pinned(ROOT / 'requirements/lock.txt')['pulumi-aws']}"
    )
