"""Serves the local `aws` provider inside this process, for as long as one engine run takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from regionshift.aws.clients import AccessKey, Clients
from regionshift.aws.guard import require_loopback
from regionshift.local.emulator import LocalCloud
from regionshift.local.provider.assets import Files
from regionshift.local.provider.handler import Handler
from regionshift.local.provider.handlers import BY_TOKEN
from regionshift.local.provider.servicer import AwsServicer
from regionshift.peers import own_server

_THREADS = 32  # a call waits for the emulator most of its time; the engine asks for some 16 at once
_UNLIMITED = -1
_SECONDS_TO_FINISH = 5.0


@contextmanager
def serve(
    cloud: LocalCloud, handlers: Mapping[str, Handler] = BY_TOKEN, files: Files | None = None
) -> Iterator[int]:
    """Serve the provider on a free loopback port; the engine finds it by ``PULUMI_DEBUG_PROVIDERS=aws:PORT``.

    Only this user's processes are answered, and only ``files`` are read; without any, none.

    Raises:
        Refused: the endpoint is not this machine.
    """
    require_loopback(cloud.endpoint)
    key = AccessKey(cloud.access_key, cloud.secret_key)
    clients = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle, is_logged=False)
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
