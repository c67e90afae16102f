"""The local `aws` provider: the protocol (``pulumi/provider.proto``) for the handlers, served in this process.

The engine's use of the protocol was measured with Pulumi 3.200. Diff compares ``news`` with ``old_inputs``. Create,
Read and Delete do not name the provider instance. In a preview, Create and Update return known values and mark the
others unknown. An empty id from Read means that the resource was deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import wraps
from importlib.metadata import version
from typing import Any, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from regionshift.aws.clients import Clients
from regionshift.aws.guard import require_loopback
from regionshift.errors import InputError
from regionshift.local.emulator import LocalCloud
from regionshift.local.provider import lifecycle
from regionshift.local.provider.assets import Files
from regionshift.local.provider.difference import DiffKind, ResourceDiff, difference
from regionshift.local.provider.failures import ask_again, message_without_secrets
from regionshift.local.provider.handler import Context, Handler
from regionshift.local.provider.handlers import BY_TOKEN
from regionshift.local.provider.session import ProviderSession, configuration_of, refuse_elsewhere
from regionshift.local.provider.wire import Properties, decode, encode
from regionshift.peers import own_server

_GLOBAL_REGION = "us-east-1"  # IAM's region for signatures (IAM User Guide, "IAM endpoints")
_PLAIN_KINDS = {
    DiffKind.ADDED: provider_pb2.PropertyDiff.ADD,
    DiffKind.REMOVED: provider_pb2.PropertyDiff.DELETE,
    DiffKind.CHANGED: provider_pb2.PropertyDiff.UPDATE,
}
_REPLACING_KINDS = {
    DiffKind.ADDED: provider_pb2.PropertyDiff.ADD_REPLACE,
    DiffKind.REMOVED: provider_pb2.PropertyDiff.DELETE_REPLACE,
    DiffKind.CHANGED: provider_pb2.PropertyDiff.UPDATE_REPLACE,
}

_Call = TypeVar("_Call", bound=Callable[..., Any])


def _telling(call: _Call) -> _Call:
    """Wrap a call: report its failure with AWS's message, without secrets and without a traceback."""

    @wraps(call)
    def guarded(self: AwsServicer, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return call(self, request, context)
        except lifecycle.InitializationFailed as unfinished:
            self.tell_unfinished(unfinished, request, context)
        except Exception as error:  # noqa: BLE001 -- gRPC would print values with the traceback
            handler = self.handlers.get(_type_of(request.urn)) if hasattr(request, "urn") else None
            context.abort(grpc.StatusCode.UNKNOWN, message_without_secrets(error, handler, _sent(request)))

    return guarded  # type: ignore[return-value]


class AwsServicer(provider_pb2_grpc.ResourceProviderServicer):
    """Serves all provider instances of one engine run."""

    def __init__(self, handlers: Mapping[str, Handler], clients: Clients, account: str, files: Files) -> None:
        self.handlers = handlers
        self._clients = clients
        self._account = account
        self._files = files
        self._session = ProviderSession()

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=version("pulumi-aws"))

    @_telling
    def CheckConfig(self, request: Any, context: Any) -> Any:
        refuse_elsewhere(decode(request.news))
        return provider_pb2.CheckResponse(inputs=request.news)

    @_telling
    def DiffConfig(self, request: Any, context: Any) -> Any:
        olds, news = decode(request.old_inputs), decode(request.news)
        changed = sorted(name for name in {*olds, *news} if olds.get(name) != news.get(name))
        kind = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        replaces = [name for name in changed if name == "region"]
        return provider_pb2.DiffResponse(changes=kind, diffs=changed, replaces=replaces)

    @_telling
    def Configure(self, request: Any, context: Any) -> Any:
        arguments = decode(request.args)
        refuse_elsewhere(arguments)
        self._session.configure(context.peer(), configuration_of(arguments))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    @_telling
    def Invoke(self, request: Any, context: Any) -> Any:
        raise InputError(f"the local provider has no function {request.tok}", error_id="RS-LOCAL-007")

    @_telling
    def Check(self, request: Any, context: Any) -> Any:
        handler = self._handler(request.urn)
        configuration = self._session.configuration(context.peer())
        olds, news = decode(request.olds), decode(request.news)
        inputs, mistakes = lifecycle.checked(handler, request.urn, news, olds, configuration)
        # With the path as `property`, the engine would print its value, even of a secret. So it is in the reason.
        failures = [provider_pb2.CheckFailure(reason=f"{wrong.path} {wrong.reason}") for wrong in mistakes]
        return provider_pb2.CheckResponse(inputs=encode(inputs), failures=failures)

    @_telling
    def Diff(self, request: Any, context: Any) -> Any:
        self._session.remember(request.urn, request.id)
        handler = self._handler(request.urn)
        return _diff_response(difference(handler, decode(request.old_inputs), decode(request.news)))

    @_telling
    def Create(self, request: Any, context: Any) -> Any:
        handler, inputs = self._handler(request.urn), decode(request.properties)
        if request.preview:
            preview = lifecycle.previewed_create(handler, inputs)
            return provider_pb2.CreateResponse(properties=encode(preview))
        self._files.require(inputs)
        scope = self._context(request, context, inputs)
        made = lifecycle.create(handler, scope, inputs, self._session.known(request.urn))
        self._session.remember(request.urn, made.identity)
        return provider_pb2.CreateResponse(id=made.identity, properties=encode(made.properties))

    @_telling
    def Read(self, request: Any, context: Any) -> Any:
        self._session.remember(request.urn, request.id)
        handler = self._handler(request.urn)
        inputs, properties = decode(request.inputs), decode(request.properties)
        scope = self._context(request, context, {**properties, **inputs})
        default_tags = {} if inputs else self._session.configuration(context.peer()).default_tags
        found = lifecycle.read(handler, scope, request.id, inputs, properties, default_tags=default_tags)
        if found is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=found.identity, properties=encode(found.properties), inputs=encode(found.inputs)
        )

    @_telling
    def Update(self, request: Any, context: Any) -> Any:
        handler = self._handler(request.urn)
        olds, news = decode(request.old_inputs), decode(request.news)
        if request.preview:
            preview = lifecycle.previewed_update(handler, decode(request.olds), olds, news)
            return provider_pb2.UpdateResponse(properties=encode(preview))
        self._files.require(news)
        scope = self._context(request, context, news)
        updated = lifecycle.update(handler, scope, request.id, olds, news)
        return provider_pb2.UpdateResponse(properties=encode(updated.properties))

    @_telling
    def Delete(self, request: Any, context: Any) -> Any:
        properties = {**decode(request.properties), **decode(request.old_inputs)}
        scope = self._context(request, context, properties)
        lifecycle.delete(self._handler(request.urn), scope, request.id, properties)
        return empty_pb2.Empty()

    def tell_unfinished(self, unfinished: lifecycle.InitializationFailed, request: Any, context: Any) -> None:
        """Return the unfinished resource. The engine keeps it, and the next up continues with it."""
        self._session.remember(request.urn, unfinished.identity)
        reason = message_without_secrets(unfinished.cause, self._handler(request.urn), _sent(request))
        packed = any_pb2.Any()
        packed.Pack(
            provider_pb2.ErrorResourceInitFailed(
                id=unfinished.identity,
                properties=encode(unfinished.properties),
                inputs=request.properties,
                reasons=[reason],
            )
        )
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=reason, details=[packed])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, reason)

    def _handler(self, urn: str) -> Handler:
        token = _type_of(urn)
        if token not in self.handlers:
            raise InputError(f"the local provider has no resource type {token}", error_id="RS-LOCAL-007")
        return self.handlers[token]

    def _context(self, request: Any, context: Any, properties: Properties) -> Context:
        handler = self._handler(request.urn)
        region = self._session.region(context.peer(), properties) if handler.regional else _GLOBAL_REGION
        return Context(request.urn, region, self._account, self._clients)


