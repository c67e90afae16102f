"""The documentation, followed to the letter: each page's blocks in their order, in one shell, on the embedded AWS."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from doc_pages import ROOT, Block, blocks_of, pages

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
STORIES = [page for page in pages() if any(_.language == "sh" and not _.not_run for _ in blocks_of(page))]
# What was there before the page is read, as commands; the shell stands in the folder of the repository.
# The reader says yes to every question.
ASSENT = """\
set -euo pipefail
regionshift() {
  case $1 in
    up | destroy | migrate | rollback | resume | promote | move) command regionshift "$@" --yes ;;
    *) command regionshift "$@" ;;
  esac
}
"""
SETTINGS = """\
source .venv/bin/activate
repository=$PWD
mkdir ../orders && cd ../orders
regionshift init --project orders --account 123456789012
cat >> regionshift.yaml <<'TXT'
deployment: {bake: 2s, bake_min_samples: 4}
TXT
"""
UP = f"""{SETTINGS}
regionshift up --no-validate
python "$repository/tools/demo_data.py" . seed
"""
KILLED = f"""{UP}
echo 'function: {{memory: 640}}' >> regionshift.yaml
setsid "$(type -P regionshift)" up --yes & group=$!
python "$repository/tools/kill_at.py" . wave-1/apply $group
"""
BEGINNINGS = {
    "nothing": "",
    "settings": SETTINGS,
    "an environment that is up": UP,
    "a deployment that was killed": KILLED,
}
TYPED = f"""{shlex.quote(sys.executable)} -c '
import sys, yaml
settings = yaml.safe_load(open("regionshift.yaml"))
for name, value in yaml.safe_load(sys.stdin).items():
    old = settings.get(name)
    settings[name] = old | value if isinstance(old, dict) else value
yaml.safe_dump(settings, open("regionshift.yaml", "w"))
'"""


def script_of(page: Path) -> str:
    """The page as one script: it stops at the first block that ends otherwise than the page says."""
    blocks = [
        block for block in blocks_of(page) if (block.language == "sh" and not block.not_run) or block.settings
    ]
    begins_with = {block.begins_with for block in blocks}
    assert len(begins_with) == 1, "what does the page begin with?"
    return "\n".join((ASSENT, BEGINNINGS[begins_with.pop()], *map(_run, blocks)))


def _run(block: Block) -> str:
    told = f"echo '== line {block.line}'"
    if block.settings:
        return f"{told}\n{TYPED} <<'TXT'\n{block.text}\nTXT"
    if block.ends_with != (0,):
        codes = "|".join(map(str, block.ends_with))
        return f"{told}\nended=0\n{block.text} || ended=$?\ncase $ended in {codes}) ;; *) false ;; esac"
    return f"{told}\n{block.text}"


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """The repository as a reader has it; what a page starts is ended."""
    folder = tmp_path / "repository"
    folder.mkdir()
    environment = Path(sys.executable).parent.parent
    for name, target in ((".venv", environment), ("tools", ROOT / "tools"), ("docs", ROOT / "docs")):
        (folder / name).symlink_to(target)
    yield folder
    for settings in tmp_path.rglob("regionshift.yaml"):
        subprocess.run(
            [
                str(Path(sys.executable).parent / "regionshift"),
                "local",
                "down",
                "--wipe",
                "-c",
                str(settings),
            ],
            check=True,
        )


@pytest.mark.parametrize("page", STORIES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_reader_can_do_what_the_page_says(page: Path, checkout: Path) -> None:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("REGIONSHIFT_", "AWS_"))
    }
    process = subprocess.Popen(
        ["bash", "-c", script_of(page)],
        cwd=checkout,
        env=kept,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=900)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 0, said


def test_every_settings_block_is_settings() -> None:
    for page in pages():
        for block in blocks_of(page):
            assert not block.settings or isinstance(yaml.safe_load(block.text), dict)
