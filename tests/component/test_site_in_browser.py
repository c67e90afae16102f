"""The site of the documentation in headless Chromium: no page asks anybody but its own server, none has an error."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from doc_pages import ROOT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed on this machine"),
]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Where the built site is served, and its folder."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    command = [str(Path(sys.executable).parent / "zensical"), "build", "--strict"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    folder = tmp_path / tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["site_dir"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", folder
    server.shutdown()
    server.server_close()


def test_every_page_is_drawn_from_its_own_server_alone(site: tuple[str, Path]) -> None:
    address, folder = site
    asked: list[str] = []
    said: list[str] = []
    with sync_playwright() as playwright:
        # Without its sandbox, which Chromium does not have where it runs as root; the pages are ours.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
        page.on("console", lambda message: said.append(f"{page.url}: {message.text}"))
        names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.html"))
        for name in names:
            page.goto(address + name)
            assert page.locator("h1").first.is_visible(), name
        browser.close()
    assert len(names) > 40 and len(asked) > len(names)
    assert sorted({url for url in asked if not url.startswith((address, "data:", "blob:"))}) == []
    assert said == []
