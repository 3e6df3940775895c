"""The Lambda API over a real socket, with a registry on stores in memory."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request as WsgiRequest
from werkzeug.wrappers import Response as WsgiResponse

from rie_server.api.exchange import Deferred, Request
from rie_server.api.lambda_api.router import LambdaApi
from rie_server.clock import SystemClock
from rie_server.config import Settings
from rie_server.model.event_source import SourceKind
from rie_server.pollers.mappings import EventSourceMappings
from rie_server.registry.functions import FunctionRegistry
from tests.fakes.durable import MemoryDurableStore, idle_executions
from tests.fakes.mapping_stores import MemoryMappingStore
from tests.fakes.pollers import FakeInspector, FakePollers
from tests.fakes.registry_ports import ExecutorAnswers, FakeImages, MemoryObjectStorage
from tests.fakes.stores import MemoryCodeStore, MemoryFunctionStore

# One for all: a session reads AWS's service model, which takes longer than any test.
_SESSION = boto3.Session()


class _Connection:
    local_address = ("127.0.0.1", 0)
    peer_address = "127.0.0.1"

    def is_alive(self) -> bool:
        return True


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Nothing: tests read replies, not logs."""


class ControlPlane:
    """A Lambda API that a client can reach.

    Attributes:
        url: where.
    """

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.objects = MemoryObjectStorage()
        self.images = FakeImages()
        self.supports = ExecutorAnswers()
        self._store, self._code = MemoryFunctionStore(), MemoryCodeStore(folder)
        self.registry = self._new_registry()
        self.pollers = FakePollers()
        self.inspector = FakeInspector()
        self.mappings = EventSourceMappings(
            store=MemoryMappingStore(),
            makers=dict.fromkeys(SourceKind, self.pollers),
            inspectors=dict.fromkeys(SourceKind, self.inspector),
            function_exists=self.registry.has,
            on_gone=lambda _: None,
            real=self.clock,
        )
        self.durable_store = MemoryDurableStore()
        self.api = self._new_api(Settings())
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="control-plane")
        self._clients: list[Any] = []
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _new_registry(self) -> FunctionRegistry:
        return FunctionRegistry(
            store=self._store,
            code=self._code,
            objects=self.objects,
            images=self.images,
            supports=self.supports,
            clock=self.clock,
            concurrency_limit=1000,
        )

    def _new_api(self, settings: Settings) -> LambdaApi:
        return LambdaApi(
            registry=self.registry,
            mappings=self.mappings,
            durable=idle_executions(self.registry, self.clock, self.durable_store),
            settings=settings,
        )

    def use_settings(self, **settings: Any) -> None:
        """Answers by these settings from now on."""
        self.api = self._new_api(Settings(**settings))

    def restart_registry(self) -> None:
        """Takes the registry down and makes another one of what it has stored."""
        self.registry.close()
        self.registry = self._new_registry()
        self.registry.start()
        self.api = self._new_api(Settings())

    def start(self) -> None:
        self.clock.start()
        self.registry.start()
        self.mappings.start()
        self._thread.start()

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.mappings.close()
        self.registry.close()
        self.clock.close()

    def client(self, region: str = "us-east-1", access_key: str = "local") -> Any:
        client = _SESSION.client(
            "lambda",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key="local",
            config=Config(retries={"max_attempts": 0}, parameter_validation=False),
        )
        self._clients.append(client)
        return client

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        wsgi = WsgiRequest(environ)
        headers = {name.lower(): value for name, value in wsgi.headers.items()}
        query = wsgi.query_string.decode("latin-1")
        reply = self.api(Request(wsgi.method, wsgi.path, query, headers, wsgi.get_data(), _Connection()))
        assert not isinstance(reply, Deferred)
        response = WsgiResponse(reply.body, reply.status)
        del response.headers["Content-Type"]
        response.headers.extend(reply.headers)
        return response(environ, start_response)


@pytest.fixture
def control_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path)
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture
def client(control_plane: ControlPlane) -> Any:
    """boto3 without its own validation, so that the server's is what answers."""
    return control_plane.client()
