"""The files of a pipeline, made from the settings, and the state of those that exist.

The first line of each has the SHA-256 of the written text. So a file that somebody changed differs from one that is
only old. It is overwritten only when that is asked for.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Literal

from regionshift.errors import InputError, Refused
from regionshift.settings.components import PIPELINE_SESSION, PipelineRole
from regionshift.settings.config import MigrationConfig
from regionshift.settings.state_url import parse_key_url, parse_state_url

State = Literal["missing", "current", "outdated", "changed", "changed and outdated"]
"""``changed``: by somebody, after it was written. ``outdated``: the settings, or this tool, would write another."""

_MARK = re.compile(r"# Written by `regionshift ci [a-z]+`; what you change here is kept\. ([0-9a-f]{64})\n")
_BLOCK = re.compile(r"^( *)<([a-z-]+)>\n", re.MULTILINE)
_PLACE = re.compile(r"<([a-z-]+)>")
# Characters without a meaning in a shell, YAML, or an expression of GitHub or GitLab.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_WORKFLOWS = ("preview", "up", "nightly", "promote", "rollback", "resume")


@dataclass(frozen=True)
class Place:
    """The folder of the repository, and the settings file in it."""

    root: Path
    config: Path

    @classmethod
    def of(cls, config: Path) -> Place:
        """The nearest Git repository above the settings; without one, the folder of the settings."""
        folder = config.resolve().parent
        root = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)
        return cls(root, config.resolve())

    def plain(self, path: Path, what: str) -> str:
        """``path`` from the root. Raises InputError when a workflow cannot contain it."""
        try:
            found = PurePosixPath(path.resolve().relative_to(self.root)).as_posix()
        except ValueError:
            found = str(path)
        if not _PLAIN_PATH.fullmatch(found):
            raise InputError(
                f"{what} must be in the repository, and its path may have only letters, digits and ./_-.",
                where=found,
                remedy="give it another name or place",
                error_id="RS-SETTINGS-008",
            )
        return found


def github_files(config: MigrationConfig, place: Place) -> dict[str, str]:
    """The workflows of GitHub, by path. Raises InputError when the settings cannot be run in a pipeline."""
    values = _values(config, place)
    secrets = [f"{name}: ${{{{ secrets.{name} }}}}\n" for name in _secrets(config)]
    values["secrets-lines"] = "".join(secrets)
    values["secrets"] = "env:\n" + textwrap.indent(values["secrets-lines"], "  ") if secrets else ""
    for role in PipelineRole:
        values[f"begin-{role}"] = _filled("github/begin.yaml", {**values, "role": role.arn(config)})
        values[f"environment-{role}"] = role.github_environment(config) or ""
    values["look-region"] = _filled("github/look-region.yaml", values)
    approved = _approved(config)
    values["reviewers"] = values["reviewers-of-wave"] = values["needs-reviewers"] = ""
    if approved:
        values["needs-reviewers"] = "needs: reviewers\n"
        for name, only in (("reviewers", ""), ("reviewers-of-wave", " && inputs.wave != ''")):
            values[name] = _filled("github/reviewers.yaml", {**values, "and-only": only})
    jobs, before = "", ["up"]
    for wave in approved:
        waits = " || ".join(f"needs.{job}.outputs.wave == '{wave}'" for job in before)
        more = {"wave": str(wave), "before": ", ".join(before), "waits": waits}
        jobs += _filled("github/wave.yaml", values | more)
        before.append(f"wave-{wave}")
    values["waves"] = jobs
    workflows = [each for each in _WORKFLOWS if each != "promote" or config.regions.secondaries]
    return {
        f".github/workflows/regionshift-{config.suffix}-{name}.yml": _filled(f"github/{name}.yaml", values)
        for name in workflows
    }


def gitlab_files(config: MigrationConfig, place: Place) -> dict[str, str]:
    """The pipeline of GitLab, by path, to be included. Raises InputError when it cannot be made."""
    values = _values(config, place)
    if config.pipeline.image is None:
        raise InputError(
            "`pipeline.image` is not set: the jobs of GitLab need a container image.",
            where="pipeline.image",
            remedy="name one with Python 3.11, Git and Pulumi by its digest: IMAGE@sha256:…",
            error_id="RS-SETTINGS-008",
        )
    values["image"] = config.pipeline.image
    values["kept"] = "|".join(["REGIONSHIFT_ALLOW_BROADENING", *_secrets(config)])
    for role in PipelineRole:
        values[f"role-{role}"] = role.arn(config)
        values[f"environment-{role}"] = role.github_environment(config) or ""
    jobs, before = "", ""
    for wave in _approved(config):
        jobs += _filled("gitlab/wave.yaml", values | {"wave": str(wave), "before": before})
        before = f"- job: regionshift {config.suffix} wave-{wave}\n  artifacts: false\n"
    values["waves"] = jobs
    return {f".gitlab/regionshift-{config.suffix}.yml": _filled("gitlab/pipeline.yaml", values)}


def _values(config: MigrationConfig, place: Place) -> dict[str, str]:
    is_here = not config.state or parse_state_url(config.state).folder is not None
    if is_here or parse_key_url(config.state_secrets) is None:
        raise InputError(
            "`state` is not set: each job of a pipeline is another machine, and they need a state that they share.",
            where="state",
            remedy="state: s3://BUCKET/PREFIX?region=REGION and state_secrets: awskms://…;"
            " `regionshift bootstrap` makes both",
            error_id="RS-SETTINGS-008",
        )
    secondaries = config.regions.secondaries
    return {
        "environment": config.suffix,
        "config": place.plain(place.config, "The settings file"),
        "requirements": place.plain(
            place.config.parent / config.pipeline.requirements, "The file of pipeline.requirements"
        ),
        "branch": config.pipeline.branch,
        "account": config.account,
        "region": config.regions.primary,
        "session": str(PIPELINE_SESSION),
        "secondaries": ", ".join(secondaries),
        "secondaries-case": " | ".join(secondaries) or '""',
        **{f"look-{what}": _filled(f"look-{what}.sh", {}) for what in ("run", "reason", "wave")},
        # Each environment has its own minute, which never changes.
        "minute": str(int(hashlib.sha256(config.names.key_alias("").encode()).hexdigest(), 16) % 60),
    }


def _secrets(config: MigrationConfig) -> list[str]:
    """The variables with the application's secrets. The pipeline's own secrets have the same names."""
    return sorted({source.env for source in config.application.secrets.values() if source.env})


def _approved(config: MigrationConfig) -> list[int]:
    return sorted(wave for wave in set(config.deployment.approve) if wave <= len(config.waves))


def _filled(template: str, values: Mapping[str, str]) -> str:
    """A template with each ``<name>`` replaced. A value on a line of its own gets that line's indentation."""
    text = (resources.files(__package__) / template).read_text(encoding="utf-8")
    text = _BLOCK.sub(lambda found: textwrap.indent(values[found[2]], found[1]), text)
    return _PLACE.sub(lambda found: values[found[1]], text)


