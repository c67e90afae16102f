"""The permissions boundary: wide enough for every role of the program, and no wider than these.

Asked with the embedded AWS's own reading of policies, and tried by a role that may do everything but for its boundary.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from itertools import product
from random import Random
from typing import Any

import pulumi
import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]
    EvalContext,
    evaluate,
    parse_policy_document,
)
from policy_reading import Found, statements
from recorder import Recorder, Run, config, record, release
from test_sizes_of_the_program import accepted, some_settings
from test_tables_of_the_program import SETTINGS

from regionshift.aws.clients import AccessKey, Clients
from regionshift.infrastructure.boundary import _Bounds, boundary_statements
from regionshift.infrastructure.policies.packing import length
from regionshift.infrastructure.policies.statement import document
from regionshift.infrastructure.program import ProviderSettings, environment
from regionshift.infrastructure.reach import Reach
from regionshift.infrastructure.site import default_tags
from regionshift.local.emulator import LocalCloud
from regionshift.settings import components as named
from regionshift.settings.config import MigrationConfig
from regionshift.settings.quotas import MANAGED_POLICY
from regionshift.settings.regions import REGIONS, partition_of

pytestmark = pytest.mark.component
STATE = "s3://regionshift-state-111122223333/shop?region=us-east-1"
BUCKET, DATA, ROLE, BOUNDARY = "boundary-state", "boundary-us-east-1", "boundary-role", "boundary"
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
OWN = "arn:aws:iam::111122223333:role/worker"
ACCOUNT = "123456789012"


# Names of others that begin or end like ours. Not those of other tests, which share the embedded AWS.
OTHERS = (
    {"project": "rim", "environment": "pre-dev"},
    {"project": "rim", "environment": "dev-2"},
    {"project": "rim-worker", "environment": "dev"},
)
BOUNDED = config(
    project="rim",
    account=ACCOUNT,
    state=f"s3://{BUCKET}/shop",
    carry={
        "s3": [{"bucket": "boundary-{region}", "prefix": "uploads/"}],
        "ssm": [{"path": "/boundary"}],
        "secrets": [{"name": "boundary/"}],
    },
)


class RealArns(Recorder):
    """ARNs as AWS makes them, with region and account in them."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        identity, outputs = super().new_resource(args)
        region = next(
            (each for all_of in REGIONS.values() for each in all_of if args.name.endswith(each)), ""
        )
        form = FORMS.get(args.typ)
        if form and region:
            where = {"partition": partition_of(region), "region": region, "name": outputs["name"]}
            outputs["arn"] = form.format(**where)
        return identity, outputs


_HERE, OWN_KEY = "{region}:111122223333", "key/0-0"
FORMS: Mapping[str, str] = {
    "aws:kms/key:Key": f"arn:{{partition}}:kms:{_HERE}:{OWN_KEY}",
    "aws:s3/bucket:Bucket": "arn:{partition}:s3:::{name}",
    "aws:sns/topic:Topic": f"arn:{{partition}}:sns:{_HERE}:{{name}}",
    "aws:sqs/queue:Queue": f"arn:{{partition}}:sqs:{_HERE}:{{name}}",
    "aws:ssm/parameter:Parameter": f"arn:{{partition}}:ssm:{_HERE}:parameter{{name}}",
    "aws:secretsmanager/secret:Secret": f"arn:{{partition}}:secretsmanager:{_HERE}:secret:{{name}}-AbCdEf",
    "aws:lambda/function:Function": f"arn:{{partition}}:lambda:{_HERE}:function:{{name}}",
    "aws:cloudwatch/logGroup:LogGroup": f"arn:{{partition}}:logs:{_HERE}:log-group:{{name}}",
    "aws:ec2/subnet:Subnet": f"arn:{{partition}}:ec2:{_HERE}:subnet/subnet-0",
    "aws:ec2/securityGroup:SecurityGroup": f"arn:{{partition}}:ec2:{_HERE}:security-group/sg-0",
    "aws:iam/policy:Policy": "arn:{partition}:iam::111122223333:policy/{name}",
}
OF_ROLES = ("aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy")


