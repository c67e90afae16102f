"""A region that is out of the state while the real engine runs: its provider is never configured."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from plain_engine import engine_settings
from regionshift.engine.engine import Engine, EngineFailed
from regionshift.engine.state_exclusion import StateExclusion
from regionshift.journal.backends import open_state
from regionshift.journal.store import Slot
from regionshift.local.emulator import LocalCloud
from regionshift.local.provider.server import AwsServicer, serve
from regionshift.local.provider.wire import decode

pytestmark = [pytest.mark.provider, pytest.mark.component]
HERE, AWAY = "eu-central-1", "eu-west-1"
OUT = StateExclusion((f"urn:pulumi:*::*-{AWAY}", "urn:pulumi:*::*::link"), (f"_{AWAY}",))
_TOPIC = "aws:sns/topic:Topic"


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The region of every provider that the engine configured."""
    seen: list[str] = []
    really = AwsServicer.Configure

    def configure(self: AwsServicer, request: Any, context: Any) -> Any:
        seen.append(str(decode(request.args).get("region")))
        return really(self, request, context)

    monkeypatch.setattr(AwsServicer, "Configure", configure)
    return seen


@contextmanager
def _engine(cloud: LocalCloud, folder: Path) -> Iterator[Engine]:
    with serve(cloud) as port:
        slot = Slot(open_state((folder / "kept").as_uri()), "aside/lab.json")
        yield Engine(engine_settings(folder, stack="aside", port=port, exclusive=True, slot=slot))


def _program(cloud: LocalCloud, regions: tuple[str, ...], says: str) -> Callable[[], None]:
    def run() -> None:
        made = [_region(cloud, region, says) for region in regions]
        if len(made) == 2:
            topic, provider = made[0]
            opts = pulumi.ResourceOptions(provider=provider, depends_on=[made[1][0]])
            aws.sns.Topic("link", name="link", display_name=topic.arn, opts=opts)

    return run


def _region(cloud: LocalCloud, region: str, says: str) -> tuple[aws.sns.Topic, aws.Provider]:
    provider = _provider_of(cloud, region)
    opts = pulumi.ResourceOptions(provider=provider)
    topic = aws.sns.Topic(f"topic-{region}", name=f"aside-{region}", display_name=says, opts=opts)
    pulumi.export(f"topic_{region}", topic.arn)
    return topic, provider


def _provider_of(cloud: LocalCloud, region: str) -> aws.Provider:
    return aws.Provider(
        f"aws-{region}",
        region=region,
        access_key=cloud.access_key,
        secret_key=pulumi.Output.secret(cloud.secret_key),
        endpoints=[{"sns": cloud.endpoint}],
        skip_credentials_validation=True,
        skip_requesting_account_id=True,
    )


def _leave(engine: Engine) -> None:
    """Nothing more is started, as after a kill."""
    engine.interrupt()
    engine.close()


def _said(engine: Engine) -> dict[str, str]:
    return {
        resource["urn"].rsplit("::", 1)[-1]: resource["inputs"].get("displayName", "")
        for resource in engine.resources()
        if resource["type"] == _TOPIC
    }


def _whole(engine: Engine) -> dict[str, Any]:
    return {
        resource["urn"]: (resource.get("id"), resource.get("dependencies"), resource.get("provider"))
        for resource in engine.resources()
    }


def test_what_is_aside_is_not_configured_not_changed_and_not_lost(
    cloud: LocalCloud, tmp_path: Path, configured: list[str]
) -> None:
    both, one = _program(cloud, (HERE, AWAY), "first"), _program(cloud, (HERE,), "second")
    with _engine(cloud, tmp_path) as engine:
        engine.up(both)
        before, outputs = _whole(engine), engine.outputs()

        # Why targets are not enough: the engine configures what it does not touch.
        configured.clear()
        targets = [f"urn:pulumi:**::*-{HERE}"]
        engine.preview(both, target=targets)
        assert set(configured) == {HERE, AWAY}

        configured.clear()
        seen = engine.preview(one, excluded=OUT)
        assert [(step.op, step.name) for step in seen.changes] == [("update", f"topic-{HERE}")]
        assert not seen.outputs_differ
        engine.up(one, excluded=OUT, target=targets)
        engine.refresh(one, excluded=OUT)
        assert set(configured) == {HERE}
        assert engine.outputs() == outputs
        engine.close()

    with _engine(cloud, tmp_path) as engine:
        assert _said(engine) == {
            f"topic-{HERE}": "second",
            f"topic-{AWAY}": "first",
            "link": outputs[f"topic_{HERE}"],
        }
        assert _whole(engine) == before
        assert engine.outputs() == outputs
        engine.up(_program(cloud, (HERE, AWAY), "third"))
        assert set(_said(engine).values()) == {"third", outputs[f"topic_{HERE}"]}
        engine.destroy(both)


