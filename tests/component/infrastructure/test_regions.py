"""One region's parts: buckets, function, alarms, topics, network, outputs."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from recorder import ACCOUNT, REGIONS, Run, built, config, record, release

from regionshift.errors import InputError
from regionshift.function.clients import FunctionClients
from regionshift.infrastructure.program import ProviderSettings, environment
from regionshift.infrastructure.runbooks import PAGE

PER_REGION = (
    "lambda_function_name",
    "lambda_function_arn",
    "lambda_role_arn",
    "deployment_bucket_name",
    "deployment_bucket_arn",
    "log_bucket_name",
    "log_bucket_arn",
    "lambda_log_group_name",
    "validation_log_group_name",
    "deployment_log_group_name",
    "deployment_topic_arn",
    "alarm_topic_arn",
    "worker_function_name",
    "state_machine_arn",
    "vpc_id",
)
OF_ALL = ("project", "environment", "environment_suffix", "primary_region", "secondary_regions")
ENDINGS = ("us_east_1", "eu_west_1", "us_west_2", "primary")


@pytest.fixture(scope="module")
def run() -> Run:
    return built(config())


@pytest.mark.parametrize(
    ("store", "configuration"),
    [
        ("ssm", ("deployment_config_parameter_name", "deployment_config_parameter_arn")),
        ("secretsmanager", ("deployment_config_secret_arn",)),
    ],
)
def test_the_outputs_have_exactly_these_names(store: str, configuration: tuple[str, ...]) -> None:
    outputs = built(config(application={"store": store})).outputs
    regional = {f"{name}_{ending}" for name in (*PER_REGION, *configuration) for ending in ENDINGS}
    assert set(outputs) == regional | set(OF_ALL)


def test_the_outputs_say_what_the_environment_is() -> None:
    outputs = built(config(environment_suffix="pr-42")).outputs
    assert {name: outputs[name] for name in OF_ALL} == {
        "project": "shop",
        "environment": "dev",
        "environment_suffix": "pr-42",
        "primary_region": "us-east-1",
        "secondary_regions": ["eu-west-1", "us-west-2"],
    }
    assert (
        outputs["lambda_log_group_name_primary"] == f"/aws/lambda/{outputs['lambda_function_name_primary']}"
    )
    assert outputs["vpc_id_primary"] == outputs["vpc_id_us_east_1"]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("bucket", ["deployment-bucket", "log-bucket"])
def test_buckets_are_versioned_private_and_tls_only(run: Run, region: str, bucket: str) -> None:
    versioning = run.one(f"{bucket}-versioning-{region}").inputs["versioningConfiguration"]
    blocks = run.one(f"{bucket}-public-access-{region}").inputs
    refusal = run.one(f"{bucket}-policy-{region}").policy()[0]
    assert versioning == {"status": "Enabled"}
    assert [value for key, value in blocks.items() if key != "bucket"] == [True] * 4
    assert run.one(f"{bucket}-ownership-{region}").inputs["rule"] == {
        "objectOwnership": "BucketOwnerEnforced"
    }
    assert refusal["Effect"] == "Deny" and refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert not run.one(f"{bucket}-{region}").inputs["forceDestroy"]


def encryption(run: Run, bucket: str) -> dict[str, Any]:
    (rule,) = run.one(f"{bucket}-encryption-us-east-1").inputs["rules"]
    return {**rule["applyServerSideEncryptionByDefault"], "bucketKey": rule["bucketKeyEnabled"]}


def test_the_deployment_bucket_is_under_the_regions_key_and_its_logs_under_s3s(run: Run) -> None:
    key = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "arn:aws:kms:::key-us-east-1", "bucketKey": True}
    assert encryption(run, "deployment-bucket") == key
    assert encryption(run, "log-bucket") == {"sseAlgorithm": "AES256", "bucketKey": False}


def test_access_logs_go_to_the_log_bucket_which_takes_them_from_there_only(run: Run) -> None:
    logging = run.one("deployment-bucket-logging-us-east-1").inputs
    _, delivery = run.one("log-bucket-policy-us-east-1").policy()
    assert logging["targetBucket"] == "shop-logs-us-east-1-dev-111122223333"
    assert delivery["Resource"] == [f"arn:aws:s3:::{logging['targetBucket']}/{logging['targetPrefix']}*"]
    assert delivery["Condition"]["ArnLike"] == {
        "aws:SourceArn": "arn:aws:s3:::shop-deployment-us-east-1-dev-111122223333"
    }


def test_what_is_old_goes(run: Run) -> None:
    ids = {
        bucket: [rule["id"] for rule in run.one(f"{bucket}-lifecycle-us-east-1").inputs["rules"]]
        for bucket in ("deployment-bucket", "log-bucket")
    }
    assert ids["deployment-bucket"] == ["old-versions", "aborted-uploads"]
    assert ids["log-bucket"] == ["logs", "old-versions", "aborted-uploads"]


def test_buckets_are_deleted_with_their_content_only_when_told() -> None:
    one = release(config(regions={"primary": "us-east-1"}))
    told = record(
        lambda: environment(
            {"us-east-1": one}, provider_settings=ProviderSettings(), links=None, allow_data_loss=True
        )
    )
    assert all(bucket.inputs["forceDestroy"] for bucket in told.of("s3/bucket:Bucket"))


@pytest.mark.parametrize("region", REGIONS)
def test_every_alarm_tells_its_own_regions_alarm_topic(run: Run, region: str) -> None:
    alarms = [
        one for one in run.of("cloudwatch/metricAlarm:MetricAlarm") if one.name.endswith(f"-alarm-{region}")
    ]
    assert {"function-errors", "throttles", "duration", "dead-letters"} <= {
        one.name.split("-alarm-")[0] for one in alarms
    }
    for alarm in alarms:
        assert alarm.inputs["alarmActions"] == [f"arn:aws:sns:::shop-alarms-{region}-dev"]
        assert region in alarm.inputs["name"]


def test_alarms_link_to_the_runbooks_where_the_team_publishes_them() -> None:
    """By default to the file of the repository."""
    page = "https://docs.example.com/runbooks/"
    for alerts, place in (({}, PAGE), ({"runbooks": page}, page)):
        one = release(config(regions={"primary": "us-east-1"}, alerts=alerts))
        made = record(
            lambda one=one: environment({"us-east-1": one}, provider_settings=ProviderSettings(), links=None)
        )
        alarm = made.one("duration-alarm-us-east-1").inputs
        assert alarm["alarmDescription"].endswith(
            f"Runbook: {place}#duration, or run: regionshift explain duration"
        )


@pytest.mark.parametrize("action", ["validate", "migrate", "rollback"])
def test_every_action_that_answers_with_an_error_is_an_alarm(run: Run, action: str) -> None:
    alarm = run.one(f"{action}-errors-alarm-us-east-1").inputs
    assert (alarm["namespace"], alarm["metricName"]) == ("Migration", "ActionCount")
    own = {"FunctionName": "shop-migration-us-east-1-dev"}
    assert alarm["dimensions"] == {"Action": action, "Status": "error", "Region": "us-east-1"} | own
    assert (alarm["threshold"], alarm["comparisonOperator"]) == (0, "GreaterThanThreshold")


def test_a_worker_that_fails_and_an_execution_that_failed_are_alarms(run: Run) -> None:
    worker = run.one("worker-errors-alarm-eu-west-1").inputs
    assert (worker["namespace"], worker["metricName"]) == ("AWS/Lambda", "Errors")
    assert worker["dimensions"] == {"FunctionName": run.one("worker-eu-west-1").inputs["name"]}
    failed = run.one("executions-failed-alarm-eu-west-1").inputs
    assert (failed["namespace"], failed["metricName"]) == ("AWS/States", "ExecutionsFailed")
    machine = run.one("states-eu-west-1").inputs["name"]
    arn = f"arn:aws:states:eu-west-1:{ACCOUNT}:stateMachine:{machine}"
    assert failed["dimensions"] == {"StateMachineArn": arn}
    assert (failed["threshold"], failed["comparisonOperator"]) == (0, "GreaterThanThreshold")


def test_the_function_is_told_what_each_entry_of_carry_says() -> None:
    entry = {
        "bucket": "media-{region}",
        "prefix": "docs/",
        "include": ["a*"],
        "exclude": ["*.tmp"],
        "storage_class": "STANDARD_IA",
    }
    run = built(config(carry={"s3": [entry, {}]}, migration={"keep_versions": True}))
    text = run.one("deployment-config-eu-west-1").inputs["value"]["value"]  # a secret of Pulumi's
    carry = json.loads(text)["carry"]
    assert carry == [entry | {"keep_versions": True}, {"keep_versions": True}]


@pytest.mark.parametrize("timeout", [30, 300, 900])
def test_the_duration_alarm_stands_below_the_timeout(timeout: int) -> None:
    alarm = built(config(function={"timeout": timeout})).one("duration-alarm-us-east-1").inputs
    assert 0 < alarm["threshold"] < timeout * 1000
    assert alarm["extendedStatistic"] == "p95"


def test_everything_that_can_be_is_under_the_regions_key(run: Run) -> None:
    fields = {
        "aws:cloudwatch/logGroup:LogGroup": "kmsKeyId",
        "aws:sns/topic:Topic": "kmsMasterKeyId",
        "aws:sqs/queue:Queue": "kmsMasterKeyId",
        "aws:ssm/parameter:Parameter": "keyId",
    }
    looked_at = [one for one in run.plain if one.type in fields]
    assert {one.type for one in looked_at} == set(fields)
    for one in looked_at:
        assert one.inputs[fields[one.type]] in [f"arn:aws:kms:::key-{region}" for region in REGIONS]
        assert one.inputs[fields[one.type]].removeprefix("arn:aws:kms:::key-") in one.name


def test_the_function_is_configured_by_a_name(run: Run) -> None:
    function = run.one("function-us-east-1").inputs
    assert function["handler"] == "migration_handler.handler"
    assert function["environment"]["variables"]["CONFIG_PARAMETER"] == "/shop/dev/us-east-1/deployment-config"
    assert function["tracingConfig"] == {"mode": "Active"}
    assert function["reservedConcurrentExecutions"] == -1
    assert "vpcConfig" not in function


def test_concurrency_is_reserved_when_set() -> None:
    run = built(config(function={"reserved_concurrency": 5}))
    assert run.one("function-us-east-1").inputs["reservedConcurrentExecutions"] == 5


def told(run: Run, region: str) -> dict[str, Any]:
    value = run.one(f"deployment-config-{region}").inputs["value"]["value"]
    return dict(json.loads(value))


def test_the_configuration_says_where_it_belongs_and_where_secrets_are_found() -> None:
    application = {"config": {"colour": "blue"}, "secrets": {"database": {"env": "DATABASE"}}}
    answer = told(built(config(application=application)), "eu-west-1")
    assert (answer["region"], answer["environment"], answer["is_primary"]) == ("eu-west-1", "dev", False)
    assert (answer["log_level"], answer["enable_validation"]) == ("INFO", True)
    assert answer["config"] == {"colour": "blue"}
    assert answer["secrets"] == {"database": "/shop/dev/eu-west-1/database"}
    assert set(answer["replication_destinations"]) == {"eu-west-1", "us-west-2"}


def test_a_large_configuration_becomes_an_advanced_parameter() -> None:
    large = built(config(application={"config": {"text": "x" * 5000}}))
    assert large.one("deployment-config-us-east-1").inputs["tier"] == "Advanced"
    assert built(config()).one("deployment-config-us-east-1").inputs["tier"] == "Standard"


def test_addresses_are_subscribed_to_both_topics() -> None:
    both = built(config(alerts={"emails": ["a@example.com", "b@example.com"]}))
    one = built(config(alerts={"emails": ["b@example.com"]}))
    subscriptions = both.of("sns/topicSubscription:TopicSubscription")
    assert len(subscriptions) == 2 * 2 * len(REGIONS)
    remaining = {subscription.name for subscription in one.of("sns/topicSubscription:TopicSubscription")}
    assert remaining < {subscription.name for subscription in subscriptions}


def test_subnets_lie_in_the_zones_that_the_release_knows(run: Run) -> None:
    zones = [one.inputs["availabilityZone"] for one in run.of("ec2/subnet:Subnet") if "us-east-1" in one.name]
    assert zones == ["us-east-1a", "us-east-1b"]


def test_too_few_known_zones_are_an_error_that_names_the_region() -> None:
    poor = release(config(), zones={"us-east-1": ("us-east-1a",)})
    with pytest.raises(InputError) as caught:
        record(lambda: environment({"us-east-1": poor}, provider_settings=ProviderSettings(), links=None))
    assert caught.value.where == "us-east-1"


def endpoints(run: Run) -> list[str]:
    made = [one for one in run.of("ec2/vpcEndpoint:VpcEndpoint") if one.name.endswith("us-east-1")]
    return sorted(one.inputs["serviceName"].rpartition(".")[2] for one in made)


def called_by_the_function() -> set[str]:
    """What AWS calls the services that the function has clients of, in the names of their endpoints."""
    made: list[str] = []
    clients = FunctionClients(made.append)
    for name in FunctionClients.__annotations__:
        getattr(clients, name)
    session = botocore.session.get_session()
    return {str(session.get_service_model(name).endpoint_prefix) for name in made}


def test_endpoints_cost_money_and_are_made_only_for_a_function_inside() -> None:
    inside = built(config(network={"vpc_cidr": "10.0.0.0/8", "function_in_vpc": True}))
    assert endpoints(built(config())) == ["s3"]
    assert set(endpoints(inside)) == called_by_the_function()
    assert inside.one("function-us-east-1").inputs["vpcConfig"]["subnetIds"] == [
        "private-subnet-a-us-east-1-id",
        "private-subnet-b-us-east-1-id",
    ]


def test_the_default_security_group_admits_nothing(run: Run) -> None:
    group = run.one("default-security-group-us-east-1").inputs
    assert (group["ingress"], group["egress"]) == ([], [])


def test_flow_logs_can_be_left_out() -> None:
    off = built(config(network={"vpc_cidr": "10.0.0.0/8", "flow_logs": False}))
    assert off.of("ec2/flowLog:FlowLog") == []
    assert not any("flow-log" in one.name for one in off.resources)


def test_an_endpoint_is_used_for_every_service_and_its_keys_are_secret() -> None:
    local = ProviderSettings("https://127.0.0.1:4566", "key", "secret")
    settings = config(regions={"primary": "us-east-1"})
    run = record(lambda: environment({"us-east-1": release(settings)}, provider_settings=local, links=None))
    provider = run.one("aws-us-east-1").inputs
    (services,) = json.loads(provider["endpoints"])
    assert {"s3", "lambda", "sts", "kms", "ssm"} <= set(services)
    assert set(services.values()) == {"https://127.0.0.1:4566"}
    assert "allowedAccountIds" not in provider
    assert "secret" not in repr(local).replace("secret_key", "")
