"""A wrong file gives every mistake at once: where, found, allowed, nearest; and never a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from settings_samples import SMALLEST, mistakes_of, tree

from regionshift.settings.load import load_config
from regionshift.settings.mistakes import SettingsError
from regionshift.settings.regions import REGIONS

ONE_MISTAKE = [
    # change, path, part of found, part of allowed, nearest
    ({"enviroment": "x"}, "enviroment", "an unknown field", "environment", "environment"),
    ({"vpc_cidr": "x"}, "vpc_cidr", "an unknown field", "one of project", "network.vpc_cidr"),
    ({"target": "lcoal"}, "target", '"lcoal"', "one of aws, local", "local"),
    ({"project": "___"}, "project", '"___"', "at least one of a-z", None),
    ({"project": "a;b"}, "project", '"a;b"', "as it becomes a tag", None),
    ({"environment": 42}, "environment", "42", "text", '"42"'),
    ({"environment": "x" * 129}, "environment", "xxx…", "1 to 128", None),
    ({"environment_suffix": "--"}, "environment_suffix", '"--"', "at least one", None),
    ({"project": "sthree"}, "project", "bucket", "sthree-, which AWS keeps", None),
    ({"account": 12345}, "account", "12345", "12 digits", None),
    ({"account": 12345678901}, "account", "12345678901", "12 digits", '"012345678901"'),
    ({"account": "1234-5678-9012"}, "account", "1234-5678-9012", "12 digits", '"123456789012"'),
    ({"account": True}, "account", "true", "12 digits", None),
    ({"regions": "us-east-1"}, "regions", '"us-east-1"', "a mapping with the fields primary", None),
    ({"regions": {"primary": "us-esat-2"}}, "regions.primary", '"us-esat-2"', "us-west-1", "us-east-2"),
    ({"regions": {"primary": "US-EAST-1"}}, "regions.primary", '"US-EAST-1"', "us-east-1", "us-east-1"),
    ({"regions": {"secondaries": ["us-east-1"]}}, "regions.primary", "nothing", "one of", None),
    ({"network": {"vpc_cidr": "10.0.0.0"}}, "network.vpc_cidr", "10.0.0.0", "IPv4 block", "10.0.0.0/16"),
    ({"network": {"vpc_cidr": "10.0.0.1/16"}}, "network.vpc_cidr", "10.0.0.1/16", "block", "10.0.0.0/16"),
    ({"network": {"vpc_cidr": "10.0.0.0/23"}}, "network.vpc_cidr", "/23", "a /21 or larger", "10.0.0.0/16"),
    ({"network": {"vpc_cidr": "127.0.0.0/8"}}, "network.vpc_cidr", "127", "that a VPC may have", None),
    ({"state": "http://u:hunter2@x"}, "state", "//…@x", "s3://", None),
    ({"state": "here"}, "state", "here", "file://", "file://here"),
    ({"state": "s3://b/p?region=eu-wst-1"}, "state", "eu-wst-1", "own region", "s3://b/p?region=eu-west-1"),
    ({"state_secrets": "passphrase"}, "state_secrets", "not shown", "awskms://", None),
    ({"protect": "yes"}, "protect", '"yes"', "true or false", "true"),
    ({"retention": {"logs": 31}}, "retention.logs", "31", "one of 1, 3, 5", "30"),
    ({"retention": {"key_deletion": 5}}, "retention.key_deletion", "5", "from 7 to 30", "7"),
    ({"retention": {"secret_recovery": 3}}, "retention", "a mapping", "0 (deleted", "secret_recovery: 7"),
    ({"function": {"memory": 64}}, "function.memory", "64", "from 128 to 10240", "128"),
    ({"function": {"memory": True}}, "function.memory", "true", "a whole number", None),
    ({"function": {"memory": "512"}}, "function.memory", '"512"', "a whole number", "512"),
    ({"function": {"timeout": "1h"}}, "function.timeout", '"1h"', "from 30s to 15m", None),
    ({"function": {"runtime": "python2.7"}}, "function.runtime", "python2.7", "python3.13", None),
    ({"function": {"runtime": "python3.99"}}, "function.runtime", "python3.99", "python3.13", None),
    ({"function": {"architecture": "arm"}}, "function.architecture", "arm", "x86_64", "arm64"),
    ({"alerts": {"emails": ["me"]}}, "alerts.emails[0]", '"me"', "team@example.com", None),
    ({"alerts": {"emails": ["a@b.de", "A@b.de"]}}, "alerts.emails[1]", "again", "once", None),
    ({"alerts": {"duration_share": 1.5}}, "alerts.duration_share", "1.5", "above 0 and below 1", None),
    ({"tags": {"AWS:x": "y"}}, 'tags["AWS:x"]', 'the key "AWS:x"', "does not begin with aws:", None),
    ({"tags": {"project": "y"}}, "tags.project", 'the key "project"', "other than Project", None),
    ({"tags": {"a;b": "y"}}, 'tags["a;b"]', 'the key "a;b"', "1 to 128", None),
    ({"tags": {"a": "y" * 257}}, "tags.a", "yyy…", "up to 256", None),
    ({"tags": {"Owner": "a", "owner": "b"}}, "tags.owner", 'the key "owner"', "more than case", None),
    ({"tags": {f"t{n}": "x" for n in range(41)}}, "tags", "a mapping", "up to 40", None),
    ({"application": {"store": "vault"}}, "application.store", "vault", "one of ssm", None),
    ({"application": {"config": {"a": [1]}}}, "application.config.a", "a list", "text or", None),
    (
        {"application": {"config": {"a": "x" * 8000}}},
        "application.config",
        "bytes",
        "ssm",
        "store: secretsmanager",
    ),
    (
        {"carry": {"s3": [{"prefix": f"{n}/" + "p" * 200} for n in range(40)]}},
        "carry.s3",
        "bytes of configuration",
        "ssm",
        "store: secretsmanager",
    ),
    (
        {"application": {"secrets": {"x y": {"env": "A"}}}},
        'application.secrets["x y"]',
        "the key",
        "match",
        None,
    ),
    ({"application": {"secrets": {"x": {}}}}, "application.secrets.x", "a mapping", "exactly one", None),
    (
        {"application": {"secrets": {"deployment-config": {"env": "A"}}}},
        "application.secrets.deployment-config",
        "deployment-config",
        "is the name of both",
        None,
    ),
    ({"deployment": {"bake": "soon"}}, "deployment.bake", '"soon"', "10m", None),
    ({"deployment": {"on_failure": "rolback"}}, "deployment.on_failure", "rolback", "stop", "rollback"),
    ({"deployment": {"approve": [4]}}, "deployment.approve[0]", "4", "1 to 3", None),
    (
        {"deployment": {"waves": [["eu-west-1"], ["us-east-1"]]}},
        "deployment.waves",
        "ap-southeast-2",
        "every",
        None,
    ),
    (
        {"deployment": {"waves": [["us-east-1"], ["eu-west-1", "ap-southeast-2"]]}},
        "deployment.waves",
        "the primary us-east-1 in wave 1",
        "in the last wave, 2",
        None,
    ),
    (
        {"deployment": {"waves": [["eu-west-1", "eu-west-2"], ["ap-southeast-2"], ["us-east-1"]]}},
        "deployment.waves[0][1]",
        "eu-west-2",
        "a region of this environment",
        None,
    ),
    (
        {"deployment": {"alarms": [{"name": "a", "region": "eu-west-3"}]}},
        "deployment.alarms[0].region",
        "eu-west-3",
        "a region of this environment",
        None,
    ),
    ({"recovery": {"rpo": -1}}, "recovery.rpo", "-1", "a length of time", "0"),
    ({"migration": {"verify": "ful"}}, "migration.verify", "ful", "pinned", "full"),
    ({"carry": {"ssm": [{"path": "shop"}]}}, "carry.ssm[0].path", "shop", "/shop/prod", None),
    ({"carry": {"ssm": [{}]}}, "carry.ssm[0].path", "nothing", "path", None),
    ({"carry": {"s3": [{"bucket": "fixed"}]}}, "carry.s3[0]", "a mapping", "a target_bucket", None),
    (
        {"carry": {"s3": [{"bucket": "media-{regoin}"}]}},
        "carry.s3[0].bucket",
        "media-{regoin}",
        "no braces but those of {region}",
        "media-{region}",
    ),
    ({"carry": {"ssm": [{"path": "/shop/{}/x"}]}}, "carry.ssm[0].path", "{}", "braces", "/shop/{region}/x"),
    ({"carry": {"ssm": [{"path": "/shop/{x"}]}}, "carry.ssm[0].path", "{x", "no braces", "/shop/{region}"),
    ({"carry": {"secrets": [{"name": "{Region}/"}]}}, "carry.secrets[0].name", "{Re", "braces", "{region}/"),
    ({"carry": {"ssm": [{"pth": "/shop"}]}}, "carry.ssm[0].pth", "an unknown field", "path", "path"),
    ({"carry": {"secrets": [{}]}}, "carry.secrets[0]", "a mapping", "one of name and tags", None),
    ({"carry": {"s3": [{"prefix": "a"}, {"prefix": "a"}]}}, "carry.s3[1]", "the same", "once", None),
]


@pytest.mark.parametrize(
    ("change", "path", "found", "allowed", "nearest"), ONE_MISTAKE, ids=lambda value: str(value)[:40]
)
def test_a_mistake_is_told_once_with_path_found_allowed_and_nearest(
    tmp_path: Path, change: dict[str, Any], path: str, found: str, allowed: str, nearest: str | None
) -> None:
    mistakes = mistakes_of(tmp_path, json.dumps(tree(**change)))
    assert list(mistakes) == [path]
    mistake = mistakes[path]
    assert found in mistake.found
    assert allowed in mistake.allowed
    assert mistake.nearest == nearest


_CARRY_TWICE = {"s3": [{"prefix": "a"}, {"prefix": "a"}]}
_HERE = {"deployment": {"waves": [["eu-west-1"], ["us-east-1"]], "approve": [2]}}
_MISSPELT = {"primary": "us-east-1", "secondaries": ["eu-wset-1"]}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"regions": {"primary": "us-esat-1", "secondaries": ["cn-north-1"]}}, "regions.primary"),
        ({"regions": _MISSPELT, **_HERE}, "regions.secondaries[0]"),
        (
            {"regions": _MISSPELT, "deployment": {"alarms": [{"name": "a", "region": "eu-west-1"}]}},
            "regions.secondaries[0]",
        ),
        (
            {
                "regions": _MISSPELT,
                "network": {"vpc_cidr": "10.0.0.0/14", "region_cidrs": {"eu-west-1": "10.0.0.0/16"}},
            },
            "regions.secondaries[0]",
        ),
        (
            {
                "regions": {"primary": "eu-wset-1", "secondaries": ["us-east-1", "ap-southeast-2"]},
                "network": {"vpc_cidr": "10.0.0.0/20", "region_cidrs": {"ap-southeast-2": "10.0.0.0/20"}},
            },
            "regions.primary",
        ),
        (
            {
                "regions": {"primary": "us-esat-1"},
                "network": {"vpc_cidr": "10.0.0.0/24", "region_cidrs": {"us-east-1": "10.0.0.0/24"}},
            },
            "regions.primary",
        ),
        ({"network": {"vpc_cidr": "10.0.0.0/21", "zones": 9}}, "network.zones"),
        (
            {"network": {"vpc_cidr": "10.0.0", "region_cidrs": {"eu-west-1": "10.0.0.0/16"}}},
            "network.vpc_cidr",
        ),
        ({"deployment": {"waves": [["eu-west-1"], [2]]}}, "deployment.waves[1][0]"),
        ({"deployment": {"waves": [["us-east-1"], 2], "approve": [3]}}, "deployment.waves[1]"),
        ({"deployment": {"approve": ["1", 4]}}, "deployment.approve[0]"),
        ({"deployment": {"alarms": [{"name": 1, "region": "eu-west-3"}]}}, "deployment.alarms[0].name"),
        ({"alerts": {"emails": ["a@b.de", "me", "A@b.de"]}}, "alerts.emails[1]"),
        ({"application": {"store": "vault", "config": {"a": "x" * 8000}}}, "application.store"),
        ({"application": {"config": {"a": "x" * 8000, "b": [1]}}}, "application.config.b"),
        ({"carry": {**_CARRY_TWICE, "ssm": [{}]}}, "carry.ssm[0].path"),
        ({"carry": _CARRY_TWICE, "environment": 42}, "environment"),
        ({"project": "sthree", "environment_suffix": "--"}, "environment_suffix"),
        ({"project": "sthree", "account": 12}, "account"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_nothing_is_judged_by_what_is_wrong_itself(tmp_path: Path, change: dict[str, Any], path: str) -> None:
    """What breaks a rule as well is told when the value that the rule needs is right."""
    assert list(mistakes_of(tmp_path, json.dumps(tree(**change)))) == [path]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"regions": "us-east-1"}, "regions"),
        ({"regions": {"primary": 1, "secondaries": ["eu-west-1"]}}, "regions.primary"),
        ({"regions": {"primary": "us-east-1", "secondaries": "eu-west-1"}}, "regions.secondaries"),
        ({"regions": {"primary": "us-east-1", "secondaries": ["x", "eu-west-1"]}}, "regions.secondaries[0]"),
        ({"regions": {"primary": "us-east-1", "others": []}}, "regions.others"),
        ({"network": []}, "network"),
        ({"network": {"vpc_cidr": "x"}}, "network.vpc_cidr"),
        ({"project": []}, "project"),
        ({"account": "1"}, "account"),
        ({"deployment": {"waves": "x"}}, "deployment.waves"),
        ({"carry": {"s3": [{"bucket": 1}]}}, "carry.s3[0].bucket"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_whatever_is_wrong_hides_no_other_mistake(tmp_path: Path, change: dict[str, Any], path: str) -> None:
    apart = {"tags": {"Owner": "a", "owner": "b"}}
    assert set(mistakes_of(tmp_path, json.dumps(tree(**change, **apart)))) == {path, "tags.owner"}


def test_the_regions_must_differ_and_lie_in_one_partition(tmp_path: Path) -> None:
    regions = {"primary": "us-east-1", "secondaries": ["us-east-1", "eu-west-1", "eu-west-1", "cn-north-1"]}
    mistakes = mistakes_of(tmp_path, json.dumps(tree(regions=regions)))
    assert list(mistakes) == ["regions.secondaries[0]", "regions.secondaries[2]", "regions.secondaries[3]"]
    assert "regions.primary" in mistakes["regions.secondaries[0]"].allowed
    assert "aws-cn" in mistakes["regions.secondaries[3]"].found


def test_overlapping_and_foreign_blocks_are_told(tmp_path: Path) -> None:
    network = {
        "vpc_cidr": "10.0.0.0/16",
        "region_cidrs": {"eu-west-1": "10.0.0.0/20", "sa-east-1": "10.9.0.0/20"},
    }
    mistakes = mistakes_of(tmp_path, json.dumps(tree(network=network)))
    assert set(mistakes) == {"network.region_cidrs.eu-west-1", "network.region_cidrs.sa-east-1"}
    assert "overlap" in mistakes["network.region_cidrs.eu-west-1"].allowed


def test_fields_rules_form_variables_and_options_are_all_told_at_once_in_the_files_order(
    tmp_path: Path,
) -> None:
    text = """\
