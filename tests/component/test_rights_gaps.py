"""The embedded AWS asks what AWS asks beside a request's own action; whether it still needs our help for it."""

from __future__ import annotations

import inspect
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.local.emulator import LocalCloud

REGION = "eu-west-1"
Statement = dict[str, Any]


def document(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, resource: str = "*", **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


@dataclass(frozen=True)
class World:
    """The administrator's clients, and users who may do what a policy says."""

    cloud: LocalCloud
    clients: Clients
    made: Callable[..., Clients]

    def of(self, service: str) -> Any:
        return self.clients.get(service, REGION)  # type: ignore[call-overload]

    def user(self, *statements: Statement) -> Callable[[str], Any]:
        """Clients of a new user."""
        theirs = self.made(*statements)
        return lambda service: theirs.get(service, REGION)  # type: ignore[call-overload]

    def role(self, service: str, *statements: Statement) -> str:
        iam, name = self.of("iam"), f"role-{uuid.uuid4().hex[:8]}"
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
        return str(made)

    def key(self, *statements: Statement) -> str:
        """A key of our own, which IAM of the account admits to, and whom the statements say."""
        root = {"AWS": f"arn:aws:iam::{self.cloud.account}:root"}
        policy = document(allow("kms:*", Principal=root), *statements)
        return str(self.of("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"])


@pytest.fixture(scope="module")
def world(cloud: LocalCloud, clients: Clients, user: Callable[..., Clients]) -> World:
    return World(cloud, clients, user)


def machine(states: Any, role: str, definition: Any = None) -> Any:
    definition = definition or {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}
    name = f"m-{uuid.uuid4().hex[:8]}"
    return states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)


def replicate(world: World, s3: Any, role: str) -> None:
    bucket = f"b-{uuid.uuid4().hex[:8]}"
    other = f"{bucket}-other"
    admin = world.of("s3")
    for each in (bucket, other):
        admin.create_bucket(Bucket=each, CreateBucketConfiguration={"LocationConstraint": REGION})
        admin.put_bucket_versioning(Bucket=each, VersioningConfiguration={"Status": "Enabled"})
    rule = {"Status": "Enabled", "Prefix": "", "Destination": {"Bucket": f"arn:aws:s3:::{other}"}}
    s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration={"Role": role, "Rules": [rule]})


PASSING: dict[str, tuple[str, str, Callable[[World, Any, str], Any]]] = {
    "states": ("stepfunctions", "states.amazonaws.com", lambda _, client, role: machine(client, role)),
    "lambda": (
        "lambda",
        "lambda.amazonaws.com",
        lambda _, client, role: client.create_function(
            FunctionName=f"f-{uuid.uuid4().hex[:8]}",
            Runtime="python3.12",
            Role=role,
            Handler="a.b",
            Code={"ZipFile": b"PK\x05\x06" + b"\0" * 18},
        ),
    ),
    "s3": ("s3", "s3.amazonaws.com", replicate),
}


@pytest.mark.parametrize("service", PASSING)
def test_a_role_is_passed_by_whoever_may_and_for_that_service(world: World, service: str) -> None:
    client, principal, make = PASSING[service]
    role = world.role(principal)
    everything = allow(f"{service}:*")
    with pytest.raises(ClientError, match=r"AccessDenied.*iam:PassRole"):
        make(world, world.user(everything)(client), role)
    for condition, may in ((principal, True), ("ec2.amazonaws.com", False)):
        only = {"StringEquals": {"iam:PassedToService": condition}}
        passing = allow("iam:PassRole", resource=role, Condition=only)
        theirs = world.user(everything, passing)(client)
        if may:
            make(world, theirs, role)
        else:
            with pytest.raises(ClientError, match=r"AccessDenied.*iam:PassRole"):
                make(world, theirs, role)


@pytest.mark.parametrize(
    ("service", "problem"),
    [
        ("lambda", "InvalidParameterValueException.*cannot be assumed by Lambda"),
        ("states", "AccessDeniedException.*authorized to assume"),
    ],
)
def test_a_role_that_does_not_trust_the_service_is_refused(world: World, service: str, problem: str) -> None:
    client, principal, make = PASSING[service]
    with pytest.raises(ClientError, match=problem):
        make(world, world.of(client), world.role("ec2.amazonaws.com"))
    make(world, world.of(client), world.role(principal.replace(".", f".{REGION}.", 1)))


