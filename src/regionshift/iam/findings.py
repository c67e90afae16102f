"""Find faults of policy documents, each by a rule with an id: what is too wide, leads to more rights, or lets strangers
in.

Each statement is judged by itself. A ``Deny`` beside it changes nothing, so no statement hides the fault of another.
Only the rules about a whole document (`RS-DATA-002`, `RS-IAM-016`) read its ``Deny``. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from regionshift.iam.actions import access_levels, expanded, fits, resource_arns
from regionshift.iam.documents import ALL, EVERY, Part, Policy, PolicyKind, Statement
from regionshift.iam.escalation import (
    ASSUME_ROLE,
    BOUND_BY_BOUNDARY,
    CHANGES_PERMISSIONS,
    OF_STANDING_ROLE,
    PASS_ROLE,
    WITH_PASSED_ROLE,
)
from regionshift.settings.regions import PARTITIONS, all_regions


@dataclass(frozen=True)
class PolicyRule:
    """One fault that a policy may have.

    Args:
        title: what is wrong.
        meaning: what follows from it.
        remedy: what to do.
        page: the source.
    """

    id: str
    severity: Literal["error", "warning", "info"]
    title: str
    meaning: str
    remedy: str
    page: str


_IAM_GUIDE = "IAM User Guide"
_PRACTICES = f'{_IAM_GUIDE}, "Security best practices in IAM", "Apply least-privilege permissions"'
_RHINO = 'Rhino Security Labs, "AWS IAM Privilege Escalation Methods"; pathfinding.cloud'
_CONFUSED = f'{_IAM_GUIDE}, "The confused deputy problem"'
_PUBLIC = 'Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage"'

RULES: Mapping[str, PolicyRule] = MappingProxyType(
    {
        rule.id: rule
        for rule in (
            PolicyRule(
                "RS-IAM-001",
                "error",
                "A wildcard in an action",
                "It allows actions that nobody listed, and those that AWS adds later.",
                "list the actions that are needed",
                _PRACTICES,
            ),
            PolicyRule(
                "RS-IAM-002",
                "error",
                "An Allow with NotAction or NotResource",
                "It allows everything that it does not name, also of future services.",
                "name the allowed actions and resources in Action and Resource",
                f'{_IAM_GUIDE}, "IAM JSON policy elements: NotAction"',
            ),
            PolicyRule(
                "RS-IAM-003",
                "error",
                "Every resource, although the action could name one",
                "The action is allowed on all resources of the account, of other environments too.",
                "name the resources",
                "Service Authorization Reference, the table of actions of the service",
            ),
            PolicyRule(
                "RS-IAM-004",
                "warning",
                "A right to change every resource of a type",
                "The pattern has no part of a name in it, and no condition narrows it.",
                "put a part of the environment's names into the pattern, or add a condition on tags",
                "Service Authorization Reference, the table of resource types of the service",
            ),
            PolicyRule(
                "RS-IAM-005",
                "error",
                "A right to give oneself any permission",
                "A role that can change the policies of any principal, or its own, is an administrator.",
                "remove the action, name other principals, or limit it with iam:PermissionsBoundary",
                _RHINO,
            ),
            PolicyRule(
                "RS-IAM-006",
                "warning",
                "A right to change the permissions of named principals",
                "A principal that can also act as one of them has every permission that it writes there.",
                "limit it with iam:PermissionsBoundary, if the action has that key",
                _RHINO,
            ),
            PolicyRule(
                "RS-IAM-007",
                "error",
                "A right to pass any role to any service",
                "A service acts with the rights of the role that it gets.",
                "name the roles, and the services in iam:PassedToService",
                f'{_IAM_GUIDE}, "Grant a user permissions to pass a role to an AWS service"',
            ),
            PolicyRule(
                "RS-IAM-008",
                "warning",
                "A right to pass a role to any service",
                "The role may be passed to a service that it is not meant for.",
                "name the services in iam:PassedToService",
                f'{_IAM_GUIDE}, "Grant a user permissions to pass a role to an AWS service"',
            ),
            PolicyRule(
                "RS-IAM-009",
                "error",
                "A way to the rights of any role",
                "It may pass any role to a service that then runs the caller's code or calls.",
                "name the roles",
                _RHINO,
            ),
            PolicyRule(
                "RS-IAM-010",
                "warning",
                "A way to the rights of the roles that may be passed",
                "It may create something that runs the caller's code or calls with the rights of these roles.",
                "use different principals to deploy and to run, and give the roles a boundary",
                _RHINO,
            ),
            PolicyRule(
                "RS-IAM-011",
                "error",
                "A way to the rights of anything that runs",
                "It may put code or commands into any function, instance or stack, and these have roles.",
                "name the resources",
                _RHINO,
            ),
            PolicyRule(
                "RS-IAM-012",
                "warning",
                "A way to the rights of named things that run",
                "It may put code or commands into them, and so act with the rights of their roles.",
                "give it only to the principal that deploys",
                _RHINO,
            ),
            PolicyRule(
                "RS-IAM-013",
                "error",
                "A right to assume any role",
                "It can use every role whose trust policy allows the account.",
                "name the roles",
                "pathfinding.cloud, sts-001",
            ),
            PolicyRule(
                "RS-IAM-014",
                "warning",
                "A right to open any resource of a type to others",
                "It may change the policy of every such resource, and so give anybody access.",
                "name the resources",
                'Service Authorization Reference, access level "Permissions management"; cloudsplaining, '
                '"Resource Exposure"',
            ),
            PolicyRule(
                "RS-IAM-015",
                "info",
                "An action that AWS's reference does not know",
                "It allows nothing, or is newer than this version's reference.",
                "check the spelling",
                f'{_IAM_GUIDE}, "IAM policy validation check reference", "Invalid action"',
            ),
            PolicyRule(
                "RS-IAM-016",
                "error",
                "A permissions boundary that allows changes of permissions",
                "Its roles may still get the right to remove it or to write other policies.",
                "deny the action in the boundary",
                f'{_IAM_GUIDE}, "Permissions boundaries for IAM entities"',
            ),
            PolicyRule(
                "RS-ACCESS-001",
                "error",
                "Everybody has access",
                "Any AWS account, and for some services anybody at all, has the statement's rights.",
                "name the principals, or the account or organization in a condition",
                f'{_PUBLIC}, "The meaning of \\"public\\""',
            ),
            PolicyRule(
                "RS-ACCESS-002",
                "error",
                "Everybody except the named principals has access (NotPrincipal in an Allow)",
                "This includes every other account, and anonymous users.",
                "name the principals",
                f'{_IAM_GUIDE}, "AWS JSON policy elements: NotPrincipal"',
            ),
            PolicyRule(
                "RS-ACCESS-003",
                "error",
                "Another account has access",
                "That account decides who can use its principals.",
                "remove the principal, or waive the finding with the name of the account's owner",
                f'{_IAM_GUIDE}, "Cross account resource access in IAM"',
            ),
            PolicyRule(
                "RS-ACCESS-004",
                "error",
                "A web identity without a subject",
                "Every user of the identity provider may assume the role.",
                "require aud and sub of the token with fixed beginnings",
                f'{_IAM_GUIDE}, "Create a role for OpenID Connect federation"; GitHub Docs, "Configuring OpenID '
                'Connect in Amazon Web Services"',
            ),
            PolicyRule(
                "RS-ACCESS-005",
                "warning",
                "A service has access on behalf of anybody",
                "A stranger can make the service act on this resource (the confused deputy).",
                "require aws:SourceAccount, and aws:SourceArn if it is known",
                f'{_CONFUSED}, "Cross-service confused deputy prevention"',
            ),
            PolicyRule(
                "RS-DATA-001",
                "warning",
                "A right to read all data of a type",
                "It can read every object, secret, parameter or message of the account.",
                "put a part of the environment's names into the pattern, or add a condition on tags",
                'cloudsplaining, "Data Exfiltration"',
            ),
            PolicyRule(
                "RS-DATA-002",
                "warning",
                "Plain HTTP is allowed",
                "Others on the network can read data and signatures.",
                "deny everybody with aws:SecureTransport false",
                'AWS Security Hub, S3.5, SNS and SQS Developer Guides, security best practices, "Enforce encryption '
                'of data in transit"',
            ),
            PolicyRule(
                "RS-DATA-003",
                "error",
                "A bucket does not block public access",
                "A later policy or ACL can open it to everybody.",
                "set all four settings of its public access block",
                _PUBLIC,
            ),
            PolicyRule(
                "RS-DOCUMENT-001",
                "warning",
                "A policy that cannot be checked",
                "Its rights are unknown: it is not a policy document, or it belongs to AWS or somebody else.",
                "write the needed rights in a policy of the environment",
                f'{_IAM_GUIDE}, "Grammar of the IAM JSON policy language"',
            ),
            PolicyRule(
                "RS-WAIVER-001",
                "warning",
                "A waiver has ended",
                "Its finding counts again.",
                "fix the finding, or check it and set another `until`",
                "docs/settings.md, `waivers`",
            ),
            PolicyRule(
                "RS-WAIVER-002",
                "warning",
                "A waiver without a finding",
                "No finding has its id in a document that `of` names. It may hide a future one.",
                "remove it from the settings, or fix its `id` or `of`",
                "docs/settings.md, `waivers`",
            ),
            PolicyRule(
                "RS-WAIVER-003",
                "warning",
                "A waiver ends too late",
                "Its finding counts, because nobody would check it again for more than a year.",
                "set an `until` within a year",
                "docs/settings.md, `waivers`",
            ),
        )
    }
)
"""Every rule by its id; docs/findings.md has this table."""


@dataclass(frozen=True)
class Placed:
    """A policy document and where it is attached.

    Args:
        name: the logical name of its resource.
        service: the service of that resource, as in its ARN ("s3", "kms").
        principal: the role whose rights it belongs to. Several documents make up the rights of one role.
        own: what makes up these rights, as the last parts of ARNs: ``role/NAME``, ``policy/NAME``.
        is_boundary: it allows nothing by itself, and limits what others allow.
    """

    name: str
    kind: PolicyKind
    service: str
    region: str | None
    document: Policy
    principal: str = ""
    own: tuple[str, ...] = ()
    is_boundary: bool = False


@dataclass(frozen=True)
class Fault:
    """One fault: the rule, the place, and a sentence. ``statement`` is its label, "" for a whole document."""

    rule: PolicyRule
    document: str
    region: str | None
    statement: str
    detail: str


_DATA_READS = frozenset(
    {
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "kms:Decrypt",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "secretsmanager:BatchGetSecretValue",
        "secretsmanager:GetSecretValue",
        "sqs:ReceiveMessage",
        "ssm:GetParameter",
        "ssm:GetParameterHistory",
        "ssm:GetParameters",
        "ssm:GetParametersByPath",
    }
)
_OPENS = "Permissions management"
"""An access level of the Service Authorization Reference."""
_OF_ROLES = frozenset({*CHANGES_PERMISSIONS, PASS_ROLE, ASSUME_ROLE})
# Keys of conditions that select some of the resources of a type, or one use of them.
_NARROWING = re.compile(
    r"([a-z0-9-]+:resourcetag/.+|aws:requesttag/.+|s3:existingobjecttag/.+|kms:(viaservice|resourcealiases)"
    r"|kms:encryptioncontext:.+)"
)
# Amazon S3 User Guide, "The meaning of 'public'", and the global keys of organizations and principals (IAM User Guide,
# "AWS global condition context keys"): with a fixed value of one, a statement for everybody is not public.
_NOT_PUBLIC = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "kms:calleraccount",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
    }
)
_SOURCES = ("aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths")
_OF_ACCOUNT = ("aws:principalaccount", "aws:sourceaccount", "kms:calleraccount", "aws:sourceowner")
_EVERY_ADDRESS = ("0.0.0.0/0", "::/0")
# Operators that hold only when the key exists and has one of the values. IfExists and ForAllValues also hold without
# the key (IAM User Guide, "IAM JSON policy elements: Condition operators", "… multivalued context keys").
_DEMANDS = frozenset(
    {"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress"}
)
# The key that a service sends in the place of the source keys, by its principal without the domain.
_OWN_SOURCE: Mapping[str, str] = MappingProxyType(
    {
        # CloudWatch Logs User Guide, "Encrypt log data in CloudWatch Logs using AWS KMS": with the ARN of the group.
        "logs": "kms:encryptioncontext:aws:logs:arn",
    }
)
_TELLS_NO_SOURCE = frozenset(
    {
        # It gives the role's credentials to an instance of the role's own account (IAM User Guide, "Use an IAM role to
        # grant permissions to applications running on Amazon EC2 instances").
        "ec2",
    }
)
_SERVICE_DOMAIN = re.compile(
    rf"(\.({'|'.join(all_regions())}))?\.({'|'.join(re.escape(each.dns_suffix) for each in PARTITIONS.values())})$"
)
_OVER_TLS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "s3": ("s3:*",),
        "sns": ("sns:Publish",),
        "sqs": ("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"),
    }
)
"""What a resource's policy must deny over plain HTTP, by service. KMS and IAM only use TLS."""

