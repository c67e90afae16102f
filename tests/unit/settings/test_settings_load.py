"""From file, environment and options to settings, in one order of precedence."""

from __future__ import annotations

from pathlib import Path

import pytest
from settings_samples import SMALLEST, loaded, mistakes_of

import regionshift
from regionshift.errors import EXIT_INPUT, InputError
from regionshift.settings.load import RESERVED, load_config
from regionshift.settings.mistakes import SettingsError


def test_the_smallest_file_is_enough(tmp_path: Path) -> None:
    config = loaded(tmp_path, SMALLEST)
    assert config.all_regions == ("us-east-1", "eu-west-1", "ap-southeast-2")
    assert config.waves == (("eu-west-1",), ("ap-southeast-2",), ("us-east-1",))
    assert (config.target, config.suffix, config.is_protected, config.bake) == ("local", "dev", False, 0)
    assert set(config.networks) == set(config.all_regions)


def test_one_region_is_an_environment_too(tmp_path: Path) -> None:
    config = loaded(tmp_path, SMALLEST.replace(", secondaries: [eu-west-1, ap-southeast-2]", ""))
    assert config.waves == (("us-east-1",),)


def test_options_win_over_variables_over_the_suffix_over_the_file_over_defaults(tmp_path: Path) -> None:
    text = SMALLEST + "environment_suffix: file\n"
    suffix = {"ENVIRONMENT_SUFFIX": "suffix"}
    variable = {**suffix, "REGIONSHIFT_ENVIRONMENT_SUFFIX": "variable"}
    assert loaded(tmp_path, SMALLEST).environment_suffix == ""
    assert loaded(tmp_path, text).environment_suffix == "file"
    assert loaded(tmp_path, text, suffix).environment_suffix == "suffix"
    assert loaded(tmp_path, text, variable).environment_suffix == "variable"
    assert loaded(tmp_path, text, variable, {"environment_suffix": "option"}).environment_suffix == "option"


def test_empty_variables_and_options_that_are_none_count_as_not_given(tmp_path: Path) -> None:
    env = {"ENVIRONMENT_SUFFIX": "", "REGIONSHIFT_TARGET": ""}
    config = loaded(tmp_path, SMALLEST, env, {"account": None})
    assert (config.suffix, config.target, config.account) == ("dev", "local", "012345678901")


def test_variables_reach_nested_fields_lists_and_maps(tmp_path: Path) -> None:
    env = {
        "REGIONSHIFT_NETWORK__VPC_CIDR": "10.8.0.0/16",
        "REGIONSHIFT_NETWORK__FLOW_LOGS": "false",
        "REGIONSHIFT_REGIONS__SECONDARIES": "[eu-west-2]",
        "REGIONSHIFT_FUNCTION__TIMEOUT": "10m",
        "REGIONSHIFT_TAGS": '{"Team": "a"}',
        "REGIONSHIFT_TAGS__Owner": "no",
        "REGIONSHIFT_ACCOUNT": "000000000012",
    }
    config = loaded(tmp_path, SMALLEST, env)
    assert config.network.vpc_cidr == "10.8.0.0/16"
    assert config.network.flow_logs is False
    assert config.regions.secondaries == ("eu-west-2",)
    assert config.function.timeout == 600
    assert config.tags == {"Team": "a", "Owner": "no"}
    assert config.account == "000000000012"


def test_options_reach_nested_fields_as_values_or_as_text(tmp_path: Path) -> None:
    config = loaded(
        tmp_path, SMALLEST, {}, {"network.zones": "3", "function": {"memory": 256}, "target": "aws"}
    )
    assert (config.network.zones, config.function.memory, config.target, config.bake) == (3, 256, "aws", 600)


def test_variables_of_the_commands_are_no_fields(tmp_path: Path) -> None:
    env = {"REGIONSHIFT_CONFIG": "x.yaml", "REGIONSHIFT_TEST_ON_AWS": "1", "REGION": "eu-west-1"}
    assert mistakes_of(tmp_path, SMALLEST, env) == {}


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_variable_that_is_no_field_is_read_by_the_code_and_explained(name: str) -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(regionshift.__file__).parent.rglob("*.py")]
    assert any(f'"{name}"' in source for source in sources)
    page = Path(__file__).parents[3] / "docs" / "settings.md"
    assert f"| `{name}` |" in page.read_text(encoding="utf-8")


