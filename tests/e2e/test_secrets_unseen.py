"""A whole life with a marked value wherever a secret enters: nobody reads one anywhere but where it belongs.

That is in SSM and Secrets Manager, in what the settings name as a secret's source, and in the data that is carried.
Everything else is searched, in every form (`planted_values.py`): what was said, logs, state, journal, releases and what
killed runs left on the disk; and of the embedded AWS the log groups, objects and their versions, executions, messages,
settings of every resource, and the files in which it keeps them.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from e2e_place import ACCOUNT, ON_AWS, Place, kill_children, settings, values_belong
from lossy_endpoint import LossyEndpoint, lossy
from topic_queue import subscribed

from planted_values import Search, planted, planted_bytes, planted_word
from regionshift.local import emulator
from regionshift.local.state import REQUESTS
from service_models import Recorded

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(ON_AWS), reason="reads the files of the embedded AWS"),
]
PRIMARY, TARGET, STATE_REGION = "us-east-1", "eu-west-1", "eu-central-1"
REGIONS = (PRIMARY, TARGET)
CARRIED = "carried-{region}"
STATE_BUCKET = "state-of-the-team"
# How a secret's value may reach AWS: these calls, and no others.
_TAKES_VALUES = re.compile(
    r"AmazonSSM\.PutParameter|secretsmanager\.(CreateSecret|PutSecretValue|UpdateSecret)"
)
_GIVEN_OUT = re.compile(rb'"(?:Secret_?Access_?Key|Session_?Token)": ?"([A-Za-z0-9+/=]{20,})"', re.IGNORECASE)


class Planted:
    """A place with a marked value wherever a secret enters, and the search for them."""

    def __init__(self, place: Place, endpoint: LossyEndpoint, store: str) -> None:
        self.place, self.endpoint, self.store = place, endpoint, store
        self.search = Search()
        self.writes = {"PutParameter"} if store == "ssm" else {"PutSecretValue", "CreateSecret"}
        cloud = endpoint.cloud
        self.search.also_for("the key of the embedded AWS", cloud.secret_key)
        clients = place.clients
        vault, primary = clients.get("secretsmanager", PRIMARY), clients.get("ssm", PRIMARY)
        vault.create_secret(Name="outside/text", SecretString=planted("secret"))
        vault.create_secret(Name="old/text", SecretString=planted("carried secret"))
        vault.create_secret(Name="old/binary", SecretBinary=planted_bytes("carried binary"))
        primary.put_parameter(Name="/old/secure", Value=planted("carried parameter"), Type="SecureString")
        primary.put_parameter(Name="/old/plain", Value=planted("carried text"), Type="String")
        for region in REGIONS:
            s3, name = clients.get("s3", region), CARRIED.format(region=region)
            where: Any = (
                {} if region == PRIMARY else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            )
            s3.create_bucket(Bucket=name, **where)
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        clients.get("s3", PRIMARY).put_object(
            Bucket=CARRIED.format(region=PRIMARY), Key="a", Body=planted("object").encode()
        )
        secrets: dict[str, Any] = {
            "of-env": {"env": "ORDERS_TOKEN"},
            "of-file": {"file": "token"},
            "of-secret": {"secret": "outside/text"},
        }
        if store == "secretsmanager":
            vault.create_secret(Name="outside/binary", SecretBinary=planted_bytes("binary"))
            secrets["of-binary"] = {"secret": "outside/binary"}
            self._shared_state()
        (place.folder / "token").write_bytes(
            planted("file").encode() if store == "ssm" else planted_bytes("file")
        )
        place.settings |= {
            "application": {"store": store, "secrets": secrets},
            "carry": {
                "s3": [{"bucket": CARRIED}],
                "ssm": [{"path": "/old", "rewrite": {"arns": True}}],
                "secrets": [{"name": "old/"}],
            },
            "deployment": {"bake": 0},
        }
        place.write()
        self.temporary = place.folder / "tmp"
        self.temporary.mkdir()
        proxy = f"http://user:{planted_word('proxy')}@127.0.0.1:9"
        place.variables |= endpoint.variables | {
            "ORDERS_TOKEN": planted("env"),
            "AWS_SESSION_TOKEN": planted_word("token"),
            "PULUMI_ACCESS_TOKEN": planted_word("pulumi"),
            "PULUMI_CONFIG_PASSPHRASE": planted_word("passphrase"),
            "GITHUB_TOKEN": planted_word("github"),
            "TMPDIR": str(self.temporary),
            **dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"), proxy),
        }

    def _shared_state(self) -> None:
        """State in a bucket, its secrets under a KMS key."""
        clients = self.place.clients
        where = {"LocationConstraint": STATE_REGION}
        clients.named("s3", STATE_REGION).create_bucket(Bucket=STATE_BUCKET, CreateBucketConfiguration=where)
        kms = clients.get("kms", STATE_REGION)
        kms.create_alias(AliasName="alias/state", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
        self.place.settings |= {
            "state": f"s3://{STATE_BUCKET}/here?region={STATE_REGION}",
            "state_secrets": f"awskms://alias/state?region={STATE_REGION}",
        }

    def run(self, *arguments: str, code: int = 0, says: str = "") -> Any:
        """The command with everything that it can log; it ends with ``code``."""
        done = self.place.run(*arguments, "-vv", "--log-file", "all.log")
        assert done.code == code, done.said
        assert says in done.said
        return done

    def begin(self, *arguments: str) -> Any:
        """The command until it has changed something, with what it writes in the log only."""
        op = "update" if self.store == "ssm" else "replace"
        process = self.place.start_and_wait_for([*arguments, "--log-file", "all.log"], 1, op)
        for child in psutil.Process(process.pid).children(recursive=True):
            self.search.look("arguments of processes", child.cmdline())
            held = "\n".join(child.environ().values())
            assert self.place.variables["ORDERS_TOKEN"] not in held
        return process

    def change(self, name: str) -> None:
        """Another value of the variable's secret."""
        self.place.variables["ORDERS_TOKEN"] = planted(name)

    def look_at_disk(self) -> None:
        """What this machine has beside the sources of values, the embedded AWS, and the state's own key."""
        folder = self.place.folder
        key = folder / ".regionshift/state.key"
        if key.exists():
            self.search.also_for("the key of the state", key.read_bytes().strip())
        own = {key, folder / "token"}
        cloud = folder / ".regionshift/cloud"
        self.search.folder("disk", folder, lambda path: path in own or path.is_relative_to(cloud))

    def look_at_what_was_said(self) -> None:
        for text in self.place.told:
            self.search.look("terminal", text)

    def look_at_files_of_aws(self) -> None:
        """What the embedded AWS wrote down when it was stopped, but where values and its own keys belong."""
        cloud = self.place.folder / ".regionshift/cloud"
        carried = {CARRIED.format(region=region) for region in REGIONS}

        def belongs(path: Path) -> bool:
            inside = path.relative_to(cloud)
            return values_belong(inside) or bool(carried & set(inside.parts))

        self.search.folder("files of AWS", cloud, belongs)

    def look_at_requests(self) -> None:
        """What was sent to AWS, but the calls that take a value and the bytes of objects."""
        for line in (self.place.folder / ".regionshift/cloud" / REQUESTS).read_bytes().splitlines():
            sent = Recorded.of(line)
            if not _TAKES_VALUES.search(sent.headers.get("x-amz-target", "")):
                self.search.look("requests", line)


