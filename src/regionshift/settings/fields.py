"""The kinds of value that settings are made of (regions, accounts, lengths of time such as ``1h30m``, …), each with
its rule, and the message for a wrong one.

A rule raises ``wrong(allowed, nearest)``; ``settings.mistakes`` turns that into a line for the reader.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from regionshift.settings.mistakes import nearest_of
from regionshift.settings.names import normalize_name
from regionshift.settings.network import LARGEST_VPC_PREFIX, SMALLEST_VPC_PREFIX
from regionshift.settings.regions import REGIONS, all_regions
from regionshift.settings.state_url import parse_state_url

# The RFC 6890 blocks that a VPC may not take (VPC User Guide, "VPC CIDR blocks", restrictions).
_REFUSED_BLOCKS = tuple(
    ipaddress.IPv4Network(block) for block in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")
)
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>.]+(\.[^@\s,;<>.]+)+")
_TAG_TEXT = re.compile(r"[\w .:/=+\-@]*")
_RESERVED_TAGS = ("Project", "Environment", "Region", "IsPrimary", "ManagedBy", "Purpose", "Name")
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
DURATION_PATTERN = r"^(?=\d)(\d+d)?(\d+h)?(\d+m)?(\d+s)?$"
STATE_SECRETS = ("awskms://", "azurekeyvault://", "gcpkms://", "hashivault://", "file://")


class Section(BaseModel):
    """Base of every part of the settings: immutable, and a misspelt field is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


def wrong(allowed: str, nearest: str | None = None) -> PydanticCustomError:
    """The error of a value that breaks a rule: what is allowed, and the nearest that is."""
    # The texts go in as values: a brace in them must not be read as a placeholder.
    return PydanticCustomError("wrong", "allowed: {allowed}", {"allowed": allowed, "nearest": nearest})


