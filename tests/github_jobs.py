"""GitHub's side of a workflow, small: jobs whose shell steps are run in order, each job in a clean checkout of its own.

Actions are not run; what each of them leaves for the steps after it stands here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

BIN = Path(sys.executable).parent
GH = Path(__file__).with_name("gh_stand_in.py")
_TOKENS = re.compile(r"('(?:[^']|'')*')|(&&|\|\||!(?!=)|==|!=|[()])|([A-Za-z_][\w-]*(?:\.[\w-]+)*)|\s+")
_WORDS = {"&&": " and ", "||": " or ", "!": " not "}
_PATIENCE_S = 600.0


def evaluated(expression: str, values: Mapping[str, object], status: Mapping[str, bool]) -> Any:
    """An expression of GitHub's (GitHub Docs, "Evaluate expressions in workflows and actions"), those that we write."""
    python, place = "", 0
    while place < len(expression):
        found = _TOKENS.match(expression, place)
        assert found, f"not known here: {expression[place:]}"
        text, sign, name = found.groups()
        if text:
            python += repr(text[1:-1].replace("''", "'"))
        elif sign:
            python += _WORDS.get(sign, sign)
        elif name in status:
            python += f"status[{name!r}]"
            assert expression[found.end() : found.end() + 2] == "()"
            place = found.end() + 2
            continue
        elif name:
            python += f"values.get({name!r}, '')"
        place = found.end()
    return eval(python, {"values": values, "status": status})