def program(settings: MigrationConfig, regions: tuple[str, ...] = ()) -> Run:
    zones = {region: tuple(f"{region}{zone}" for zone in "abcdef") for region in settings.all_regions}
    made = release(settings, zones=zones)
    releases = dict.fromkeys(regions, made) or dict.fromkeys(settings.all_regions, made)
    links = None if regions else made
    return record(
        lambda: environment(releases, provider_settings=ProviderSettings(), links=links), RealArns()
    )


def of_roles(run: Run) -> Iterator[Found]:
    """What the program's roles are allowed; signs that stand for themselves are others, for the evaluator's sake."""
    for found in statements(run):
        if found.type in OF_ROLES and found.statement["Effect"] == "Allow":
            plain = re.sub(r"\$\{[*?$]\}", "-", json.dumps(found.statement))
            yield replace(found, statement=json.loads(plain))


def concrete(pattern: str) -> str:
    """Something that a pattern of a policy matches."""
    return re.sub("[*?]", "x", pattern)


def requests(found: Found, tags: Mapping[str, str]) -> Iterator[EvalContext]:
    """Requests that a statement allows: each action on each resource, with every value of its conditions in turn.

    Args:
        tags: what a key of the program has.
    """
    conditions = [
        (operator, key.lower(), values if isinstance(values, list) else [values])
        for operator, keys in found.statement.get("Condition", {}).items()
        for key, values in keys.items()
        if operator != "Null"
    ]
    turns = max((len(values) for _, _, values in conditions), default=1)
    for action, resource, turn in product(found.actions, found.resources, range(turns)):
        seen = {
            key: [concrete(values[turn % len(values)])]
            if operator.startswith("ForAnyValue")
            else concrete(values[turn % len(values)])
            for operator, key, values in conditions
        }
        # The evaluator takes the caller's account for that of a bucket, whose ARN names none.
        account = seen.pop("aws:resourceaccount", "111122223333")
        place = resource.split(":")[3] if resource != "*" else ""
        region = seen.pop("aws:requestedregion", place.replace("*", "x"))
        if place and not fnmatchcase(region, place):
            continue  # a request about something is made in its region
        about = resource.replace(place, region) if "?" in place else resource
        if about.endswith(OWN_KEY):
            seen |= {f"aws:resourcetag/{name.lower()}": value for name, value in tags.items()}
        yield EvalContext(OWN, "AssumedRole", account, action, concrete(about), region, service_context=seen)


def refused(settings: MigrationConfig, run: Run) -> list[tuple[str, str, str]]:
    """What a role of the program may do, and its boundary stops."""
    bounds, tags = document(boundary_statements(settings)), default_tags(settings, settings.regions.primary)

    @cache
    def boundary(region: str) -> list[Any]:
        told = bounds.replace("${aws:RequestedRegion}", region)
        return [parse_policy_document(re.sub(r"\$\{[*?$]\}", "-", told))]

    wrong = []
    for found in of_roles(run):
        own = [parse_policy_document({"Statement": found.statement})]
        for asked in requests(found, tags):
            assert evaluate(asked, own).decision == "Allow", (found, asked)
            if evaluate(asked, own, boundary(asked.region)).decision != "Allow":
                wrong.append((found.name, asked.action, asked.resource_arn))
    return wrong


def in_secrets_manager() -> MigrationConfig:
    more = [{"bucket": f"media-{n}-{{region}}"} for n in range(20)]
    carry = {**SETTINGS["carry"], "s3": [*SETTINGS["carry"]["s3"], *more]}
    return config(**{**SETTINGS, "carry": carry}, application={"store": "secretsmanager"}, state=STATE)


BOTH = {"ssm": config(**SETTINGS, state=STATE), "secretsmanager": in_secrets_manager()}


@cache
def program_of(store: str) -> Run:
    return program(BOTH[store])


@pytest.mark.parametrize("store", BOTH)
def test_no_role_is_stopped_by_it_in_what_it_may_do(store: str) -> None:
    assert refused(BOTH[store], program_of(store)) == []


