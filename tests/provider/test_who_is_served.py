"""The provider's port answers its own user's processes alone, and reads only the artifacts of a release."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from provider_cases.identities import new_role
from provider_lab import Lab
from pulumi.automation import _stack
from pulumi.runtime import rpc
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as messages

from regionshift import peers
from regionshift.engine.sdk import isolated_runs
from regionshift.errors import Refused
from regionshift.local.emulator import LocalCloud
from regionshift.local.provider.assets import Files
from regionshift.local.provider.server import serve
from regionshift.local.provider.wire import Asset

pytestmark = pytest.mark.provider
NOBODY = 65534
FUNCTION = "aws:lambda/function:Function"
_ASKS = """
import grpc, os, sys
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2_grpc
os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
with grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}") as channel:
    try:
        provider_pb2_grpc.ResourceProviderStub(channel).GetPluginInfo(Empty(), timeout=20)
    except grpc.RpcError as error:
        print(error.code().name)
    else:
        print("answered")
"""


def _asked_by(port: int, user: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _ASKS, str(port), str(user)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user to try it")
def test_another_user_of_the_machine_is_not_answered(cloud: LocalCloud) -> None:
    with serve(cloud) as port:
        assert _asked_by(port, NOBODY) == "PERMISSION_DENIED"
        assert _asked_by(port, os.geteuid()) == "answered"


def test_every_method_of_the_provider_asks_who_it_is(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "is_own_peer", lambda *_: False)
    with serve(cloud) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = provider_pb2_grpc.ResourceProviderStub(channel)
        methods = messages.DESCRIPTOR.services_by_name["ResourceProvider"].methods
        assert len(methods) > 15
        for method in methods:
            with pytest.raises(grpc.RpcError) as refused:
                answer = getattr(stub, method.name)(method.input_type._concrete_class(), timeout=20)
                list(answer if method.server_streaming else [])
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED, method.name


def test_the_program_is_given_to_its_own_engine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has it run against a monitor of his own would be told every input, secrets with them."""
    monkeypatch.setattr(peers, "is_own_peer", lambda *_: False)
    ran = []
    with isolated_runs():
        server = _stack.grpc.server(ThreadPoolExecutor(2))
        host = _stack.LanguageServer(lambda: ran.append(True))
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub: Any = language_pb2_grpc.LanguageRuntimeStub(channel)
            with pytest.raises(grpc.RpcError) as refused:
                stub.Run(language_pb2.RunRequest(monitor_address="127.0.0.1:1"), timeout=20)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert not ran
    finally:
        server.stop(0)
    assert _stack.grpc is grpc


@contextmanager
def _connection(family: socket.AddressFamily) -> Iterator[tuple[str, int, int]]:
    """A connection to loopback, as gRPC writes its peer, that peer's port and ours."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(family) as client:
        host = "::ffff:127.0.0.1" if family is socket.AF_INET6 else "127.0.0.1"
        client.connect((host, server.getsockname()[1]))
        accepted, (_, port, *_) = server.accept()
        with accepted:
            yield f"ipv4:127.0.0.1:{port}", port, server.getsockname()[1]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_connection_of_ours_is_ours_by_either_way_of_telling(family: socket.AddressFamily) -> None:
    with _connection(family) as (peer, port, to):
        assert peers.is_own_peer(peer)
        assert peers.is_own_peer(peer, to)
        assert peers.is_own_peer(peer, tables=()), "where there is no /proc"
    assert not peers.is_own_peer(peer), "it is closed, so nobody knows whose it was"
    assert not peers.is_own_peer(peer, to), "it is closed, so nobody knows whose it was"
    assert not peers.is_own_peer(f"ipv4:127.0.0.1:{port + 1}", tables=())


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the table is Linux's")
def test_the_owner_is_read_from_the_systems_table(tmp_path: Path) -> None:
    with _connection(socket.AF_INET) as (peer, port, to):
        table = Path("/proc/net/tcp").read_text()
        ours, other, closed = tmp_path / "ours", tmp_path / "other", tmp_path / "closed"
        ours.write_text(table)
        # Of the same port there may be one that has ended (06, TIME_WAIT); ours is established (01).
        (row,) = [
            line
            for line in table.splitlines()
            if line.split()[1:4] == [f"0100007F:{port:04X}", f"0100007F:{to:04X}", "01"]
        ]
        fields = row.split()
        theirs = " ".join([*fields[:7], str(NOBODY), *fields[8:]])
        other.write_text(table.replace(row, theirs))
        closed.write_text(table.replace(row, " ".join([*fields[:3], "06", *fields[4:]])))
        assert peers.is_own_peer(peer, tables=(str(ours),))
        assert not peers.is_own_peer(peer, tables=(str(other),))
        assert not peers.is_own_peer(peer, tables=(str(closed),))
        assert not peers.is_own_peer(peer, tables=(str(ours), str(other))), (
            "two owners of one port: not only ours"
        )


@pytest.mark.skipif(sys.platform != "linux", reason="sock_diag(7) is Linux's")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_kernel_names_the_owner_of_one_connection(family: socket.AddressFamily) -> None:
    """Nobody reads the table of all sockets for it: that was most of the time of an engine run."""
    empty = ("/dev/null",)  # a table that tells nothing
    with _connection(family) as (peer, _, to), socket.create_server(("127.0.0.1", 0)) as other:
        listening = other.getsockname()[1]
        assert peers.is_own_peer(peer, to, empty)
        assert not peers.is_own_peer(peer, listening, empty), "it is connected to another port"
        assert not peers.is_own_peer(f"ipv4:127.0.0.1:{listening}", to, empty), "who listens is not connected"
    assert not peers.is_own_peer(peer, to, empty), "it is closed"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket to another user")
def test_a_connection_of_another_user_is_not_ours() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as far,
    ):
        peer, to = f"ipv4:127.0.0.1:{far.getsockname()[1]}", server.getsockname()[1]
        assert peers.is_own_peer(peer, to, ("/dev/null",))
        os.fchown(far.fileno(), NOBODY, -1)
        assert not peers.is_own_peer(peer, to)
        assert not peers.is_own_peer(peer)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket to another user")
def test_a_socket_of_ours_on_the_same_port_speaks_for_nobody_else() -> None:
    """The kernel does not tell of a connection whose far end has stopped sending; the table must not mix up two."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_server(("127.0.0.1", 0)) as elsewhere,
        socket.socket() as mine,
        socket.socket() as theirs,
    ):
        for each in (mine, theirs):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mine.bind(("127.0.0.1", 0))
        theirs.bind(mine.getsockname())
        mine.connect(elsewhere.getsockname())
        theirs.connect(server.getsockname())
        os.fchown(theirs.fileno(), NOBODY, -1)
        peer, to = f"ipv4:127.0.0.1:{mine.getsockname()[1]}", server.getsockname()[1]
        assert peers.is_own_peer(peer, elsewhere.getsockname()[1])
        assert not peers.is_own_peer(peer, to)
        theirs.shutdown(socket.SHUT_WR)
        assert not peers.is_own_peer(peer, to)


