"""Mutation tests: ``make soak`` samples mutants of the code and runs the tests on each of them.

``SEED=1 SAMPLE=20 ONLY="journal settings" make soak``: the same seed gives the same mutants; ``SAMPLE`` is the number
for each package. Cosmic Ray makes most mutants (a changed comparison or number, a missing decorator, …). Three kinds
are ours: a missing call, named argument, or entry of a list or mapping. For each mutant, the package's tests run in a
copy of the tree, the cheapest first, until one fails. A mutant that passes all tests is shown as a diff. Exit code 1:
fewer than 85 % fail a test. Exit code 2: the tests fail without a mutant.
"""

from __future__ import annotations

import ast
import difflib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from parso.python.tree import Name

ROOT = Path(__file__).resolve().parents[1]
ENOUGH = 0.85
# Another variable's name mostly gives a NameError, which each test finds.
DULL = ("VariableReplacer", "VariableInserter")
# A mutant hangs when its tests take this much longer, and then counts as found.
SLOWER, GRACE = 3, 60

INFRASTRUCTURE = "tests/component/infrastructure"
OPERATIONS = "tests/component/operations"

# Package: the tests nearest to it, in steps, the cheapest first.
PACKAGES: dict[str, tuple[tuple[str, ...], ...]] = {
    "settings": (
        (
            "tests/unit/settings",
            "tests/unit/test_carry_keys.py",
            "tests/unit/test_identity_of_environments.py",
        ),
        (f"{INFRASTRUCTURE}/test_plan_of_the_program.py", f"{INFRASTRUCTURE}/test_tables_of_the_program.py"),
    ),
    "journal": (("tests/unit/journal", "tests/component/journal"),),
    "runs": (
        ("tests/unit/runs",),
        ("tests/component/test_deployment_machine.py", "tests/component/test_fault_points.py"),
    ),
    "infrastructure/policies": (
        (f"{INFRASTRUCTURE}/test_tables_of_the_program.py", "tests/unit/infrastructure"),
        (
            f"{INFRASTRUCTURE}/test_policies_of_the_program.py",
            f"{INFRASTRUCTURE}/test_function_rights.py",
            f"{INFRASTRUCTURE}/test_worker_rights.py",
        ),
    ),
    "function": (
        (
            "tests/unit/test_function_request.py",
            "tests/unit/test_function_values.py",
            "tests/unit/test_function_handler.py",
        ),
        ("tests/carriers/test_worker_steps.py",),
        ("tests/function",),
    ),
    "carriers": (
        ("tests/unit/test_plan_targets.py", "tests/unit/test_plan_values.py", "tests/unit/test_estimates.py"),
        ("tests/carriers/test_carrier_contract.py",),
        ("tests/carriers",),
    ),
    "operations/waves": (
        (
            "tests/unit/runs",
            "tests/component/test_red_alarms.py",
            "tests/component/test_regions_left_out.py",
            "tests/component/test_what_can_be_taken_back.py",
            "tests/component/journal/test_releases.py",
        ),
        (OPERATIONS, "tests/component/test_deployment_machine.py"),
        ("tests/component/test_fault_points.py", "tests/component/test_interrupts.py"),
        ("tests/component/faults",),
    ),
    "operations/moving": (
        (
            "tests/unit/test_changed_settings.py",
            "tests/unit/test_recovery_figures.py",
            "tests/unit/runs/test_saga.py",
            "tests/component/test_settings_as_up.py",
            OPERATIONS,
        ),
        ("tests/carriers/test_catching_up.py",),
        ("tests/component/moving",),
    ),
}


class LeaveOutACall:
    """Remove a statement that is a call."""

    def mutation_positions(self, node: Any) -> list[Any]:
        if node.type == "simple_stmt":
            call = node.children[0]
            if call.type in ("atom_expr", "power") and getattr(call.children[-1], "children", [""])[0] == "(":
                return [(call.start_pos, call.end_pos)]
        return []

    def mutate(self, node: Any, _index: int) -> Any:
        first = node.get_first_leaf()
        node.children[0] = Name("pass", first.start_pos, prefix=first.prefix)
        return node