@pytest.mark.parametrize("regions", REGIONS.values(), ids=REGIONS)
def test_so_it_is_in_every_partition(regions: tuple[str, ...]) -> None:
    primary, *secondaries = regions[:2]
    place = {"primary": primary, "secondaries": secondaries}
    settings = config(**{**SETTINGS, "regions": place})
    assert refused(settings, program(settings, (primary,))) == []


def require_wide_enough(seed: int) -> None:
    settings = accepted({**some_settings(Random(seed)), "account": "111122223333"})
    if settings is not None:
        region = settings.all_regions[seed % len(settings.all_regions)]
        assert refused(settings, program(settings, (region,))) == []
        assert length(boundary_statements(settings)) <= MANAGED_POLICY.most


@given(st.integers(0, 2**32))
@trying(max_examples=4, deadline=None)
def test_it_is_wide_enough_for_whatever_settings_are_accepted(seed: int) -> None:
    require_wide_enough(seed)


@pytest.mark.thorough  # more of the same
@given(st.integers(0, 2**32))
@trying(max_examples=100, deadline=None)
def test_so_it_is_with_many_more(seed: int) -> None:
    require_wide_enough(seed)


def in_regions(length_of_project: int, regions: list[str], **changes: Any) -> MigrationConfig:
    place = {"primary": regions[0], "secondaries": regions[1:]}
    return config(project="orders" + "p" * (length_of_project - 6), regions=place, **changes)


def fits(name: str, patterns: list[str], region: str) -> bool:
    told = (pattern.replace("${aws:RequestedRegion}", region) for pattern in patterns)
    return any(fnmatchcase(name, pattern) for pattern in told)


some_project = st.integers(6, 128)
some_regions = st.lists(st.sampled_from(REGIONS["aws"]), min_size=1, max_size=8, unique=True)


@pytest.mark.parametrize("narrow", [3, 2, 1, 0])
@pytest.mark.parametrize("carry", [{"ssm": [{"path": "/a"}]}, {"s3": [{"prefix": "a/"}]}], ids=["ssm", "s3"])
@given(some_project, some_regions)
@example(6, ["eu-west-1", "eu-central-1"])
@trying(max_examples=30, deadline=None)
def test_it_names_every_deployment_bucket(narrow: int, carry: Any, project: int, regions: list[str]) -> None:
    settings = in_regions(project, regions, carry=carry)
    objects = next(each for each in _Bounds(settings, narrow).statements() if each["Sid"] == "Objects")
    for region in regions:
        bucket = f"arn:aws:s3:::{named.DEPLOYMENT_BUCKET.name(settings.names, region)}"
        assert fits(bucket, objects["Resource"], region)
        assert fits(f"{bucket}/a/b", objects["Resource"], region)


def test_a_long_carry_leaves_out_no_deployment_bucket() -> None:
    entries = [{"path": f"/{n:02}/{'a' * 120}"} for n in range(25)]
    settings = in_regions(6, ["eu-west-1", "eu-central-1"], carry={"ssm": entries})
    objects = next(each for each in boundary_statements(settings) if each["Sid"] == "Objects")
    for region in settings.all_regions:
        bucket = named.DEPLOYMENT_BUCKET.name(settings.names, region)
        assert fits(f"arn:aws:s3:::{bucket}", objects["Resource"], region)


@given(some_project, some_regions, st.booleans(), st.sampled_from([None, True, False]), st.booleans())
@trying(max_examples=100, deadline=None)
def test_every_name_of_an_environment_is_within_its_reach(
    project: int, regions: list[str], by_form: bool, together: bool | None, asked: bool
) -> None:
    settings = in_regions(project, regions)
    reach = Reach(settings, by_form, together=together, asked=asked)
    for component, region in product(named.COMPONENTS, regions):
        name = component.name(settings.names, region)
        assert fits(name, reach.names(component), region), (component, name)


BY_KIND: Mapping[str, Mapping[str, Any]] = {
    "s3": {"s3": [{"bucket": "media-{region}"}]},
    "ssm": {"ssm": [{"path": "/a"}]},
    "secretsmanager": {"secrets": [{"name": "a/"}]},
}