project: shop
project: again
account: 12
target: lcoal
regions: {primary: us-east-1, secondaries: [eu-wset-1, us-east-1]}
network: {vpc_cidr: 10.0.0.0/16}
tags: {2024: x}
carry: {ssm: [{}]}
"""
    path = tmp_path / "regionshift.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_config(path, {"REGIONSHIFT_NETWORK__ZONES": "9"}, {"function.memory": 1})
    told = [(mistake.path, mistake.source) for mistake in caught.value.mistakes]
    assert told == [
        ("environment", "regionshift.yaml"),
        ("network.zones", "REGIONSHIFT_NETWORK__ZONES"),
        ("function.memory", "option function.memory"),
        ("project", "regionshift.yaml, line 2"),
        ("account", "regionshift.yaml, line 3"),
        ("target", "regionshift.yaml, line 4"),
        ("regions.secondaries[0]", "regionshift.yaml, line 5"),
        ("regions.secondaries[1]", "regionshift.yaml, line 5"),
        ("tags.2024", "regionshift.yaml, line 7"),
        ("carry.ssm[0].path", "regionshift.yaml, line 8"),
    ]
    assert all(path in str(caught.value) for path, _ in told)


SECRET = "hunter2-$ecret"
PLACES = [
    {"application": {"secrets": SECRET}},
    {"application": {"secrets": {"db": SECRET}}},
    {"application": {"secrets": {"db": {"value": SECRET}}}},
    {"application": {"secrets": {"db": {"env": SECRET}}}},
    {"application": {"secrets": {"db": [SECRET]}}},
    {"application": {"secret": {"db": SECRET}}},
    {"application": {"config": {"db_password": {"x": SECRET}}}},
    {"application": {"config": {"db_password": {SECRET: None}}}},
    {"application": {"secrets": {SECRET: None}}},
    {"application": {"secrets": {"db": {SECRET: None}}}},
    {"application": {"secrets": {"db": {SECRET: "x"}}}},
    {"application": {"secrets": {"db": {SECRET: {"env": "A"}, "file": "x"}}}},
    {"application": {"secrets": {"db": {"env": {SECRET: None}}}}},
    {"application": {"secrets": {"db": [{SECRET: None}]}}},
    {"password": SECRET},
    {"state": f"https://user:{SECRET}@host/x"},
    {"state_secrets": SECRET},
]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_secret_in_the_file_is_refused_and_never_repeated(tmp_path: Path, place: dict[str, Any]) -> None:
    path = tmp_path / "regionshift.yaml"
    path.write_text(json.dumps(tree(**place)))
    with pytest.raises(SettingsError) as caught:
        load_config(path, {}, {})
    assert caught.value.mistakes
    assert SECRET not in str(caught.value) + repr(caught.value.mistakes)
    assert caught.value.__cause__ is None or SECRET not in str(caught.value.__cause__)


@pytest.mark.parametrize(
    "written",
    [
        "secrets: {pw: {hunter2}}",
        "secrets: {hunter2}",
        "secrets: {pw: {hunter2, hunter2}}",
        "secrets:\n    pw:\n      hunter2:\n        env: A",
        "secrets: {pw: {? [hunter2] : x}}",
        "secrets: {pw: *hunter2}",
        "secrets: {pw: !hunter2 x}",
        "secrets: {pw: !hunter2!x y}",
        "secrets: {a: &hunter2 x, b: &hunter2 y}",
        "secrets: {a: &hunter2 x,\n  b: &hunter2 y}",
        "secrets: {pw: 'hunter2'hunter2}",
        'secrets: {pw: "hunter2',
        "secrets: {pw: hunter2: hunter2}",
        "secrets: {pw: [hunter2}",
        "secrets: {pw: %hunter2}",
        "secrets: {pw: {98765432}}",
        "secrets: {98765432}",
    ],
)
def test_a_secret_that_yaml_takes_for_something_else_is_not_repeated(tmp_path: Path, written: str) -> None:
    path = tmp_path / "regionshift.yaml"
    path.write_text(f"{SMALLEST}application:\n  {written}\n")
    with pytest.raises(SettingsError) as caught:
        load_config(path, {}, {})
    told = f"{caught.value} {caught.value.mistakes!r} {caught.value.__cause__}"
    assert "hunter2" not in told
    assert "98765432" not in told
    assert "line " in str(caught.value)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("tags:\n\ta: b", "a tab, where YAML takes spaces only, line 8, column 1"),
        ("tags: {a: [x, y}", "expected ',' or ']', but got '}', line 7, column 16"),
        ("alerts:\n  emails: [a@b.de,\n    c@d.de", "flow sequence that begins in line 8"),
        ("tags: {a: b", "expected ',' or '}'"),
        ("tags: @x", "found character '@' that cannot start any token, line 7, column 7"),
        ('tags: "a\\q"', "unknown escape character 'q'"),
        ("tags: a: b", "mapping values are not allowed here, line 7"),
        ("tags: {a: b}\nprotect: \x01", "a character that YAML does not allow, line 8"),
        ("tags: {a: &x b, c: &x d}", "duplicate anchor"),
        ('tags: {a: "\\ud800"}', "half of a character, line 7"),
        ('"\\ud800": 1', "half of a character, line 7"),
        ("tags: " + "[" * 5000, "inside each other more than 50 deep"),
        ("tags: " + "{a: " * 5000, "inside each other more than 50 deep"),
        ("tags:\n" + "- " * 5000, "inside each other more than 50 deep"),
        ("tags: " + "[" * 60 + "]" * 60, "inside each other more than 50 deep"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_broken_yaml_is_told_with_its_cause_and_line(tmp_path: Path, written: str, told: str | None) -> None:
    path = tmp_path / "regionshift.yaml"
    path.write_text(f"{SMALLEST}{written}\n")
    with pytest.raises(SettingsError) as caught:
        load_config(path, {}, {})
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("boundary", "allowed"),
    [
        ("arn:aws:iam::012345678901:policy/boundary", True),
        ("arn:aws:iam::012345678901:policy/team/of.one/boundary", True),
        ("arn:aws:iam::aws:policy/PowerUserAccess", True),
        ("arn:aws:iam::210987654321:policy/boundary", False),
        ("arn:aws-cn:iam::012345678901:policy/boundary", False),
        ("arn:aws:iam::012345678901:role/boundary", False),
        ("boundary", False),
    ],
)
def test_a_boundary_is_a_policy_of_the_account_or_of_aws(
    tmp_path: Path, boundary: str, allowed: bool
) -> None:
    text = yaml.safe_dump(tree(access={"boundary": boundary}))
    assert (mistakes_of(tmp_path, text).keys() == set()) is allowed
    assert mistakes_of(tmp_path, text).keys() <= {"access.boundary"}


@pytest.mark.parametrize("partition", REGIONS)
def test_a_boundary_is_of_the_partition_of_the_regions(tmp_path: Path, partition: str) -> None:
    boundary = f"arn:{partition}:iam::012345678901:policy/boundary"
    regions = {"primary": REGIONS[partition][0]}
    text = yaml.safe_dump(tree(regions=regions, access={"boundary": boundary}))
    assert mistakes_of(tmp_path, text) == {}


@pytest.mark.parametrize(
    ("repository", "allowed"),
    [
        ("octo-org/orders", True),
        ("octo-org@123456/orders@456789", True),
        ("octo-org@123456/orders", False),
        ("octo-org/*", False),
        ("octo-org/orders:ref:refs/heads/main", False),
        ("orders", False),
        ("octo-org/orders/more", False),
        ("octo--org/orders", False),
    ],
)
def test_a_repository_is_called_as_its_tokens_call_it(tmp_path: Path, repository: str, allowed: bool) -> None:
    text = yaml.safe_dump(tree(pipeline={"repository": repository}))
    assert (mistakes_of(tmp_path, text).keys() == set()) is allowed


@pytest.mark.parametrize(
    ("branch", "allowed"),
    [("main", True), ("release/1.x", True), ("*", False), ("main*", False), ("a b", False), ("-x", False)],
)
def test_a_branch_is_one_branch(tmp_path: Path, branch: str, allowed: bool) -> None:
    text = yaml.safe_dump(tree(pipeline={"branch": branch}))
    assert (mistakes_of(tmp_path, text).keys() == set()) is allowed


@pytest.mark.parametrize("given", [{}, {"REGIONSHIFT_REGIONS__PRIMRY": "us-east-1"}])
def test_a_misspelt_key_is_one_mistake(tmp_path: Path, given: dict[str, str]) -> None:
    regions = {"secondaries": ["eu-west-1"], **({} if given else {"primry": "us-east-1"})}
    found = mistakes_of(tmp_path, json.dumps(tree(regions=regions)), given)
    nearest = "REGIONSHIFT_REGIONS__PRIMARY" if given else "primary"
    assert {path: each.nearest for path, each in found.items()} == {"regions.primry": nearest}
    text = SMALLEST.replace("environment:", "enviroment:").replace("network:", "netwrok:")
    assert list(mistakes_of(tmp_path, text)) == ["enviroment", "netwrok"]


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["us-east-1", "10m"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    [*sorted(tree()), "application", "function", "retention", "alerts", "carry", "deployment", "tags"]
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=settings.default.max_examples
)
@given(st.dictionaries(fields, anything, max_size=4))
def test_whatever_stands_in_the_file_is_loaded_or_told(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(json.dumps(tree(**changes)), encoding="utf-8")
    try:
        load_config(path, {}, {})
    except SettingsError as error:
        assert error.mistakes


def test_a_mistake_in_a_list_is_told_with_the_line_of_its_entry(tmp_path: Path) -> None:
    text = SMALLEST + "alerts:\n  emails:\n    - a@example.com\n    - b@example.com\n    - me\n"
    found = mistakes_of(tmp_path, text)
    assert found["alerts.emails[2]"].source.endswith(f"line {text[: text.index('- me')].count(chr(10)) + 1}")


def test_a_right_file_has_no_mistakes(tmp_path: Path) -> None:
    assert mistakes_of(tmp_path, SMALLEST) == {}


def test_a_character_in_two_halves_is_one_as_in_json(tmp_path: Path) -> None:
    assert list(mistakes_of(tmp_path, SMALLEST + '"\\ud83d\\ude00": 1\n')) == ['["\U0001f600"]']
