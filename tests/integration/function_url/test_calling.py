"""Functions called by their URLs: what they are given, and what their results become."""

import base64
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.conftest import RieServer
from tests.integration.invoke.deploying import create

FORBIDDEN = {"Message": "Forbidden"}


class Url:
    """A function URL as clients whose resolver knows no names under ``localhost`` call it."""

    def __init__(self, server: RieServer, address: str) -> None:
        self.address = address
        self.host = urlsplit(address).netloc
        self._base = server.url

    def __call__(self, method: str, path: str = "/", **arguments: Any) -> requests.Response:
        headers = {"Host": self.host, **arguments.pop("headers", {})}
        return requests.request(method, f"{self._base}{path}", headers=headers, timeout=20, **arguments)


@pytest.fixture(scope="module")
def url(shared: RieServer, client: Any) -> Url:
    made = client.create_function_url_config(FunctionName="probe", AuthType="NONE")
    return Url(shared, made["FunctionUrl"])


def test_an_event_has_the_members_of_format_2_0(url: Url) -> None:
    path = "/a%20b/c?x=1&x=2&empty="
    reply = url("PATCH", path, data="{}", headers={"Content-Type": "application/json", "Cookie": "a=1; b=2"})
    event = reply.json()
    name = url.host.partition(":")[0]
    assert (event["version"], event["routeKey"]) == ("2.0", "$default")
    assert (event["rawPath"], event["rawQueryString"]) == ("/a%20b/c", "x=1&x=2&empty=")
    assert event["queryStringParameters"] == {"x": "1,2", "empty": ""}
    assert event["cookies"] == ["a=1", "b=2"]
    assert (event["body"], event["isBase64Encoded"]) == ("{}", False)
    assert (event["headers"]["host"], event["headers"]["x-forwarded-for"]) == (url.host, "127.0.0.1")
    assert "cookie" not in event["headers"]
    context = event["requestContext"]
    assert context["http"] == {
        "method": "PATCH",
        "path": "/a%20b/c",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": event["headers"]["user-agent"],
    }
    assert (context["accountId"], context["apiId"], context["domainName"]) == (
        "anonymous",
        name.partition(".")[0],
        name,
    )
    assert context["requestId"] == reply.headers["x-amzn-RequestId"]
    assert abs(context["timeEpoch"] / 1000 - time.time()) < 60
    assert reply.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("content_type", "is_base64"),
    [
        ("application/json", False),
        ("text/plain; charset=utf-8", False),
        ("application/vnd.api+json", False),
        ("application/x-www-form-urlencoded", True),
        ("application/octet-stream", True),
        ("multipart/form-data; boundary=x", True),
    ],
)
def test_a_body_comes_as_text_or_in_base64_by_its_type(url: Url, content_type: str, is_base64: bool) -> None:
    event = url("POST", data=b"a=1", headers={"Content-Type": content_type}).json()
    assert event["isBase64Encoded"] is is_base64
    assert (base64.b64decode(event["body"]) if is_base64 else event["body"].encode()) == b"a=1"


def test_text_that_is_no_text_comes_in_base64(url: Url) -> None:
    event = url("POST", data=b"\xff\xfe", headers={"Content-Type": "text/plain"}).json()
    assert (event["body"], event["isBase64Encoded"]) == ("//4=", True)


def test_a_request_without_a_body_has_none_in_its_event(url: Url) -> None:
    event = url("GET").json()
    assert "body" not in event
    assert "cookies" not in event
    assert "queryStringParameters" not in event


@pytest.mark.parametrize(("path", "body"), [("/bare", b'{"bare": [1, 2]}'), ("/text", b'"just a text"')])
def test_a_result_without_a_status_is_the_body_of_a_200(url: Url, path: str, body: bytes) -> None:
    reply = url("GET", path)
    assert (reply.status_code, reply.headers["Content-Type"], reply.content) == (200, "application/json", body)


def test_bytes_come_out_as_they_are(url: Url) -> None:
    reply = url("GET", "/binary")
    assert (reply.headers["Content-Type"], reply.content) == ("image/png", bytes(range(256)))


def test_status_headers_and_cookies_are_the_functions(url: Url) -> None:
    reply = url("GET", "/cookies")
    assert (reply.status_code, reply.text) == (201, "made")
    assert (reply.headers["X-Count"], reply.headers["X-Yes"]) == ("3", "true")
    assert reply.raw.headers.getlist("Set-Cookie") == ["a=1; HttpOnly", "b=2"]
    assert reply.headers["Access-Control-Allow-Origin"] == "https://own.example"


@pytest.mark.parametrize("path", ["/fail", "/wrong"])
def test_a_failure_and_a_result_that_is_no_response_are_502(url: Url, path: str) -> None:
    reply = url("GET", path)
    assert (reply.status_code, reply.text) == (502, "Internal Server Error")