_Found = Iterator[tuple[str, str]]


@dataclass(frozen=True)
class Exceptions:
    """Actions that are allowed for a documented reason: on every resource, and on every resource of a type."""

    on_everything: Collection[str] = ()
    of_a_type: Collection[str] = ()


def faults(documents: Sequence[Placed], account: str, exceptions: Exceptions = Exceptions()) -> list[Fault]:
    """Return every fault of ``documents``, which belong to ``account``."""
    found = [
        Fault(RULES[rule], each.name, each.region, statement.label, detail)
        for each in documents
        for statement in _allowing(each)
        for rule, detail in _of_statement(each, statement, account, exceptions)
    ]
    found += [
        Fault(RULES[rule], each.name, each.region, "", detail)
        for each in documents
        for rule, detail in _of_document(each)
    ]
    found += [
        Fault(RULES[rule], each.name, each.region, statement.label, detail)
        for principal in dict.fromkeys(each.principal for each in documents if each.principal)
        for each, statement, rule, detail in _ways([one for one in documents if one.principal == principal])
    ]
    return list(dict.fromkeys(found))


def _allowing(place: Placed) -> Iterator[Statement]:
    """Return the statements that allow something. A boundary allows nothing by itself (`RS-IAM-016`)."""
    return (each for each in place.document if each.effect == "Allow" and not place.is_boundary)