def _type_of(urn: str) -> str:
    """Return the type in ``urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>``."""
    return urn.split("::")[2].rsplit("$", 1)[-1] if urn.count("::") >= 2 else ""


def _sent(request: Any) -> Properties:
    """Return all properties in a request, in which secrets are searched."""
    sent: Properties = {}
    for name in ("olds", "old_inputs", "inputs", "properties", "news"):
        if hasattr(request, name):
            sent |= decode(getattr(request, name))
    return sent


def _diff_response(found: ResourceDiff) -> Any:
    details = {}
    for path, kind in found.details.items():
        top = path.split(".")[0].split("[")[0]
        kinds = _REPLACING_KINDS if top in found.replaces else _PLAIN_KINDS
        details[path] = provider_pb2.PropertyDiff(kind=kinds[kind], inputDiff=True)
    names = found.change.names
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if names else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=sorted(names),
        replaces=sorted(found.replaces),
        detailedDiff=details,
        hasDetailedDiff=True,
        deleteBeforeReplace=found.delete_first,
    )


_THREADS = 32  # calls mostly wait for the emulator; the engine makes about 16 at once
_UNLIMITED = -1
_SECONDS_TO_FINISH = 5.0


@contextmanager
def serve(
    cloud: LocalCloud, handlers: Mapping[str, Handler] = BY_TOKEN, files: Files | None = None
) -> Iterator[int]:
    """Serve the provider on a free loopback port, for ``PULUMI_DEBUG_PROVIDERS=aws:PORT``.

    It answers only processes of this user, and reads only ``files``; None: no files.

    Raises:
        Refused: the endpoint is not on this machine.
    """
    require_loopback(cloud.endpoint)
    clients = Clients(
        key=cloud.key,
        endpoint=cloud.endpoint,
        ca_bundle=cloud.ca_bundle,
        is_logged=False,
        ask_again=ask_again,
    )
    servicer = AwsServicer(handlers, clients, cloud.account, files or Files())
    sizes = [("grpc.max_receive_message_length", _UNLIMITED), ("grpc.max_send_message_length", _UNLIMITED)]
    server = own_server(grpc, ThreadPoolExecutor(_THREADS, thread_name_prefix="aws-provider"), options=sizes)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port: int = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(_SECONDS_TO_FINISH).wait()