def parse_duration(text: str) -> int:
    """The seconds that ``text`` means.

    Raises:
        ValueError: not a length of time.
    """
    found = re.fullmatch(DURATION_PATTERN, text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a length of time such as 90s, 10m or 1h30m")
    return sum(int(part[:-1]) * _SECONDS[part[-1]] for part in found.groups() if part)


def format_duration(seconds: int) -> str:
    """The shortest way to write ``seconds``, which ``parse_duration`` reads back."""
    if seconds == 0:
        return "0s"
    parts = []
    for unit, size in _SECONDS.items():
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def _known_region(text: str) -> str:
    if text in all_regions():
        return text
    area = text.split("-", maxsplit=1)[0].casefold()
    same_area = [region for region in all_regions() if region.split("-", maxsplit=1)[0] == area]
    offered = ", ".join(same_area or REGIONS["aws"])
    raise wrong(f"a region of AWS, such as {offered}", nearest_of(text, same_area or all_regions()))


def _named(text: str) -> str:
    if not normalize_name(text):
        raise wrong("text with at least one of a-z or 0-9, as it becomes part of every name")
    if not _TAG_TEXT.fullmatch(text):
        raise wrong("letters, digits, spaces or . : / = + - @ _, as it becomes a tag as well")
    return text


def only_region_in_braces(text: str) -> str:
    """``text`` with no other place to fill in than ``{region}``; raises as :func:`wrong` otherwise."""
    left = text.replace("{region}", "")
    if "{" in left or "}" in left:
        meant = re.sub(r"\{[^{}]*\}?", "{region}", text)
        raise wrong(
            "no braces but those of {region}", meant if meant.count("{") == meant.count("}") else None
        )
    return text


def _account(value: object) -> object:
    # YAML reads an account without leading zeros and quotes as a number; its digits are not lost.
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and re.fullmatch(r"\d{12}", value, re.ASCII):
        return value
    nearest = None
    if isinstance(value, str):
        digits = re.sub(r"[-\s]", "", value)
        if digits.isdecimal() and 9 <= len(digits) <= 12:
            nearest = f'"{digits.zfill(12)}"'
    raise wrong('the 12 digits of an AWS account in quotes, such as "012345678901"', nearest)


def _block(text: str) -> ipaddress.IPv4Network:
    allowed = "an IPv4 block such as 10.0.0.0/16"
    if "/" not in text:
        raise wrong(allowed, f"{text}/16" if text.count(".") == 3 else None)
    try:
        block = ipaddress.IPv4Network(text)
    except ValueError:
        raise wrong(allowed, _block_around(text)) from None
    if any(block.overlaps(refused) for refused in _REFUSED_BLOCKS):
        raise wrong("a block that a VPC may have, such as one of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    return block


def _block_around(text: str) -> str | None:
    try:
        return str(ipaddress.IPv4Network(text, strict=False))
    except ValueError:
        return None


def _space(text: str) -> str:
    if _block(text).prefixlen > SMALLEST_VPC_PREFIX:
        raise wrong(f"a block of at least /{SMALLEST_VPC_PREFIX}")
    return text


def _vpc_block(text: str) -> str:
    if not LARGEST_VPC_PREFIX <= _block(text).prefixlen <= SMALLEST_VPC_PREFIX:
        raise wrong(
            f"a block between /{LARGEST_VPC_PREFIX} and /{SMALLEST_VPC_PREFIX}, as AWS wants for a VPC"
        )
    return text


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise wrong("an e-mail address such as team@example.com")
    return text


def _tag_key(key: str) -> str:
    if key.casefold().startswith(("aws:", "regionshift:")):
        raise wrong("a key that does not begin with aws: or regionshift:, which are reserved")
    for reserved in _RESERVED_TAGS:
        # Tag keys of IAM roles are not case-sensitive (IAM User Guide, "Rules for tagging").
        if key.casefold() == reserved.casefold():
            raise wrong(f"a key other than {', '.join(_RESERVED_TAGS)}, which the environment sets itself")
    if not 1 <= len(key) <= 128 or not _TAG_TEXT.fullmatch(key):
        raise wrong("1 to 128 letters, digits, spaces or . : / = + - @ _")
    return key


def _tag_value(value: str) -> str:
    if len(value) > 256 or not _TAG_TEXT.fullmatch(value):
        raise wrong("up to 256 letters, digits, spaces or . : / = + - @ _")
    if value.casefold().startswith("aws:"):
        raise wrong("a value that does not begin with aws:, which is reserved")
    return value


def _state(text: str) -> str:
    url = parse_state_url(text)
    if text and (problem := url.problem):
        raise wrong(problem, url.nearest)
    return text


def _state_secrets(text: str) -> str:
    if not text.startswith(STATE_SECRETS):
        raise wrong(f"a URL that begins with {', '.join(STATE_SECRETS)}")
    return text


def _day(value: object) -> object:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise wrong("a day, as 2027-01-31") from None


def _seconds(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError:
            raise wrong("a length of time such as 90s, 10m or 1h30m, or a number of seconds") from None
    return value


def _schema_of_regions() -> dict[str, Any]:
    return {"type": "string", "enum": list(all_regions())}


Target = Literal["aws", "local"]
OnFailure = Literal["rollback", "stop"]
# CloudWatch Logs API Reference, PutRetentionPolicy, retentionInDays.
LogDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]

Region = Annotated[str, AfterValidator(_known_region), WithJsonSchema(_schema_of_regions())]
NamePart = Annotated[str, AfterValidator(_named), Field(min_length=1, max_length=128)]
Suffix = Annotated[str, AfterValidator(lambda text: _named(text) if text else text), Field(max_length=128)]
Account = Annotated[
    str,
    BeforeValidator(_account),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^\d{12}$", "examples": ["012345678901"]}),
]
AddressSpace = Annotated[str, AfterValidator(_space), Field(examples=["10.0.0.0/16"])]
VpcBlock = Annotated[str, AfterValidator(_vpc_block), Field(examples=["10.0.0.0/20"])]
Email = Annotated[str, AfterValidator(_email), Field(examples=["team@example.com"])]
TagKey = Annotated[str, AfterValidator(_tag_key)]
TagValue = Annotated[str, AfterValidator(_tag_value)]
StateUrl = Annotated[str, AfterValidator(_state), Field(examples=["s3://my-state-bucket/regionshift"])]
StateSecrets = Annotated[str, AfterValidator(_state_secrets), Field(examples=["awskms://alias/state"])]
# IAM User Guide, "IAM identifiers", "IAM ARNs"; * and ? as in ArnLike (the same, "Condition operators").
Principal = Annotated[
    str,
    Field(
        pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:(root|(user|role)/[A-Za-z0-9_+=,.@/*?-]+)$",
        examples=["arn:aws:iam::123456789012:role/operators"],
    ),
]
# IAM API Reference, "CreateRole", PermissionsBoundary; IAM User Guide, "IAM identifiers", "IAM ARNs".
PolicyArn = Annotated[
    str,
    Field(
        pattern=r"^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/([!-.0-~]+/)*[A-Za-z0-9_+=,.@-]{1,128}$",
        max_length=512,
        examples=["arn:aws:iam::123456789012:policy/boundary"],
    ),
]
# What an owner and a repository may be called, each with its id where the tokens of GitHub have it (GitHub Docs,
# "OpenID Connect reference", "Immutable subject claims": of all repositories made since 15 July 2026).
ON_GITHUB = (
    r"^[A-Za-z0-9](-?[A-Za-z0-9])*/[A-Za-z0-9_.-]{1,100}$"
    r"|^[A-Za-z0-9](-?[A-Za-z0-9])*@[0-9]+/[A-Za-z0-9_.-]{1,100}@[0-9]+$"
)
# GitLab Docs, "Reserved project and group names", "Limitations on usernames, project and group names and slugs".
ON_GITLAB = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$"
Repository = Annotated[
    str,
    Field(
        pattern=f"{ON_GITHUB}|{ON_GITLAB}",
        max_length=255,
        examples=["octo-org/orders", "octo-org@123456/orders@456789"],
    ),
]
# A page with headings that a fragment names; short, as an alarm's description has 1,024 characters for all.
Page = Annotated[
    str,
    Field(
        pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*)?$",
        max_length=400,
        examples=["https://docs.example.com/regionshift/runbooks/"],
    ),
]
# IAM API Reference, "CreateOpenIDConnectProvider", Url: https, as the claim iss has it, and without a port.
GitLab = Annotated[
    str,
    Field(
        pattern=r"^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(/[A-Za-z0-9_.-]+)*$",
        max_length=255,
        examples=["https://gitlab.com"],
    ),
]
# git-check-ref-format(1), but for what GitHub or a shell reads as something else.
Branch = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_./-]*[A-Za-z0-9_-])?$", max_length=200, examples=["main"])
]
# OCI Distribution Specification, "Pulling manifests": a name, perhaps after a host, and the digest of its manifest.
Image = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-zA-Z0-9./_:-]*@sha256:[0-9a-f]{64}$",
        max_length=500,
        examples=["registry.example.com/tools/regionshift@sha256:" + "0" * 64],
    ),
]
# Characters that both SSM and Secrets Manager take in one segment of a name.
ItemName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$", examples=["database-password"])]
# An id of a rule (docs/findings.md).
RuleId = Annotated[str, Field(pattern=r"^RS-[A-Z]+-[0-9]{3}$", examples=["RS-DATA-001"])]
Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2027-01-31"]}),
]
ConfigKey = Annotated[str, Field(min_length=1)]
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", examples=["DATABASE_PASSWORD"])]


class _DurationSchema(WithJsonSchema):
    """The schema of a duration: seconds, or text such as ``10m``."""

    def __init__(self, minimum: int, maximum: int | None = None) -> None:
        number: dict[str, Any] = {"type": "integer", "minimum": minimum}
        if maximum is not None:
            number["maximum"] = maximum
        super().__init__({"anyOf": [number, {"type": "string", "pattern": DURATION_PATTERN}]})


Duration = Annotated[int, BeforeValidator(_seconds), Field(ge=0), _DurationSchema(0)]
Timeout = Annotated[int, BeforeValidator(_seconds), Field(ge=30, le=900), _DurationSchema(30, 900)]
Window = Annotated[int, BeforeValidator(_seconds), Field(ge=60), _DurationSchema(60)]
