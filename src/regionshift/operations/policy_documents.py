"""The policy documents and safeguards of a plan's steps: before and after.

Every resource type with a policy, or with another input that opens or closes access, has a row here. A test goes
through the inputs of the provider's types. A document that the engine does not know before it is made is `Unreadable`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from regionshift.engine.events import NOT_YET, ResourceStep, masked
from regionshift.iam.documents import Policy, PolicyKind, Unreadable, parse

Read = Policy | Unreadable | None
"""A document; why it cannot be read; None where there is none."""
_Inputs = Mapping[str, Any]

_ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_BUCKET = "aws:s3/bucket:Bucket"
_FUNCTION = "aws:lambda/function:Function"
_INLINE = "aws:iam/rolePolicy:RolePolicy"
_KEY = "aws:kms/key:Key"
_MANAGED = "aws:iam/policy:Policy"
_OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
_PERMISSION = "aws:lambda/permission:Permission"
_QUEUE = "aws:sqs/queue:Queue"
_ROLE = "aws:iam/role:Role"
_SECRET = "aws:secretsmanager/secret:Secret"
_TOPIC = "aws:sns/topic:Topic"


@dataclass(frozen=True)
class PolicyDocument:
    """One document that a resource of the plan holds.

    Args:
        step: the resource. kind: what the document is attached to. subject: the name of its role, bucket, topic, …
        about: the type of the subject.
        old, new: None when the resource, or its document, does not exist before or after.
        stays: whether the subject exists afterwards. Rights on a deleted resource do not count.
    """

    step: ResourceStep
    kind: PolicyKind
    subject: str
    old: Read
    new: Read
    about: str
    stays: bool = True


@dataclass(frozen=True)
class Safeguard:
    """A protection that is no policy: a public access block, a permissions boundary, a security group.

    Args:
        what: its name in words. before, after: its content; None when it does not exist.
        is_opened: whether it protects less afterwards.
    """

    step: ResourceStep
    subject: str
    what: str
    before: object
    after: object
    is_opened: bool


@dataclass(frozen=True)
class _Holder:
    """How a type holds a document.

    Args:
        subject: the input with the name of the subject; "" for the resource's logical name.
        default: the document that AWS uses when there is none.
    """

    kind: PolicyKind
    subject: str = ""
    holds: str = "policy"
    default: Read = None


_ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
_SUBJECTS: Mapping[str, str] = MappingProxyType(
    {
        _BUCKET: "bucket",
        **dict.fromkeys((_ENDPOINT, _KEY), ""),
        **dict.fromkeys((_FUNCTION, _MANAGED, _QUEUE, _ROLE, _SECRET, _TOPIC), "name"),
    }
)
"""What policies are about, by the input that names it."""
_OF: Mapping[str, tuple[str, str, tuple[str, ...]]] = MappingProxyType(
    {
        _ATTACHMENT: (_ROLE, "role", ("policyArn",)),
        _BLOCK: (_BUCKET, "bucket", ()),
        _INLINE: (_ROLE, "role", ("name",)),
        _OWNERSHIP: (_BUCKET, "bucket", ()),
        _PERMISSION: (_FUNCTION, "function", ("statementId",)),
        "aws:s3/bucketLogging:BucketLogging": (_BUCKET, "bucket", ()),
        "aws:s3/bucketPolicy:BucketPolicy": (_BUCKET, "bucket", ()),
        "aws:sns/topicPolicy:TopicPolicy": (_TOPIC, "arn", ()),
        "aws:sqs/queuePolicy:QueuePolicy": (_QUEUE, "queueUrl", ()),
    }
)
"""What is part of something else: that one's type, the input that names it, those that tell it from its like."""
# AWS PrivateLink Guide, "Control access to VPC endpoints using endpoint policies": the default policy allows all.
_OPEN = parse('{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}')
# KMS Developer Guide, "Default key policy".
_BY_IAM = Unreadable("AWS's default policy for keys stands in its place")
HOLDERS: Mapping[str, _Holder] = MappingProxyType(
    {
        _ENDPOINT: _Holder(PolicyKind.RESOURCE, default=_OPEN),
        _INLINE: _Holder(PolicyKind.IDENTITY, "role"),
        "aws:s3/bucketPolicy:BucketPolicy": _Holder(PolicyKind.RESOURCE, "bucket"),
        "aws:sns/topicPolicy:TopicPolicy": _Holder(PolicyKind.RESOURCE, "arn"),
        "aws:sqs/queuePolicy:QueuePolicy": _Holder(PolicyKind.RESOURCE, "queueUrl"),
        _BUCKET: _Holder(PolicyKind.RESOURCE, "bucket"),
        _KEY: _Holder(PolicyKind.RESOURCE, default=_BY_IAM),
        _MANAGED: _Holder(PolicyKind.IDENTITY, "name"),
        _QUEUE: _Holder(PolicyKind.RESOURCE, "name"),
        _ROLE: _Holder(PolicyKind.TRUST, "name", "assumeRolePolicy"),
        _SECRET: _Holder(PolicyKind.RESOURCE, "name"),
        _TOPIC: _Holder(PolicyKind.RESOURCE, "name"),
    }
)
"""The types with an input that is a policy document."""


