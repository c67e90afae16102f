"""A region as the program makes it, but for the function: for tests of the function by itself."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.loaders import Loader, create_loader

from regionshift.carriers.transport import expect
from regionshift.function.clients import PATIENCE, TransportAccess
from regionshift.function.configuration import LOG_LEVELS
from regionshift.function.surroundings import Variables
from regionshift.infrastructure.policies import function as rights
from regionshift.local.emulator import LocalCloud

ENVIRONMENT = "test"
# A first call on a busy machine takes longer than the function itself would wait, and must not be made twice.
_FOR_CALLS = Config(read_timeout=90, retries={"total_max_attempts": 1})
SENTINEL = "a-value-nobody-may-see"


@dataclass(frozen=True)
class Key:
    """Whose calls they are."""

    access_key: str
    secret_key: str
    session_token: str | None = None


@cache
def _models() -> Loader:
    return create_loader()


@dataclass(frozen=True)
class Maker:
    """Makes clients, and requests of our own, of one identity in one region."""

    client: Callable[[str], Any]
    access: TransportAccess

    def __call__(self, service: str) -> Any:
        return self.client(service)


def make_clients(cloud: LocalCloud, region: str, key: Key) -> Maker:
    """As ``regionshift.function.clients.from_region``, but for the embedded AWS and an identity of choice."""
    core = botocore.session.get_session()
    # One reading of the services' models for all identities: it is most of what a client costs.
    core.register_component("data_loader", _models())
    session = boto3.session.Session(
        botocore_session=core,
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret_key,
        aws_session_token=key.session_token,
        region_name=region,
    )
    credentials = ReadOnlyCredentials(key.access_key, key.secret_key, key.session_token)

    def make(service: str) -> Any:
        client = session.client(  # type: ignore[call-overload]
            service,
            endpoint_url=cloud.endpoint,
            verify=str(cloud.ca_bundle),
            config=_FOR_CALLS if service == "lambda" else PATIENCE,
        )
        if service == "s3":
            expect(client, cloud.account)
        return client

    return Maker(
        make,
        TransportAccess(
            lambda: credentials, cloud.account, cloud.endpoint, str(cloud.ca_bundle), connections=8
        ),
    )


@dataclass(frozen=True)
class Region:
    """What stands in one region; ``make`` gives the administrator's clients there."""

    cloud: LocalCloud
    name: str
    prefix: str
    variables: Variables
    queue_url: str

    @cached_property
    def make(self) -> Maker:
        """The administrator's clients."""
        return make_clients(self.cloud, self.name, Key(self.cloud.access_key, self.cloud.secret_key))

    def with_variables(self, **changes: Any) -> Region:
        """The same region, with other variables told to the function."""
        return replace(self, variables=replace(self.variables, **changes))

    def put_configuration(self) -> None:
        """Write the parameter as the program does, for a region that replicates nowhere."""
        content = {
            "project": "regionshift",
            "region": self.name,
            "environment": ENVIRONMENT,
            "environment_suffix": ENVIRONMENT,
            "log_level": LOG_LEVELS[1],
            "enable_validation": True,
            "is_primary": False,
            "primary_region": self.name,
            "secondary_regions": [],
            "replication_destinations": {},
            "config": {"greeting": SENTINEL},
        }
        self.put_configuration_text(json.dumps(content))

    def change_configuration(self, **changes: object) -> None:
        """Write the parameter with ``changes`` (None removes a field)."""
        reply = self.make("ssm").get_parameter(Name=self.variables.config_parameter, WithDecryption=True)
        content = json.loads(reply["Parameter"]["Value"]) | changes
        kept = {name: value for name, value in content.items() if value is not None}
        self.put_configuration_text(json.dumps(kept))

    def put_configuration_text(self, text: str) -> None:
        """Write the parameter, whatever it is."""
        self.make("ssm").put_parameter(
            Name=self.variables.config_parameter,
            Value=text,
            Type="SecureString",
            KeyId=self.variables.key_arn,
            Overwrite=True,
        )

    def messages(self) -> list[dict[str, Any]]:
        """What the topic sent since the last time."""
        found: list[dict[str, Any]] = []
        sqs = self.make("sqs")
        while batch := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            found += [json.loads(message["Body"]) for message in batch]
            for message in batch:
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(one["Message"]) for one in found]

    def lines(self, group: str) -> list[dict[str, Any]]:
        """The lines in a log group."""
        pages = self.make("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return [json.loads(message) for message in pages.search("events[].message")]

    def count(self, action: str, status: str, function: str | None = None) -> int:
        """How often CloudWatch counted the action with this status, by any test of the last hour.

        Args:
            function: only what this function did.
        """
        now = datetime.now(UTC)
        dimensions = {"Action": action, "Status": status, "Region": self.name}
        if function is not None:
            dimensions["FunctionName"] = function
        reply = self.make("cloudwatch").get_metric_statistics(
            Namespace="Migration",
            MetricName="ActionCount",
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=60,
            Statistics=["Sum"],
        )
        return int(sum(point["Sum"] for point in reply["Datapoints"]))

    @contextmanager
    def counted(self, action: str, status: str, times: int = 1) -> Iterator[None]:
        """See that what happens within is counted ``times`` times."""
        before = self.count(action, status)
        yield
        assert self.count(action, status) - before == times

    def role_arn(self, statements: list[Mapping[str, Any]], service: str | None = None) -> str:
        """A new role with these rights, for the account or for a service."""
        iam, name = self.make("iam"), f"role-{uuid.uuid4().hex[:12]}"
        principal = {"Service": service} if service else {"AWS": f"arn:aws:iam::{self.cloud.account}:root"}
        trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        document = {"Version": "2012-10-17", "Statement": [trust]}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
        if statements:
            policy = {"Version": "2012-10-17", "Statement": statements}
            iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(policy))
        arn: str = role["Role"]["Arn"]
        return arn

    def clients_with(self, statements: list[Mapping[str, Any]]) -> Maker:
        """Clients of a new role that may do just this."""
        reply = self.make("sts").assume_role(RoleArn=self.role_arn(statements), RoleSessionName="test")
        got = reply["Credentials"]
        key = Key(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
        return make_clients(self.cloud, self.name, key)

    def least_privilege(self) -> list[Mapping[str, Any]]:
        """The rights that the program gives the function, on this region's own resources."""
        variables, account = self.variables, self.cloud.account
        parameter = f"arn:aws:ssm:{self.name}:{account}:parameter{variables.config_parameter}"
        groups = [
            f"arn:aws:logs:{self.name}:{account}:log-group:{group}"
            for group in (variables.validation_log_group, variables.deployment_log_group)
        ]
        if variables.config_store == "ssm":
            configuration = rights.parameter_statements(parameter)
        else:
            configuration = rights.secret_statements(variables.config_parameter)
        services = [f"{service}.{self.name}.amazonaws.com" for service in ("s3", "ssm", "sns")]
        return [
            *rights.s3_statements(f"arn:aws:s3:::{variables.deployment_bucket}", variables.account),
            *rights.own_key_statements(variables.key_arn, services),
            *rights.seal_statements(variables.records_key_arn),
            *configuration,
            *rights.log_statements(groups),
            *rights.topic_statements(variables.notification_topic),
            *rights.metrics_statements(),
            *rights.tracing_statements(),
        ]

    def without(self, *actions: str) -> list[Mapping[str, Any]]:
        """The least privilege without some of its actions."""
        kept = [
            {**statement, "Action": [one for one in statement["Action"] if one not in actions]}
            for statement in self.least_privilege()
            if statement["Effect"] == "Allow"
        ]
        return [statement for statement in kept if statement["Action"]]


def build_region(cloud: LocalCloud, name: str) -> Region:
    """Make a region of its own (no two share a name) and give what stands there."""
    prefix = f"t{uuid.uuid4().hex[:10]}"
    make = make_clients(cloud, name, Key(cloud.access_key, cloud.secret_key))
    key_arn = _key(make)
    topic, queue = _topic(make, prefix, key_arn)
    groups = [f"/{prefix}/{purpose}" for purpose in ("validation", "deployment")]
    for group in groups:
        make("logs").create_log_group(logGroupName=group)
    variables = Variables(
        region=name,
        account=cloud.account,
        environment=ENVIRONMENT,
        environment_name=ENVIRONMENT,
        deployment_bucket=f"{prefix}-{name}",
        config_parameter=f"/{prefix}/deployment-config",
        notification_topic=topic,
        validation_log_group=groups[0],
        deployment_log_group=groups[1],
        key_arn=key_arn,
        records_key_arn=_records_key(make),
    )
    _bucket(make, variables)
    region = Region(cloud, name, prefix, variables, queue)
    region.put_configuration()
    return region


def join(primary: Region, secondary: Region) -> None:
    """Replicate from one to the other, and say so in the primary's configuration."""
    destination = secondary.variables.deployment_bucket
    everything = {"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"}
    put_rule(primary, primary.role_arn([everything], "s3.amazonaws.com"), destination)
    primary.change_configuration(
        is_primary=True,
        secondary_regions=[secondary.name],
        replication_destinations={secondary.name: destination},
    )


def put_rule(primary: Region, role: str, destination: str, **changes: object) -> None:
    """One replication rule to ``destination``."""
    rule: dict[str, Any] = {
        "ID": "to-secondary",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{destination}"},
    }
    primary.make("s3").put_bucket_replication(
        Bucket=primary.variables.deployment_bucket,
        ReplicationConfiguration={"Role": role, "Rules": [rule | changes]},
    )


def _key(make: Callable[[str], Any]) -> str:
    kms = make("kms")
    arn: str = kms.create_key()["KeyMetadata"]["Arn"]
    kms.enable_key_rotation(KeyId=arn)
    return arn


def _records_key(make: Callable[[str], Any]) -> str:
    arn: str = make("kms").create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"][
        "Arn"
    ]
    return arn


def _topic(make: Callable[[str], Any], prefix: str, key_arn: str) -> tuple[str, str]:
    sns, sqs = make("sns"), make("sqs")
    topic: str = sns.create_topic(Name=prefix, Attributes={"KmsMasterKeyId": key_arn})["TopicArn"]
    queue: str = sqs.create_queue(QueueName=prefix)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    admit = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [admit]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    return topic, queue


def _bucket(make: Callable[[str], Any], variables: Variables) -> None:
    s3, bucket = make("s3"), variables.deployment_bucket
    place = {"LocationConstraint": variables.region}
    s3.create_bucket(
        Bucket=bucket, **({} if variables.region == "us-east-1" else {"CreateBucketConfiguration": place})
    )
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put_public_block(make, bucket)
    put_encryption(make, bucket, variables.key_arn)


def put_public_block(make: Callable[[str], Any], bucket: str, **changes: bool) -> None:
    """All four on, but for ``changes``."""
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    make("s3").put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(blocks, True) | changes
    )


def put_encryption(make: Callable[[str], Any], bucket: str, key_arn: str, *, bucket_key: bool = True) -> None:
    """Encrypt by default with ``key_arn``."""
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}
    make("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
