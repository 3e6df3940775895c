"""Code from S3, through boto3, from a small S3 of the test's own."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from rie_server.errors import InvalidParameterValueException
from rie_server.stores import s3
from rie_server.stores.s3 import BotoObjectStorage

OBJECTS = {
    ("code", "orders.zip", None): b"PK newest",
    ("code", "orders.zip", "v1"): b"PK first",
    ("code", "folder/ü +&.zip", None): b"PK odd",
}


class S3Handler(BaseHTTPRequestHandler):
    """GetObject by path, as much of it as code needs."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        _, bucket, key = unquote(url.path).split("/", 2)
        version = parse_qs(url.query).get("versionId", [None])[0]
        self.server.regions.append(self.headers["Authorization"].split("/")[2])  # type: ignore[attr-defined]
        if bucket == "private":
            self._refuse(403, "AccessDenied", "Access Denied")
        elif bucket != "code":
            self._refuse(404, "NoSuchBucket", "The specified bucket does not exist")
        elif (bucket, key, version) not in OBJECTS:
            self._refuse(404, "NoSuchKey", "The specified key does not exist.")
        else:
            self._answer(200, OBJECTS[bucket, key, version])

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def regions(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A running S3 at ``localhost``; yields the regions that requests were signed for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), S3Handler)
    server.regions = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, name="s3", kwargs={"poll_interval": 0.01})
    thread.start()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://localhost:{server.server_address[1]}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    yield server.regions  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


def get(bucket: str, key: str, version: str | None = None) -> bytes:
    return BotoObjectStorage().get(bucket, key, version, region="eu-west-1")


def test_an_object_is_fetched_from_the_endpoint_that_boto3_was_told_of(regions: list[str]) -> None:
    assert get("code", "orders.zip") == b"PK newest"
    assert regions == ["eu-west-1"]


def test_a_version_and_an_odd_key_are_found(regions: list[str]) -> None:
    assert get("code", "orders.zip", "v1") == b"PK first"
    assert get("code", "folder/ü +&.zip") == b"PK odd"


@pytest.mark.parametrize(
    ("bucket", "code", "message"),
    [
        ("code", "NoSuchKey", "The specified key does not exist."),
        ("nowhere", "NoSuchBucket", "The specified bucket does not exist"),
        ("private", "AccessDenied", "Access Denied"),
    ],
)
def test_a_refusal_is_told_in_awss_words(regions: list[str], bucket: str, code: str, message: str) -> None:
    with pytest.raises(InvalidParameterValueException) as refusal:
        get(bucket, "missing.zip")

    assert refusal.value.message == (
        f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
    )


def test_an_object_that_cannot_be_code_is_not_read(regions: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "UNZIPPED_BYTES", 5)

    with pytest.raises(InvalidParameterValueException, match="Unzipped size must be smaller than 5 bytes"):
        get("code", "orders.zip")


def test_an_s3_that_does_not_answer_is_an_error_and_not_a_hang(
    monkeypatch: pytest.MonkeyPatch, regions: list[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")

    with pytest.raises(InvalidParameterValueException, match="S3 Error Code: EndpointConnectionError"):
        get("code", "orders.zip")