def test_what_a_killed_run_left_aside_is_put_back_by_the_next(cloud: LocalCloud, tmp_path: Path) -> None:
    both, one = _program(cloud, (HERE, AWAY), "first"), _program(cloud, (HERE,), "first")
    with _engine(cloud, tmp_path) as engine:
        engine.up(both)
        before = _whole(engine)
        engine.preview(one, excluded=OUT)
        _leave(engine)
    with _engine(cloud, tmp_path) as engine:
        assert engine.outputs().keys() == {f"topic_{HERE}", f"topic_{AWAY}"}
        assert not engine.preview(both).changes
        assert _whole(engine) == before
        engine.destroy(both)


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> list[Engine]:
    """Engines that are killed, with their lock and their notes left behind, once AWS made what is called "more"."""
    engines: list[Engine] = []
    really = AwsServicer.Create

    def create(self: AwsServicer, request: Any, context: Any) -> Any:
        made = really(self, request, context)
        if request.urn.endswith("::more") and engines:
            process = engines[0]._command._running
            assert process is not None
            os.kill(process.pid, signal.SIGKILL)
        return made

    monkeypatch.setattr(AwsServicer, "Create", create)
    return engines


def _notes(engine: Engine) -> list[str]:
    return [note["resource"]["urn"].rsplit("::", 1)[-1] for note in engine.pending()]


def test_what_was_left_open_beside_a_state_that_is_not_whole_stays_until_it_is_settled(
    cloud: LocalCloud, tmp_path: Path, dying: list[Engine]
) -> None:
    both, one = _program(cloud, (HERE, AWAY), "first"), _program(cloud, (HERE,), "first")

    def more() -> None:
        _, provider = _region(cloud, HERE, "first")
        aws.sns.Topic("more", name="more", opts=pulumi.ResourceOptions(provider=provider))

    with _engine(cloud, tmp_path) as engine:
        engine.up(both)
        before = _whole(engine)
        dying.append(engine)
        with pytest.raises(EngineFailed):
            engine.up(more, excluded=OUT)
        dying.clear()
        _leave(engine)
    for _ in range(2):
        with _engine(cloud, tmp_path) as engine:
            assert _notes(engine) == ["more"]
            # It puts back what was out, past the lock that the killed engine left.
            assert not engine.preview(both).changes
            engine.preview(one, excluded=OUT)
            assert _notes(engine) == ["more"]
            assert _whole(engine) == before
            _leave(engine)
    with _engine(cloud, tmp_path) as engine:
        urn = engine.pending()[0]["resource"]["urn"]
        engine.settle_pending({urn: f"arn:aws:sns:{HERE}:{cloud.account}:more"}, [])
        assert engine.pending() == []
        engine.refresh(lambda: None, target=[urn])
        assert _whole(engine).keys() == {*before, urn}
        engine.close()
    with _engine(cloud, tmp_path) as engine:
        assert engine.pending() == []
        engine.destroy(both)


def test_nothing_stays_open_of_a_stack_that_is_forgotten(
    cloud: LocalCloud, tmp_path: Path, dying: list[Engine]
) -> None:
    def more() -> None:
        aws.sns.Topic("more", name="more", opts=pulumi.ResourceOptions(provider=_provider_of(cloud, HERE)))

    with _engine(cloud, tmp_path) as engine:
        dying.append(engine)
        with pytest.raises(EngineFailed):
            engine.up(more)
        dying.clear()
        engine.settle_pending({}, ["of something else"])
        assert _notes(engine) == ["more"]
        engine.destroy(lambda: None)
        engine.remove_stack()
        engine.close()
    with _engine(cloud, tmp_path) as engine:
        engine.up(_program(cloud, (HERE,), "first"))
        assert engine.pending() == []
        engine.destroy(lambda: None)
