"""Writes the bill of materials as a CycloneDX document: ``make sbom`` writes ``.cache/sbom.json``.

It has the Python packages of the lock, with scope ``excluded`` for tests. It also has the contents of the function's
zip, the engine with its Go modules, and the engine's plugin for AWS. The document is validated by
CycloneDX's schema before it is written, and the same files give the same document. Exit code 1: it is not valid.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[1]
TO = ROOT / ".cache/sbom.json"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA = re.compile(r"^ +#(?: via)? +([A-Za-z0-9._-]+)(?: \(.*\))?$", re.MULTILINE)
_ROOT_OF_LOCK = "regionshift"
_FUNCTION = re.compile(r"^([a-z0-9-]+)==(\S+) sha256:([0-9a-f]{64})$", re.MULTILINE)
_MODULE = re.compile(r"^\t(\S+/\S+|\S+\.\S+) (v\S+)", re.MULTILINE)
_BUILD = (
    "from pathlib import Path; from regionshift import artifact;"
    "built = artifact.build(Path('.cache/artifacts')); print(built.sha256)"
)


@dataclass(frozen=True)
class Package:
    """A package of a lock file: the digests that pip accepts, and the packages that need it."""

    name: str
    version: str
    digests: tuple[str, ...]
    via: frozenset[str]


def locked(text: str) -> Iterator[Package]:
    """Yield the packages of a lock file from pip-compile."""
    starts = [*_PINNED.finditer(text)]
    ends = [*(each.start() for each in starts[1:]), len(text)]
    for found, end in zip(starts, ends, strict=True):
        block = text[found.end() : end]
        yield Package(found[1], found[2], tuple(_HASH.findall(block)), frozenset(_VIA.findall(block)))


def needed(packages: Iterable[Package], roots: Iterable[str]) -> set[str]:
    """Return the names of ``roots`` and of all packages that they need."""
    found, more = set[str](), set(roots)
    known = list(packages)
    while more - found:
        found |= more
        more = {each.name for each in known if each.via & found}
    return found


def modules(text: str) -> dict[str, str]:
    """Return the modules of a ``go.mod``: versions by path."""
    return dict(_MODULE.findall(text))


def _named(text: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0].lower()


def _properties(**values: Iterable[str]) -> list[Property]:
    return [
        Property(name=f"regionshift:{name}", value=each) for name, many in values.items() for each in many
    ]


def _component(purl: PackageURL, name: str, **more: object) -> Component:
    given = {"type": ComponentType.LIBRARY, "bom_ref": purl.to_string(), **more}
    return Component(name=name, version=purl.version, purl=purl, **given)  # type: ignore[arg-type]


def python_packages() -> Iterator[Component]:
    """Yield the packages of the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = list(locked((ROOT / "requirements/lock.txt").read_text()))
    direct = [*project["dependencies"], *project["optional-dependencies"]["local"]]
    required = needed(packages, map(_named, direct))
    for each in packages:
        scope = ComponentScope.REQUIRED if each.name in required else ComponentScope.EXCLUDED
        purl = PackageURL("pypi", name=each.name, version=each.version)
        known = _properties(sha256_of_a_file=each.digests, needed_by=sorted(each.via))
        yield _component(purl, each.name, scope=scope, properties=known)


def function_zip(version: str, digest: str) -> Component:
    """Return the function's zip with its contents: our code, and parts of packages."""
    parts = []
    lock = (ROOT / "src/regionshift/artifact/function.lock").read_text()
    for name, found, of_files in _FUNCTION.findall(lock):
        purl = PackageURL("pypi", name=name, version=found, qualifiers={"part": "function"})
        parts.append(_component(purl, name, properties=_properties(sha256_of_files_taken=[of_files])))
    own = PackageURL("pypi", name="regionshift", version=version, qualifiers={"part": "function"})
    return Component(
        name="regionshift-function",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref="regionshift-function",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        components=[_component(own, "regionshift"), *parts],
    )


def engine() -> Component:
    """Return Pulumi's CLI as built by ``tools/pulumi``. A CLI on the PATH is used instead."""
    folder = ROOT / "tools/pulumi"
    sums = {tuple(line.split()[:2]): line.split()[2] for line in (folder / "go.sum").read_text().splitlines()}
    built = modules((folder / "go.mod").read_text())
    main = "github.com/pulumi/pulumi/pkg/v3"
    parts = []
    for path, version in built.items():
        space, _, name = path.rpartition("/")
        purl = PackageURL("golang", namespace=space, name=name, version=version)
        parts.append(_component(purl, path, properties=_properties(go_sum=[sums[path, version]])))
    purl = PackageURL("golang", namespace="github.com/pulumi/pulumi", name="cli", version=built[main])
    return _component(purl, "pulumi", type=ComponentType.APPLICATION, components=parts)


def plugin(packages: Mapping[str, str]) -> Component:
    """Return the engine's plugin for AWS, which Pulumi fetches on the first use of ``target: aws``."""
    purl = PackageURL("github", namespace="pulumi", name="pulumi-aws", version=f"v{packages['pulumi-aws']}")
    return _component(purl, "pulumi-resource-aws", type=ComponentType.APPLICATION)


def document(version: str, digest: str) -> str:
    """Return the whole document as JSON."""
    python = list(python_packages())
    found = {each.name: str(each.version) for each in python}
    parts = [*python, function_zip(version, digest), engine(), plugin(found)]
    whole = Component(
        name="regionshift", version=version, type=ComponentType.APPLICATION, bom_ref="regionshift"
    )
    inputs = [ROOT / "requirements/lock.txt", ROOT / "tools/pulumi/go.sum"]
    of_inputs = sha256(b"".join(path.read_bytes() for path in inputs) + digest.encode()).hexdigest()
    bom = Bom(
        components=parts,
        serial_number=uuid.uuid5(uuid.NAMESPACE_OID, of_inputs),
        metadata=BomMetaData(component=whole),
    )
    bom.register_dependency(whole, [part for part in parts if part.scope != ComponentScope.EXCLUDED])
    content = json.loads(JsonV1Dot6(bom).output_as_string())
    del content["metadata"]["timestamp"]  # so that the same files give the same document
    return json.dumps(content, indent=1)


def main() -> int:
    """Write the document; return the exit code."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    command = [ROOT / ".venv/bin/python", "-c", _BUILD]
    digest = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    text = document(version, digest)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem:
        print(f"The document is not valid CycloneDX 1.6: {str(problem)[:300]}", file=sys.stderr)
        return 1
    TO.parent.mkdir(exist_ok=True)
    TO.write_text(text)
    print(f"{TO.relative_to(ROOT)}: CycloneDX 1.6, valid")
    return 0


if __name__ == "__main__":
    sys.exit(main())