MADE_FOR = {
    "CreateNetworkInterface on EC2": (
        {"VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}},
        allow("ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"),
    ),
    "SendMessage on SQS": (
        {"DeadLetterConfig": {"TargetArn": f"arn:aws:sqs:{REGION}:123456789012:q"}},
        allow("sqs:SendMessage", resource=f"arn:aws:sqs:{REGION}:123456789012:q"),
    ),
    "PutTraceSegments on XRAY": ({"TracingConfig": {"Mode": "Active"}}, allow("xray:*")),
}


@pytest.mark.parametrize("words", MADE_FOR)
def test_the_role_of_a_function_may_do_what_lambda_does_with_it(world: World, words: str) -> None:
    configuration, right = MADE_FOR[words]
    role = world.role("lambda.amazonaws.com", right)
    PASSING["lambda"][2](world, world.of("lambda"), role)

    def make(role: str) -> None:
        world.of("lambda").create_function(
            FunctionName=f"f-{uuid.uuid4().hex[:8]}",
            Runtime="python3.12",
            Role=role,
            Handler="a.b",
            Code={"ZipFile": b"PK\x05\x06" + b"\0" * 18},
            **configuration,
        )

    with pytest.raises(ClientError, match=f"InvalidParameterValueException.*permissions to call {words}"):
        make(world.role("lambda.amazonaws.com", allow("s3:*")))
    make(role)


def test_interfaces_are_taken_away_by_a_right_to_any_id(world: World) -> None:
    functions, place = world.of("lambda"), f"arn:aws:ec2:{REGION}:{world.cloud.account}"
    create = allow("ec2:CreateNetworkInterface")

    def make(delete: str) -> None:
        role = world.role(
            "lambda.amazonaws.com", create, allow("ec2:DeleteNetworkInterface", resource=delete)
        )
        functions.create_function(
            FunctionName=f"f-{uuid.uuid4().hex[:8]}",
            Runtime="python3.12",
            Role=role,
            Handler="a.b",
            Code={"ZipFile": b"PK\x05\x06" + b"\0" * 18},
            **MADE_FOR["CreateNetworkInterface on EC2"][0],
        )

    with pytest.raises(ClientError, match="permissions to call DeleteNetworkInterface on EC2"):
        make(f"{place}:network-interface/*")
    make(f"{place}:*/*")


def test_the_role_of_a_machine_with_a_log_may_deliver_it(world: World) -> None:
    group = f"arn:aws:logs:{REGION}:{world.cloud.account}:log-group:/g:*"
    log = {"level": "ERROR", "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}]}

    def make(*statements: Statement) -> None:
        world.of("stepfunctions").create_state_machine(
            name=f"m-{uuid.uuid4().hex[:8]}",
            definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}',
            roleArn=world.role("states.amazonaws.com", *statements),
            loggingConfiguration=log,
        )

    with pytest.raises(ClientError, match=r"AccessDeniedException.*Log Destination"):
        make(allow("logs:CreateLogDelivery"))
    make(allow("logs:*"))


@dataclass(frozen=True)
class Use:
    """How a service uses a key: what the caller needs of it, and with which encryption context."""

    actions: tuple[str, ...]
    context: str
    make: Callable[[Any, str, str], Any]
    use: Callable[[Any, str], Any]


def queue_url(client: Any, name: str) -> str:
    return str(client.get_queue_url(QueueName=name)["QueueUrl"])


USES: dict[str, Use] = {
    "ssm": Use(
        ("kms:Decrypt",),
        "PARAMETER_ARN",
        lambda client, name, key: client.put_parameter(
            Name=f"/{name}", Value="x", Type="SecureString", KeyId=key
        ),
        lambda client, name: client.get_parameter(Name=f"/{name}:1", WithDecryption=True),
    ),
    "secretsmanager": Use(
        ("kms:GenerateDataKey", "kms:Decrypt"),
        "SecretARN",
        lambda client, name, key: client.create_secret(Name=name, SecretString="x", KmsKeyId=key),
        lambda client, name: client.put_secret_value(SecretId=name, SecretString="y"),
    ),
    "sns": Use(
        ("kms:GenerateDataKey", "kms:Decrypt"),
        "aws:sns:topicArn",
        lambda client, name, key: client.create_topic(Name=name, Attributes={"KmsMasterKeyId": key}),
        lambda client, name: client.publish(TopicArn=client.create_topic(Name=name)["TopicArn"], Message="x"),
    ),
    "sqs": Use(
        ("kms:GenerateDataKey", "kms:Decrypt"),
        "aws:sqs:arn",
        lambda client, name, key: client.create_queue(QueueName=name, Attributes={"KmsMasterKeyId": key}),
        lambda client, name: client.send_message(QueueUrl=queue_url(client, name), MessageBody="x"),
    ),
}


@pytest.mark.parametrize("service", USES)
def test_a_key_behind_a_service_is_used_as_the_caller(world: World, service: str) -> None:
    use, name, key = USES[service], f"n-{uuid.uuid4().hex[:8]}", world.key()
    use.make(world.of(service), name, key)
    everything = allow(f"{service}:*")
    through = {
        "StringEquals": {"kms:ViaService": f"{service}.{REGION}.amazonaws.com"},
        "StringLike": {f"kms:EncryptionContext:{use.context}": f"*{name}*"},
    }
    use.use(world.user(everything, allow(*use.actions, resource=key, Condition=through))(service), name)
    for left_out in use.actions:
        rest = [action for action in use.actions if action != left_out] or ["kms:ListKeys"]
        with pytest.raises(ClientError, match=f"(AccessDenied|AuthorizationError).*{left_out}"):
            use.use(world.user(everything, allow(*rest, resource=key))(service), name)
    elsewhere = {"StringEquals": {"kms:ViaService": f"{service}.eu-north-1.amazonaws.com"}}
    with pytest.raises(ClientError, match="kms:"):
        use.use(world.user(everything, allow(*use.actions, resource=key, Condition=elsewhere))(service), name)


def test_values_under_a_key_need_it_to_be_written_and_read(world: World) -> None:
    name, key = f"n-{uuid.uuid4().hex[:8]}", world.key()
    theirs = world.user(allow("ssm:*", "secretsmanager:*"))
    for tier, action in (("Standard", "kms:Encrypt"), ("Advanced", "kms:GenerateDataKey")):
        given: dict[str, Any] = {"Name": f"/{name}", "Value": "x", "Tier": tier, "KeyId": key}
        with pytest.raises(ClientError, match=action):
            theirs("ssm").put_parameter(**given, Type="SecureString")
        theirs("ssm").put_parameter(**{**given, "Name": f"/plain/{tier}{name}"}, Type="String")
    USES["ssm"].make(world.of("ssm"), name, key)
    theirs("ssm").get_parameter(Name=f"/{name}")
    with pytest.raises(ClientError, match="kms:Decrypt"):
        theirs("ssm").get_parameters(Names=[f"/{name}"], WithDecryption=True)
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        theirs("secretsmanager").create_secret(Name=name, SecretString="x", KmsKeyId=key)
    theirs("secretsmanager").create_secret(Name=name, KmsKeyId=key)
    world.of("secretsmanager").put_secret_value(SecretId=name, SecretString="x")
    with pytest.raises(ClientError, match="kms:Decrypt"):
        theirs("secretsmanager").get_secret_value(SecretId=name)


def test_parameters_beside_those_that_are_listed_are_not_asked_about(world: World) -> None:
    path, ssm = f"/{uuid.uuid4().hex[:8]}", world.of("ssm")
    ssm.put_parameter(Name=f"{path}/a", Value="x", Type="String")
    for beside in (f"{path}-beside/a", f"{path}/below/a"):
        ssm.put_parameter(Name=beside, Value="x", Type="SecureString", KeyId=world.key())
    pages = world.user(allow("ssm:*"))("ssm").get_paginator("get_parameters_by_path")
    found = pages.paginate(Path=path, WithDecryption=True).search("Parameters[].Name")
    assert [*found] == [f"{path}/a"]
    with pytest.raises(ClientError, match="kms:Decrypt"):
        [*pages.paginate(Path=path, WithDecryption=True, Recursive=True)]


def test_a_log_group_takes_a_key_that_logs_may_use_for_it(world: World) -> None:
    logs, name = world.of("logs"), f"/gap/{uuid.uuid4().hex}"
    arn = f"arn:aws:logs:{REGION}:{world.cloud.account}:log-group:{name}"
    for_it = allow(
        *("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"),
        Principal={"Service": f"logs.{REGION}.amazonaws.com"},
        Condition={"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": arn}},
    )
    with pytest.raises(ClientError, match=r"AccessDeniedException.*not allowed to be used"):
        logs.create_log_group(logGroupName=name, kmsKeyId=world.key())
    key = world.key(for_it)
    with pytest.raises(ClientError, match=r"AccessDeniedException.*not allowed to be used"):
        logs.create_log_group(logGroupName=f"{name}-other", kmsKeyId=key)
    logs.create_log_group(logGroupName=name, kmsKeyId=key)