def _of_statement(place: Placed, statement: Statement, account: str, exceptions: Exceptions) -> _Found:
    if statement.actions.is_all_but or (statement.resources and statement.resources.is_all_but):
        parts = (statement.actions, statement.resources)
        yield (
            "RS-IAM-002",
            _listed(f"not {one}" for part in parts if part and part.is_all_but for one in part.values),
        )
    if wild := [each for each in _named(statement.actions) if _is_pattern(each)]:
        yield "RS-IAM-001", _listed(_of_wildcard(each) for each in wild)
    if strange := [
        each for each in _named(statement.actions) if not _is_pattern(each) and not expanded(each)
    ]:
        yield "RS-IAM-015", _listed(strange)
    if place.kind == PolicyKind.IDENTITY:
        yield from _reach(statement, exceptions)
        yield from _changed_permissions(place, statement)
    else:
        yield from _let_in(statement, account)


def _of_wildcard(pattern: str) -> str:
    if pattern == EVERY:
        return "* (every action of every service)"
    actions = expanded(pattern)
    opening = sum(_OPENS in access_levels(each) for each in actions)
    return f"{pattern} (today {len(actions)} actions, {opening} of them change who may do what)"


def _reach(statement: Statement, exceptions: Exceptions) -> _Found:
    """Return which part of a statement covers every resource, or every one of a type."""
    named = [each for each in _named(statement.actions) if not _is_pattern(each)]
    is_everything = any(map(_is_everything, _named(statement.resources)))
    known = exceptions.on_everything
    if is_everything and (found := [each for each in named if resource_arns(each) and each not in known]):
        yield "RS-IAM-003", _listed(found)
    # Actions that change permissions or concern roles have rules of their own.
    wide = [
        each
        for each in named
        if each not in (*_OF_ROLES, *exceptions.of_a_type) and _is_wide(statement, each)
    ]
    if opening := [each for each in wide if _OPENS in access_levels(each)]:
        yield "RS-IAM-014", _listed(opening)
    if is_everything:
        return
    if found := [each for each in wide if each in _DATA_READS]:
        yield "RS-DATA-001", _listed(found)
    if found := [
        each for each in wide if "Write" in access_levels(each) and each not in (*opening, *_DATA_READS)
    ]:
        yield "RS-IAM-004", _listed(found)


