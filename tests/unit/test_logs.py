"""What `-v`, `-vv` and `--log-file` say of a command, and what they never say."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from regionshift import logs
from regionshift.aws.clients import AccessKey, Clients
from regionshift.aws.errors import AwsFailed
from regionshift.carriers.transport import S3Error, S3Request, Transport
from regionshift.cli import failure
from regionshift.cli.app import app
from regionshift.journal.backends import FileStore
from regionshift.journal.journal import Journal
from regionshift.journal.lock import Holder, LeaseTerms, acquire

ACCOUNT = "123456789012"
VALUE = "marked-value-of-a-parameter"
KEY_ID, SECRET_KEY, TOKEN = "MARKEDKEYID", "marked-secret-key", "marked-session-token"
MARKED = (VALUE, KEY_ID, SECRET_KEY, TOKEN, "AWS4-HMAC", "Signature")
Answer = tuple[int, bytes]


class Server(ThreadingHTTPServer):
    """AWS's part: gives ``answers`` one after the other, then empty JSON objects."""

    answers: list[Answer]


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = self.server.answers.pop(0) if self.server.answers else (200, b"{}")
        self.send_response(status)
        for name in ("x-amzn-RequestId", "x-amz-request-id"):
            self.send_header(name, f"request-{status}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = _answer  # noqa: N815 - the base class's names

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), _Handler) as made:
        made.answers = []
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log"


def _lines(file: Path, event: str | None = None) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]
    return [line for line in lines if event in (None, line["event"])]


def _clients(server: Server, **more: Any) -> Clients:
    endpoint = f"http://127.0.0.1:{server.server_port}"
    return Clients(key=AccessKey(KEY_ID, SECRET_KEY, TOKEN), endpoint=endpoint, **more)


def _put(clients: Clients) -> None:
    clients.call("eu-west-1", "ssm", "put_parameter", Name="/shop/a", Value=VALUE, Type="SecureString")


def test_a_call_is_logged_with_its_retries_and_never_with_its_values(server: Server, file: Path) -> None:
    said: list[str] = []
    server.answers = [(503, b"{}"), (200, b"{}")]
    with logs.listening(2, file, said.append):
        _put(_clients(server))
    [call] = _lines(file, "call")
    assert [call[name] for name in ("service", "operation", "region")] == ["ssm", "PutParameter", "eu-west-1"]
    assert (call["retries"], call["status"], call["request_id"]) == (1, 200, "request-200")
    assert call["ms"] > 0
    assert "error" not in call
    [begins] = _lines(file, "call begins")
    assert begins["parameters"] == "Name,Type,Value"
    first, second = _lines(file, "http")
    assert (first["status"], second["status"]) == (503, 200)
    assert "waited_ms" not in first
    assert second["waited_ms"] > 0
    assert call["ms"] >= first["ms"] + second["waited_ms"] + second["ms"]
    assert len(said) == len(_lines(file))
    assert not [word for word in MARKED if word in "\n".join([*said, file.read_text()])]


def test_of_an_error_the_code_is_logged_and_not_the_sentence_that_repeats_a_value(
    server: Server, file: Path
) -> None:
    body = {"__type": "ValidationException", "message": f"Value '{VALUE}' at 'value' failed"}
    server.answers = [(400, json.dumps(body).encode())]
    with logs.listening(0, file, print), pytest.raises(AwsFailed, match=VALUE):
        _put(_clients(server))
    [call] = _lines(file, "call")
    assert (call["error"], call["status"], call["retries"]) == ("ValidationException", 400, 0)
    assert VALUE not in file.read_text()


def test_a_call_that_gets_no_answer_is_logged(file: Path) -> None:
    gone = Clients(key=AccessKey(KEY_ID, SECRET_KEY), endpoint="http://127.0.0.1:1").impatient
    with logs.listening(0, file, print), pytest.raises(AwsFailed):
        gone.call("eu-west-1", "sts", "get_caller_identity")
    [call] = _lines(file, "call")
    assert (call["error"], call["retries"]) == ("EndpointConnectionError", 1)
    assert "status" not in call


def test_calls_that_are_not_the_users_are_not_logged(server: Server, file: Path) -> None:
    with logs.listening(2, file, print):
        _put(_clients(server, is_logged=False))
    assert _lines(file) == []


def test_nothing_hangs_on_a_client_where_nobody_listens(server: Server) -> None:
    """What is not registered costs nothing."""

    def names(clients: Clients) -> set[str]:
        """What our handlers keep in the context of a call."""
        contexts: list[dict[str, Any]] = []
        events = clients.get("ssm", "eu-west-1").meta.events
        events.register("before-call", lambda context, **_: contexts.append(context))
        _put(clients)
        return {name for context in contexts for name in context if name.startswith("regionshift")}

    assert not logs.is_on()
    assert names(_clients(server)) == set()
    with logs.listening(1, None, lambda _: None):
        assert names(_clients(server))
    assert not logs.is_on()


@pytest.fixture
def transport(server: Server) -> Iterator[Transport]:
    credentials = ReadOnlyCredentials(KEY_ID, SECRET_KEY, TOKEN)
    endpoint = f"http://127.0.0.1:{server.server_port}"
    made = Transport(lambda: credentials, lambda _: endpoint, ACCOUNT, sleep=lambda _: None)
    yield made
    made.close()


