"""The documentation is what the product is: pages made from the code are current, every page has its place in the
navigation, links lead somewhere, and every command that is shown is one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import prose
import publish_reference
import pytest

from doc_pages import ROOT, Block, blocks_of, commands_in, commands_named_in, pages, parse_command
from regionshift.carriers.secrets_access import not_carried

SITE: Any = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
ZENSICAL = Path(sys.executable).parent / "zensical"
SITE_BUILT = pytest.mark.skipif(not ZENSICAL.exists(), reason="zensical is not installed: make setup")
# Reached from their index.
LISTED_BY_AN_INDEX = ("adr/",)


@pytest.mark.parametrize("name", publish_reference.PAGES)
def test_pages_made_from_the_code_are_current(name: str) -> None:
    made = publish_reference.PAGES[name]()
    assert (ROOT / name).read_text(encoding="utf-8") == made, "run `python tools/publish_reference.py`"


def test_every_output_is_explained() -> None:
    assert set(publish_reference.output_names()) == set(publish_reference.OUTPUTS)


def _named(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    entries = nav if isinstance(nav, list) else nav.values()
    return [name for entry in entries for name in _named(entry)]


def test_every_page_has_its_place_in_the_navigation() -> None:
    named = _named(SITE["nav"])
    assert len(named) == len(set(named))
    there = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    missing = {name for name in there if not name.startswith(LISTED_BY_AN_INDEX)} - set(named)
    assert missing == set(), "name these pages under `nav` in zensical.toml"
    assert set(named) - there == set(), "these pages of `nav` are not there"


def test_what_a_plan_may_name_as_not_carried_is_on_its_page() -> None:
    page = (ROOT / "docs/reference/carried.md").read_text(encoding="utf-8")
    has_it_all = {
        "RotationEnabled": True,
        "ReplicationStatus": [{"Region": "eu-west-1"}],
        "VersionIdsToStages": {"1": ["AWSCURRENT"], "2": ["AWSPREVIOUS"]},
    }
    words = [*not_carried(has_it_all), "resource policy", "public ACL", "legal hold"]
    assert len(words) > 5
    assert [word for word in words if word not in page] == []


def test_every_decision_is_in_its_index() -> None:
    folder = ROOT / "docs/adr"
    listed = set(re.findall(r"\]\(([^)]+\.md)\)", (folder / "000-index.md").read_text(encoding="utf-8")))
    assert {path.name for path in folder.glob("*.md")} - {"000-index.md"} == listed


@SITE_BUILT
def test_the_site_is_built_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    """`make docs` checks pages and anchors, fetches nothing, and deletes nothing else in `.cache`."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / ".cache/bin").mkdir(parents=True)
    built = _build(tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    assert (tmp_path / ".cache/bin").is_dir()
    made = sorted((tmp_path / SITE["site_dir"]).rglob("*.html"))
    assert len(made) >= len(list((ROOT / "docs").rglob("*.md")))
    fetched = [
        (page.name, found)
        for page in made
        for found in re.findall(
            r'<(?:script|img|iframe|link)\b[^>]*?(?:src|href)="(?:https?:)?//[^"]+"', page.read_text("utf-8")
        )
        if 'rel="canonical"' not in found
    ]
    assert fetched == []


@SITE_BUILT
@pytest.mark.parametrize("link", ["other.md", "index.md#no-such-heading"])
def test_a_link_that_leads_nowhere_stops_the_build(tmp_path: Path, link: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text(f"# A heading\n\n[a link]({link})\n", encoding="utf-8")
    assert _build(tmp_path).returncode != 0


def _build(folder: Path) -> subprocess.CompletedProcess[str]:
    for name in ("Makefile", "zensical.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("pyproject.toml", "requirements/lock.txt", ".venv/.installed"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    command = ["make", "docs", f"BIN={ZENSICAL.parent}"]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_link_of_the_front_pages_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / name).read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_the_front_page_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_shown_is_one(page: Path) -> None:
    for command in commands_in(page):
        parse_command(command)
    for command in commands_named_in(page):
        parse_command(command, whole=False)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_commands_is_run_or_says_why_not(page: Path) -> None:
    blocks = blocks_of(page)
    stories = {block.begins_with for block in blocks if block.language == "sh"}
    for block in blocks:
        if re.search(r"^(regionshift|make|git|aws|eval|cd) ", block.text, re.MULTILINE):
            assert block.language in ("sh", "console"), (
                f"{page.name}:{block.line} is no block of `sh` or `console`"
            )
        if block.language == "sh" and not block.not_run:
            assert block.begins_with, f"{page.name}:{block.line} says neither `begins with` nor `not run`"
    assert len(stories - {""}) <= 1, stories


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("regionshift up --no-such-option", "No such option"),
        ("regionshift uppp", "No such command"),
        ("regionshift promote", "Missing argument"),
        ("regionshift local up --port text", "a valid integer"),
    ],
)
def test_a_command_that_is_none_is_noticed(text: str, wrong: str) -> None:
    with pytest.raises(AssertionError, match=wrong):
        parse_command(text)


def test_blocks_are_read_with_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- begins with: nothing -->\n\n<!-- ends with: 3 -->\n```sh\nregionshift up\n```\n\n1. In a list:\n\n"
        "   <!-- settings -->\n   ```yaml\n   a: 1\n   ```\n\n<!-- not run: why -->\n```sh\nmake x\n```\n"
    )
    assert blocks_of(page) == [
        Block("sh", "regionshift up", 4, begins_with="nothing", ends_with=(3,)),
        Block("yaml", "a: 1", 11, begins_with="nothing", settings=True),
        Block("sh", "make x", 16, begins_with="nothing", not_run="why"),
    ]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_list_is_one_on_the_site_as_well(page: Path) -> None:
    """The site's Markdown wants a blank line before a list, and four blanks before a block within an item."""
    text = re.sub(
        r"^( *)```.*?^\1```$", r"\1code", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    wrong, before = [], ""
    for line in text.splitlines():
        item = re.match(r" *([-*]|\d+\.) ", line)
        if (item and before and not re.match(r" |[-*] |\d+\. |\||<!--", before)) or (
            re.match(r" {1,3}\S", line) and not before
        ):
            wrong.append(line)
        before = line.rstrip()
    assert wrong == []


@pytest.mark.parametrize("path", prose.prose_paths(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_prose_keeps_to_the_style(path: Path) -> None:
    assert [str(remark) for remark in prose.remarks_on(path)] == []


@pytest.mark.parametrize(
    ("text", "remarks"),
    [
        ("A run that was killed is gone on with by `resume`.", 1),
        ("It was allowed; without that nothing of it happens.", 1),
        ("Mend the settings.", 1),
        ("| a cell |\n|---|\n| mend the settings |", 1),
        (f"- {'word ' * 31}.", 1),
        (f"{'word ' * 16}. {'Word ' * 16}.", 0),
        (f"| a cell |\n|---|\n| {'word ' * 40} |", 0),
        (f"A `{'word ' * 40}` is one word.\n\n```\nmend the settings {'word ' * 40}\n```", 0),
        ("`resume` continues a stopped run.", 0),
        ("What was written goes back.", 1),
        ("Whatever was found is shown.", 1),
        ("Who may write can delete.", 1),
        ("| a cell |\n|---|\n| What was written goes back. |", 1),
        ("What goes back when a step has failed?", 0),
        ("What it does and how", 0),
    ],
)
def test_what_is_better_written_otherwise_is_noticed(tmp_path: Path, text: str, remarks: int) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    assert len(list(prose.remarks_on(page))) == remarks, list(prose.remarks_on(page))


@pytest.mark.parametrize(
    ("code", "remarks"),
    [
        ('"""Mend the settings."""', 1),
        (f'def f() -> None:\n    """Do it.\n\n    {"word " * 31}.\n    """', 1),
        (
            f'def f() -> None:\n    """Do it.\n\n    Args:\n        a: {"word " * 20}\n        b: {"word " * 20}"""',
            0,
        ),
        (f'def f() -> None:\n    """Do it.\n\n    \\b\n    Examples:\n      {"word " * 31}\n    """', 0),
        (f'def f() -> None:\n    """Do it.\n\n    ``{"word " * 40}`` is one word.\n    """', 0),
        ('class C:\n    a: int\n    """You can mend the settings."""', 1),
        ("raise ValueError('Look there.' ' Then mend the settings.')", 1),
        ("raise ValueError(f'Look at {there}, then mend the settings.')", 1),
        ("f(help='Look there, then mend the settings.')", 1),
        ("x = 'mend_the_settings', 'mend the bits', r'^mend the \\S+ of it'", 0),
        ("mend = the  # mend the settings", 0),
    ],
)
def test_python_is_read_for_its_docstrings_and_texts(tmp_path: Path, code: str, remarks: int) -> None:
    (tmp_path / "module.py").write_text(code, encoding="utf-8")
    assert len(list(prose.remarks_on(tmp_path))) == remarks, list(prose.remarks_on(tmp_path))
