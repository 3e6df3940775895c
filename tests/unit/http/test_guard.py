import pytest

from rie_server.api.exchange import Request
from rie_server.api.guard import Guard, host_is_known, origin_is_allowed
from rie_server.config import Settings


def request(method: str = "POST", **headers: str) -> Request:
    return Request(method, "/", "", {name.replace("_", "-"): value for name, value in headers.items()}, b"", None)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:9000",
        "127.0.0.1",
        "127.0.0.1:9000",
        "[::1]:9000",
        "[::1]",
        "a.localhost:1",
        "a.b.localhost",
    ],
)
def test_names_of_this_machine_are_known_with_any_port(host: str) -> None:
    assert host_is_known(host, Settings())


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:9000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "notlocalhost",
        ".localhost",
        "192.168.0.9:9000",
        "[::2]:9000",
        "localhost:9000:9000",
    ],
)
def test_other_names_are_not_known(host: str) -> None:
    assert not host_is_known(host, Settings())


def test_the_settings_add_names() -> None:
    settings = Settings(host="rie.internal", allowed_hosts=("lambda", "other:8000"))
    for host in ("rie.internal:9000", "lambda:9000", "Lambda", "other", "other:9000"):
        assert host_is_known(host, settings)


def test_a_server_that_listens_everywhere_answers_to_addresses_but_not_to_names() -> None:
    settings = Settings(host="0.0.0.0")
    assert host_is_known("192.168.0.9:9000", settings)
    assert host_is_known("[fe80::1]:9000", settings)
    assert not host_is_known("evil.example", settings)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://ok.example", True),
        ("https://ok.example", False),
        ("http://ok.example:81", False),
        ("http://localhost:9000", True),
        ("http://localhost:3000", False),
        ("null", False),
        ("", False),
        ("file://localhost:9000", False),
    ],
)
def test_origins_are_the_servers_own_or_those_of_the_setting(origin: str, allowed: bool) -> None:
    assert origin_is_allowed(origin, "localhost:9000", Settings(cors_origins=("http://ok.example",))) is allowed


def test_a_star_allows_every_origin() -> None:
    assert origin_is_allowed("https://any.example", "localhost", Settings(cors_origins=("*",)))


def test_requests_without_origin_pass_as_clients_that_are_no_browsers_send_them() -> None:
    guard = Guard(Settings())
    assert guard.answer(request(host="127.0.0.1:9000")) is None
    assert guard.answer(request()) is None


def test_a_known_host_is_remembered_and_an_unknown_one_is_not() -> None:
    guard = Guard(Settings())
    for _ in range(3):
        assert guard.answer(request(host="localhost")) is None
        assert guard.answer(request(host="evil.example")).status == 403


def test_options_without_a_preflight_is_an_ordinary_request() -> None:
    guard = Guard(Settings(cors_origins=("http://ok.example",)))
    assert guard.answer(request("OPTIONS", host="localhost", origin="http://ok.example")) is None
    preflight = request(
        "OPTIONS",
        host="localhost",
        origin="http://ok.example",
        access_control_request_method="POST",
        access_control_request_headers="x-amz-date",
        access_control_request_private_network="true",
    )
    headers = dict(guard.answer(preflight).headers)
    assert headers["Access-Control-Allow-Headers"] == "x-amz-date"
    assert headers["Access-Control-Allow-Private-Network"] == "true"
