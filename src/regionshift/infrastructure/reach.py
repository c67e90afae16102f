"""Name everything that belongs to one environment, in all of its regions, as ARNs and conditions of a policy.

A region in a name becomes a pattern of its form (`regions.patterns_of`). So thirty regions need only a few patterns,
and no name of another environment fits them (``pre-prod`` for ``prod``). What AWS names itself is known by its tags.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from os.path import commonprefix

from regionshift.infrastructure.carried import literal
from regionshift.infrastructure.policies.statement import Condition, within
from regionshift.infrastructure.rights import RIGHTS, types_of
from regionshift.infrastructure.site import MANAGED_BY
from regionshift.settings import components as named
from regionshift.settings.components import Component
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import HASH_LENGTH, NameKind, normalize_name
from regionshift.settings.regions import PARTITIONS, partition_of, patterns_of

ANY_REGION = "??-*-?"
"""The form of every region code."""
SHORTENED = f"--{'?' * HASH_LENGTH}"
"""The end of every shortened name, as a pattern."""
_ASKED = "${aws:RequestedRegion}"
_OF_REGION = "{region}"
_OF_PROJECT = 30
"""How many characters of the project's name every shortened bucket name begins with."""


class Reach:
    """The ARNs and conditions of one environment, in all of its regions.

    Args:
        by_form: each region in a name becomes the pattern of its own form (``??-west-?``). Otherwise all become one
            pattern.
        together: shortened names share a pattern, see `alike`. Given explicitly, they also share one where only the
            beginning of the project's name is left of them.
        asked: a region in a name becomes the variable for the region of the request. This is exact for every ARN with a
            region (IAM User Guide, "IAM policy elements: Variables and tags": permissions boundaries may use global
            condition keys as variables).
    """

    def __init__(
        self, config: MigrationConfig, by_form: bool, *, together: bool | None = None, asked: bool = False
    ) -> None:
        self.config = config
        self.regions = sorted(config.all_regions)
        self.partition = partition_of(config.regions.primary)
        self.kinds = {kind for region in self.regions for kind in types_of(config, region)}
        self._together = not by_form if together is None else together
        self._of_project = bool(together)
        forms = dict.fromkeys(self.regions, _ASKED) if asked else patterns_of(self.regions)
        self._forms = forms if by_form or len({*forms.values()}) == 1 else dict.fromkeys(forms, ANY_REGION)

    # The actions of the engine, from the table

    def writes(self, *kinds: str) -> list[str]:
        """Return the actions that create, change and delete these types, for those that the settings use."""
        return [action for kind in self._used(kinds) for action in RIGHTS[kind].writes(self.config)]

    def reads(self, *kinds: str) -> list[str]:
        """Return the actions that read these types, for those that the settings use."""
        return [action for kind in self._used(kinds) for action in RIGHTS[kind].reads(self.config)]

    def _used(self, kinds: Collection[str]) -> list[str]:
        beginnings = tuple(f"aws:{each}" for each in kinds)
        return [kind for kind in RIGHTS if kind in self.kinds and kind.startswith(beginnings)]

    # Resources

    def arn(self, service: str, resource: str, region: str = "*") -> str:
        """Return the ARN of a resource in this account."""
        return f"arn:{self.partition}:{service}:{region}:{self.config.account}:{resource}"

    def arns(self, service: str, resource: str, names: Iterable[str], region: str = "*") -> list[str]:
        """Return the ARN of ``resource`` for each name, which replaces its ``{}``."""
        return [self.arn(service, resource.format(name), region) for name in names]

    def names(self, *components: Component) -> list[str]:
        """Return the names of these components in all regions, as patterns."""
        return once(pattern for component in components for pattern in self._names_of(component))

    def _names_of(self, component: Component) -> list[str]:
        project = normalize_name(self.config.project)
        # A bucket's name has little room beside the project's. Its account keeps it apart from other accounts.
        in_account = component.kind is NameKind.BUCKET
        shares = in_account or self._of_project
        beginning = project[:_OF_PROJECT] if shares else f"{project}-{component.part}-"
        names = {region: component.name(self.config.names, region) for region in self.regions}
        return self.alike(names, beginning, f"-{self.config.account}" if in_account else "")

    def alike(self, names: Mapping[str, str], beginning: str = "", end: str = "") -> list[str]:
        """Return patterns for names by region. Names that differ only in the form of their region share one pattern.

        A name that shares its form with no other one is returned whole. So is a shortened name, which ends in a hash.

        Args:
            beginning: with `together`, all shortened names share one pattern if they begin with this. Another
                environment of the project with shortened names has names of that pattern too.
            end: what follows the hash.
        """
        in_form = {region: self.in_form(name, region) for region, name in names.items()}
        times = Counter(in_form.values())
        found = once(each if times[each] > 1 else names[region] for region, each in in_form.items())
        if not (self._together and beginning):
            return found
        ending = f"{SHORTENED}{end}"
        shortened = [name for name in found if name in names.values() and fnmatchcase(name, f"*{ending}")]
        # It compares characters, as wanted here.
        shared = commonprefix([name[: -len(ending)] for name in shortened])  # noqa: RUF071
        if len(shortened) < 2 or not shared.startswith(beginning):
            return found
        return [*(name for name in found if name not in shortened), f"{shared}*{ending}"]

    def in_form(self, name: str, region: str) -> str:
        """Return ``name`` with the pattern of the region in its place."""
        return name.replace(region, self._forms[region])

    def in_regions(self, text: str) -> list[str]:
        """Return a text of the settings once for each pattern of a region, which replaces ``{region}``."""
        return once(text.replace(_OF_REGION, form) for form in self._forms.values())

    @cached_property
    def own_paths(self) -> list[str]:
        """What the environment's parameters, secrets and log groups are called, as patterns of paths."""
        return self.alike({region: self.config.names.parameter("*", region) for region in self.regions})

    def buckets(self, *components: Component) -> list[str]:
        """Return the ARNs of buckets."""
        return [f"arn:{self.partition}:s3:::{name}" for name in self.names(*components)]

    @cached_property
    def created_buckets(self) -> list[str]:
        """The ARNs of the buckets that the program creates for `carry`."""
        patterns = (
            entry.ends[1].bucket for entry in self.config.carry.s3 if entry.created_by == "regionshift"
        )
        return once(
            f"arn:{self.partition}:s3:::{name}" for each in patterns if each for name in self.in_regions(each)
        )

    # What `carry` names

    @cached_property
    def carried_buckets(self) -> dict[str, tuple[list[str], list[str]]]:
        """The buckets that `carry` names, and their objects under the named prefixes, by account."""
        found: dict[str, tuple[list[str], list[str]]] = {}
        for entry in self.config.carry.s3:
            for end in entry.ends:
                buckets, objects = found.setdefault(end.account or self.config.account, ([], []))
                of_end = (
                    [f"arn:{self.partition}:s3:::{name}" for name in self.in_regions(end.bucket)]
                    if end.bucket
                    else self.buckets(named.DEPLOYMENT_BUCKET)
                )
                buckets += of_end
                objects += [f"{bucket}/{literal(end.prefix)}*" for bucket in of_end]
        return {account: (once(buckets), once(objects)) for account, (buckets, objects) in found.items()}

    @cached_property
    def carried_paths(self) -> list[str]:
        """The paths that parameters of `carry` begin with."""
        ends = (end for entry in self.config.carry.ssm for end in entry.ends)
        return once(path for end in ends for path in self.in_regions(end.prefix))

    @cached_property
    def carried_secrets(self) -> list[str]:
        """The names that secrets of `carry` begin with, for entries without tags."""
        ends = (end for entry in self.config.carry.secrets if not entry.wanted_tags for end in entry.ends)
        return once(name for end in ends for name in self.in_regions(end.prefix))

    @property
    def carried_tags(self) -> list[dict[str, str]]:
        """The tags of the secrets, for entries of `carry` with tags."""
        return [dict(entry.wanted_tags) for entry in self.config.carry.secrets if entry.wanted_tags]

    @cached_property
    def carried_keys(self) -> tuple[list[str], list[str]]:
        """The ARNs and the aliases of the keys that `carry` names, with patterns of regions. AWS's own keys are left
        out.
        """
        names = once(
            name
            for _, entry in self.config.carry.entries
            if entry.kms_key
            for name in self.in_regions(entry.kms_key)
        )
        aliases = [name[name.index("alias/") :] for name in names if "alias/" in name]
        return [name for name in names if "alias/" not in name], [
            alias for alias in aliases if not alias.startswith("alias/aws/")
        ]

    # Conditions

    @property
    def here(self) -> Condition:
        """Only requests in the environment's regions."""
        return {"StringEquals": {"aws:RequestedRegion": list(self.regions)}}

    @property
    def owned(self) -> Condition:
        """As `here`, and only buckets of this account: the ARN of a bucket names no account."""
        return joined(self.here, within(self.config.account))

    @property
    def ours(self) -> Condition:
        """As `here`, and only resources with the environment's tags."""
        return joined(self.here, {"StringEquals": self.tags("aws:ResourceTag")})

    @property
    def watched(self) -> Condition:
        """Only requests in the environment's regions, and in those of the alarms of deployment.alarms."""
        others = (alarm.region for alarm in self.config.deployment.alarms)
        return {"StringEquals": {"aws:RequestedRegion": once([*self.regions, *others])}}

    @property
    def as_ours(self) -> Condition:
        """As `here`, and only requests that tag the new resource with the environment's tags."""
        return joined(self.here, {"StringEquals": self.tags("aws:RequestTag")})

    def tags(self, key: str) -> dict[str, str | list[str]]:
        """Return the environment's tags as conditions on the key ``key/NAME``."""
        own = {"Project": self.config.project, "Environment": self.config.suffix, "ManagedBy": MANAGED_BY}
        return {f"{key}/{name}": value for name, value in own.items()}

    def through(self, *services: str) -> Condition:
        """Only keys that are used through ``services`` (KMS Developer Guide, "kms:ViaService")."""
        suffix = PARTITIONS[self.partition].dns_suffix
        return {"StringLike": {"kms:ViaService": [f"{service}.*.{suffix}" for service in services]}}

    @property
    def boundary(self) -> Condition | None:
        """Only roles with the permissions boundary of the settings; None where they name none."""
        arn = self.config.access.boundary
        return {"StringEquals": {"iam:PermissionsBoundary": arn}} if arn else None


def once(found: Iterable[str]) -> list[str]:
    """Return each value once, in order."""
    return list(dict.fromkeys(found))


def joined(*conditions: Condition | None) -> Condition:
    """Return one condition that asks for all of these."""
    found: dict[str, dict[str, str | list[str]]] = {}
    for condition in conditions:
        for operator, keys in (condition or {}).items():
            found.setdefault(operator, {}).update(keys)
    return found