@pytest.mark.parametrize("narrow", [3, 0])
@pytest.mark.parametrize("service", BY_KIND)
def test_keys_of_others_are_used_through_the_services_of_what_is_carried(service: str, narrow: int) -> None:
    settings = config(carry=BY_KIND[service])
    used = [
        through
        for each in _Bounds(settings, narrow).statements()
        if each["Sid"] in {"ReadWithKeys", "CarriedKeys"}
        for through in each["Condition"]["StringLike"]["kms:ViaService"]
    ]
    assert used == [f"{service}.*.amazonaws.com"]
    assert refused(settings, program(settings)) == []


@pytest.mark.parametrize("narrow", [3, 0])
def test_nothing_carried_asks_for_no_key_of_others(narrow: int) -> None:
    keys = [
        each
        for each in _Bounds(config(), narrow).statements()
        if each["Effect"] == "Allow" and any(action.startswith("kms:") for action in each["Action"])
    ]
    assert keys
    assert all("aws:ResourceTag/Project" in each["Condition"]["StringEquals"] for each in keys)
    assert refused(config(), program(config())) == []


def test_it_has_no_action_that_no_role_needs() -> None:
    needed = {action for store in BOTH for found in of_roles(program_of(store)) for action in found.actions}
    allowed = {
        action
        for statement in boundary_statements(BOTH["ssm"])
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }
    assert allowed == needed


def test_thirty_regions_and_accounts_make_it_no_longer_than_aws_takes() -> None:
    every = REGIONS["aws"][:30]
    buckets = [
        {"bucket": f"from-{n}", "target_bucket": f"to-{n}-{{region}}", "source_account": f"{n:012}"}
        for n in range(1, 31)
    ]
    settings = config(
        project="p" * 128,
        regions={"primary": every[0], "secondaries": every[1:]},
        carry={"s3": buckets},
        state=STATE,
    )
    assert length(boundary_statements(settings)) <= MANAGED_POLICY.most


Ask = Callable[[Clients, "Things"], object]


@dataclass(frozen=True)
class Things:
    """What is asked about."""

    account: str
    key: str


def _iam(clients: Clients) -> Any:
    return clients.get("iam", "us-east-1")


def _s3(clients: Clients) -> Any:
    return clients.get("s3", "us-east-1")


DANGEROUS: Mapping[str, Ask] = {
    "make a user": lambda c, _: _iam(c).create_user(UserName="mallory"),
    "give itself rights": lambda c, _: _iam(c).put_role_policy(
        RoleName=ROLE, PolicyName="all", PolicyDocument="{}"
    ),
    "lose its boundary": lambda c, _: _iam(c).delete_role_permissions_boundary(RoleName=ROLE),
    "widen its boundary": lambda c, t: _iam(c).create_policy_version(
        PolicyArn=f"arn:aws:iam::{t.account}:policy/{BOUNDARY}", PolicyDocument="{}", SetAsDefault=True
    ),
    "become another role": lambda c, t: c.get("sts", "us-east-1").assume_role(
        RoleArn=f"arn:aws:iam::{t.account}:role/{ROLE}", RoleSessionName="again"
    ),
    "read the state": lambda c, _: _s3(c).get_object(Bucket=BUCKET, Key="journal/a"),
    "write the state": lambda c, _: _s3(c).put_object(Bucket=BUCKET, Key="journal/a", Body=b""),
    "delete a bucket": lambda c, _: _s3(c).delete_bucket(Bucket=DATA),
    "open a bucket": lambda c, _: _s3(c).put_bucket_policy(Bucket=DATA, Policy="{}"),
    "delete a key": lambda c, t: c.get("kms", "us-east-1").schedule_key_deletion(KeyId=t.key),
    "use a key past a service": lambda c, t: c.get("kms", "us-east-1").generate_data_key(
        KeyId=t.key, KeySpec="AES_256"
    ),
    "change a function": lambda c, _: c.get("lambda", "us-east-1").update_function_configuration(
        FunctionName="rim-x", MemorySize=128
    ),
    "call another project's function": lambda c, _: c.get("lambda", "us-east-1").invoke(
        FunctionName="others-x"
    ),
    "read what is not carried": lambda c, _: _s3(c).get_object(Bucket=DATA, Key="private/a"),
    "publish elsewhere": lambda c, t: c.get("sns", "us-east-1").publish(
        TopicArn=f"arn:aws:sns:us-east-1:{t.account}:others", Message="x"
    ),
    "count elsewhere": lambda c, _: c.get("cloudwatch", "us-east-1").put_metric_data(
        Namespace="Other", MetricData=[{"MetricName": "A", "Value": 1}]
    ),
    "start machines": lambda c, _: c.get("ec2", "us-east-1").run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1
    ),
}