def policy_documents(steps: Sequence[ResourceStep]) -> list[PolicyDocument]:
    """Every document of the resources of ``steps``, also of unchanged ones.

    A managed policy has the role as its subject when a step attaches it to one; else it has its own name.

    Args:
        steps: one a resource (`final_steps`).
    """
    told = _by_thing(steps)
    gone, attached = _gone(told), _Attached(told)
    found: list[PolicyDocument] = []
    for step in told:
        old, new = _ends(step)
        if (holder := HOLDERS.get(step.type)) is not None:
            subject = _subject(holder.subject, step, old, new)
            has_one = any(end and end.get(holder.holds) for end in (old, new))
            ends = (_document(holder, old), _document(holder, new))
            if step.type == _MANAGED and subject in attached.roles:
                found += attached.as_of_roles(step, subject, *ends)
            elif has_one:
                found.append(PolicyDocument(step, holder.kind, subject, *ends, _about(step.type)))
        if step.type == _ROLE:
            found += _inside_a_role(step, old or {}, new or {})
        elif step.type == _ATTACHMENT:
            found += attached.from_elsewhere(step, old, new)
        elif step.type == _PERMISSION:
            subject = _subject("function", step, old, new)
            ends = (_permission(old), _permission(new))
            found.append(PolicyDocument(step, PolicyKind.RESOURCE, subject, *ends, _FUNCTION))
    return [replace(each, stays=_thing(each.about, each.step, each.subject) not in gone) for each in found]


def safeguards(steps: Sequence[ResourceStep]) -> list[Safeguard]:
    """Every safeguard that the resources of ``steps`` are or have, except those of deleted subjects.

    Args:
        steps: one a resource (`final_steps`).
    """
    told = _by_thing(steps)
    gone = _gone(told)
    found: list[Safeguard] = []
    for step in told:
        old, new = _ends(step)
        subject = _subject("bucket" if "Bucket" in step.type else "name", step, old, new)
        if _thing(_about(step.type), step, subject) not in gone:
            looks = _SAFEGUARDS.get(step.type, () if step.type.startswith("aws:iam/") else (_works_as,))
            found += [
                Safeguard(step, subject, *each) for look in looks for each in look(old or {}, new or {})
            ]
    return found


_Thing = tuple[str, str, str]
"""What AWS knows as one thing: its type, its region, and its name there."""


def _thing(kind: str, step: ResourceStep, name: str) -> _Thing:
    """The identity of a resource. Names of IAM are unique in the account (IAM User Guide, "IAM identifiers")."""
    return kind, "" if kind.startswith("aws:iam/") else str(step.region), name


def _about(kind: str) -> str:
    """The type of the subject of a policy or safeguard: the resource's own, unless it is a part of another."""
    return _OF[kind][0] if kind in _OF else kind


def _identity(step: ResourceStep) -> tuple[object, ...]:
    """Equal for two resources that are the same for AWS, whatever their URNs."""
    _, named_by, parts = _OF.get(step.type, ("", _SUBJECTS.get(step.type, ""), ()))
    inputs = step.old if step.op == "delete" else step.new
    name = _subject(named_by, step, *_ends(step))
    return (*_thing(step.type, step, name), *(str(inputs.get(part)) for part in parts))


def _by_thing(steps: Sequence[ResourceStep]) -> list[ResourceStep]:
    """The steps of AWS resources. A deletion and a creation of the same AWS resource are one replacement.

    A URN is the program's own and has the types of its parents. Rights are given by name.
    """
    told = [step for step in steps if step.type.startswith("aws:")]
    going = {_identity(step): step for step in told if step.op == "delete"}
    coming = {_identity(step): step for step in told if step.op in ("create", "import")}
    left = {going[one].urn for one in going.keys() & coming.keys()}
    comes_back = {coming[one].urn: going[one].old for one in going.keys() & coming.keys()}
    return [
        replace(step, op="replace", old=comes_back[step.urn]) if step.urn in comes_back else step
        for step in told
        if step.urn not in left
    ]


def _gone(steps: Sequence[ResourceStep]) -> set[_Thing]:
    """The subjects that are deleted, and not created again with the same name."""
    ends: dict[bool, set[_Thing]] = {True: set(), False: set()}
    for step in (each for each in steps if each.type in _SUBJECTS):
        name = _subject(_SUBJECTS[step.type], step, *_ends(step))
        ends[step.op == "delete"].add(_thing(step.type, step, name))
    return ends[True] - ends[False]


