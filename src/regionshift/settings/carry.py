"""The settings `carry` and `migration`: which data a migration copies, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from regionshift.settings import fields
from regionshift.settings.fields import Section, wrong
from regionshift.settings.names import NameKind
from regionshift.settings.regions import all_regions

# S3 User Guide, "General purpose bucket naming rules", with the place where the region's code goes.
BucketPattern = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9{][a-z0-9.{}-]*[a-z0-9}]$", min_length=3, max_length=80, examples=["media-{region}"]
    ),
    AfterValidator(fields.only_region_in_braces),
]
_LONGEST_REGION = max(all_regions(), key=len)
ParameterPath = Annotated[
    str,
    Field(pattern=r"^(/[A-Za-z0-9_.{}-]+)+/?$", max_length=NameKind.PARAMETER.limit, examples=["/shop/prod"]),
    AfterValidator(fields.only_region_in_braces),
]
# KMS API Reference, "CreateAlias", "Key identifiers": an alias, or the ARN of a key or an alias.
KmsKey = Annotated[
    str,
    Field(
        pattern=r"^(arn:aws[a-z-]*:kms:[a-z0-9{}-]+:\d{12}:key/[A-Za-z0-9-]+"
        r"|(arn:aws[a-z-]*:kms:[a-z0-9{}-]+:\d{12}:)?alias/[A-Za-z0-9/_{}-]+)$",
        max_length=2048,
        examples=["alias/shop-data"],
    ),
    AfterValidator(fields.only_region_in_braces),
]
SecretName = Annotated[
    str, Field(min_length=1, max_length=NameKind.SECRET.limit), AfterValidator(fields.only_region_in_braces)
]
Glob = Annotated[str, Field(min_length=1)]


class Rewrite(Section):
    """Changes of a value that names the source region. By default there are none."""

    arns: bool = False
    """Replace the source region in ARNs with the target region."""
    regions: bool = False
    """Replace the source region's code with the target region's code wherever it is a word."""
    replace: dict[Annotated[str, Field(min_length=1)], str] = Field(default={})
    """Other texts to replace, exactly as written."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of an entry with these rules."""
        rules = {"arn": self.arns, "region": self.regions}
        return {"rewrite": tuple(rule for rule, wanted in rules.items() if wanted), "replace": self.replace}


class CarryEnd(NamedTuple):
    """One end of an entry; `{region}` stands for the region of its side.

    Args:
        bucket: "" is the environment's own; None is for data outside buckets.
        prefix: the beginning of keys, paths or names.
        account: the bucket's account, if it is not the environment's.
    """

    bucket: str | None = None
    prefix: str = ""
    account: str = ""


class CarryEntry(Section):
    """The base of the entries of every kind of data under `carry`.

    A new kind is a class like those below and a field of `Carry`. Its carrier has a row in `carriers.kinds`, and its
    rights have a row in `infrastructure.carried`.
    """

    name_kind: ClassVar[NameKind | None] = None
    """The environment's own items with names of this kind are never copied."""

    if TYPE_CHECKING:
        # Each kind declares it itself, with what holds when it is left out.
        kms_key: KmsKey | None

    include: tuple[Glob, ...] = ()
    """Patterns (`*`, `?`, `[...]`) of the items to copy, compared after the prefix; none means everything."""
    exclude: tuple[Glob, ...] = ()
    """Patterns of items that are not copied, even if they match `include`."""

    @property
    def ends(self) -> tuple[CarryEnd, CarryEnd]:
        """Source and target."""
        raise NotImplementedError

    @property
    def wanted_tags(self) -> Mapping[str, str]:
        """Tags that an item must have, all of them."""
        return {}

    def options(self, migration: MigrationSettings) -> Mapping[str, Any]:
        """Additional fields of `carriers.carrier.Entry` for this kind."""
        del migration
        return {}


class CarryBucket(CarryEntry):
    """Objects of one bucket. `{region}` in a bucket's name stands for the source region and the target region."""

    bucket: BucketPattern | None = None
    """The source bucket; by default the environment's own deployment bucket."""
    source_account: fields.Account | None = None
    """The account of `bucket`, if it is not the environment's; a bucket of any other account is refused."""
    prefix: str = Field(default="", max_length=1024)
    """Only keys that begin with this."""
    target_bucket: BucketPattern | None = None
    """The target bucket; by default `bucket` if it has `{region}`, or the environment's own."""
    target_account: fields.Account | None = None
    """The account of the target bucket, if it is not the environment's."""
    target_prefix: str | None = Field(default=None, max_length=1024)
    """Replaces `prefix` in the target; by default the same."""
    created_by: Literal["regionshift", "user"] = "user"
    """Who creates the target bucket; `regionshift` creates one in each region, like the environment's own."""
    keep_versions: bool | None = None
    """Copy the version history in order; by default `migration.keep_versions`."""
    storage_class: Literal["keep", "STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"] = "keep"
    """The storage class in the target."""
    kms_key: KmsKey | None = None
    """Your own key in the target region, by alias or ARN; by default the bucket's own encryption."""

    @model_validator(mode="after")
    def _has_a_target(self) -> CarryBucket:
        fixed = self.bucket is not None and "{region}" not in self.bucket
        if fixed and self.target_bucket is None:
            raise wrong("a target_bucket, because one name cannot be a bucket in two regions")
        if self.target_bucket is not None and self.target_bucket == self.bucket and fixed:
            raise wrong("a target_bucket other than bucket, or {region} in both")
        if self.created_by == "regionshift" and self.target_bucket is None and self.bucket is None:
            raise wrong("created_by only with a bucket of your own: the environment's own is always created")
        if self.source_account is not None and self.bucket is None:
            raise wrong(
                "source_account only with a bucket: the environment's own is in the environment's account"
            )
        if self.target_account is not None and self.target_bucket is None and self.bucket is None:
            raise wrong(
                "target_account only with a bucket: the environment's own is in the environment's account"
            )
        if self.target_account is not None and self.created_by == "regionshift":
            raise wrong(
                "target_account only with created_by: user, because one is created in this account alone"
            )
        if self.created_by == "regionshift":
            self._can_be_created()
        return self

    def _can_be_created(self) -> None:
        pattern = self.target_bucket or self.bucket or ""
        if "{region}" not in pattern:
            raise wrong("{region} in the target bucket's name, because one is created in every region")
        if len(pattern.replace("{region}", _LONGEST_REGION)) > NameKind.BUCKET.limit:
            raise wrong(
                f"a target bucket's name of at most {NameKind.BUCKET.limit} characters with the region in it"
            )

    @property
    def ends(self) -> tuple[CarryEnd, CarryEnd]:
        """See `CarryEntry.ends`."""
        begins = self.prefix if self.target_prefix is None else self.target_prefix
        target = self.bucket if self.target_bucket is None else self.target_bucket
        return (
            CarryEnd(self.bucket or "", self.prefix, self.source_account or ""),
            CarryEnd(target or "", begins, self.target_account or ""),
        )

    def options(self, migration: MigrationSettings) -> Mapping[str, Any]:
        """See `CarryEntry.options`."""
        keeps = migration.keep_versions if self.keep_versions is None else self.keep_versions
        return {"history": keeps, "storage_class": self.storage_class}