def _changed_permissions(place: Placed, statement: Statement) -> _Found:
    found = [action for action in CHANGES_PERMISSIONS if _has(statement.actions, action)]
    if _demanded(statement, ("iam:permissionsboundary",)):
        found = [action for action in found if action not in BOUND_BY_BOUNDARY]
    own = any(_is_of(statement, each) for each in place.own)
    worst = [action for action in found if own or _is_wide(statement, action)]
    for rule, actions in (
        ("RS-IAM-005", worst),
        ("RS-IAM-006", [each for each in found if each not in worst]),
    ):
        if actions:
            yield rule, _listed(f"{action} ({CHANGES_PERMISSIONS[action]})" for action in actions)
    if _has(statement.actions, PASS_ROLE) and not _demanded(statement, ("iam:passedtoservice",)):
        yield ("RS-IAM-007" if _is_wide(statement, PASS_ROLE) else "RS-IAM-008"), PASS_ROLE
    if _has(statement.actions, ASSUME_ROLE) and _is_wide(statement, ASSUME_ROLE):
        yield "RS-IAM-013", ASSUME_ROLE


def _let_in(statement: Statement, account: str) -> _Found:
    """Yield whom a statement of a role's trust or of a resource's policy allows."""
    if statement.principals is None:
        return
    if statement.principals.is_all_but:
        yield "RS-ACCESS-002", _listed(f"not {each}" for each in statement.principals.values)
        return
    accounts = set(_demanded(statement, _OF_ACCOUNT))
    for principal in statement.principals.values:
        kind, _, name = principal.partition(":")
        if kind == "Federated":
            if not _is_narrow_subject(statement):
                yield "RS-ACCESS-004", name
        elif kind == "Service":
            if not _says_for_whom(statement, name):
                yield "RS-ACCESS-005", name
        elif "*" in principal:
            if not _demanded(statement, _NOT_PUBLIC):
                yield "RS-ACCESS-001", f"{principal} may {_listed(statement.actions.values)}"
        elif kind == "CanonicalUser":
            yield "RS-ACCESS-003", f"the canonical user {name}, of an account that cannot be told"
        else:
            accounts.update(re.findall(r"(?:^|:)([0-9]{12})(?=:|$)", name))
    for other in sorted(accounts - {account}):
        yield "RS-ACCESS-003", f"the account {other}"