@pytest.fixture(scope="module")
def bounded(cloud: LocalCloud, clients: Clients) -> Clients:
    """A role that may do everything, within the boundary of the settings' account."""
    iam = clients.get("iam", "us-east-1")
    settings = BOUNDED
    clients.get("s3", "us-east-1").create_bucket(Bucket=BUCKET)
    clients.get("s3", "us-east-1").put_object(Bucket=BUCKET, Key="journal/a", Body=b"{}")
    clients.get("s3", "us-east-1").create_bucket(Bucket=DATA)
    boundary = iam.create_policy(PolicyName=BOUNDARY, PolicyDocument=document(boundary_statements(settings)))[
        "Policy"
    ]["Arn"]
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{cloud.account}:root"},
        "Action": "sts:AssumeRole",
    }
    role = iam.create_role(
        RoleName=ROLE, AssumeRolePolicyDocument=document([trust]), PermissionsBoundary=boundary
    )["Role"]["Arn"]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.put_role_policy(RoleName=ROLE, PolicyName="everything", PolicyDocument=document([everything]))
    given = clients.get("sts", "us-east-1").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    key = AccessKey(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)


@pytest.fixture(scope="module")
def things(cloud: LocalCloud, clients: Clients) -> Things:
    return Things(cloud.account, clients.get("kms", "us-east-1").create_key()["KeyMetadata"]["Arn"])


@pytest.mark.parametrize("ask", DANGEROUS.values(), ids=list(DANGEROUS))
def test_it_stops_a_role_that_may_do_everything(bounded: Clients, things: Things, ask: Ask) -> None:
    with pytest.raises(ClientError) as stopped:
        ask(bounded, things)
    assert stopped.value.response["Error"]["Code"] in DENIED


def test_what_roles_are_for_goes_on(bounded: Clients) -> None:
    s3 = _s3(bounded)
    s3.put_object(Bucket=DATA, Key="uploads/a", Body=b"x")
    assert s3.get_object(Bucket=DATA, Key="uploads/a")["Body"].read() == b"x"
    ssm = bounded.get("ssm", "eu-west-1")
    ssm.put_parameter(Name="/boundary/a", Value="x", Type="String")
    assert ssm.get_parameter(Name="/boundary/a")["Parameter"]["Value"] == "x"
    secrets = bounded.get("secretsmanager", "eu-west-1")
    secrets.create_secret(Name="boundary/a", SecretString="x")
    assert secrets.get_secret_value(SecretId="boundary/a")["SecretString"] == "x"


@dataclass(frozen=True)
class Environment:
    """What one has in a region: its settings, the key of its records and its machine."""

    settings: MigrationConfig
    key: str
    machine: str

    def name(self, component: named.Component) -> str:
        return component.name(self.settings.names, "us-east-1")

    def arn(self, service: str, component: named.Component) -> str:
        return f"arn:aws:{service}:us-east-1:{ACCOUNT}:{self.name(component)}"