def _ends(step: ResourceStep) -> tuple[_Inputs | None, _Inputs | None]:
    """The inputs before and after; None when the resource does not exist."""
    old, new = _shown(step.old), _shown(step.new)
    if step.op in ("create", "import"):
        return None, new
    if step.op == "delete":
        return old, None
    return old, new or old


def _shown(inputs: _Inputs) -> _Inputs:
    found = masked(inputs)
    assert isinstance(found, Mapping)
    return found


def _subject(named_by: str, step: ResourceStep, old: _Inputs | None, new: _Inputs | None) -> str:
    """The last part of a name, ARN or URL; the resource's own name when that is not known."""
    known = [(each or {}).get(named_by) for each in (new, old)]
    named = next((each for each in known if isinstance(each, str) and each != NOT_YET), "")
    return re.split(r"[:/]", named)[-1] or step.name


def _document(holder: _Holder, inputs: _Inputs | None) -> Read:
    if inputs is None:
        return None
    return _read(inputs[holder.holds]) if inputs.get(holder.holds) else holder.default


def _read(value: object) -> Policy | Unreadable:
    if value == NOT_YET:
        return Unreadable("it names what is still to be made")
    try:
        return parse(value) if isinstance(value, str | Mapping) else Unreadable("it is no text")
    except Unreadable as error:
        return error


def _inside_a_role(step: ResourceStep, old: _Inputs, new: _Inputs) -> Iterator[PolicyDocument]:
    """The policies among a role's own inputs."""
    subject = _subject("name", step, old, new)
    before, after = (
        {
            **{str(each.get("name")): _read(each.get("policy")) for each in end.get("inlinePolicies") or ()},
            **{str(arn): _elsewhere(arn) for arn in end.get("managedPolicyArns") or ()},
        }
        for end in (old, new)
    )
    for name in dict.fromkeys([*before, *after]):
        yield PolicyDocument(step, PolicyKind.IDENTITY, subject, before.get(name), after.get(name), _ROLE)


def _elsewhere(arn: object) -> Unreadable:
    return Unreadable(f"what {arn} allows is not in this plan")


class _Attached:
    """The managed policies that steps attach to roles: ``roles`` before and after, by policy."""

    def __init__(self, steps: Sequence[ResourceStep]) -> None:
        managed = {step.urn: _subject("name", step, *_ends(step)) for step in steps if step.type == _MANAGED}
        self.roles: dict[str, tuple[set[str], set[str]]] = {}
        self._waiting: dict[str, list[str]] = {}
        for step in (each for each in steps if each.type == _ATTACHMENT):
            for place, end in enumerate(_ends(step)):
                arn, role = (end or {}).get("policyArn"), str((end or {}).get("role"))
                if arn == NOT_YET:
                    self._waiting.setdefault(str(step.region), []).append(role)
                elif _last(arn) in managed.values():
                    self._roles_of(_last(arn))[place].add(role)
        made = [
            step
            for step in steps
            if step.type == _MANAGED
            and step.op in ("create", "replace")
            and not self.roles.get(managed[step.urn], (set(), set()))[1]
        ]
        self._found: set[str] = set()
        for region, roles in self._waiting.items():
            policies = [managed[step.urn] for step in made if str(step.region) == region]
            # When only one role of the region waits for ARNs of policies, they belong to this role.
            if len(set(roles)) == 1 and len(roles) <= len(policies):
                self._found.add(region)
                for policy in policies:
                    self._roles_of(policy)[1].update(roles)

    def _roles_of(self, policy: str) -> tuple[set[str], set[str]]:
        return self.roles.setdefault(policy, (set(), set()))

    def as_of_roles(self, step: ResourceStep, policy: str, old: Read, new: Read) -> Iterator[PolicyDocument]:
        """The document of ``policy``, once for each role that has it before or after."""
        before, after = self.roles[policy]
        for role in sorted(before | after):
            ends = (old if role in before else None, new if role in after else None)
            yield PolicyDocument(step, PolicyKind.IDENTITY, role, *ends, _ROLE)

    def from_elsewhere(
        self, step: ResourceStep, old: _Inputs | None, new: _Inputs | None
    ) -> Iterator[PolicyDocument]:
        """The documents of an attachment whose policy is not in the plan."""
        before, after = (self._unreadable(step, end) for end in (old, new))
        if before or after:
            role = _subject("role", step, old, new)
            yield PolicyDocument(step, PolicyKind.IDENTITY, role, before, after, _ROLE)

    def _unreadable(self, step: ResourceStep, end: _Inputs | None) -> Unreadable | None:
        arn = (end or {}).get("policyArn")
        if arn == NOT_YET:
            return (
                None
                if str(step.region) in self._found
                else Unreadable("it attaches what is still to be made")
            )
        return None if arn is None or _last(arn) in self.roles else _elsewhere(arn)