@pytest.fixture(params=["ssm", "secretsmanager"])
def planted_place(request: pytest.FixtureRequest, make_place: Callable[..., Place]) -> Iterator[Planted]:
    """Nothing is up yet."""
    place = make_place(regions={"primary": PRIMARY, "secondaries": [TARGET]})
    with lossy(emulator.up(place.folder / ".regionshift/cloud", ACCOUNT)) as endpoint:
        yield Planted(place, endpoint, request.param)


def test_credentials_and_the_proxys_password_are_not_told_where_aws_cannot_be_reached(tmp_path: Path) -> None:
    place = Place(tmp_path, settings(target="aws"))
    place.write()
    keys = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "ORDERS_TOKEN")
    proxy = f"http://user:{planted_word('proxy')}@127.0.0.1:9"
    place.variables = {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        **{name: planted_word(name) for name in keys},
    }
    place.variables |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), proxy)
    done = place.run("preview", "-vv", "--log-file", "all.log")
    assert done.code == 1
    assert "Failed to connect to proxy" in done.err
    unreadable = place.run("preview", "-vv", HTTPS_PROXY=proxy.replace("user:", "user:1/"))
    assert unreadable.code == 2
    search = Search()
    search.look("terminal", done.said + unreadable.said)
    search.folder("disk", tmp_path)
    search.require_nothing("terminal", "disk")


