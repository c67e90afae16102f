"""The transport against a server that throttles, breaks off and fails late."""

from __future__ import annotations

import base64
import fcntl
import hmac
import resource
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from socket import socket

import pytest
from botocore.credentials import ReadOnlyCredentials
from carrier_world import S3Lab, World, make_transport
from stubborn_server import (
    BREAK,
    DELETIONS,
    INTERNAL,
    LATE,
    LATE_AFTER_BLANKS,
    OK,
    SLOW_DOWN,
    Proxy,
    Script,
    proxy,
    serve,
)

from regionshift.carriers import connections
from regionshift.carriers.carrier import Level
from regionshift.carriers.connections import Pace
from regionshift.carriers.s3.calls import Bucket, Calls
from regionshift.carriers.transport import AnswerLostError, Response, S3Error, S3Request, Transport
from regionshift.errors import Refused
from regionshift.function.clients import TransportAccess
from regionshift.settings.regions import REGIONS, s3_endpoint

READ = S3Request("GET", "eu-west-1", "bucket", "key")
COPY = S3Request("PUT", "eu-west-1", "bucket", "key", repeatable=False)


def make(endpoint: str, waits: list[float] | None = None) -> Transport:
    taken = waits if waits is not None else []
    return Transport(
        lambda: ReadOnlyCredentials("key", "secret", None),
        lambda _: endpoint,
        "111122223333",
        sleep=taken.append,
        jitter=lambda: 1,
    )


def test_waits_longer_each_time_and_slows_the_pool_when_throttled() -> None:
    waits: list[float] = []
    script = Script([SLOW_DOWN, (429, b""), SLOW_DOWN, OK])
    with serve(script) as endpoint:
        transport = make(endpoint, waits)
        assert transport.send(COPY).status == 200
    assert waits == sorted(waits)
    assert len(set(waits)) == 3
    assert transport.pace.limit == 2  # of 16, halved three times


def test_gives_up_on_endless_throttling_with_the_services_own_word() -> None:
    with serve(Script([SLOW_DOWN])) as endpoint, pytest.raises(S3Error, match="SlowDown"):
        make(endpoint).send(READ)


def test_the_pool_recovers() -> None:
    pace = Pace(8)
    pace.slow_down()
    pace.slow_down()
    for _ in range(400):
        with pace:
            pass
    assert pace.limit == 8


def test_reading_is_tried_again_after_any_failure() -> None:
    script = Script([BREAK, INTERNAL, BREAK, OK])
    with serve(script) as endpoint:
        assert make(endpoint).send(READ).status == 200
    assert len(script.asked) == 4


def test_an_answer_about_single_keys_is_no_failed_request() -> None:
    script = Script([DELETIONS])
    with serve(script) as endpoint:
        answer = make(endpoint).send(S3Request("POST", "eu-west-1", "bucket", query=(("delete", ""),)))
    assert answer.body == DELETIONS[1]


@pytest.mark.parametrize("value", ['filename="Übersicht à Å.pdf"', "a  b", " edge ", "日本"])
def test_a_header_is_signed_as_the_bytes_that_go_out(value: str) -> None:
    """Reckoned again by the rules of the IAM User Guide, "Create a signed API request", over bytes."""
    name, raw = "content-disposition", value.encode()
    request = S3Request("PUT", "eu-west-1", "bucket", "key", headers={name: raw.decode("latin-1")})
    signed = make("https://s3.test")._sign(request, "https://s3.test/bucket/key")
    assert signed[name].encode("latin-1") == raw
    sent = {each.lower(): text.encode("latin-1") for each, text in signed.items()}
    fields = dict(each.split("=", 1) for each in sent["authorization"].decode().split(" ", 1)[1].split(", "))
    lines = b"".join(
        each.encode() + b":" + b" ".join(filter(None, sent[each].split(b" "))) + b"\n"
        for each in fields["SignedHeaders"].split(";")
    )
    asked = b"PUT\n/bucket/key\n\n" + lines + b"\n" + fields["SignedHeaders"].encode() + b"\n"
    asked += sent["x-amz-content-sha256"]
    _, *scope = fields["Credential"].split("/")
    text = f"AWS4-HMAC-SHA256\n{sent['x-amz-date'].decode()}\n{'/'.join(scope)}\n{sha256(asked).hexdigest()}"
    key = b"AWS4secret"
    for part in [*scope, text]:
        key = hmac.digest(key, part.encode(), "sha256")
    assert fields["Signature"] == key.hex()


@pytest.mark.parametrize("answer", [BREAK, INTERNAL, LATE, LATE_AFTER_BLANKS])
def test_a_write_whose_answer_is_lost_is_not_sent_again(answer: tuple[int, bytes]) -> None:
    script = Script([answer])
    with serve(script) as endpoint, pytest.raises(AnswerLostError):
        make(endpoint).send(COPY)
    assert len(script.asked) == 1


