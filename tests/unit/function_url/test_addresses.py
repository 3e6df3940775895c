import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.api.exchange import Reply, Request
from rie_server.api.guard import Guard
from rie_server.config import Settings
from rie_server.model.function_url import PATH_FORM, address, url_id_of_host

ID = "0123456789abcdef" * 2
NAME = f"{ID}.lambda-url.us-east-1.localhost"


class Front:
    """Function URLs that say so."""

    def owns(self, request: Request, host: str) -> bool:
        return url_id_of_host(host) is not None or request.path.startswith(PATH_FORM)

    def __call__(self, request: Request) -> Reply:
        return Reply(200, (), b"a function")


def answered(host: str, path: str = "/", **headers: str) -> str:
    request = Request("POST", path, "", {"host": host, **headers}, b"", None)  # type: ignore[arg-type]
    reply = Guard(Settings(), Front()).answer(request)
    if reply is None:
        return "the Lambda API"
    assert isinstance(reply, Reply)
    return reply.body.decode() or str(reply.status)


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("http://127.0.0.1:9000", f"http://{NAME}:9000/"),
        ("http://localhost:80", f"http://{NAME}:80/"),
        ("http://localhost", f"http://{NAME}/"),
        ("http://[::1]:9000", f"http://{NAME}:9000/"),
        ("http://[::1]", f"http://{NAME}/"),
        ("http://LocalHost:1", f"http://{NAME}:1/"),
        ("http://lambda.localhost:1", f"http://{NAME}:1/"),
        ("http://0.0.0.0:9000", f"http://{NAME}:9000/"),
        ("http://:::9000", f"http://{NAME}:9000/"),
        ("http://rie:9000", f"http://rie:9000/_rie/urls/{ID}/"),
        ("http://192.168.0.9", f"http://192.168.0.9/_rie/urls/{ID}/"),
        ("http://[fd00::1]:9000", f"http://[fd00::1]:9000/_rie/urls/{ID}/"),
    ],
)
def test_an_address_is_one_that_its_reader_can_call(base_url: str, expected: str) -> None:
    assert address(ID, "us-east-1", base_url) == expected


@pytest.mark.parametrize("host", [NAME, f"{NAME}:1", f"{NAME.upper()}:65535", f"{NAME}.", f"{NAME}.:9000"])
def test_a_host_name_in_any_spelling_means_its_url(host: str) -> None:
    assert url_id_of_host(host) == ID
    assert answered(host, "/2015-03-31/functions/f/invocations") == "a function"


@pytest.mark.parametrize(
    "host",
    [
        f"{NAME}.evil.example",
        f"x.{NAME}",
        f"{NAME}:x",
        f"{NAME}\n",
        NAME.replace("localhost", "evil.example"),
        NAME[1:],
    ],
)
def test_a_host_name_that_is_nearly_one_is_none(host: str) -> None:
    assert url_id_of_host(host) is None


def test_a_function_s_page_does_not_reach_the_lambda_api() -> None:
    path = "/2015-03-31/functions/f/invocations"
    refused = answered("127.0.0.1:9000", path, origin=f"http://{NAME}:9000")
    assert "RIE_CORS_ORIGINS" in refused
    assert answered("127.0.0.1:9000", path) == "the Lambda API"


@given(st.text(st.characters(max_codepoint=255)), st.text())
def test_every_host_gets_an_answer(host: str, path: str) -> None:
    assert answered(host, path)
