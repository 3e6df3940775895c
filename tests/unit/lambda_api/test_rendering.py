import json

import pytest

from rie_server.api.exchange import Request
from rie_server.api.lambda_api.rendering import error_reply, json_bytes, request_scope
from rie_server.config import Settings
from rie_server.errors import (
    InvalidParameterValueException,
    LambdaError,
    ResourceNotFoundException,
    TooManyRequestsException,
    ValidationException,
)


class _NoConnection:
    local_address = ("127.0.0.1", 9000)
    peer_address = "127.0.0.1"

    def is_alive(self) -> bool:
        return True


def request(headers: dict[str, str] | None = None, query: str = "") -> Request:
    return Request("GET", "/", query, headers or {}, b"", _NoConnection())


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (
            ResourceNotFoundException("Function not found: x"),
            404,
            b'{"Type":"User","Message":"Function not found: x"}',
        ),
        (InvalidParameterValueException("no"), 400, b'{"Type":"User","message":"no"}'),
        (ValidationException("1 validation error"), 400, b'{"message":"1 validation error"}'),
    ],
)
def test_an_error_has_the_status_and_body_of_its_class(error: LambdaError, status: int, body: bytes) -> None:
    reply = error_reply(error, "some-id")
    assert (reply.status, reply.body) == (status, body)
    headers = dict(reply.headers)
    assert headers["x-amzn-ErrorType"] == type(error).__name__
    assert headers["x-amzn-RequestId"] == "some-id"
    assert headers["Content-Type"] == "application/json"


def test_a_throttle_carries_its_reason_and_when_to_come_again() -> None:
    reply = error_reply(TooManyRequestsException("ConcurrentInvocationLimitExceeded", retry_after_seconds=2), "id")
    assert json.loads(reply.body) == {
        "Type": "User",
        "message": "Rate Exceeded.",
        "Reason": "ConcurrentInvocationLimitExceeded",
    }
    assert dict(reply.headers)["Retry-After"] == "2"


def test_a_lone_surrogate_does_not_break_the_answer() -> None:
    assert json_bytes({"a": "\ud800ö"}) == '{"a":"?ö"}'.encode()


@pytest.mark.parametrize(
    ("headers", "query", "region"),
    [
        ({}, "", "us-east-1"),
        (
            {"authorization": "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-3/lambda/aws4_request, Signature=0"},
            "",
            "eu-west-3",
        ),
        (
            {"authorization": "AWS4-HMAC-SHA256 Credential=a/b/20260101/ap-south-1/lambda/aws4_request"},
            "",
            "ap-south-1",
        ),
        ({"authorization": "AWS4-ECDSA-P256-SHA256 Credential=AK/20260101/lambda/aws4_request"}, "", "us-east-1"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=AK/1/../lambda/aws4_request, x"}, "", "us-east-1"),
        ({"authorization": "Bearer abc"}, "", "us-east-1"),
        ({}, "A=1&X-Amz-Credential=AK%2F20260101%2Fus-west-2%2Flambda%2Faws4_request&B=2", "us-west-2"),
    ],
)
def test_the_credential_scope_decides_the_region(headers: dict[str, str], query: str, region: str) -> None:
    assert request_scope(request(headers, query), Settings()) == (region, "000000000000")
