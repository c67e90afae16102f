"""Drives the local provider as the engine does: over gRPC, one connection a provider instance."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2 as messages
from pulumi.runtime.proto import provider_pb2_grpc

from regionshift.aws.clients import AccessKey, Clients
from regionshift.local.emulator import LocalCloud
from regionshift.local.provider.assets import Files
from regionshift.local.provider.server import serve
from regionshift.local.provider.wire import Properties, decode, encode

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Made:
    """A resource as the engine's state would hold it."""

    urn: str
    identity: str
    inputs: Properties
    properties: Properties


@dataclass(frozen=True)
class Planned:
    """What Diff answered."""

    changes: bool
    names: frozenset[str]
    paths: Mapping[str, int]
    replaces: frozenset[str]
    delete_first: bool


class AnyFile(Files):
    """Whatever a test names is taken."""

    def require(self, value: Any) -> None:
        """Nothing is refused."""


class RefusedError(AssertionError):
    """Check refused the inputs."""


class Lab:
    """One provider instance in one region, and boto3 clients to look and meddle behind its back."""

    def __init__(self, stub: Any, cloud: LocalCloud, region: str, folder: Path) -> None:
        self.stub = stub
        self.cloud = cloud
        self.region = region
        self.folder = folder
        self.unique = f"t{next(_numbers)}"
        key = AccessKey(cloud.access_key, cloud.secret_key)
        self._clients = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)

    def client(self, service: str) -> Any:
        return self._clients.named(service, self.region)

    def urn(self, token: str, name: str) -> str:
        return f"urn:pulumi:dev::lab::regionshift:index:Part${token}::{self.unique}-{name}"

    def configure(self, default_tags: Mapping[str, str]) -> None:
        arguments = {"region": self.region, "defaultTags": json.dumps({"tags": dict(default_tags)})}
        self.stub.Configure(messages.ConfigureRequest(args=encode(arguments), acceptSecrets=True))

    def check(self, urn: str, inputs: Properties, olds: Properties | None = None) -> Properties:
        request = messages.CheckRequest(urn=urn, news=encode(inputs), olds=encode(olds or {}))
        answer = self.stub.Check(request)
        if answer.failures:
            raise RefusedError([wrong.reason for wrong in answer.failures])
        return decode(answer.inputs)

    def create(self, token: str, inputs: Properties, name: str = "it") -> Made:
        urn = self.urn(token, name)
        complete = self.check(urn, inputs)
        answer = self.stub.Create(messages.CreateRequest(urn=urn, properties=encode(complete)))
        return Made(urn, answer.id, complete, decode(answer.properties))

    def preview(self, token: str, inputs: Properties) -> Properties:
        urn = self.urn(token, "preview")
        complete = self.check(urn, inputs)
        request = messages.CreateRequest(urn=urn, properties=encode(complete), preview=True)
        return decode(self.stub.Create(request).properties)

    def plan(self, made: Made, inputs: Properties) -> Planned:
        news = self.check(made.urn, inputs, made.inputs)
        answer = self.stub.Diff(
            messages.DiffRequest(
                id=made.identity,
                urn=made.urn,
                olds=encode(made.properties),
                old_inputs=encode(made.inputs),
                news=encode(news),
            )
        )
        return Planned(
            changes=answer.changes == messages.DiffResponse.DIFF_SOME,
            names=frozenset(answer.diffs),
            paths={path: detail.kind for path, detail in answer.detailedDiff.items()},
            replaces=frozenset(answer.replaces),
            delete_first=answer.deleteBeforeReplace,
        )

    def update(self, made: Made, inputs: Properties) -> Made:
        news = self.check(made.urn, inputs, made.inputs)
        answer = self.stub.Update(
            messages.UpdateRequest(
                id=made.identity,
                urn=made.urn,
                olds=encode(made.properties),
                old_inputs=encode(made.inputs),
                news=encode(news),
            )
        )
        return Made(made.urn, made.identity, news, decode(answer.properties))

    def refresh(self, made: Made) -> Made | None:
        return self._read(made.urn, made.identity, made.inputs, made.properties)

    def imported(self, token: str, identity: str) -> Made | None:
        return self._read(self.urn(token, "imported"), identity, {}, {})

    def _read(self, urn: str, identity: str, inputs: Properties, properties: Properties) -> Made | None:
        request = messages.ReadRequest(
            id=identity, urn=urn, inputs=encode(inputs), properties=encode(properties)
        )
        answer = self.stub.Read(request)
        if not answer.id:
            return None
        return Made(urn, answer.id, decode(answer.inputs), decode(answer.properties))

    def delete(self, made: Made) -> None:
        request = messages.DeleteRequest(
            id=made.identity,
            urn=made.urn,
            properties=encode(made.properties),
            old_inputs=encode(made.inputs),
        )
        self.stub.Delete(request)


@contextmanager
def opened(
    cloud: LocalCloud, region: str, folder: Path, default_tags: Mapping[str, str] | None = None
) -> Iterator[Lab]:
    """A lab on a provider of its own: nothing is remembered from another one, as after a killed run."""
    with serve(cloud, files=AnyFile()) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        lab = Lab(provider_pb2_grpc.ResourceProviderStub(channel), cloud, region, folder)
        lab.configure(default_tags or {"ManagedBy": "regionshift"})
        yield lab


Build = Callable[[Lab], Properties]
Meddle = Callable[[Lab, Made], None]


@dataclass(frozen=True)
class Case:
    """What the contract needs to know to try one resource type.

    Args:
        token: the type.
        build: makes what it needs and returns the inputs to create it with. Called once a test.
        changes: inputs to change in place, one at a time; None takes the input away, a function makes
            what the new value needs.
        replaces: inputs whose change must replace, one at a time.
        meddle: changes it behind the provider's back.
        drifts: names of the inputs that must show after ``meddle``.
        importable: Read with nothing but the id finds it.
        outlives: why it is still there when it is deleted, when AWS keeps such things.
    """

    token: str
    build: Build
    changes: Mapping[str, Any] = field(default_factory=dict)
    replaces: Mapping[str, Any] = field(default_factory=dict)
    meddle: Meddle | None = None
    drifts: frozenset[str] = frozenset()
    importable: bool = True
    outlives: str = ""

    def __str__(self) -> str:
        return self.token.split(":", 1)[1]
