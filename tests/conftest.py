"""What every test may ask for: one embedded AWS (for each xdist worker), and its administrator's clients."""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from regionshift.aws.clients import AccessKey, Clients
from regionshift.local import emulator
from regionshift.local.emulator import LocalCloud
from regionshift.machine import collect_garbage_less
from service_models import record

# No test is timed: a shared machine is slow at will. A failing example is printed, to be run again. `make test` tries
# fewer examples than `make test-all`; what costs more or less than others asks for a part or a multiple of that.
hypothesis.settings.register_profile("short", deadline=None, print_blob=True, max_examples=40)
hypothesis.settings.register_profile("all", deadline=None, print_blob=True, max_examples=100)
hypothesis.settings.load_profile("all" if os.environ.get("TESTS") == "all" else "short")

# Engines run inside the tests' own process, as they do inside the command's.
collect_garbage_less()

ACCOUNT = "123456789012"

# The long ones first, so that no worker is left alone with one at the end.
LONG_FIRST = ("e2e", "component", "provider", "carriers")


SLOWEST_SHOWN = 10
_THOROUGH = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the folders by how long their files take; within a folder nothing moves."""
    root = Path(__file__).parent
    config.stash[_THOROUGH] = sum(item.get_closest_marker("thorough") is not None for item in items)

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(root).parts[0]
        return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The controller of several workers collects nothing itself: each worker tells what it found."""
    node.config.stash[_THOROUGH] = getattr(node, "workeroutput", {}).get("thorough", 0)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the controller how many tests are marked as thorough."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["thorough"] = session.config.stash.get(_THOROUGH, 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The files that took longest, and how many tests were left to `make test-all`."""
    seconds: Counter[str] = Counter()
    for report in (each for group in terminalreporter.stats.values() for each in group):
        if isinstance(report, pytest.TestReport):
            seconds[report.nodeid.partition("::")[0]] += report.duration
    terminalreporter.write_sep("=", f"the {SLOWEST_SHOWN} slowest files")
    for path, took in seconds.most_common(SLOWEST_SHOWN):
        terminalreporter.write_line(f"{took:8.1f} s  {path}")
    left = config.stash.get(_THOROUGH, 0)
    if left and "not thorough" in config.option.markexpr:
        terminalreporter.write_line(f"LEFT to `make test-all`: {left} tests marked thorough")


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A running embedded AWS that nothing else uses; gone with all it kept when the tests end."""
    state_dir = tmp_path_factory.mktemp("cloud")
    record(state_dir)
    try:
        yield emulator.up(state_dir, ACCOUNT)
    finally:
        emulator.down(state_dir, wipe=True)


@pytest.fixture(scope="session")
def clients(cloud: LocalCloud) -> Clients:
    """Clients of an administrator that policies apply to."""
    key = AccessKey(cloud.access_key, cloud.secret_key)
    return Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)


@pytest.fixture(scope="session")
def user(cloud: LocalCloud, clients: Clients) -> Callable[..., Clients]:
    """Makes a user who may do what the statements say, and returns the user's clients."""

    def make(*statements: dict[str, Any]) -> Clients:
        iam, name = clients.get("iam", "us-east-1"), f"user-{uuid.uuid4().hex[:8]}"
        iam.create_user(UserName=name)
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        key = AccessKey(made["AccessKeyId"], made["SecretAccessKey"])
        return Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)

    return make