def test_head_has_no_body(url: Url) -> None:
    reply = url("HEAD", "/bare")
    assert (reply.status_code, reply.content) == (200, b"")


def test_the_path_form_means_the_same_url(shared: RieServer, url: Url) -> None:
    url_id = url.host.partition(".")[0]
    reply = requests.post(f"{shared.url}/_rie/urls/{url_id}/deep/path?q=1", timeout=20)
    event = reply.json()
    assert (event["rawPath"], event["requestContext"]["apiId"]) == ("/deep/path", url_id)
    pages = requests.get(
        f"{shared.url}/_rie/urls/{url_id}", headers={"Origin": "https://page.example"}, timeout=20
    ).json()
    assert pages["rawPath"] == "/"


def test_a_url_that_is_not_there_is_404(shared: RieServer) -> None:
    host = f"{'0' * 32}.lambda-url.us-east-1.localhost"
    reply = requests.get(shared.url, headers={"Host": host}, timeout=20)
    assert (reply.status_code, reply.json()) == (404, {"Message": "Not Found"})


def test_more_than_6_mb_is_413(url: Url) -> None:
    reply = url("POST", data=b"x" * (6 * 1024 * 1024), headers={"Content-Type": "text/plain"})
    assert reply.status_code == 413


def test_a_function_that_may_not_run_is_429(shared: RieServer, client: Any) -> None:
    create(client, "still", "def handler(event, context): return 1")
    url = Url(shared, client.create_function_url_config(FunctionName="still", AuthType="NONE")["FunctionUrl"])
    assert url("GET").text == "1"
    client.put_function_concurrency(FunctionName="still", ReservedConcurrentExecutions=0)
    assert url("GET").status_code == 429


def test_an_alias_has_a_url_of_its_own_that_goes_with_it(shared: RieServer, client: Any) -> None:
    about = "def handler(event, context): return context.function_version"
    create(client, "aliased", about, Publish=True)
    client.create_alias(FunctionName="aliased", Name="live", FunctionVersion="1")
    made = client.create_function_url_config(FunctionName="aliased", Qualifier="live", AuthType="NONE")
    url = Url(shared, made["FunctionUrl"])
    assert url("GET").json() == "1"
    client.delete_alias(FunctionName="aliased", Name="live")
    assert url("GET").status_code == 404


def test_cors_answers_preflights_and_takes_the_place_of_the_functions_own(shared: RieServer, client: Any) -> None:
    create(
        client,
        "pages",
        "def handler(event, context): return {'statusCode': 200, 'body': 'ok', 'headers': "
        "{'Access-Control-Allow-Origin': '*', 'X-Own': '1'}}",
    )
    cors = {
        "AllowOrigins": ["https://page.example"],
        "AllowMethods": ["GET", "PUT"],
        "AllowHeaders": ["x-a"],
        "ExposeHeaders": ["x-own"],
        "MaxAge": 60,
        "AllowCredentials": True,
    }
    made = client.create_function_url_config(FunctionName="pages", AuthType="NONE", Cors=cors)
    url = Url(shared, made["FunctionUrl"])
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "PUT"}
    preflight = url("OPTIONS", headers=asked)
    assert (preflight.status_code, preflight.content) == (200, b"")
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://page.example"
    assert preflight.headers["Access-Control-Allow-Methods"] == "GET,PUT"
    assert preflight.headers["Access-Control-Allow-Headers"] == "x-a"
    assert preflight.headers["Access-Control-Max-Age"] == "60"
    foreign = url("OPTIONS", headers={**asked, "Origin": "https://evil.example"})
    assert not [name for name in foreign.headers if name.startswith("Access-Control-")]
    reply = url("GET", headers={"Origin": "https://page.example"})
    assert (reply.text, reply.headers["X-Own"]) == ("ok", "1")
    assert reply.headers["Access-Control-Allow-Origin"] == "https://page.example"
    assert reply.headers["Access-Control-Allow-Credentials"] == "true"
    assert reply.headers["Access-Control-Expose-Headers"] == "x-own"
    assert "Access-Control-Allow-Origin" not in url("GET", headers={"Origin": "https://evil.example"}).headers


def test_a_url_survives_a_restart(rie: RieServer) -> None:
    create(rie.client(), "f", "def handler(event, context): return 7")
    address = rie.client().create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    rie.kill()
    rie.restart()
    assert Url(rie, address)("GET").json() == 7


@pytest.mark.parametrize("header", ["\xff", "a\tb", ""])
def test_what_is_no_trace_header_gives_way_to_a_new_one(url: Url, header: str) -> None:
    reply = url("GET", headers={"X-Amzn-Trace-Id": header.encode("latin-1")})
    assert (reply.status_code, reply.json()["headers"]["x-amzn-trace-id"][:7]) == (200, "Root=1-")