def _says_for_whom(statement: Statement, principal: str) -> bool:
    """Return whether a service may act there only for a named account."""
    service = _SERVICE_DOMAIN.sub("", principal.lower())
    if service in _TELLS_NO_SOURCE or _demanded(statement, _SOURCES):
        return True
    sources = _demanded(statement, ("aws:sourcearn", _OWN_SOURCE.get(service, "")), fixed=False)
    # An ARN without an account, such as S3's, does not say for whom.
    return bool(sources) and all(re.fullmatch("[0-9]{12}", "".join(each.split(":")[4:5])) for each in sources)


def _is_narrow_subject(statement: Statement) -> bool:
    """Return whether the audience of a token is fixed, and for OpenID Connect also the beginning of its subject.

    The subject is GitHub's ``repo:OWNER/REPOSITORY:…``, or that of another provider. A pattern may follow its second
    part, because the members of the first are unknown.
    """
    keys = {each.key.lower() for each in statement.conditions}
    audiences = any(_demanded(statement, (key,)) for key in keys if key.endswith(":aud"))
    subjects = [
        each for key in keys if key.endswith(":sub") for each in _demanded(statement, (key,), fixed=False)
    ]
    beginnings = (":".join(each.split(":")[:2]) if each.count(":") > 1 else each for each in subjects)
    has_subject = bool(subjects) and not any(map(_is_pattern, beginnings))
    return audiences and (has_subject or "saml:aud" in keys)


def _of_document(place: Placed) -> _Found:
    """Yield what a whole document lacks."""
    if place.kind == PolicyKind.RESOURCE and (required := _OVER_TLS.get(place.service)):
        allowed = [action for each in _allowing(place) for action in _named(each.actions)]
        refusals = [each for each in place.document if _refuses_plain(each)]
        missing = [
            action
            for action in dict.fromkeys((*required, *allowed))
            if not any(_has(each.actions, action) for each in refusals)
        ]
        if missing:
            yield "RS-DATA-002", _listed(missing)
    if place.is_boundary and (
        left := [each for each in CHANGES_PERMISSIONS if _leaves(place.document, each)]
    ):
        yield "RS-IAM-016", _listed(left)


def _refuses_plain(statement: Statement) -> bool:
    """Return whether it denies everybody, only because there is no TLS."""
    if statement.effect != "Deny" or statement.principals != ALL:
        return False
    return [(each.operator.lower(), each.key.lower(), each.values) for each in statement.conditions] == [
        ("bool", "aws:securetransport", ("false",))
    ]


def _leaves(document: Policy, action: str) -> bool:
    """Return whether a boundary allows ``action``: a statement allows it, and none denies it completely."""
    about = [each for each in document if _has(each.actions, action)]
    return any(each.effect == "Allow" for each in about) and not any(
        each.effect == "Deny" and not each.conditions and EVERY in _named(each.resources) for each in about
    )


