"""Subscribing over the Runtime API's listener: who may, when, and what is answered."""

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.api.exchange import Deferred, Reply, Request
from rie_server.api.runtime_api.telemetry import TelemetryApi
from rie_server.model.telemetry_subscription import Subscribable, Subscription
from tests.fakes.telemetry import FakeExtensions

IDENTIFIER = str(uuid.uuid4())
BODY = {
    "schemaVersion": "2022-12-13",
    "types": ["platform"],
    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:4243"},
}


class Connection:
    local_address = ("127.0.0.1", 1)
    peer_address = "127.0.0.1"

    def is_alive(self) -> bool:
        return True


class Identities:
    def __init__(self) -> None:
        self.caller: str | None = "e1"

    def environment_of(self, request: Request) -> str | None:
        return self.caller


class Subscriptions:
    def __init__(self) -> None:
        self.taken: list[tuple[str, str, Subscription]] = []

    def subscribe(self, environment_id: str, extension_name: str, subscription: Subscription) -> bool:
        entry = environment_id, extension_name, subscription
        is_new = entry not in self.taken
        self.taken.append(entry)
        return is_new


class Door:
    def __init__(self) -> None:
        self.identities = Identities()
        self.extensions = FakeExtensions()
        self.extensions.names["e1", IDENTIFIER] = "agent"
        self.subscriptions = Subscriptions()
        self.api = TelemetryApi(
            identities=self.identities,  # type: ignore[arg-type]
            extensions=self.extensions,
            subscriptions=self.subscriptions,
        )

    def call(self, body: bytes | dict[str, Any] = BODY, **changes: Any) -> tuple[int, Any]:
        """Status and document."""
        path = changes.get("path", "/2022-07-01/telemetry")
        headers = {"lambda-extension-identifier": changes.get("identifier", IDENTIFIER)}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        reply = self.api(Request("PUT", path, "", headers, raw, Connection()))
        assert isinstance(reply, Reply)
        assert ("Content-Type", "application/json") in reply.headers
        return reply.status, json.loads(reply.body)


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_subscription_is_ok_and_the_same_one_again_already_there(door: Door) -> None:
    assert door.call() == (200, "OK")
    assert door.call(path="/2022-07-01/telemetry/") == (200, "AlreadySubscribed")
    environment_id, name, subscription = door.subscriptions.taken[0]
    assert (environment_id, name, subscription.api) == ("e1", "agent", Subscribable.TELEMETRY)


def test_the_logs_api_is_beside_it(door: Door) -> None:
    document = {name: value for name, value in BODY.items() if name != "schemaVersion"}
    assert door.call(document, path="/2020-08-15/logs") == (200, "OK")
    assert door.subscriptions.taken[0][2].api is Subscribable.LOGS


def test_only_registered_extensions_subscribe(door: Door) -> None:
    stranger = str(uuid.UUID(int=1))
    status, document = door.call(identifier=stranger)
    assert (status, document["errorType"]) == (403, "Extension.UnknownExtensionIdentifier")
    assert door.subscriptions.taken == []


def test_the_identifier_of_another_environment_means_nothing(door: Door) -> None:
    door.identities.caller = "e2"
    assert door.call()[1]["errorType"] == "Extension.UnknownExtensionIdentifier"


def test_after_initialization_nobody_subscribes(door: Door) -> None:
    door.extensions.is_init = False
    assert door.call() == (
        403,
        {"errorMessage": "Telemetry API subscription is closed", "errorType": "Telemetry.SubscriptionClosed"},
    )


def test_a_stranger_is_refused(door: Door) -> None:
    door.identities.caller = None
    assert door.call()[0] == 403


def test_what_is_wrong_with_a_request_is_said(door: Door) -> None:
    status, document = door.call({**BODY, "types": []})
    assert status == 400
    assert document == {"errorMessage": "types should not be empty", "errorType": "Telemetry.ValidationError"}


@given(
    body=st.binary(max_size=200) | st.just(json.dumps(BODY).encode()),
    identifier=st.sampled_from([IDENTIFIER, "", "x", str(uuid.UUID(int=7))]),
    path=st.sampled_from(["/2022-07-01/telemetry", "/2020-08-15/logs", "/2022-07-01/telemetry/"]),
    is_init=st.booleans(),
)
def test_whatever_comes_is_answered(body: bytes, identifier: str, path: str, is_init: bool) -> None:
    door = Door()
    door.extensions.is_init = is_init
    status, document = door.call(body, identifier=identifier, path=path)
    assert status in (200, 400, 403)
    assert not isinstance(document, Deferred)
    assert (status == 200) == (len(door.subscriptions.taken) == 1)