@pytest.mark.thorough
def test_no_value_is_anywhere_but_where_it_belongs(planted_place: Planted) -> None:
    here = planted_place
    cloud = here.place.folder / ".regionshift/cloud"
    _stand_up(here)
    queues = {region: subscribed(here.place.clients, region) for region in REGIONS}
    _look_and_validate(here)
    _change(here)
    _change_by_hand(here)
    _migrate(here)
    _look_at_aws(here, queues)

    emulator.down(cloud)
    for path in sorted((cloud / "services").glob("*.json")):
        for number, value in enumerate(_GIVEN_OUT.findall(path.read_bytes())):
            here.search.also_for(f"a key of {path.name}, {number}", value)
    here.look_at_files_of_aws()
    here.look_at_disk()
    here.look_at_what_was_said()
    emulator.up(cloud, ACCOUNT)
    here.run("destroy", "--yes")
    here.look_at_disk()
    here.look_at_what_was_said()
    here.look_at_requests()
    here.search.require_nothing(
        "arguments of processes", "disk", "executions", "files of AWS", "logs", "messages", "objects", "requests",
        "settings of resources", "terminal",
    )  # fmt: skip


def _stand_up(here: Planted) -> None:
    """At first AWS refuses, and repeats what it refuses in the words of its errors."""
    here.endpoint.repeated |= here.writes
    here.run("up", "--yes", code=1, says="ValidationException")
    here.look_at_disk()
    here.endpoint.repeated.clear()
    here.run("up", "--yes")


def _look_and_validate(here: Planted) -> None:
    here.run("policy", "runtime")
    here.run("validate", "--json", "--junit", "checks.xml")
    for command in ("doctor", "outputs", "status", "history", "releases"):
        here.run(command, "--json")
        here.run(command)


def _change(here: Planted) -> None:
    """Other values, each time with another trouble: a killed command, a refusal of AWS, a killed engine."""
    here.change("second")
    here.run("preview", "--json")
    here.run("preview", "--markdown", "comment.md", "--sarif", "findings.sarif")
    killed = here.begin("up", "--yes")
    os.killpg(killed.pid, signal.SIGKILL)
    here.place.finish(killed)
    here.look_at_disk()
    here.run("resume", "--yes", "--force")

    here.change("third")
    here.endpoint.repeated |= here.writes
    here.run("up", "--yes", code=1, says="ValidationException")
    here.endpoint.repeated.clear()
    here.run("status", "--json")

    here.change("fourth")
    running = here.begin("up", "--yes")
    assert kill_children(running.pid)
    assert here.place.finish(running).code == 1
    here.look_at_disk()
    here.run("up", "--yes")
    first, *_, last = (each["digest"][:12] for each in here.run("releases", "--json").json)
    here.run("diff", first, last)
    here.run("diff", first, last, "--json")


def _change_by_hand(here: Planted) -> None:
    """Somebody gives the environment's own copies of the secret other values; a parameter's is put back."""
    for region in REGIONS:
        if here.store == "ssm":
            ssm = here.place.clients.get("ssm", region)
            pages = ssm.get_paginator("describe_parameters").paginate().search("Parameters[].Name")
            name = next(each for each in pages if "of-env" in each)
            ssm.put_parameter(Name=name, Value=planted("by hand"), Type="SecureString", Overwrite=True)
        else:
            vault = here.place.clients.get("secretsmanager", region)
            names = vault.get_paginator("list_secrets").paginate().search("SecretList[].Name")
            name = next(each for each in names if "of-env" in each)
            vault.put_secret_value(SecretId=name, SecretString=planted("by hand"))
    # The ordinary plugin reads the version of a secret that it wrote: a newer one is no drift to it, nor to ours.
    seen = 1 if here.store == "ssm" else 0
    here.run("drift", "--json", code=seen)
    here.run("drift", code=seen)
    here.run("preview", "--refresh")
    here.run("up", "--yes", "--refresh", "--despite-alarms")