def test_a_refusal_is_told_at_once() -> None:
    script = Script([(403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")])
    with serve(script) as endpoint, pytest.raises(S3Error) as refused:
        make(endpoint).send(READ)
    assert (refused.value.code, refused.value.status, len(script.asked)) == ("AccessDenied", 403, 1)
    assert "bucket/key" in (refused.value.where or "")


def test_a_write_is_tried_again_when_nobody_was_there_to_hear_it() -> None:
    with serve(Script([OK])) as endpoint:
        pass
    waits: list[float] = []
    with pytest.raises(AnswerLostError):
        make(endpoint, waits).send(COPY)
    assert len(waits) == 7


def test_keeps_connections_and_leaves_them_before_the_server_hangs_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "_MOST_REQUESTS", 10)
    script = Script([OK])
    with serve(script, close_after=10) as endpoint:
        transport = make(endpoint)
        for _ in range(35):
            transport.send(COPY)
        assert len(script.connections) == 4
        with ThreadPoolExecutor(8) as pool:
            assert all(answer.status == 200 for answer in pool.map(transport.send, [COPY] * 200))


@pytest.fixture
def many_files() -> Iterator[None]:
    """The process may have more files open than select(2) knows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2048)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_connection_is_looked_at_also_where_many_files_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_FRESH_SECONDS", 0.0)
    with serve(Script([OK])) as endpoint:
        transport = make(endpoint)
        transport.send(READ)
        ((kept,),) = transport._connections._idle.values()
        low = kept.connection.sock
        kept.connection.sock = socket(fileno=fcntl.fcntl(low, fcntl.F_DUPFD, 1100))
        kept.connection.sock.settimeout(30)
        low.close()
        assert kept.is_usable
        assert transport.send(READ).status == 200
        transport.close()


@pytest.mark.parametrize("region", [regions[0] for regions in REGIONS.values()])
def test_addresses_are_virtual_hosts_on_aws_and_paths_elsewhere(region: str) -> None:
    aws = make(s3_endpoint(region))
    assert aws._address(READ) == (s3_endpoint(region).replace("//", "//bucket."), "/key")
    dotted = S3Request("GET", region, "my.bucket", "a b")
    assert aws._address(dotted) == (s3_endpoint(region), "/my.bucket/a%20b")
    assert make("https://127.0.0.1:9")._address(READ) == ("https://127.0.0.1:9", "/bucket/key")


def test_through_a_proxy_goes_a_tunnel_and_many_requests_through_one(world: World) -> None:
    with proxy("ann:p%40ss@") as way:
        transport = make_transport(world.cloud, proxies=lambda _: {"https": way.url})
        bucket = Bucket("eu-west-1", world.records_bucket)
        Calls(transport).put(bucket, "a", b"x")
        assert Calls(transport).get(bucket, "a").body == b"x"
        transport.close()
    credentials = base64.b64encode(b"ann:p@ss").decode()
    assert way.asked == [(world.cloud.endpoint.removeprefix("https://"), f"Basic {credentials}")]


@pytest.fixture
def access(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TransportAccess, Proxy]]:
    """Access to AWS, with a proxy named in the variables that is let through to this machine only."""
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with proxy() as way:
        monkeypatch.setenv("HTTPS_PROXY", way.url)
        yield TransportAccess(lambda: ReadOnlyCredentials("key", "secret", None), "111122223333"), way


def test_aws_is_reached_through_the_proxy_of_the_variables(access: tuple[TransportAccess, Proxy]) -> None:
    transport, way = access[0].transport(), access[1]
    transport._attempts = 1
    with pytest.raises(S3Error, match="Tunnel connection failed: 403"):
        transport.send(READ)
    assert way.asked == [("bucket.s3.eu-west-1.amazonaws.com:443", "")]


@pytest.mark.parametrize(
    "no_proxy", [".amazonaws.com", "bucket.s3.eu-west-1.amazonaws.com", "elsewhere, amazonaws.com", "*"]
)
def test_what_no_proxy_names_is_reached_directly(
    no_proxy: str, access: tuple[TransportAccess, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", no_proxy)
    opened = access[0].transport()._connections._open("https://bucket.s3.eu-west-1.amazonaws.com")
    assert (opened.host, opened._tunnel_host) == (  # type: ignore[attr-defined]
        "bucket.s3.eu-west-1.amazonaws.com",
        None,
    )


def test_the_embedded_aws_is_never_reached_through_a_proxy(
    world: World, access: tuple[TransportAccess, Proxy]
) -> None:
    cloud = world.cloud
    credentials = ReadOnlyCredentials(cloud.access_key, cloud.secret_key, None)
    here = TransportAccess(lambda: credentials, cloud.account, cloud.endpoint, str(cloud.ca_bundle))
    Calls(here.transport()).put(Bucket("eu-west-1", world.records_bucket), "a", b"x")
    assert access[1].asked == []


def test_a_proxy_that_is_spoken_to_over_tls_is_refused_by_name(
    access: tuple[TransportAccess, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "https://ann:secret@proxy.example:3128")
    with pytest.raises(Refused, match=r"proxy\.example") as refused:
        access[0].transport().send(READ)
    assert "secret" not in str(refused.value)


def test_a_copy_whose_answer_is_lost_is_found_and_not_made_twice(world: World) -> None:
    lab = S3Lab(world)
    for number in range(20):
        lab.write("source", f"{number:02d}", "x")
    once = world.transport._once
    lost: list[str] = []

    def forgetful(request: S3Request) -> Response:
        answer = once(request)
        if "x-amz-copy-source" in request.headers and request.key not in lost:
            lost.append(request.key)
            return Response(500, {}, INTERNAL[1])
        return answer

    world.transport._once = forgetful  # type: ignore[method-assign]

    done = world.migrations.of("m").migrate([lab.entry], Level.FULL)

    assert done["status"] == "completed"
    assert len(lost) == 20
    assert len(world.versions(lab.target)) == 20


def test_who_waits_longest_goes_next() -> None:
    """Threads that come back at once would otherwise keep a batch's records out until all is copied."""
    pace, went = Pace(1), threading.Event()

    def wait_and_go() -> None:
        with pace:
            went.set()

    other = threading.Thread(target=wait_and_go)
    with pace:
        other.start()
        while other.is_alive() and not pace.queue:
            time.sleep(0.001)
    with pace:
        assert went.is_set()
    other.join()