def test_a_variable_that_names_no_field_is_a_mistake_without_its_value(tmp_path: Path) -> None:
    env = {"REGIONSHIFT_NETWORK__VPC_CIRD": "x", "REGIONSHIFT_DB_PASSWORD": "hunter2"}
    mistakes = mistakes_of(tmp_path, SMALLEST, env)
    assert mistakes["network.vpc_cird"].nearest == "REGIONSHIFT_NETWORK__VPC_CIDR"
    assert mistakes["db_password"].source == "REGIONSHIFT_DB_PASSWORD"
    assert "hunter2" not in repr(mistakes)


def test_a_mistake_in_a_variable_names_the_variable(tmp_path: Path) -> None:
    mistakes = mistakes_of(tmp_path, SMALLEST, {"REGIONSHIFT_REGIONS__PRIMARY": "eu-wset-2"})
    mistake = mistakes["regions.primary"]
    assert (mistake.source, mistake.nearest) == ("REGIONSHIFT_REGIONS__PRIMARY", "eu-west-2")


@pytest.mark.parametrize(
    "account", ["012345678901", '"012345678901"', "123456789012", "001234567012", "000000000000"]
)
def test_an_account_keeps_its_zeros_with_and_without_quotes(tmp_path: Path, account: str) -> None:
    config = loaded(tmp_path, SMALLEST.replace('"012345678901"', account))
    assert config.account == account.strip('"')


def test_words_are_not_read_as_true_or_false_and_dates_stay_text(tmp_path: Path) -> None:
    config = loaded(tmp_path, SMALLEST + "tags: {Backup: no, Country: NO, Since: 2024-01-01, At: 12:30}\n")
    assert config.tags == {"Backup": "no", "Country": "NO", "Since": "2024-01-01", "At": "12:30"}


def test_a_section_with_everything_commented_out_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    config = loaded(tmp_path, SMALLEST + "function:\ntags:\nretention:\n  logs:\n")
    assert config.function.memory == 512
    assert config.retention.logs == 30


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    assert loaded(tmp_path, "\ufeff" + SMALLEST).project == "shop"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"# nothing but a comment\n", "an empty file"),
        (b"- a\n- b\n", "a list"),
        (b"shop\n", "a single value"),
        (b"project: [a\n", "broken YAML: expected"),
        (b"project: a\n\tenvironment: b\n", "line 2"),
        (b"a: 1\n---\nb: 2\n", "but found another document, line 2"),
        (b"project: \xff\xfe\n", "no UTF-8"),
        (b"project: a\x00b\n", "a character that YAML does not allow"),
    ],
)
def test_a_file_that_is_no_settings_is_one_clear_mistake(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "regionshift.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_config(path, {}, {})
    (mistake,) = caught.value.mistakes
    assert found in mistake.found
    assert caught.value.exit_code == EXIT_INPUT
    assert caught.value.remedy


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no settings file none\.yaml") as caught:
        load_config(tmp_path / "none.yaml", {}, {})
    assert "regionshift init" in str(caught.value.remedy)
    with pytest.raises(SettingsError, match="directory"):
        load_config(tmp_path, {}, {})


def test_broken_yaml_does_not_repeat_what_may_be_a_password(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, SMALLEST + "password: *hunter2\n")
    assert "hunter2" not in str(caught.value)


def test_aliases_work_but_not_without_end(tmp_path: Path) -> None:
    config = loaded(tmp_path, SMALLEST + "tags: {A: &a one, B: *a}\n")
    assert config.tags == {"A": "one", "B": "one"}
    assert "without end" in str(mistakes_of(tmp_path, SMALLEST + "tags: &t {A: *t}\n"))
    bomb = "tags: {a: &a [x,x,x,x,x,x,x,x,x,x], b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]"
    for one, other in ("bc", "cd", "de", "ef"):
        bomb += f", {other}: &{other} [{','.join([f'*{one}'] * 10)}]"
    assert mistakes_of(tmp_path, SMALLEST + bomb + "}\n")