class LeaveOutAnArgument:
    """Remove a named argument of a call."""

    def _named(self, node: Any) -> list[int]:
        if node.type not in ("arglist", "trailer"):
            return []
        named = [at for at, one in enumerate(node.children) if one.type == "argument"]
        return [at for at in named if node.children[at].children[1] == "="]

    def mutation_positions(self, node: Any) -> list[Any]:
        return [(node.children[at].start_pos, node.children[at].end_pos) for at in self._named(node)]

    def mutate(self, node: Any, index: int) -> Any:
        at = self._named(node)[index]
        last = at == len(node.children) - 1
        comma = at - 1 if last else at + 1
        gone = (at, comma) if node.type == "arglist" else (at,)
        node.children = [one for place, one in enumerate(node.children) if place not in gone]
        return node


class LeaveOutAnEntry:
    """Remove an entry of a list, a set or a mapping."""

    def _entries(self, node: Any) -> list[list[Any]]:
        entries: list[list[Any]] = [[]]
        if node.type in ("testlist_comp", "dictorsetmaker"):
            for one in node.children:
                entries[-1].append(one)
                if one == ",":
                    entries.append([])
        whole = [entry for entry in entries if entry]
        loops = any(one.type in ("sync_comp_for", "comp_for") for entry in whole for one in entry)
        return [] if loops or len(whole) < 2 else whole

    def mutation_positions(self, node: Any) -> list[Any]:
        return [(entry[0].start_pos, entry[-1].end_pos) for entry in self._entries(node)]

    def mutate(self, node: Any, index: int) -> Any:
        entries = self._entries(node)
        node.children = [one for at, entry in enumerate(entries) if at != index for one in entry]
        return node


def bare(text: str) -> str:
    """Return the code without parts that never run.

    These are annotations, arguments of ``Callable``, bodies of protocols, and options of class decorators (``frozen``).
    """
    tree = ast.parse(text)
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            if getattr(node, field, None) is not None:
                setattr(node, field, ast.Constant(None))
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Callable":
            vars(node).update(slice=ast.Constant(None))
        if isinstance(node, ast.ClassDef):
            if any(ast.unparse(base) == "Protocol" for base in node.bases):
                node.body = [ast.Pass()]
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call):
                    decorator.keywords.clear()
    return ast.dump(tree)


@dataclass(frozen=True)
class Mutant:
    """A file with a defect: its path from the root, and both texts."""

    path: str
    what: str
    whole: str
    wrong: str

    @property
    def diff(self) -> str:
        lines = (self.whole.splitlines(), self.wrong.splitlines())
        return "\n".join(
            difflib.unified_diff(*lines, self.path, f"{self.path} ({self.what})", lineterm="", n=2)
        )


def operators() -> Iterator[tuple[str, Any]]:
    """Yield all mutation operators."""
    for name in operator_names():
        short = name.partition("/")[2]
        if short not in DULL:
            yield short, get_operator(name)()
    yield "LeaveOutACall", LeaveOutACall()
    yield "LeaveOutAnArgument", LeaveOutAnArgument()
    yield "LeaveOutAnEntry", LeaveOutAnEntry()


def same(whole: str, wrong: str) -> bool:
    """Whether two texts do the same, or the mutant is not valid Python."""
    try:
        return bare(whole) == bare(wrong)
    except SyntaxError:
        return True


