from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.model.cors import cors_headers, preflight_headers, without_cors

PAGE = "https://page.example"


@pytest.mark.parametrize(
    ("cors", "expected"),
    [
        ({}, {}),
        ({"AllowOrigins": ["https://other.example"]}, {}),
        ({"AllowOrigins": [f"{PAGE}.evil.example", "page.example"]}, {}),
        ({"AllowOrigins": ["*"]}, {"Access-Control-Allow-Origin": "*"}),
        ({"AllowOrigins": ["HTTPS://PAGE.example"]}, {"Access-Control-Allow-Origin": PAGE, "Vary": "Origin"}),
        (
            {"AllowOrigins": ["*"], "AllowCredentials": True, "ExposeHeaders": ["a", "b"]},
            {
                "Access-Control-Allow-Origin": PAGE,
                "Access-Control-Allow-Credentials": "true",
                "Access-Control-Expose-Headers": "a,b",
                "Vary": "Origin",
            },
        ),
    ],
)
def test_an_origin_is_told_what_the_rules_let_it_do(cors: dict[str, Any], expected: dict[str, str]) -> None:
    assert dict(cors_headers(cors, PAGE)) == expected


@pytest.mark.parametrize(
    ("methods", "method", "allowed"),
    [
        (["GET", "PUT"], "PUT", "GET,PUT"),
        (["get"], "GET", "GET"),
        (["*"], "patch", "PATCH"),
        (["GET"], "PUT", None),
        (None, "GET", None),
    ],
)
def test_a_preflight_is_answered_for_the_methods_of_the_rules(methods: Any, method: str, allowed: str | None) -> None:
    headers = dict(preflight_headers({"AllowOrigins": ["*"], "AllowMethods": methods}, PAGE, method, ""))
    assert headers.get("Access-Control-Allow-Methods") == allowed
    assert bool(headers) is (allowed is not None)


@pytest.mark.parametrize(
    ("names", "wanted", "allowed"),
    [(["*"], "x-a, x-b", "x-a, x-b"), (["*"], "", None), (["x-a", "x-b"], "x-c", "x-a,x-b"), ([], "x-a", None)],
)
def test_a_preflight_names_the_headers_of_the_rules(names: list[str], wanted: str, allowed: str | None) -> None:
    cors = {"AllowOrigins": ["*"], "AllowMethods": ["*"], "AllowHeaders": names, "MaxAge": 0}
    headers = dict(preflight_headers(cors, PAGE, "GET", wanted))
    assert headers.get("Access-Control-Allow-Headers") == allowed
    assert headers["Access-Control-Max-Age"] == "0"


@given(origin=st.text(), listed=st.lists(st.text(max_size=3)), credentials=st.booleans())
def test_no_origin_is_let_in_that_the_rules_do_not_name(origin: str, listed: list[str], credentials: bool) -> None:
    headers = dict(cors_headers({"AllowOrigins": listed, "AllowCredentials": credentials}, origin))
    is_named = "*" in listed or origin.lower() in [one.lower() for one in listed]
    assert bool(headers) is is_named
    assert not (credentials and headers.get("Access-Control-Allow-Origin") == "*" and origin != "*")


def test_the_function_s_own_rules_do_not_count() -> None:
    kept = (("Content-Type", "text/plain"), ("Vary", "Accept"))
    assert without_cors((*kept, ("ACCESS-control-Allow-Origin", "*"), ("Access-Control-Max-Age", "1"))) == kept
