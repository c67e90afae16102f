"""What is published of the settings is what the models say: schema, reference, the file of ``init``."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import botocore.session
import pytest
import yaml
from botocore.endpoint_provider import EndpointProvider
from publish_settings import reference, with_reference
from settings_samples import SMALLEST, loaded, made, mistakes_of

from regionshift.settings.config import MigrationConfig
from regionshift.settings.regions import PARTITIONS, PLACES, REGIONS, all_regions, s3_endpoint
from regionshift.settings.release import Artifact, Release
from regionshift.settings.schema import SCHEMA_FILE, Shape, schema_text
from regionshift.settings.template import settings_template

ROOT = Path(__file__).resolve().parents[3]
REMEDY = "run `python tools/publish_settings.py`"


def test_the_published_schema_is_current() -> None:
    assert (ROOT / SCHEMA_FILE).read_text(encoding="utf-8") == schema_text(), REMEDY


def test_the_reference_is_current() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    assert with_reference(page) == page, REMEDY


def test_every_row_of_the_reference_is_one_line_of_its_table() -> None:
    """A docstring of several lines made a row of several, which ends the table."""
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    rows = reference().splitlines()
    assert set(rows) <= set(page.splitlines())
    tables = 0
    for before, row in pairwise(["", *rows, ""]):
        if before.startswith("|"):
            assert row == "" or re.fullmatch(r"\|(([^|\\]|\\.)*\|){4}", row), row
            tables += row == ""
    assert tables == sum(row.startswith("### ") for row in rows)


def test_every_field_has_a_meaning_in_the_schema() -> None:
    shape = Shape()
    sections = [(), *((name,) for name in shape.fields(()))]
    paths = [(*section, name) for section in sections for name in shape.fields(section)]
    assert len(paths) > 40
    assert [path for path in paths if not (shape.at(path) or {}).get("description")] == []


def test_the_smallest_file_of_the_documentation_loads(tmp_path: Path) -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert loaded(tmp_path, example) == loaded(tmp_path, SMALLEST)


@pytest.mark.parametrize("field", ["project", "environment", "account", "regions", "network"])
def test_the_smallest_file_has_nothing_to_spare(tmp_path: Path, field: str) -> None:
    lines = [line for line in SMALLEST.splitlines(keepends=True) if not line.startswith(f"{field}:")]
    assert list(mistakes_of(tmp_path, "".join(lines))) == [field]


def _template(*regions: str) -> str:
    return settings_template(project="shop: x", environment="dev", account="000000000001", regions=regions)


@pytest.mark.parametrize(
    "regions", [["us-east-1"], ["eu-west-1", "us-east-1"], ["eu-west-1", "us-east-1", "sa-east-1"]]
)
def test_the_file_of_init_loads_as_it_is_and_changes_no_default(tmp_path: Path, regions: list[str]) -> None:
    config = loaded(tmp_path, _template(*regions))
    assert config == MigrationConfig.model_validate(
        {
            "project": "shop: x",
            "environment": "dev",
            "account": "000000000001",
            "regions": {"primary": regions[0], "secondaries": regions[1:]},
            "network": {"vpc_cidr": "10.0.0.0/16"},
        }
    )


@pytest.mark.parametrize("regions", [["us-east-1"], ["eu-west-1", "us-east-1", "sa-east-1"]])
def test_everything_that_init_offers_is_right_and_nothing_is_left_out(
    tmp_path: Path, regions: list[str]
) -> None:
    offered = re.sub(r"^#(?=\w|  )", "", _template(*regions), flags=re.MULTILINE)
    loaded(tmp_path, offered)
    shape, tree = Shape(), yaml.safe_load(offered)
    sections = [(), *((name,) for name in shape.fields(()) if shape.fields((name,)))]
    # An environment's suffix is for a variable, not for the file.
    left_out = [
        (*section, name)
        for section in sections
        for name in shape.fields(section)
        if name not in (tree if not section else tree[section[0]]) and name != "environment_suffix"
    ]
    assert left_out == []


def test_the_regions_are_those_that_botocore_knows() -> None:
    data = botocore.session.get_session().get_component("data_loader").load_data("endpoints")
    known = {part["partition"]: set(part["regions"]) for part in data["partitions"]}
    assert {partition: set(regions) for partition, regions in REGIONS.items()} == known


def test_a_region_lies_on_the_map_where_aws_says_that_it_is() -> None:
    data = botocore.session.get_session().get_component("data_loader").load_data("endpoints")
    said = {
        region: found["description"]
        for part in data["partitions"]
        for region, found in part["regions"].items()
    }
    public = [region for name in ("aws", "aws-cn", "aws-us-gov", "aws-eusc") for region in REGIONS[name]]
    assert sorted(PLACES) == sorted(public)
    assert {r: place.name for r, place in PLACES.items()} == {
        region: said[region].partition("(")[2].rstrip(")") for region in public
    }
    east = {"ap": 60, "eu": -10, "me": 40, "cn": 80, "us": -125, "sa": -70, "af": 10, "ca": -130, "mx": -110}
    far = {"ap": 180, "eu": 25, "me": 60, "cn": 125, "us": -70, "sa": -35, "af": 35, "ca": -60, "mx": -95}
    for region, place in PLACES.items():
        part = region.partition("-")[0]
        assert east.get(part, 0) < place.longitude < far.get(part, 40), region
        southern = region in ("sa-east-1", "af-south-1") or place.name in (
            "Sydney",
            "Melbourne",
            "Jakarta",
            "New Zealand",
        )
        assert (place.latitude < 0) is southern, region


def test_the_partitions_are_those_that_botocore_knows() -> None:
    loader = botocore.session.get_session().get_component("data_loader")
    known = {
        part["id"]: (part["outputs"]["dnsSuffix"], part["outputs"]["dualStackDnsSuffix"])
        for part in loader.load_data("partitions")["partitions"]
    }
    assert {name: (each.dns_suffix, each.dual_stack_suffix) for name, each in PARTITIONS.items()} == known
    for part in loader.load_data("endpoints")["partitions"]:
        iam = part["services"].get("iam", {})
        ends = iam.get("endpoints", {}).get(iam.get("partitionEndpoint"))
        # Where botocore names none, the partition has but one region.
        region = ends["credentialScope"]["region"] if ends else "".join(part["regions"])
        assert PARTITIONS[part["partition"]].iam_region == region


def test_s3_answers_where_botocore_says() -> None:
    loader = botocore.session.get_session().get_component("data_loader")
    rules = loader.load_service_model("s3", "endpoint-rule-set-1")
    provider = EndpointProvider(rules, loader.load_data("partitions"))
    assert {region: s3_endpoint(region) for region in all_regions()} == {
        region: provider.resolve_endpoint(Region=region).url for region in all_regions()
    }


def test_a_releases_digest_ignores_how_a_change_is_made() -> None:
    def digest(config: MigrationConfig) -> str:
        return Release(config, Artifact(Path("x"), "0"), {}, {}, "k", "1", "2").digest

    before = digest(made())
    assert digest(made(deployment={"bake": "1h"}, recovery={"rpo": "1m"}, state="s3://bucket/x")) == before
    assert digest(made(function={"memory": 1024})) != before


def test_settings_survive_being_written_down() -> None:
    config = made(deployment={"waves": [["eu-west-1", "ap-southeast-2"], ["us-east-1"]], "bake": "10m"})
    assert MigrationConfig.model_validate(config.model_dump(mode="json")) == config
    assert MigrationConfig.model_validate_json(config.model_dump_json()) == config


def test_the_default_protects_production_but_not_its_copies() -> None:
    assert made(environment="Prod").is_protected
    assert not made(environment="prod", environment_suffix="pr-42").is_protected
    assert not made(environment="prod", protect=False).is_protected
    assert made(protect=True).is_protected
