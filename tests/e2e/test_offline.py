"""A local run asks nobody on the network: every call to elsewhere would go to the proxy, which keeps count."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from e2e_place import ON_AWS, Place

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.thorough,
    pytest.mark.skipif(bool(ON_AWS), reason="on AWS the network is what is used"),
]


class _Proxy(ThreadingHTTPServer):
    asked: list[str]


class _Refuser(BaseHTTPRequestHandler):
    server: _Proxy

    def do_CONNECT(self) -> None:
        self.server.asked.append(self.path)
        self.send_error(403)

    def do_GET(self) -> None:
        self.do_CONNECT()

    def log_message(self, *_: object) -> None:
        """Nothing is said of single calls."""


@pytest.fixture
def proxy() -> Iterator[_Proxy]:
    server = _Proxy(("127.0.0.1", 0), _Refuser)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_a_local_run_asks_nobody_on_the_network(make_place: Callable[..., Place], proxy: _Proxy) -> None:
    url = f"http://127.0.0.1:{proxy.server_address[1]}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    place = make_place(regions={"primary": "us-east-1"})
    nobody = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    # With a state the engine would see to the plugins that the state names, so once is not enough.
    for command in (["up", "--yes", "--no-validate"], ["preview"]):
        done = place.run(*command, **dict.fromkeys(names, url), **nobody)
        assert done.code == 0, done.said
    assert proxy.asked == []
