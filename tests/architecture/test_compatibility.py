"""The page about compatibility says what the server does."""

from collections.abc import Callable

import pytest
import requests

from rie_server.api.lambda_api.service_model import load_service_model
from tests.compatibility import PAGE, botocore_version, offered, page
from tests.conftest import RieServer


def test_the_page_is_current() -> None:
    written = PAGE.read_text(encoding="utf-8")
    if f"botocore {botocore_version()} " not in written:
        pytest.skip("the page was written by another botocore, which may know other operations")
    assert written == page(), "docs/compatibility.md is not current: run `make docs`"


def test_every_operation_that_is_offered_has_a_test_that_calls_it() -> None:
    lines = [line for line in page().splitlines() if line.startswith("| `")]
    unproved = [line for line in lines if "not offered" not in line and "(../tests/" not in line]
    assert unproved == []


def test_a_server_answers_501_to_what_is_not_offered_and_to_nothing_else(start_rie: Callable[..., RieServer]) -> None:
    rie, table = start_rie(), offered()
    arn = "arn:aws:lambda:us-east-1:000000000000:function:nobody"
    answers: dict[str, bool] = {}
    for name, operation in load_service_model().operations.items():
        segments = [arn if segment.startswith("{Re") else segment for segment in operation.segments]
        path = "/".join("1" if segment.startswith("{") else segment for segment in segments)
        query = "" if operation.query is None else "=".join(operation.query)
        reply = requests.request(operation.method, f"{rie.url}/{path}?{query}", timeout=10)
        answers[name] = reply.status_code == 501
        reply.close()
    assert answers == {name: module is None for name, module in table.items()}