def _ways(documents: Sequence[Placed]) -> Iterator[tuple[Placed, Statement, str, str]]:
    """Yield the ways to more rights that the statements of one principal make together, in all of its documents."""
    given = [(each, statement) for each in documents for statement in _allowing(each)]

    def have(way: Collection[str]) -> bool:
        return all(any(_has(statement.actions, action) for _, statement in given) for action in way)

    passing = [way for way in WITH_PASSED_ROLE if have(way)]
    running = [way for way in OF_STANDING_ROLE if have(way)]
    for each, statement in given:
        if passing and _has(statement.actions, PASS_ROLE):
            rule = "RS-IAM-009" if _is_wide(statement, PASS_ROLE) else "RS-IAM-010"
            yield each, statement, rule, f"{PASS_ROLE} with {_listed(map(_together, passing))}"
        wide: dict[bool, list[str]] = {True: [], False: []}
        for way in running:
            if own := [action for action in way if _has(statement.actions, action)]:
                wide[any(_is_wide(statement, action) for action in own)].append(_together(way))
        for rule, found in (("RS-IAM-011", wide[True]), ("RS-IAM-012", wide[False])):
            if found:
                yield each, statement, rule, _listed(found)


def _together(way: Collection[str]) -> str:
    return " + ".join(sorted(way))


def _named(part: Part | None) -> tuple[str, ...]:
    return () if part is None or part.is_all_but else part.values


def _has(part: Part, name: str) -> bool:
    return any(fits(each, name) for each in part.values) is not part.is_all_but


def _is_of(statement: Statement, end: str) -> bool:
    """Return whether a statement covers a resource whose ARN ends in ``end``."""
    resources = statement.resources
    if resources is None:
        return False
    ends = Part(tuple(each.split(":", 5)[-1] for each in resources.values), resources.is_all_but)
    return _has(ends, end)


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def _is_wide(statement: Statement, action: str) -> bool:
    """Return whether the statement covers every resource of a type for ``action``."""
    keys = {each.key.lower() for each in statement.conditions}
    if any(_demanded(statement, (key,), fixed=False) for key in keys if _NARROWING.fullmatch(key)):
        return False
    resources = statement.resources
    if resources is None or resources.is_all_but:
        return True
    return any(
        _is_everything(each) or any(_covers(each, arn) for arn in resource_arns(action))
        for each in resources.values
    )


def _is_everything(resource: str) -> bool:
    """Return whether a pattern covers all services: ``*``, ``arn:aws:*``.

    A text that is no ARN names a resource that does not exist yet (`known_later` in
    `infrastructure.policies.statement`).
    """
    parts = resource.split(":", 5)
    is_of_arns = fits(parts[0], "arn") and resource.endswith("*")
    return len(parts) < 6 and is_of_arns and not "".join(parts[2:3]).strip("*")


# No real name equals it: a pattern that fits it fits every name.
_ANY_NAME = "\x01any\x01"


def _covers(pattern: str, arn: str) -> bool:
    """Return whether a pattern covers every resource of a type in some region and account.

    Args:
        arn: the ARN of the type, with ``${…}`` in the place of names.
    """
    of_any = re.sub(r"\$\{\w+\}", _ANY_NAME, arn.replace("${Partition}", "aws"))
    asked, known, named = pattern.split(":", 5), arn.split(":", 5), of_any.split(":", 5)
    if len(asked) < 6:  # a wildcard stands for several parts
        return fits(pattern, of_any)
    if not fits(asked[2], known[2]):
        return False
    # Objects under a prefix, of a bucket with any name, are objects of every bucket.
    is_of_any = known[5].startswith("${") and not asked[5].split("/")[0].strip("*?")
    return is_of_any or fits(asked[5], named[5])


def _demanded(statement: Statement, keys: Collection[str], *, fixed: bool = True) -> tuple[str, ...]:
    """Return the values under ``keys`` (lower case), of which the conditions need one; () where none does.

    Args:
        fixed: whether values with wildcards or variables do not count.
    """
    found: list[str] = []
    for each in statement.conditions:
        if each.key.lower() not in keys or each.operator.lower().removeprefix("foranyvalue:") not in _DEMANDS:
            continue
        if any(value in _EVERY_ADDRESS or not value.strip("*?") for value in each.values):
            continue
        if not fixed or not any(_is_pattern(value) or "${" in value for value in each.values):
            found += each.values
    return tuple(found)


_MOST_TOLD = 5


def _listed(texts: Iterable[str]) -> str:
    every = list(dict.fromkeys(texts))
    more = len(every) - _MOST_TOLD
    return f"{', '.join(every[:_MOST_TOLD])}{f' and {more} more' if more > 0 else ''}"
