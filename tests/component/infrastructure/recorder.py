"""Runs the program against Pulumi's mocks and keeps every resource it registers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pulumi
from pydantic import SecretStr

from regionshift.engine.events import ResourceStep, region_of
from regionshift.infrastructure.program import ProviderSettings, environment
from regionshift.operations.policy_findings import policy_findings
from regionshift.settings.config import MigrationConfig
from regionshift.settings.regions import REGIONS as REGIONS_OF_AWS
from regionshift.settings.release import Artifact, Release

ACCOUNT = "111122223333"
REGIONS = ("eu-west-1", "us-east-1", "us-west-2")

# All runs share it and its threads: the mocks make a loop in each thread that they answer in, and close none.
_LOOP = asyncio.new_event_loop()


@dataclass(frozen=True)
class Registered:
    """One resource as the engine would have received it."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    provider: str

    def policy(self, field_name: str = "policy") -> list[dict[str, Any]]:
        """The statements of a policy input."""
        return list(json.loads(self.inputs[field_name])["Statement"])


@dataclass
class Run:
    """What one run of the program registered and put out.

    ``waits_for``: {(type, logical name): logical names of what is made before it}.
    """

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    waits_for: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def of(self, kind: str) -> list[Registered]:
        """All resources of the type ``aws:<kind>``."""
        return [one for one in self.resources if one.type == f"aws:{kind}"]

    def one(self, name: str) -> Registered:
        """The one resource with this logical name."""
        (found,) = [one for one in self.resources if one.name == name]
        return found

    def before(self, name: str) -> frozenset[str]:
        """Logical names of what is made before the one resource with this logical name."""
        return self.waits_for[self.one(name).type, name]

    @property
    def steps(self) -> list[ResourceStep]:
        """What the engine would tell of making all of it, with what only AWS would know."""
        return [
            ResourceStep(
                "create", f"urn::{one.name}", one.type, region_of(one.name, one.inputs), new=one.inputs
            )
            for one in self.plain
        ]

    @property
    def plain(self) -> list[Registered]:
        """Everything of AWS but the providers themselves."""
        return [one for one in self.resources if one.type.startswith("aws:")]


class Recorder(pulumi.runtime.Mocks):
    """Answers every resource with its inputs and the outputs that only AWS would know."""

    def __init__(self) -> None:
        self.run = Run()
        self.calls: list[str] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.run.resources.append(Registered(args.typ, args.name, args.inputs, args.provider or ""))
        partition = next(
            (name for name, regions in REGIONS_OF_AWS.items() if args.name.endswith(regions)), "aws"
        )
        name = args.inputs.get("name") or args.inputs.get("bucket") or args.name
        outputs = {
            "name": name,
            "arn": f"arn:{partition}:{args.typ.split(':')[1].split('/')[0]}:::{name}",
            "url": f"https://queue/{name}",
            "keyId": f"id-of-{args.name}",
            "prefixListId": "pl-1",
        }
        return f"{args.name}-id", {**outputs, **args.inputs}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], None]:
        self.calls.append(args.token)
        return {}, None


class _Monitor(pulumi.runtime.mocks.MockMonitor):
    """Also keeps what each resource waits for, which mocks are not told."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._recorder = recorder

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's protocol names it so
        answer = super().RegisterResource(request)
        waits_for = frozenset(urn.rpartition("::")[2] for urn in request.dependencies)
        self._recorder.run.waits_for[request.type, request.name] = waits_for
        return answer


def config(**changes: Any) -> MigrationConfig:
    """The smallest settings over three regions, with ``changes``."""
    values: dict[str, Any] = {
        "project": "shop",
        "environment": "dev",
        "account": ACCOUNT,
        "regions": {"primary": "us-east-1", "secondaries": ["eu-west-1", "us-west-2"]},
        "network": {"vpc_cidr": "10.0.0.0/8"},
        **changes,
    }
    return MigrationConfig.model_validate(values)


def release(settings: MigrationConfig, **changes: Any) -> Release:
    """A release of ``settings`` with made-up zones and an artifact that need not exist."""
    values: dict[str, Any] = {
        "config": settings,
        "artifact": Artifact(Path("/artifact.zip"), "ab" * 32),
        "zones": {region: tuple(f"{region}{zone}" for zone in "abc") for region in settings.all_regions},
        "secrets": {name: SecretStr(f"value of {name}") for name in settings.application.secrets},
        "secrets_digest": "",
        "tool_version": "1",
        "plugin_version": "7.51.1",
        **changes,
    }
    return Release(**values)


def everywhere(settings: MigrationConfig) -> dict[str, Release]:
    """All regions of ``settings`` at one release."""
    return dict.fromkeys(settings.all_regions, release(settings))


def run_mocked(
    recorder: Recorder, program: Callable[[], object], *, project: str = "project", **config: str
) -> None:
    """Run ``program`` with ``config``, answered by ``recorder``, apart from whatever ran in this process before.

    The SDK keeps its settings, its root resource and what it waits for in the context, and takes the thread's event
    loop, which `asyncio.run` leaves without one. So each run has a context of its own and brings its loop, and leaves
    neither of them, nor anything pending.
    """

    def run() -> None:
        pulumi.runtime.reset_options()
        pulumi.runtime.set_mocks(recorder, project=project, preview=False, monitor=_Monitor(recorder))
        pulumi.runtime.set_all_config({f"{project}:{key}": value for key, value in config.items()})
        pulumi.runtime.test(program)()

    asyncio.set_event_loop(_LOOP)
    try:
        copy_context().run(run)
    finally:
        pending = asyncio.all_tasks(_LOOP)
        for task in pending:
            task.cancel()
        _LOOP.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        asyncio.set_event_loop(None)


def record(build: Callable[[], Mapping[str, Any]], recorder: Recorder | None = None) -> Run:
    """Run ``build`` against mocks; its outputs are resolved."""
    recorder = recorder or Recorder()

    def program() -> pulumi.Output[None]:
        return pulumi.Output.all(**build()).apply(recorder.run.outputs.update)

    run_mocked(recorder, program)
    if recorder.calls:
        raise AssertionError(f"the program looked things up: {recorder.calls}")
    return recorder.run


def built(settings: MigrationConfig, settings_of_links: MigrationConfig | None = None) -> Run:
    """The whole environment of ``settings`` with its links; whatever they are, its policies are without a fault."""
    links = release(settings_of_links or settings)
    run = record(lambda: environment(everywhere(settings), provider_settings=ProviderSettings(), links=links))
    # Info is an action that AWS has not, which the kind of data that a test makes up has.
    found = policy_findings(settings, run.steps, date.today())
    if wrong := [each.message for each in found if each.severity != "info"]:
        raise AssertionError(f"the program's own policies have faults: {wrong}")
    return run