def test_our_own_s3_requests_are_logged_in_the_same_form(
    transport: Transport, server: Server, file: Path
) -> None:
    said: list[str] = []
    server.answers = [(503, b"<Error><Code>SlowDown</Code></Error>"), (200, b"")]
    query = (("partNumber", "1"), ("uploadId", VALUE))
    with logs.listening(2, file, said.append):
        transport.send(S3Request("PUT", "eu-west-1", "bucket", "a\x1b]key", query, body=VALUE.encode()))
    [call] = _lines(file, "call")
    assert (call["service"], call["operation"]) == ("s3", "PUT?partNumber&uploadId")
    assert (call["region"], call["bucket"], call["key"]) == ("eu-west-1", "bucket", "a\x1b]key")
    assert (call["retries"], call["status"], call["request_id"]) == (1, 200, "request-200")
    assert [line["host"] for line in _lines(file, "connection")] == [f"127.0.0.1:{server.server_port}"]
    assert len(_lines(file, "wait")) == 1
    assert not [word for word in MARKED if word in "\n".join([*said, file.read_text()])]


def test_our_own_s3_request_that_is_refused_is_logged_with_s3s_code(
    transport: Transport, server: Server, file: Path
) -> None:
    server.answers = [(403, f"<Error><Code>AccessDenied</Code><Message>{VALUE}</Message></Error>".encode())]
    with logs.listening(0, file, print), pytest.raises(S3Error):
        transport.send(S3Request("GET", "eu-west-1", "bucket", "key"))
    [call] = _lines(file, "call")
    assert (call["error"], call["status"]) == ("AccessDenied", 403)
    assert VALUE not in file.read_text()


def test_the_lock_and_the_journal_are_logged_and_each_line_is_of_its_run(tmp_path: Path, file: Path) -> None:
    now = datetime(2026, 11, 30, tzinfo=UTC)
    store = FileStore(tmp_path / "state")
    said: list[str] = []
    with logs.listening(1, file, said.append, command="move"):
        holder = Holder("ann", "host", 1, now, "token")
        with acquire(store, "dev", holder, LeaseTerms(lambda: 0.0)) as lock:
            journal = Journal(store, "dev", lambda: now, lock.check, lock.working_on)
            outer = journal.start("move", {"reason": VALUE})
            inner = journal.start("migration", {})
            inner.append("copy", "before", "eu-west-1", {"secret": VALUE})
            inner.close("done")
            outer.close("done")
    assert [line["action"] for line in _lines(file, "lock")] == ["take", "give back"]
    written = _lines(file, "journal")
    steps = [(line["run"], line["sequence"], line["step"], line["phase"]) for line in written]
    assert steps[2] == (inner.run_id, 2, "copy", "before")
    assert written[2]["region"] == "eu-west-1"
    runs = list(dict.fromkeys(line["run"] for line in _lines(file)))
    assert runs == [None, outer.run_id, inner.run_id]
    assert _lines(file, "journal")[-1]["run"] == outer.run_id
    assert _lines(file)[-1]["run"] is None
    assert {line["command"] for line in _lines(file)} == {"move"}
    assert {line["operation"] for line in _lines(file, "state")} >= {"create", "put", "get", "folders"}
    assert not any(" state " in line for line in said)  # -vv says them
    assert any(" journal " in line for line in said)
    assert VALUE not in "\n".join([*said, file.read_text()])


def test_a_line_has_a_time_an_event_and_facts() -> None:
    said: list[str] = []
    with logs.listening(1, None, said.append):
        logs.tell("lock", action="give back", missing=None, number=3, empty="", quoted='a"b')
        logs.tell("state", logs.DETAILS)
    [line] = said
    time, told = line.split(" ", 1)
    assert datetime.strptime(time, "%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert told == 'lock action="give back" number=3 empty="" quoted="a\\"b"'


def test_the_file_is_added_to_and_its_owners_alone(file: Path) -> None:
    for number in range(2):
        with logs.listening(0, file, print, pid=number):
            logs.tell("one")
    assert [line["pid"] for line in _lines(file)] == [0, 1]
    assert file.stat().st_mode & 0o777 == 0o600


def test_work_goes_on_when_the_log_cannot_be_written_any_more() -> None:
    said: list[str] = []
    with logs.listening(0, Path("/dev/full"), said.append):
        for _ in range(3):
            logs.tell("one")
    [warning] = said
    assert warning.startswith("warning: the log ends here, as /dev/full cannot be written: ")


@pytest.mark.parametrize("place", [lambda folder: folder, lambda folder: folder / "none" / "log"])
def test_a_file_that_cannot_be_a_log_is_wrong_input(
    place: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = place(tmp_path)
    assert failure.run(app, ["local", "status", "--log-file", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: The log cannot be written: ")
    assert f"  where: --log-file {path}\n  next: " in said


def test_a_command_says_how_it_went(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert failure.run(app, ["local", "status", "--json", "--log-file", str(file)]) == 1
    assert failure.run(app, ["outputs", "--log-file", str(file)]) == 2
    first, second = _lines(file, "command")
    assert (first["name"], first["command"], "error" in first) == ("local_status", "local_status", False)
    assert (second["name"], second["error"]) == ("outputs", "InputError")