@dataclass(frozen=True)
class PipelineFile:
    """One file: its wanted text, and its present text."""

    ci: str
    path: str
    wanted: str
    found: str | None

    @property
    def state(self) -> State:
        """Of the file as it is now."""
        if self.found is None:
            return "missing"
        mark = _MARK.match(self.found)
        told = mark[1] if mark else ""
        body = self.found[mark.end() :] if mark else self.found
        is_old = told != _digest(self.wanted)
        if told == _digest(body):
            return "outdated" if is_old else "current"
        return "changed and outdated" if is_old else "changed"

    @property
    def diff(self) -> str:
        """The difference from the present to the wanted text, in the format of `diff -u`."""
        lines = difflib.unified_diff(
            (self.found or "").splitlines(keepends=True),
            self.text.splitlines(keepends=True),
            f"{self.path} (as it is)",
            f"{self.path} (as it would be written)",
        )
        return "".join(lines)

    @property
    def text(self) -> str:
        """The text to write: the first line, and the wanted text."""
        mark = (
            f"# Written by `regionshift ci {self.ci}`; what you change here is kept. {_digest(self.wanted)}"
        )
        return f"{mark}\n{self.wanted}"


def looked_at(root: Path, ci: str, files: Mapping[str, str]) -> list[PipelineFile]:
    """The ``files`` of ``ci``, each with its present text."""
    return [PipelineFile(ci, path, wanted, _read(root / path)) for path, wanted in files.items()]


def write_files(root: Path, files: Iterable[PipelineFile], *, overwrite: bool) -> list[str]:
    """Write the files that differ, and return their paths.

    Raises:
        Refused: somebody changed one of them, and it may not be overwritten. Then none is written.
    """
    found = list(files)
    mine = [each.path for each in found if each.state == "changed and outdated"]
    if mine and not overwrite:
        raise Refused(
            f"You changed {', '.join(mine)}, and writing would lose that. Nothing was written.",
            remedy="keep what you want of the difference above, or replace the files with --overwrite",
            error_id="RS-FILE-006",
        )
    kept = ("current",) if overwrite else ("current", "changed")
    new = [each for each in found if each.state not in kept]
    for each in new:
        (root / each.path).parent.mkdir(parents=True, exist_ok=True)
        (root / each.path).write_text(each.text, encoding="utf-8", newline="\n")
    return [each.path for each in new]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="backslashreplace")
    except FileNotFoundError:
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
