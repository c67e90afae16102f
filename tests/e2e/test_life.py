"""One environment through its whole life, by the real command: three regions, then two. The tests go in order.

A proxy that refuses keeps count of every call that would leave the machine: there may be none.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from e2e_place import ACCOUNT, ON_AWS, Place, census, kill_children, values_belong

from planted_values import BEACON, Search, planted, planted_word

pytestmark = pytest.mark.e2e
REGIONS = ["us-east-1", "eu-west-1", "ap-southeast-2"]
KEPT = REGIONS[:2]  # those that are left when the third was taken out
LOG = "up.log"
# On AWS its own; of the embedded one what `make test-all` is to show, and its seed.
WEATHER = ("aws", os.environ.get("FIRST", "1")) if os.environ.get("TESTS") == "all" else ("calm", "0")
EACH = (
    "lambda_function_name",
    "lambda_function_arn",
    "lambda_role_arn",
    "deployment_bucket_name",
    "deployment_bucket_arn",
    "log_bucket_name",
    "log_bucket_arn",
    "deployment_config_parameter_name",
    "deployment_config_parameter_arn",
    "lambda_log_group_name",
    "validation_log_group_name",
    "deployment_log_group_name",
    "deployment_topic_arn",
    "alarm_topic_arn",
    "vpc_id",
)

_LIST_BUCKETS = "import boto3; print(*[b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']])"


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


@pytest.fixture(scope="module")
def proxy() -> Iterator[_Proxy]:
    server = _Proxy(("127.0.0.1", 0), _Refuser)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture(scope="module", params=[WEATHER], ids="-".join)
def place(request: pytest.FixtureRequest, make_place: Callable[..., Place], proxy: _Proxy) -> Place:
    """The environment, stood up once."""
    place = make_place(network={"vpc_cidr": "10.0.0.0/16"})
    place.variables["ORDERS_TOKEN"] = planted("env")
    if not ON_AWS:  # there the network and the credentials are what is used
        weather, seed = request.param
        place.begin(weather, int(seed))
        keys = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "GITHUB_TOKEN")
        place.variables |= {name: planted_word(name) for name in keys}
        url = f"http://user:{planted_word('proxy')}@127.0.0.1:{proxy.server_address[1]}"
        for name, value in {"http": url, "https": url, "no": "127.0.0.1,localhost"}.items():
            place.variables |= {f"{name}_proxy": value, f"{name}_proxy".upper(): value}
    done = place.run("up", "--yes", "-vv", "--log-file", LOG)
    assert done.code == 0, done.said
    assert "0 failed" in done.out
    return place


@pytest.fixture(scope="module")
def whole(place: Place) -> Counter[str]:
    """How many of everything there are when the environment is whole."""
    return place.settled(REGIONS)


def test_the_log_says_what_was_called_locked_written_and_made(place: Place) -> None:
    log = (place.folder / LOG).read_text(encoding="ascii")
    assert BEACON not in log
    lines = [json.loads(line) for line in log.splitlines()]
    by: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by.setdefault(line["event"], []).append(line)
    run = place.run("history", "--json").json[-1]["run_id"]
    assert {line["run"] for line in by["journal"]} == {run}
    assert {line["action"] for line in by["lock"]} == {"take", "give back"}
    made = [line for line in by["resource done"] if (line["verb"], line["op"]) == ("up", "create")]
    assert len(made) > 200
    assert {line["run"] for line in made} == {run}
    calls = {(line["service"], line["operation"]) for line in by["call"]}
    assert ("sts", "GetCallerIdentity") in calls
    assert {line["region"] for line in by["call"]} == set(REGIONS)
    assert all(line["request_id"] for line in by["call"] if "status" in line)
    # What makes the resources calls AWS too: here the local provider, whose calls are not this command's.
    assert not [operation for _, operation in calls if operation.startswith("Create")]
    said = place.told[0]
    assert all(
        f" {event} " in said for event in ("call", "http", "lock", "journal", "state", "resource done")
    )


def test_a_second_up_changes_nothing(place: Place, whole: Counter[str]) -> None:
    if not ON_AWS:
        # What is stopped keeps all it has, and the next command starts it.
        assert place.run("local", "down").code == 0
    done = place.run("up", "--json", "--no-validate")  # nothing to confirm, so nobody need be there
    assert done.code == 0, done.said
    assert done.json["changes"] == []
    place.comes_to(lambda: census(place.clients, REGIONS, "dev"), whole)


def test_its_policies_are_all_judged_and_without_a_fault(place: Place) -> None:
    # What is known of every document tells the waiver as one about nothing.
    until = datetime.now(UTC).date() + timedelta(days=30)
    waiver = f'[{{id: RS-IAM-001, of: "*", reason: to be seen, until: "{until}"}}]'
    done = place.run("preview", "--json", "--sarif", "out/findings.sarif", REGIONSHIFT_WAIVERS=waiver)
    assert [each["code"] for each in done.json["findings"] if each["code"].startswith("RS-")] == [
        "RS-WAIVER-002"
    ]
    (run,) = json.loads((place.folder / "out/findings.sarif").read_text(encoding="utf-8"))["runs"]
    assert [each["ruleId"] for each in run["results"]] == ["RS-WAIVER-002"]
    assert done.json["changes"] == []


def test_validate_answers_for_every_region(place: Place, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    done = place.run("validate", "--json", "--junit", str(report))
    assert done.code == 0, done.said
    checks = done.json["checks"]
    assert {check["region"] for check in checks} == set(REGIONS)
    assert len({check["check"] for check in checks}) >= 10
    suite = ET.parse(report).getroot()
    assert len(suite.findall("testcase")) == len(checks)
    assert suite.get("failures") == "0"
    bucket = place.run("outputs", "--json").json["deployment_bucket_name_eu_west_1"]
    left = place.clients.get("s3", "eu-west-1").list_object_versions(Bucket=bucket)
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


def test_outputs_are_flat_and_complete(place: Place) -> None:
    values = place.run("outputs", "--json").json
    for name in EACH:
        for region in REGIONS:
            assert values[f"{name}_{region.replace('-', '_')}"], name
        assert values[f"{name}_primary"] == values[f"{name}_us_east_1"]
    assert values["project"] == "orders"
    assert values["environment"] == values["environment_suffix"] == "dev"
    assert values["primary_region"] == "us-east-1"
    assert values["secondary_regions"] == REGIONS[1:]
    function = values["lambda_function_name_eu_west_1"]
    assert function == "orders-migration-eu-west-1-dev"
    assert values["lambda_function_arn_eu_west_1"].endswith(f":{ACCOUNT}:function:{function}")
    assert values["lambda_log_group_name_eu_west_1"] == f"/aws/lambda/{function}"
    assert values["deployment_config_parameter_name_eu_west_1"] == "/orders/dev/eu-west-1/deployment-config"


def test_a_shell_is_pointed_at_the_embedded_aws(place: Place) -> None:
    said = place.run("local", "env").out
    assert "export AWS_REGION=us-east-1\n" in said
    script = f'{said}exec {sys.executable} -c "{_LIST_BUCKETS}"'
    shell = subprocess.run(["sh", "-ec", script], env={}, capture_output=True, text=True, check=False)
    assert shell.returncode == 0, shell.stderr
    bucket = place.run("outputs", "--json").json["deployment_bucket_name_primary"]
    assert bucket in shell.stdout.split()


def test_validate_finds_what_was_changed_by_hand_and_up_puts_it_back(place: Place) -> None:
    bucket = place.run("outputs", "--json").json["deployment_bucket_name_eu_west_1"]
    s3 = place.clients.get("s3", "eu-west-1")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    topic = place.run("outputs", "--json").json["alarm_topic_arn_ap_southeast_2"]
    place.clients.get("sns", "ap-southeast-2").delete_topic(TopicArn=topic)
    drift = place.run("drift", "--json")
    assert drift.code == 1, drift.said
    by_hand = {(each["type"].rpartition(":")[2], each["region"]) for each in drift.json["drift"]}
    assert {("BucketVersioning", "eu-west-1"), ("Topic", "ap-southeast-2")} <= by_hand
    assert {region for _, region in by_hand} == {"eu-west-1", "ap-southeast-2"}
    found = place.run("validate", "--json")
    assert found.code == 1
    wrong = {(each["check"], each["region"]) for each in found.json["checks"] if each["outcome"] == "failed"}
    assert {("deployment bucket", "eu-west-1"), ("notifications", "ap-southeast-2")} <= wrong
    assert all(each["remedy"] for each in found.json["checks"] if each["outcome"] == "failed")
    # What was asked meanwhile has put alarms on red.
    mending = place.start("up", "--yes", "--refresh", "--despite-alarms")
    _require_refusal_beside(place, mending.pid, mending.poll)
    mended = place.finish(mending)
    assert mended.code == 0, mended.said


def _require_refusal_beside(place: Place, pid: int, ended: Callable[[], int | None]) -> None:
    """A second `up` while the process ``pid`` is at work changes nothing, and is told who that is."""
    lock = place.folder / ".regionshift/state/locks"
    while ended() is None and not list(lock.glob("*.json")):
        pass
    second = place.run("up", "--yes")
    assert ended() is None, "it was no longer at work"
    assert second.code == 3, second.said
    assert f"process {pid}" in second.err
    assert "since 20" in second.err


def test_two_environments_stand_side_by_side_and_share_nothing(place: Place, whole: Counter[str]) -> None:
    first = place.run("outputs", "--json").json
    # From a second file beside it, with one region of the three: its state lies in the same folder.
    one = place.settings | {"regions": {"primary": REGIONS[0]}}
    (place.folder / "one.yaml").write_text(json.dumps(one), encoding="utf-8")
    options, suffix = ("--config", "one.yaml"), {"ENVIRONMENT_SUFFIX": "pr7"}
    done = place.run("up", "--yes", "--no-validate", *options, **suffix)
    assert done.code == 0, done.said
    second = place.run("outputs", "--json", *options, **suffix).json
    assert second["environment_suffix"] == "pr7"
    assert len(second) >= len(EACH)
    assert {name for name in second if first.get(name) == second[name]} == {
        "project",
        "environment",
        "primary_region",
    }
    gone = place.run("destroy", "--yes", *options, **suffix)
    assert gone.code == 0, gone.said
    newest = place.run("history", "--json", *options, **suffix).json[0]
    assert (newest["kind"], newest["regions"]) == ("destroy", [REGIONS[0]])
    place.comes_to(lambda: census(place.clients, REGIONS, "pr7"), Counter())
    place.comes_to(lambda: census(place.clients, REGIONS, "dev"), whole)


def test_what_holds_data_goes_only_when_that_is_allowed(place: Place, whole: Counter[str]) -> None:
    buckets = place.run("outputs", "--json").json
    bucket = buckets["deployment_bucket_name_ap_southeast_2"]
    place.clients.get("s3", "ap-southeast-2").put_object(Bucket=bucket, Key="kept.txt", Body=b"data")
    place.settings["regions"]["secondaries"] = ["eu-west-1"]
    place.write()
    refused = place.run("up", "--yes", "--json")
    assert refused.code == 3, refused.said
    findings = refused.json["error"]["findings"]
    assert {each["region"] for each in findings} == {"ap-southeast-2"}
    assert {each["code"] for each in findings} == {"data-loss"}
    place.comes_to(lambda: census(place.clients, REGIONS, "dev"), whole)
    allowed = place.start_and_wait_for(["up", "--yes", "--allow-data-loss"], 5, "delete")
    os.kill(allowed.pid, signal.SIGKILL)
    place.finish(allowed)

    # What was allowed for these settings is allowed to whoever goes on with them, not with others.
    place.settings["tags"] = {"team": "other"}
    place.write()
    refused = place.run("resume", "--yes", "--json")
    assert refused.code == 3, refused.said
    assert {each["code"] for each in refused.json["error"]["findings"]} == {"data-loss", "removal"}
    del place.settings["tags"]
    place.write()
    back = place.run("resume", "--yes", "--back")
    assert back.code == 3, back.said
    done = place.run("resume", "--yes")
    assert done.code == 0, done.said
    place.comes_to(lambda: census(place.clients, ["ap-southeast-2"], "dev"), Counter())
    # A failed validation of before left its alarm red; on AWS its window has ended long since.
    for region in REGIONS:
        cloudwatch = place.clients.get("cloudwatch", region)
        for alarm in cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"]:
            assert "validat" in alarm["AlarmName"] or "error" in alarm["AlarmName"], alarm["AlarmName"]
            cloudwatch.set_alarm_state(
                AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="its window ended"
            )
    well = place.run("status")
    assert well.code == 0, well.said


@pytest.fixture(scope="module")
def both(place: Place) -> Counter[str]:
    """How many of everything there are when both regions that are left are whole."""
    return place.settled(KEPT)


def test_destroy_empties_what_is_full_and_proves_that_nothing_is_left(
    place: Place, both: Counter[str]
) -> None:
    assert both["us-east-1 Vpcs"] == both["eu-west-1 Vpcs"] == 1
    values = place.run("outputs", "--json").json
    for region in KEPT:
        s3 = place.clients.get("s3", region)
        for kind in ("deployment", "log"):
            bucket = values[f"{kind}_bucket_name_{region.replace('-', '_')}"]
            for text in (b"one", b"two"):
                s3.put_object(Bucket=bucket, Key="orders/1.json", Body=text)
            s3.delete_object(Bucket=bucket, Key="orders/1.json")
            s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    destroy = place.start("destroy", "--yes", "--json", "-v")
    assert destroy.stderr is not None
    # Access logs still come when everything was emptied, until the bucket itself is gone.
    for line in destroy.stderr:
        if "started" in line and "delete" in line:
            break
    log_bucket = values["log_bucket_name_us_east_1"]
    s3 = place.clients.get("s3", "us-east-1")
    with contextlib.suppress(s3.exceptions.NoSuchBucket):  # the engine may be that quick
        s3.put_object(Bucket=log_bucket, Key="late", Body=b"log")
    done = place.finish(destroy)
    assert done.code == 0, done.said
    assert done.json["emptied"] >= 17
    assert all("key/" in each["what"] and each["until"] for each in done.json["kept"])
    place.comes_to(lambda: census(place.clients, REGIONS, "dev"), Counter())
    assert place.run("outputs").code == 1
    again = place.run("destroy", "--yes")
    assert again.code == 0, again.said


def test_an_interrupted_up_stops_cleanly_and_gives_the_lock_back(place: Place) -> None:
    up = place.start_and_wait_for(["up", "--yes"], 20)
    os.kill(up.pid, signal.SIGINT)
    done = place.finish(up)
    assert done.code == 130, done.said
    assert "  next: " in done.err  # another one when the engine had just ended
    status = place.run("status", "--json")
    assert status.code == 1, status.said
    assert status.json["half_done"]["outcome"] == "interrupted"
    assert status.json["half_done"]["go_on"] == "regionshift resume, or regionshift resume --back"
    assert not list((place.folder / ".regionshift/state/locks").glob("*.json"))


def test_a_killed_engine_and_a_killed_command_lose_and_double_nothing(
    place: Place, both: Counter[str]
) -> None:
    up = place.start_and_wait_for(["up", "--yes"], 20)
    assert kill_children(up.pid)
    done = place.finish(up)
    assert done.code == 1, done.said

    up = place.start_and_wait_for(["up", "--yes"], 20)
    os.kill(up.pid, signal.SIGKILL)
    place.finish(up)

    done = place.run("resume", "--yes")
    assert done.code == 0, done.said
    assert "was killed" in done.out
    place.comes_to(lambda: census(place.clients, KEPT, "dev"), both)
    assert place.run("resume", "--yes").code == 2  # nothing is unfinished


def _kill_destroy(place: Place) -> None:
    destroy = place.start("destroy", "--yes", "-v")
    assert destroy.stderr is not None
    for line in destroy.stderr:
        if "done" in line and "delete" in line:
            break
    os.kill(destroy.pid, signal.SIGKILL)
    place.finish(destroy)


def test_a_killed_destroy_is_gone_on_with_and_up_stands_it_up_anew(place: Place, both: Counter[str]) -> None:
    _kill_destroy(place)
    back = place.run("up", "--yes")
    assert back.code == 0, back.said
    place.comes_to(lambda: census(place.clients, KEPT, "dev"), both)
    _kill_destroy(place)
    refused = place.run("resume", "--yes", "--back")
    assert refused.code == 3, refused.said
    assert "what it deleted is gone" in refused.err
    gone = place.run("resume", "--yes")
    assert gone.code == 0, gone.said
    place.comes_to(lambda: census(place.clients, REGIONS, "dev"), Counter())


def test_a_killed_first_up_is_taken_back_to_nothing(place: Place) -> None:
    up = place.start_and_wait_for(["up", "--yes"], 20)
    os.kill(up.pid, signal.SIGKILL)
    place.finish(up)
    back = place.run("resume", "--yes", "--back")
    assert back.code == 0, back.said
    place.comes_to(lambda: census(place.clients, REGIONS, "dev"), Counter())
    assert place.run("status").code == 0


def test_no_secret_is_anywhere_but_where_it_belongs(place: Place) -> None:
    """Not in state, journal, logs or anything said, in no form, nor in what the (embedded) AWS keeps beside it."""
    search, cloud = Search(), place.folder / ".regionshift/cloud"
    for text in place.told:
        search.look("terminal", text)
    search.folder("disk", place.folder, lambda path: path.is_relative_to(cloud))
    if not ON_AWS:
        place.run("local", "down")  # all that it has is then in its files
        search.folder("files of AWS", cloud, lambda path: values_belong(path.relative_to(cloud)))
    search.require_nothing("terminal", "disk", *(() if ON_AWS else ("files of AWS",)))


@pytest.mark.skipif(bool(ON_AWS), reason="on AWS the network is what is used")
def test_nobody_on_the_network_was_asked(place: Place, proxy: _Proxy) -> None:
    """Every command before went by way of the proxy, those with a state that names plugins too."""
    assert place.told
    assert proxy.asked == []