def test_a_served_port_is_asked_about_by_itself(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | None] = []
    monkeypatch.setattr(peers, "is_own_peer", lambda _, to: asked.append(to) or True)
    with serve(cloud) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        provider_pb2_grpc.ResourceProviderStub(channel).GetPluginInfo(empty_pb2.Empty(), timeout=20)
    assert asked == [port]
    asked.clear()
    with isolated_runs():
        server = _stack.grpc.server(ThreadPoolExecutor(2))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(_stack.LanguageServer(lambda: None), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            language_pb2_grpc.LanguageRuntimeStub(channel).GetPluginInfo(empty_pb2.Empty(), timeout=20)
        assert asked == [port]
    finally:
        server.stop(0)


@pytest.mark.parametrize("peer", ["", "unix:/x", "ipv4:10.0.0.1:80", "ipv6:[::1]:80", "ipv4:127.0.0.1:x"])
def test_what_is_no_loopback_connection_is_not_ours(peer: str) -> None:
    assert not peers.is_own_peer(peer)


def _of(path: Path, *, archive: bool = False) -> Asset:
    signature = rpc._special_archive_sig if archive else rpc._special_asset_sig
    return Asset(signature, digest="1", path=str(path))


def _text(text: str) -> Asset:
    return Asset(rpc._special_asset_sig, "3", text=text)


def test_no_file_is_read_but_what_a_release_named_as_it_was_then(tmp_path: Path) -> None:
    zipped, secret = tmp_path / "function-1.zip", tmp_path / "secret"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("main.py", "")
    secret.write_text("hunter2")
    files = Files()
    files.allow(zipped, hashlib.sha256(zipped.read_bytes()).hexdigest())
    files.require({"code": _of(zipped, archive=True), "name": "x", "text": Asset("a", "1", text="fine")})
    inside = Asset(rpc._special_archive_sig, "1", entries={"a": {"b": [_of(secret)]}})
    link = tmp_path / "link.zip"
    link.symlink_to(secret)
    for wrong in (_of(secret), _of(tmp_path, archive=True), _of(tmp_path / "none"), inside, _of(link)):
        with pytest.raises(Refused, match="only the artifacts of a release") as refused:
            files.require({"code": wrong})
        assert str(tmp_path) not in refused.value.message
    zipped.write_bytes(b"another")
    with pytest.raises(Refused):
        files.require([_of(zipped, archive=True)])


def test_the_provider_takes_no_other_file_into_the_cloud(cloud: LocalCloud, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    with serve(cloud) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        lab = Lab(provider_pb2_grpc.ResourceProviderStub(channel), cloud, "eu-central-1", tmp_path)
        lab.configure({})
        role = new_role(lab)
        settled = {
            "name": "thief",
            "role": role.properties["arn"],
            "handler": "main.go",
            "runtime": "python3.13",
        }
        whole = Asset(rpc._special_archive_sig, "1", entries={"main.py": _of(secret)})
        allowed = {**settled, "code": Asset(rpc._special_archive_sig, "2", entries={"main.py": _text("x")})}
        stolen = [{**settled, "code": code} for code in (_of(secret), _of(secret, archive=True), whole)]
        for inputs in stolen:
            with pytest.raises(grpc.RpcError, match="only the artifacts of a release"):
                lab.create(FUNCTION, inputs)
        functions = lab.client("lambda").list_functions()["Functions"]
        assert "thief" not in {each["FunctionName"] for each in functions}
        made = lab.create(FUNCTION, allowed)
        for inputs in stolen:
            with pytest.raises(grpc.RpcError, match="only the artifacts of a release"):
                lab.update(made, inputs)
        kept = lab.client("lambda").get_function_configuration(FunctionName="thief")
        assert kept["CodeSha256"] == made.properties["codeSha256"]
        lab.delete(made)
        lab.delete(role)