def _migrate(here: Planted) -> None:
    """Data moves: not at first, as the worker may not write; then it does, is looked at again, and goes back."""
    iam = here.place.clients.get("iam", PRIMARY)
    roles = iam.get_paginator("list_roles").paginate().search("Roles[].RoleName")
    [role] = [name for name in roles if "worker" in name and TARGET in name]
    writes = ["ssm:PutParameter", "secretsmanager:CreateSecret", "secretsmanager:PutSecretValue"]
    deny = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": writes, "Resource": "*"}}
    iam.put_role_policy(RoleName=role, PolicyName="barred", PolicyDocument=json.dumps(deny))
    way = ("migrate", "--from", PRIMARY, "--to", TARGET, "--yes")
    here.run(*way, "--id", "barred", "--json", code=1)
    iam.delete_role_policy(RoleName=role, PolicyName="barred")
    here.run("migrate", "--from", PRIMARY, "--to", TARGET, "--plan-only", "--deep")
    here.run(*way, "--id", "whole")
    here.run("status", "whole", "--verify")
    here.run("rollback", "whole", "--yes", "--json")


def _look_at_aws(here: Planted, queues: dict[str, str]) -> None:
    """Everything that can be asked of the embedded AWS, but the values themselves."""
    clients, look = here.place.clients, here.search.look
    look("settings of resources", clients.get("iam", PRIMARY).get_account_authorization_details())
    for region in (*REGIONS, STATE_REGION):
        logs, steps = clients.get("logs", region), clients.get("stepfunctions", region)
        for group in logs.describe_log_groups()["logGroups"]:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
            for page in pages:
                look("logs", page["events"], group["logGroupName"])
        for machine in steps.list_state_machines()["stateMachines"]:
            arn = machine["stateMachineArn"]
            look("settings of resources", steps.describe_state_machine(stateMachineArn=arn))
            for execution in steps.list_executions(stateMachineArn=arn)["executions"]:
                look("executions", steps.describe_execution(executionArn=execution["executionArn"]))
                history = steps.get_paginator("get_execution_history")
                for page in history.paginate(executionArn=execution["executionArn"]):
                    look("executions", page["events"])
        for function in clients.get("lambda", region).list_functions()["Functions"]:
            look("settings of resources", function, function["FunctionName"])
        cloudwatch = clients.get("cloudwatch", region)
        look("settings of resources", cloudwatch.describe_alarms())
        for dashboard in cloudwatch.list_dashboards()["DashboardEntries"]:
            look("settings of resources", cloudwatch.get_dashboard(DashboardName=dashboard["DashboardName"]))
        for service, listing in (
            ("ssm", "describe_parameters"),
            ("secretsmanager", "list_secrets"),
            ("resourcegroupstaggingapi", "get_resources"),
        ):
            for page in clients.named(service, region).get_paginator(listing).paginate():
                look("settings of resources", page)
        sqs = clients.get("sqs", region)
        for url in sqs.list_queues().get("QueueUrls", []):
            while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                kind = "messages" if url in queues.values() else "dead letters"
                look(kind, found)
        _look_at_objects(here, region)


def _look_at_objects(here: Planted, region: str) -> None:
    """Every version of every object of the region's buckets, with its metadata; not of those that are carried."""
    s3 = here.place.clients.get("s3", region)
    for bucket in (each["Name"] for each in s3.list_buckets()["Buckets"]):
        if bucket.startswith("carried-") or region != (
            STATE_REGION if bucket == STATE_BUCKET else next(r for r in REGIONS if r in bucket)
        ):
            continue
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for each in page.get("Versions", []):
                got = s3.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
                here.search.look("objects", got["Body"].read(), f"{bucket}/{each['Key']}")
                here.search.look("objects", got["Metadata"], f"{bucket}/{each['Key']}")