def _last(arn: object) -> str:
    return re.split(r"[:/]", str(arn))[-1]


def _permission(inputs: _Inputs | None) -> Read:
    """The statement that a Lambda permission adds to the function's policy (Lambda API Reference, AddPermission)."""
    if inputs is None:
        return None
    if NOT_YET in inputs.values():
        return Unreadable("it names what is still to be made")
    principal = str(inputs.get("principal"))
    kind = "Service" if principal.endswith((".amazonaws.com", ".amazonaws.com.cn")) else "AWS"
    conditions: dict[str, dict[str, Any]] = {}
    for name, operator, key in (
        ("sourceArn", "ArnLike", "aws:SourceArn"),
        ("sourceAccount", "StringEquals", "aws:SourceAccount"),
        ("principalOrgId", "StringEquals", "aws:PrincipalOrgID"),
        ("functionUrlAuthType", "StringEquals", "lambda:FunctionUrlAuthType"),
        ("eventSourceToken", "StringEquals", "lambda:EventSourceToken"),
    ):
        if inputs.get(name):
            conditions.setdefault(operator, {})[key] = inputs[name]
    statement = {
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {kind: principal},
        "Action": inputs.get("action"),
        "Resource": inputs.get("function"),
        "Condition": conditions,
    }
    return _read({"Statement": statement})


_Look = Callable[[_Inputs, _Inputs], Iterator[tuple[str, object, object, bool]]]


def _public_access(old: _Inputs, new: _Inputs) -> Iterator[tuple[str, object, object, bool]]:
    """The public access block. Without it nothing is blocked (S3 API Reference, DeletePublicAccessBlock)."""
    for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
        before, after = old.get(name), new.get(name)
        if before is not None or after is not None:
            yield f"the public access block's {name}", before, after, before is True and after is not True


def _ownership(old: _Inputs, new: _Inputs) -> Iterator[tuple[str, object, object, bool]]:
    """Object ownership. With any other value ACLs count (Amazon S3 User Guide, "Controlling ownership of objects")."""
    before, after = ((end.get("rule") or {}).get("objectOwnership") for end in (old, new))
    yield "object ownership", before, after, before == "BucketOwnerEnforced" != after


def _acls(old: _Inputs, new: _Inputs) -> Iterator[tuple[str, object, object, bool]]:
    for name in ("acl", "grants", "targetGrants"):
        before, after = old.get(name), new.get(name)
        if before or after:
            yield name, before, after, after != before and after not in (None, [], "private")


def _boundary(old: _Inputs, new: _Inputs) -> Iterator[tuple[str, object, object, bool]]:
    before, after = old.get("permissionsBoundary"), new.get("permissionsBoundary")
    if before or after:
        yield "the permissions boundary", before, after, bool(before) and after != before


def _works_as(old: _Inputs, new: _Inputs) -> Iterator[tuple[str, object, object, bool]]:
    """The role of a resource, which gets the rights of another role when that changes."""
    for name in ("role", "roleArn", "iamRoleArn"):
        before, after = old.get(name), new.get(name)
        if isinstance(before, str) and isinstance(after, str):
            yield "the role it works with", before, after, before != after


_PEERS = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")


def _rule(old: _Inputs, new: _Inputs) -> Iterator[tuple[str, object, object, bool]]:
    """A rule of a security group that is new, or has other peers or ports."""
    about = (*_PEERS, "ipProtocol", "fromPort", "toPort", "securityGroupId")
    before, after = ({name: end[name] for name in about if name in end} for end in (old, new))
    yield "the security group's rule", before or None, after or None, bool(after) and before != after


def _rules(old: _Inputs, new: _Inputs) -> Iterator[tuple[str, object, object, bool]]:
    for way in ("ingress", "egress"):
        before, after = old.get(way) or [], new.get(way) or []
        if before or after:
            yield f"the security group's {way}", before, after, any(each not in before for each in after)


_SAFEGUARDS: Mapping[str, tuple[_Look, ...]] = MappingProxyType(
    {
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": (_rules,),
        "aws:ec2/securityGroup:SecurityGroup": (_rules,),
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": (_rule,),
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (_rule,),
        "aws:s3/bucketLogging:BucketLogging": (_acls,),
        _BLOCK: (_public_access,),
        _BUCKET: (_acls,),
        _OWNERSHIP: (_ownership,),
        _ROLE: (_boundary,),
    }
)