class CarryParameters(CarryEntry):
    """SSM parameters under one path. `{region}` stands for the source region and the target region."""

    name_kind: ClassVar[NameKind | None] = NameKind.PARAMETER

    path: ParameterPath
    """The path of the parameters."""
    target_path: ParameterPath | None = None
    """Replaces `path` in the target; by default the same."""
    kms_key: KmsKey | None = None
    """Your own key in the target region, by alias or ARN; by default the environment's key."""
    rewrite: Rewrite = Rewrite()
    """Changes of values that name the source region."""

    @property
    def ends(self) -> tuple[CarryEnd, CarryEnd]:
        """See `CarryEntry.ends`."""
        paths = (self.path, self.target_path or self.path)
        source, target = (CarryEnd(prefix=path.rstrip("/") + "/") for path in paths)
        return source, target

    def options(self, migration: MigrationSettings) -> Mapping[str, Any]:
        """See `CarryEntry.options`."""
        del migration
        return self.rewrite.options


class CarrySecrets(CarryEntry):
    """Secrets, by the beginning of their names or by tags. `{region}` stands for the source region and the target
    region."""

    name_kind: ClassVar[NameKind | None] = NameKind.SECRET

    name: SecretName | None = None
    """The beginning of the secrets' names."""
    tags: dict[str, str] = Field(default={})
    """Tags that a secret must have, all of them."""
    target_name: SecretName | None = None
    """Replaces `name` in the target; by default the same."""
    kms_key: KmsKey | None = None
    """Your own key in the target region, by alias or ARN; by default the environment's key."""
    rewrite: Rewrite = Rewrite()
    """Changes of values that name the source region."""

    @model_validator(mode="after")
    def _selects(self) -> CarrySecrets:
        if (self.name is None) == (not self.tags):
            raise wrong("exactly one of name and tags")
        if self.target_name is not None and self.name is None:
            raise wrong("target_name only together with name, whose place it takes")
        return self

    @property
    def ends(self) -> tuple[CarryEnd, CarryEnd]:
        """See `CarryEntry.ends`; no name if tags alone select them."""
        return CarryEnd(prefix=self.name or ""), CarryEnd(prefix=self.target_name or self.name or "")

    @property
    def wanted_tags(self) -> Mapping[str, str]:
        """See `CarryEntry.wanted_tags`."""
        return self.tags

    def options(self, migration: MigrationSettings) -> Mapping[str, Any]:
        """See `CarryEntry.options`."""
        del migration
        return self.rewrite.options


class Carry(Section):
    """The data that `migrate` copies between regions, in addition to the environment's resources."""

    # A field for each kind of data, in the order in which they are copied.

    s3: tuple[CarryBucket, ...] = ()
    """Buckets and prefixes."""
    ssm: tuple[CarryParameters, ...] = ()
    """Paths of parameters."""
    secrets: tuple[CarrySecrets, ...] = ()
    """Secrets."""

    @property
    def by_kind(self) -> dict[str, tuple[CarryEntry, ...]]:
        """The entries of each kind, in the order in which they are copied."""
        return {kind: getattr(self, kind) for kind in type(self).model_fields}

    @property
    def entries(self) -> list[tuple[str, CarryEntry]]:
        """Every entry, with its kind."""
        return [(kind, entry) for kind, entries in self.by_kind.items() for entry in entries]

    def created_in(self, region: str) -> tuple[str, ...]:
        """Names of the buckets that the program creates in ``region`` for copies."""
        patterns = (entry.ends[1].bucket for entry in self.s3 if entry.created_by == "regionshift")
        return tuple(dict.fromkeys(name.replace("{region}", region) for name in patterns if name))


class MigrationSettings(Section):
    """How a migration is done."""

    on_failure: fields.OnFailure = "rollback"
    """After a failed proof: `rollback` undoes the migration, `stop` keeps its copies and its target."""
    verify: Literal["pinned", "full"] = "full"
    """`pinned`: the copy is from the planned version, and listings agree; `full`: contents are compared too."""
    keep_versions: bool = False
    """Copy the version history of objects in order."""