def filled(text: str, values: Mapping[str, object]) -> str:
    """``text`` with its ``${{ }}`` replaced, as GitHub does before a shell sees it."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda each: str(evaluated(each[1].strip(), values, {})), text)


@dataclass
class Ended:
    """How a job ended; ``outcome`` as GitHub's ``needs.JOB.result`` has it."""

    outcome: str
    said: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Machines:
    """The runners of one repository. Nothing that one job leaves is there for the next but outputs and artifacts.

    Args:
        origin: the bare repository. folder: where checkouts, artifacts and GitHub's own files go.
        variables: what makes the embedded AWS the AWS of every machine. secrets: of the repository.
        take_role: what the action that assumes a role leaves in the environment, by the role's ARN.
    """

    origin: Path
    folder: Path
    variables: dict[str, str]
    secrets: dict[str, str]
    take_role: Callable[[str], dict[str, str]]
    account: str
    count: int = 0

    @property
    def github(self) -> Path:
        """What `gh` knows: comments, branches, pull requests."""
        return self.folder / "github.json"

    def protect(self, environment: str, *rules: str) -> None:
        """Give an environment of the repository these rules, named as GitHub's REST API names their types."""
        known = json.loads(self.github.read_text()) if self.github.exists() else {}
        known.setdefault("environments", {})[environment] = rules
        self.github.write_text(json.dumps(known), encoding="utf-8")

    def workflow(self, path: str, commit: str = "main") -> dict[str, Any]:
        """A workflow as it is in the repository."""
        text = _git(self.origin, "show", f"{commit}:{path}")
        # YAML 1.1 reads the key `on` as true.
        return {("on" if key is True else key): value for key, value in yaml.safe_load(text).items()}

    def run(
        self,
        workflow: Mapping[str, Any],
        name: str,
        values: Mapping[str, object],
        needs: Mapping[str, Ended] | None = None,
        killed_when: Callable[[], bool] | None = None,
    ) -> Ended:
        """Run one job; with ``killed_when`` its machine is lost as soon as that is true."""
        job, needs = workflow["jobs"][name], needs or {}
        known: dict[str, object] = {"github.ref": "refs/heads/main", "github.run_id": "4711", **values}
        known |= {"github.run_attempt": values.get("github.run_attempt", "1")}
        known |= {"github.repository": "octo-org/orders", "github.token": "the-token"}
        known |= {f"secrets.{secret}": value for secret, value in self.secrets.items()}
        wanted = job.get("needs", [])
        for other in [wanted] if isinstance(wanted, str) else wanted:
            known[f"needs.{other}.result"] = needs[other].outcome
            known |= {f"needs.{other}.outputs.{key}": text for key, text in needs[other].outputs.items()}
        failed = any(each.outcome == "failure" for each in needs.values())
        whole = all(each.outcome == "success" for each in needs.values())
        condition = str(job.get("if", "success()")).removeprefix("${{").removesuffix("}}").strip()
        status = {"success": whole, "failure": failed, "always": True, "cancelled": False}
        asks = any(f"{each}()" in condition for each in status)
        if not (evaluated(condition, known, status) and (asks or whole)):
            return Ended("skipped")
        return self._steps(workflow, job, known, killed_when)

    def _steps(
        self,
        workflow: Mapping[str, Any],
        job: Mapping[str, Any],
        known: dict[str, object],
        killed_when: Callable[[], bool] | None,
    ) -> Ended:
        self.count += 1
        machine = self.folder / f"machine-{self.count}"
        work = machine / "work"
        work.mkdir(parents=True)
        permissions = job["permissions"]
        tools = machine / "tools"
        tools.mkdir()
        (tools / "gh").symlink_to(GH)
        environment = {
            "PATH": f"{tools}:{BIN}:{os.defpath}",
            "HOME": str(machine),
            "CI": "true",
            "LANG": "C.UTF-8",
            **({"PYTHONPATH": path} if (path := os.environ.get("PYTHONPATH")) else {}),
            "GITHUB_STAND_IN": str(self.github),
            **{key: filled(str(text), known) for key, text in workflow.get("env", {}).items()},
        }
        ok, said = True, ""
        for number, step in enumerate(job["steps"]):
            status = {"success": ok, "failure": not ok, "always": True, "cancelled": False}
            if not evaluated(str(step.get("if", "success()")), known, status):
                continue
            if "uses" in step:
                action = step["uses"].split("@")[0]
                given = {key: filled(str(text), known) for key, text in step.get("with", {}).items()}
                environment |= self._action(action, given, work, permissions)
                continue
            output = machine / f"output-{number}"
            output.touch()
            own = {key: filled(str(text), known) for key, text in step.get("env", {}).items()}
            assert "${{" not in step["run"], "an expression inside a script is an injection"
            script = machine / f"step-{number}.sh"
            script.write_text(step["run"], encoding="utf-8")
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
                cwd=work,
                env={**environment, **own, "GITHUB_OUTPUT": str(output)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            if killed_when and "id" in step:
                while process.poll() is None and not killed_when():
                    time.sleep(0.02)
                assert process.poll() is None, process.communicate()
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                shutil.rmtree(machine)
                return Ended("failure", "the machine was lost")
            told, _ = process.communicate(timeout=_PATIENCE_S)
            said += told
            ok = ok and process.returncode == 0
            for line in output.read_text(encoding="utf-8").splitlines():
                key, _, text = line.partition("=")
                known[f"steps.{step['id']}.outputs.{key}"] = text
        outputs = {key: filled(text, known) for key, text in job.get("outputs", {}).items()}
        return Ended("success" if ok else "failure", said, outputs)

    def _action(
        self, action: str, given: Mapping[str, str], work: Path, permissions: Mapping[str, str]
    ) -> dict[str, str]:
        """What an action does for the steps after it, as far as it matters here; and the environment that it leaves."""
        match action:
            case "actions/checkout":
                assert permissions["contents"] == "read"
                assert given["persist-credentials"] == "False"
                _git(work, "clone", "--quiet", "--branch", "main", str(self.origin), ".")
            case "actions/setup-python" | "pulumi/actions" | "github/codeql-action/upload-sarif":
                pass
            case "aws-actions/configure-aws-credentials":
                assert permissions["id-token"] == "write"
                assert given["allowed-account-ids"] == self.account
                return self.variables | self.take_role(given["role-to-assume"])
            case "actions/upload-artifact":
                target = self.folder / "artifacts" / given["name"]
                shutil.rmtree(target, ignore_errors=True)
                target.mkdir(parents=True)
                for path in given["path"].split():
                    if (work / path).exists():
                        shutil.copy(work / path, target)
            case "actions/download-artifact":
                target = work / given.get("path", ".")
                shutil.copytree(self.folder / "artifacts" / given["name"], target, dirs_exist_ok=True)
            case _:
                raise AssertionError(f"no stand-in for {action}")
        return {}


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


git = _git