def test_an_alarm_tells_a_topic_whose_key_cloudwatch_may_use(world: World) -> None:
    sns, sqs, cloudwatch = world.of("sns"), world.of("sqs"), world.of("cloudwatch")
    run = uuid.uuid4().hex[:8]
    may = allow(
        *("kms:Decrypt", "kms:GenerateDataKey"),
        Principal={"Service": "cloudwatch.amazonaws.com"},
        Condition={"StringEquals": {"aws:SourceAccount": world.cloud.account}},
    )
    queue = sqs.create_queue(QueueName=f"q-{run}")["QueueUrl"]
    anybody = allow("sqs:SendMessage", Principal="*")
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": document(anybody)})
    topics = []
    for number, key in enumerate((world.key(), world.key(may))):
        topic = sns.create_topic(Name=f"t-{run}-{number}", Attributes={"KmsMasterKeyId": key})["TopicArn"]
        arn = f"arn:aws:sqs:{REGION}:{world.cloud.account}:q-{run}"
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        topics.append(topic)
    cloudwatch.put_metric_alarm(
        AlarmName=f"a-{run}",
        Namespace=run,
        MetricName="m",
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=topics,
    )
    cloudwatch.set_alarm_state(AlarmName=f"a-{run}", StateValue="ALARM", StateReason="r")
    received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(each["Body"])["TopicArn"] for each in received] == topics[1:]


