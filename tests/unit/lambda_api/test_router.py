"""The API as a whole: whatever comes in, an answer of AWS's shape goes out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rie_server.api.exchange import HotRoute, Reply, Request
from rie_server.api.lambda_api.router import LambdaApi
from rie_server.api.lambda_api.service_model import ServiceModel, Shape, load_service_model
from rie_server.config import Settings
from rie_server.errors import ValidationException
from rie_server.pollers.mappings import EventSourceMappings
from rie_server.registry.functions import FunctionRegistry
from tests.fakes.clock import FakeClock
from tests.fakes.durable import idle_executions
from tests.fakes.mapping_stores import MemoryMappingStore
from tests.fakes.registry_ports import ExecutorAnswers, MemoryObjectStorage
from tests.fakes.stores import MemoryCodeStore, MemoryFunctionStore
from tests.unit.lambda_api.test_rendering import request

MODEL = load_service_model()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaApi]:
    folder: Path = tmp_path_factory.mktemp("code")
    registry = FunctionRegistry(
        store=MemoryFunctionStore(),
        code=MemoryCodeStore(folder),
        objects=MemoryObjectStorage(),
        images=None,
        supports=ExecutorAnswers(),
        clock=FakeClock(),
        concurrency_limit=10,
    )
    registry.start()
    mappings = EventSourceMappings(
        store=MemoryMappingStore(),
        makers={},
        inspectors={},
        function_exists=lambda _: False,
        on_gone=lambda _: None,
        real=FakeClock(),
    )
    mappings.start()
    yield LambdaApi(
        registry=registry, mappings=mappings, durable=idle_executions(registry, FakeClock()), settings=Settings()
    )
    mappings.close()
    registry.close()


def call(api: LambdaApi, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
    sent = request({name.replace("_", "-"): value for name, value in headers.items()})
    reply = api(Request(method, path, "", sent.headers, body, sent.connection))
    assert isinstance(reply, Reply)
    return reply


def test_a_hot_operation_is_reached_through_this_door_too(api: LambdaApi) -> None:
    seen: list[Request] = []

    def invoke(request: Request) -> Reply:
        seen.append(request)
        return Reply(200, (), b"hot")

    path = "/2015-03-31/functions/f/invocations"
    assert call(api, "POST", path).status == 501
    api.mount_hot(
        HotRoute(
            listener="lambda",
            method="POST",
            prefix="/2015-03-31/functions/",
            suffix="/invocations",
            operation=invoke,
        )
    )
    assert call(api, "POST", path, b"{}").body == b"hot"
    assert [one.body for one in seen] == [b"{}"]
    with pytest.raises(ValueError, match="no operation"):
        api.mount_hot(HotRoute(listener="runtime", method="GET", prefix="/x/", suffix="/next", operation=invoke))


@pytest.mark.parametrize(
    ("headers", "query", "words"),
    [
        ({"x-amz-invocation-type": "Later"}, "", "at 'invocationType'"),
        ({"x-amz-log-type": "Head"}, "", "at 'logType'"),
        ({}, "Qualifier=" + "a" * 129, "at 'qualifier'"),
        ({"x-amz-tenant-id": "a;b"}, "", "at 'tenantId'"),
    ],
)
def test_invoke_is_validated_by_the_model(api: LambdaApi, headers: dict[str, str], query: str, words: str) -> None:
    sent = request(headers, query)
    with pytest.raises(ValidationException, match=words):
        api.validate_invoke(
            Request("POST", "/2015-03-31/functions/f/invocations", query, headers, b"\xff", sent.connection)
        )


def test_an_invoke_that_the_model_allows_passes(api: LambdaApi) -> None:
    headers = {"x-amz-invocation-type": "Event", "x-amz-log-type": "Tail"}
    connection = request().connection
    api.validate_invoke(
        Request("POST", "/2015-03-31/functions/f:live/invocations", "Qualifier=live", headers, b"[", connection)
    )


def test_a_fault_of_the_server_is_a_500_that_tells_nothing(
    api: LambdaApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: str) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(api._registry, "list", fail)
    reply = call(api, "GET", "/2015-03-31/functions")
    assert reply.status == 500
    assert json.loads(reply.body) == {"Type": "Server", "Message": "An internal error occurred."}
    assert "secret detail" in caplog.text


def documents(model: ServiceModel, shape: Shape) -> st.SearchStrategy[Any]:
    """JSON that is near to ``shape``: right structure mostly, values of any kind."""
    wild = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just([]) | st.just({})
    if shape.kind == "structure":
        members = {
            member.wire_name: documents(model, model.shape(member.shape)) for member in model.members(shape, None)
        }
        return wild | st.fixed_dictionaries({}, optional=members)
    if shape.kind == "list":
        return wild | st.lists(documents(model, model.shape(shape.element)), max_size=3)
    if shape.kind == "map":
        return wild | st.dictionaries(st.text(max_size=4), documents(model, model.shape(shape.element)), max_size=3)
    near = st.sampled_from(shape.choices) if shape.choices else st.just(shape.minimum or 1)
    return wild | near


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(document=documents(MODEL, MODEL.shape("CreateFunctionRequest")))
def test_no_body_of_create_function_is_a_fault_of_the_server(api: LambdaApi, document: Any) -> None:
    reply = call(api, "POST", "/2015-03-31/functions", json.dumps(document).encode())
    assert 400 <= reply.status < 500 or reply.status == 501
    assert isinstance(json.loads(reply.body), dict)


@settings(max_examples=150, deadline=None)
@given(path=st.text(max_size=40), query=st.text(max_size=20), method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
def test_no_path_is_a_fault_of_the_server(api: LambdaApi, path: str, query: str, method: str) -> None:
    for prefix in ("/", "/2015-03-31/functions/", "/2017-03-31/tags/", "/_rie/code/", "/2026-10-01/"):
        reply = api(Request(method, prefix + path, query, {}, b"", request().connection))
        assert isinstance(reply, Reply)
        assert reply.status < 500 or reply.status == 501