def sampled(package: str, size: int, chance: random.Random) -> list[Mutant]:
    """Return ``size`` mutants of a package. All places in its code are equally likely, and then all operators."""
    places: dict[tuple[Path, Any], list[tuple[str, Any, int]]] = defaultdict(list)
    for path in sorted((ROOT / "src/regionshift" / package).rglob("*.py")):
        tree = get_ast(path.read_text())
        for name, operator in operators():
            positions = [one for node in ast_nodes(tree) for one in operator.mutation_positions(node)]
            for occurrence, position in enumerate(positions):
                places[path, position].append((name, operator, occurrence))
    mutants: list[Mutant] = []
    for path, position in chance.sample(sorted(places), len(places)):
        name, operator, occurrence = chance.choice(places[path, position])
        whole = path.read_text()
        wrong = mutate_code(whole, operator, occurrence)
        if wrong is not None and not same(whole, wrong):
            line = f"line {position[0][0]}, {name}"
            mutants.append(Mutant(path.relative_to(ROOT).as_posix(), line, whole, wrong))
        if len(mutants) == size:
            break
    return mutants


def copied(folder: Path) -> Path:
    """Copy the present tree with its tools to a folder; return its path."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listed.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for tools in (".venv", ".cache"):
        (folder / tools).symlink_to(ROOT / tools)
    return folder


def passes(tree: Path, tests: tuple[str, ...], limit: float | None) -> bool:
    """Whether these tests pass on the tree, within ``limit`` seconds."""
    command = [".venv/bin/pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    surroundings = {**os.environ, "PYTHONPATH": str(tree / "src")}
    with (tree / "soak.log").open("wb") as log:
        running = subprocess.Popen(
            command, cwd=tree, env=surroundings, stdout=log, stderr=log, start_new_session=True
        )
        try:
            return running.wait(limit) == 0
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGINT)  # so that the tests end their own processes
            try:
                running.wait(GRACE)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
            return False


def write(tree: Path, path: str, text: str) -> None:
    """Write a file of the tree, and remove its compiled file, which Python could use instead."""
    (tree / path).write_text(text)
    Path(cache_from_source(str(tree / path))).unlink(missing_ok=True)


def noticed(tree: Path, mutant: Mutant, steps: dict[tuple[str, ...], float]) -> bool:
    """Whether one of the steps fails with the mutant."""
    write(tree, mutant.path, mutant.wrong)
    try:
        return not all(passes(tree, tests, SLOWER * alone + GRACE) for tests, alone in steps.items())
    finally:
        write(tree, mutant.path, mutant.whole)


def soaked(tree: Path, package: str, mutants: list[Mutant]) -> list[Mutant]:
    """Return the mutants of a package that pass its tests."""
    steps: dict[tuple[str, ...], float] = {}
    for tests in PACKAGES[package]:
        began = time.monotonic()
        if not passes(tree, tests, None):
            print((tree / "soak.log").read_text()[-3000:], f"{package}: red without any mutant", sep="\n")
            raise SystemExit(2)
        steps[tests] = time.monotonic() - began
    alive = []
    for mutant in mutants:
        began = time.monotonic()
        seen = noticed(tree, mutant, steps)
        told = "noticed " if seen else "SURVIVED"
        print(f"{told} {time.monotonic() - began:5.0f} s  {mutant.path}: {mutant.what}", flush=True)
        if not seen:
            print(mutant.diff, flush=True)
            alive.append(mutant)
    print(f"{package}: {len(mutants) - len(alive)} of {len(mutants)} noticed", flush=True)
    return alive


def main() -> int:
    """Run the mutation tests; return the exit code."""
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    size = int(os.environ.get("SAMPLE") or 15)
    packages = (os.environ.get("ONLY") or " ".join(PACKAGES)).split()
    if unknown := sorted(set(packages) - set(PACKAGES)):
        print(f"ONLY: unknown package {', '.join(unknown)}. Known: {', '.join(PACKAGES)}.", file=sys.stderr)
        return 2
    print(f"SEED={seed} SAMPLE={size} ONLY='{' '.join(packages)}'", flush=True)
    made, alive = 0, 0
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        tree = copied(Path(folder))
        for package in packages:
            mutants = sampled(package, size, random.Random(f"{seed} {package}"))
            made += len(mutants)
            alive += len(soaked(tree, package, mutants))
    rate = (made - alive) / made
    print(f"{made - alive} of {made} noticed: {rate:.0%} (at least {ENOUGH:.0%} are asked for). SEED={seed}")
    return 0 if rate >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