MAP = {
    "StartAt": "Map",
    "States": {
        "Map": {
            "Type": "Map",
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSONL"},
                "Parameters": {"Bucket.$": "$.bucket", "Key": "items"},
            },
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "One",
                "States": {"One": {"Type": "Succeed"}},
            },
            "ResultWriter": {
                "Resource": "arn:aws:states:::s3:putObject",
                "Parameters": {"Bucket.$": "$.bucket", "Prefix": "map"},
            },
            "End": True,
        }
    },
}
CALL = {
    "StartAt": "Call",
    "States": {
        "Call": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "none", "Payload": {}},
            "End": True,
        }
    },
}


def ended(world: World, definition: Any, bucket: str, *statements: Statement) -> dict[str, Any]:
    """How an execution ends whose machine's role may do that."""
    states = world.of("stepfunctions")
    role = world.role("states.amazonaws.com", *statements)
    made = machine(states, role, definition)["stateMachineArn"]
    arn = states.start_execution(stateMachineArn=made, input=json.dumps({"bucket": bucket}))["executionArn"]
    while (found := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
        time.sleep(0.02)
    return dict(found)


@pytest.mark.parametrize("of_bucket", [True, False])
def test_an_execution_does_what_its_role_may(world: World, of_bucket: bool) -> None:
    bucket, key = f"b-{uuid.uuid4().hex[:8]}", world.key()
    s3 = world.of("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={"Rules": [{**default, "BucketKeyEnabled": of_bucket}]},
    )
    s3.put_object(Bucket=bucket, Key="items", Body=b'{"a": 1}\n')
    results = allow(
        *("s3:PutObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"),
        resource=f"arn:aws:s3:::{bucket}/map/*",
    )
    rights = {
        "States.Permissions": allow("states:StartExecution"),
        "States.ItemReaderFailed": allow("s3:GetObject", resource=f"arn:aws:s3:::{bucket}/items"),
        "States.ResultWriterFailed": results,
    }
    ends = {"kms:Decrypt": "/items", "kms:GenerateDataKey": "/map/*"}
    keys = [
        allow(
            action,
            Condition={
                "StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"},
                "StringLike": {
                    "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}{'' if of_bucket else end}"
                },
            },
        )
        for action, end in ends.items()
    ]
    every = [*rights.values(), *keys]
    assert ended(world, MAP, bucket, *every)["status"] == "SUCCEEDED"
    for error, right in rights.items():
        assert ended(world, MAP, bucket, *(each for each in every if each is not right))["error"] == error
    for right, error in zip(keys, ("States.ItemReaderFailed", "States.ResultWriterFailed"), strict=True):
        found = ended(world, MAP, bucket, *(each for each in every if each is not right))
        assert (found["error"], "kms:" in found["cause"]) == (error, True)
    assert ended(world, CALL, bucket, *every)["error"] == "Lambda.AWSLambdaException"
    called = ended(world, CALL, bucket, allow("lambda:InvokeFunction"))
    assert called["error"] == "Lambda.ResourceNotFoundException"


def test_the_emulator_still_needs_it() -> None:
    """On the emulator as its authors ship it; when a line fails, that repair can go."""
    for service in (
        "lambda_svc",
        "stepfunctions",
        "s3",
        "eventbridge",
        "ssm",
        "secretsmanager",
        "sns",
        "sqs",
    ):
        module = pytest.importorskip(f"ministack.services.{service}")
        assert "PassRole" not in inspect.getsource(module)
    for service in ("ssm", "secretsmanager", "sns", "sqs", "cloudwatch_logs", "cloudwatch"):
        module = pytest.importorskip(f"ministack.services.{service}")
        assert "kms:Decrypt" not in inspect.getsource(module)
    states = pytest.importorskip("ministack.services.stepfunctions")
    assert "roleArn" not in inspect.getsource(states._call_lambda)