def stands(settings: MigrationConfig, clients: Clients) -> Environment:
    get: Callable[[Any], Any] = lambda service: clients.get(service, "us-east-1")  # noqa: E731
    tags = [{"Key": key, "Value": value} for key, value in default_tags(settings, "us-east-1").items()]
    named_tags = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in tags]
    key = get("kms").create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC", Tags=named_tags)
    definition = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Succeed"}}})
    machine = named.STATE_MACHINE.name(settings.names, "us-east-1")
    role = f"arn:aws:iam::{ACCOUNT}:role/{machine}"
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    get("iam").create_role(RoleName=machine, AssumeRolePolicyDocument=document([trust]))
    made = get("stepfunctions").create_state_machine(name=machine, definition=definition, roleArn=role)
    found = Environment(settings, key["KeyMetadata"]["Arn"], made["stateMachineArn"])
    get("s3").create_bucket(Bucket=found.name(named.DEPLOYMENT_BUCKET))
    get("s3").put_object(Bucket=found.name(named.DEPLOYMENT_BUCKET), Key="a", Body=b"x")
    get("ssm").put_parameter(
        Name=found.name(named.DEPLOYMENT_CONFIG_PARAMETER), Value="x", Type="String", Tags=tags
    )
    get("secretsmanager").create_secret(
        Name=found.name(named.DEPLOYMENT_CONFIG_SECRET), SecretString="x", Tags=tags
    )
    get("sns").create_topic(Name=found.name(named.DEPLOYMENT_TOPIC), Tags=tags)
    group = found.name(named.DEPLOYMENT_LOG_GROUP)
    get("logs").create_log_group(logGroupName=group)
    return found


@pytest.fixture(scope="module")
def own(clients: Clients) -> Environment:
    return stands(BOUNDED, clients)


@pytest.fixture(scope="module", params=OTHERS, ids=lambda changes: "-".join(changes.values()))
def other(clients: Clients, request: pytest.FixtureRequest) -> Environment:
    return stands(config(account=ACCOUNT, **request.param), clients)


# What a role does with its environment, and never with another's.
USES: Mapping[str, Callable[[Clients, Environment], object]] = {
    "read its bucket": lambda c, e: _s3(c).get_object(Bucket=e.name(named.DEPLOYMENT_BUCKET), Key="a"),
    "list its bucket": lambda c, e: _s3(c).list_objects_v2(Bucket=e.name(named.DEPLOYMENT_BUCKET)),
    "write its bucket": lambda c, e: _s3(c).put_object(
        Bucket=e.name(named.DEPLOYMENT_BUCKET), Key="b", Body=b""
    ),
    "read its parameter": lambda c, e: c.get("ssm", "us-east-1").get_parameter(
        Name=e.name(named.DEPLOYMENT_CONFIG_PARAMETER)
    ),
    "read its secret": lambda c, e: c.get("secretsmanager", "us-east-1").get_secret_value(
        SecretId=e.name(named.DEPLOYMENT_CONFIG_SECRET)
    ),
    "see its key": lambda c, e: c.get("kms", "us-east-1").describe_key(KeyId=e.key),
    "seal its records": lambda c, e: c.get("kms", "us-east-1").generate_mac(
        KeyId=e.key, Message=b"x", MacAlgorithm="HMAC_SHA_256"
    ),
    "publish to its topic": lambda c, e: c.get("sns", "us-east-1").publish(
        TopicArn=e.arn("sns", named.DEPLOYMENT_TOPIC), Message="x"
    ),
    "start its machine": lambda c, e: c.get("stepfunctions", "us-east-1").start_execution(
        stateMachineArn=e.machine
    ),
    "write its log": lambda c, e: c.get("logs", "us-east-1").create_log_stream(
        logGroupName=e.name(named.DEPLOYMENT_LOG_GROUP), logStreamName=uuid.uuid4().hex
    ),
}


@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_it_lets_a_role_use_its_own_environment(bounded: Clients, own: Environment, use: Any) -> None:
    use(bounded, own)


@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_it_keeps_a_role_that_may_do_everything_out_of_others(
    bounded: Clients, other: Environment, use: Any
) -> None:
    with pytest.raises(ClientError) as stopped:
        use(bounded, other)
    assert stopped.value.response["Error"]["Code"] in DENIED


@pytest.mark.parametrize("boundary", [None, "arn:aws:iam::111122223333:policy/boundary"])
def test_every_role_of_the_program_has_the_boundary_of_the_settings(boundary: str | None) -> None:
    run = program(config(access={"boundary": boundary}))
    roles = [one.inputs.get("permissionsBoundary") for one in run.of("iam/role:Role")]
    assert len(roles) == 13  # four a region, and replication's
    assert set(roles) == {boundary}
