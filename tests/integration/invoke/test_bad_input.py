"""Bad input from callers, each with AWS's status, code and message; after each of it the server still answers."""

import base64
import io
import socket
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import ECHO, PYTHON, ROLE, create, error_of, invoke, python_zip, zip_of

INVALID = "InvalidParameterValueException"
NOT_FOUND = "ResourceNotFoundException"
ARN = "arn:aws:lambda:us-east-1:000000000000:function"
UNZIP_WORDS = "Could not unzip uploaded file. Please check your file, then try to upload again."


@pytest.fixture(scope="module")
def lenient(shared: RieServer) -> Any:
    """boto3 without its own validation: the server's is what answers."""
    client = shared.client(parameter_validation=False)
    create(client, "hello", ECHO)
    return client


@pytest.fixture(autouse=True)
def _still_answers(lenient: Any) -> Iterator[None]:
    yield
    assert invoke(lenient, "hello", "still here").payload == "still here"


def enum_words(value: str, member: str) -> str:
    return (
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
        "Member must satisfy enum value set: ["
    )


# --- Invoke ---


@pytest.mark.parametrize(
    ("members", "refusal"),
    [
        ({"FunctionName": "nobody"}, (404, NOT_FOUND, f"Function not found: {ARN}:nobody:$LATEST")),
        ({"FunctionName": "hello", "Qualifier": "7"}, (404, NOT_FOUND, f"Function not found: {ARN}:hello:7")),
        ({"FunctionName": f"{ARN}:hello:live"}, (404, NOT_FOUND, f"Function not found: {ARN}:hello:live")),
        (
            {"FunctionName": "hello:1", "Qualifier": "2"},
            (400, INVALID, "The derived qualifier from the function name does not match the specified qualifier."),
        ),
        (
            {"FunctionName": f"{ARN.replace('us-east-1', 'eu-west-1')}:hello"},
            (404, NOT_FOUND, "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"),
        ),
        (
            {"FunctionName": "hello", "ClientContext": "no*base64"},
            (
                400,
                "InvalidRequestContentException",
                "Client context must be a valid Base64-encoded JSON object.",
            ),
        ),
        (
            {"FunctionName": "hello", "ClientContext": base64.b64encode(b'{"a":' + b"[" * 2000).decode()},
            (
                400,
                "InvalidRequestContentException",
                "Client context must be a valid Base64-encoded JSON object.",
            ),
        ),
        (
            {"FunctionName": "hello", "Payload": b"x" * (6 * 1024 * 1024 + 1)},
            (
                413,
                "RequestTooLargeException",
                "6291457 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)",
            ),
        ),
        (
            {"FunctionName": "hello", "InvocationType": "Event", "Payload": b"1" * (1024 * 1024 + 1)},
            (
                413,
                "RequestTooLargeException",
                "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
            ),
        ),
        ({"FunctionName": "nobody", "InvocationType": "Event"}, (404, NOT_FOUND, None)),
        ({"FunctionName": "nobody", "InvocationType": "DryRun"}, (404, NOT_FOUND, None)),
        ({"FunctionName": "not a name"}, (400, "ValidationException", None)),
    ],
)
def test_invoke_refuses_in_awss_words(
    lenient: Any, members: dict[str, Any], refusal: tuple[int, str, str | None]
) -> None:
    status, code, message = error_of(lenient.invoke, **members)
    assert (status, code) == refusal[:2]
    if refusal[2] is not None:
        assert message == refusal[2]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"InvocationType": "Sometimes"}, enum_words("Sometimes", "invocationType")),
        ({"LogType": "Everything"}, enum_words("Everything", "logType")),
    ],
)
def test_a_wrong_enum_is_a_validation_exception(lenient: Any, members: dict[str, str], words: str) -> None:
    status, code, message = error_of(lenient.invoke, FunctionName="hello", **members)
    assert (status, code) == (400, "ValidationException")
    assert message.startswith(words)


@pytest.mark.parametrize("trace", [b"Root=\xff", b"Root=1\t2"])
def test_a_trace_header_that_cannot_be_one_begins_a_new_trace_and_ends_no_runtime(
    shared: RieServer, trace: bytes
) -> None:
    url = f"{shared.url}/2015-03-31/functions/hello/invocations"
    answer = requests.post(url, b"{}", headers={"X-Amzn-Trace-Id": trace}, timeout=10)
    assert (answer.status_code, answer.headers.get("X-Amz-Function-Error")) == (200, None)
    assert answer.headers["X-Amzn-Trace-Id"].startswith("Root=1-")


def test_a_tenant_id_that_aws_does_not_allow_is_refused_before_anything_runs(shared: RieServer) -> None:
    url = f"{shared.url}/2015-03-31/functions/hello/invocations"
    for invocation_type in ("RequestResponse", "Event"):
        headers = {"X-Amz-Tenant-Id": b"\xff", "X-Amz-Invocation-Type": invocation_type}
        answer = requests.post(url, b"{}", headers=headers, timeout=10)
        assert answer.status_code == 400
        assert answer.headers["x-amzn-ErrorType"] == "ValidationException"
        assert "'tenantId'" in answer.json()["message"]


@pytest.mark.parametrize("invocation_type", ["RequestResponse", "Event"])
@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b'{"a": ', "Unexpected end-of-input"),
        (b"hello", "Unrecognized token 'hello': was expecting (JSON String, Number, Array, Object or token"),
        (b"{'a': 1}", "Unexpected character (''' (code 39))"),
        (b"\xff\xfe", "Invalid UTF-8"),
        (b"1 2", ""),
        (b"[" * 100_000, "Document nesting depth"),
    ],
)
def test_malformed_json_is_refused_before_anything_runs(
    lenient: Any, payload: bytes, words: str, invocation_type: str
) -> None:
    status, code, message = error_of(
        lenient.invoke, FunctionName="hello", Payload=payload, InvocationType=invocation_type
    )
    assert (status, code) == (400, "InvalidRequestContentException")
    assert message.startswith(f"Could not parse request body into json: Could not parse payload into json: {words}")
    assert "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, " in message


# --- code ---


def slippery_zip() -> bytes:
    return zip_of({"app.py": "", "../../slipped.py": "print('outside')"})


def absolute_zip() -> bytes:
    return zip_of({"app.py": "", "/tmp/slipped.py": "print('outside')"})


def linked_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("out")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "../..")
        archive.writestr("out/slipped.py", "print('outside')")
    return buffer.getvalue()


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as member:
        for _ in range(256):
            member.write(bytes(1024 * 1024))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is no zip", UNZIP_WORDS),
        (python_zip(ECHO)[:-30], UNZIP_WORDS),
        (slippery_zip(), UNZIP_WORDS),
        (absolute_zip(), UNZIP_WORDS),
        (linked_zip(), UNZIP_WORDS),
        (bomb(), "Unzipped size must be smaller than 262144000 bytes"),
    ],
    ids=["text", "truncated", "slip", "absolute", "link", "bomb"],
)
def test_a_zip_that_is_none_or_an_attack_is_refused(
    shared: RieServer, lenient: Any, content: bytes, words: str
) -> None:
    refused = error_of(
        lenient.create_function,
        FunctionName="attack",
        Runtime=PYTHON,
        Handler="app.handler",
        Role=ROLE,
        Code={"ZipFile": content},
    )
    assert refused == (400, INVALID, words)
    assert error_of(lenient.update_function_code, FunctionName="hello", ZipFile=content) == (400, INVALID, words)
    assert not list(shared.data_dir.parent.rglob("slipped.py"))
    assert not Path("/tmp/slipped.py").exists()
    assert error_of(lenient.get_function, FunctionName="attack")[:2] == (404, NOT_FOUND)


def test_code_that_is_no_base64_is_a_serialization_exception(shared: RieServer) -> None:
    body = {"FunctionName": "f", "Runtime": PYTHON, "Handler": "a.b", "Role": ROLE, "Code": {"ZipFile": "no*base64"}}
    with requests.post(f"{shared.url}/2015-03-31/functions", json=body, timeout=10) as reply:
        assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (400, "SerializationException")


@pytest.mark.parametrize(
    ("members", "code", "words"),
    [
        (
            {"FunctionName": "a" * 65},
            INVALID,
            (
                f"1 validation error detected: Value '{'a' * 65}' at 'functionName' failed to satisfy constraint: "
                "Member must have length less than or equal to 64"
            ),
        ),
        ({"Runtime": "cobol85"}, INVALID, "Value cobol85 at 'runtime' failed to satisfy constraint: "),
        ({"PackageType": "Jar"}, "ValidationException", enum_words("Jar", "packageType")),
        ({"Timeout": 0}, "ValidationException", "1 validation error detected: Value '0' at 'timeout' failed to "),
        ({"MemorySize": 64}, "ValidationException", "1 validation error detected: Value '64' at 'memorySize' failed "),
    ],
)
def test_create_function_refuses_in_awss_words(lenient: Any, members: dict[str, Any], code: str, words: str) -> None:
    arguments = {"FunctionName": "f", "Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, **members}
    refused = error_of(lenient.create_function, Code={"ZipFile": python_zip(ECHO)}, **arguments)
    assert refused[:2] == (400, code)
    assert refused[2].startswith(words)


def test_a_missing_image_never_becomes_active(lenient: Any) -> None:
    created = lenient.create_function(
        FunctionName="image", PackageType="Image", Role=ROLE, Code={"ImageUri": "127.0.0.1:9/nothing:here"}
    )
    assert created["State"] == "Pending"

    def settled() -> Any:
        configuration = lenient.get_function_configuration(FunctionName="image")
        return configuration["State"] != "Pending" and configuration

    configuration = wait_until(settled, what="the end of Pending")
    assert configuration["State"] == "Failed"
    assert configuration["StateReason"]
    status, code, message = error_of(lenient.invoke, FunctionName="image")
    assert (status, code) == (409, "ResourceConflictException")
    assert message.endswith("The function is currently in the following state: Failed")


# --- functions that cannot be run ---


@pytest.mark.parametrize(
    ("handler", "error_type", "words"),
    [
        ("app.nothing", "Runtime.HandlerNotFound", "Handler 'nothing' missing on module 'app'"),
        (
            "nowhere.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'nowhere': No module named 'nowhere'",
        ),
        ("handler", "Runtime.MalformedHandlerName", "Bad handler 'handler': not enough values to unpack"),
        ("broken.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'broken': "),
        ("app.unserializable", "Runtime.MarshalError", "Unable to marshal response: "),
    ],
)
def test_what_the_runtime_finds_wrong_is_a_function_error(
    lenient: Any, handler: str, error_type: str, words: str
) -> None:
    app = "def handler(event, context):\n    pass\ndef unserializable(event, context):\n    return object()\n"
    name = f"wrong-{error_type.rpartition('.')[2]}"
    create(lenient, name, zip_of({"app.py": app, "broken.py": "def handler(:"}), Handler=handler)
    answer = invoke(lenient, name)
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", error_type)
    assert answer.payload["errorMessage"].startswith(words)


# --- HTTP ---

GARBAGE = {
    "text": b"hello?\r\n\r\n",
    "binary": bytes(range(256)) * 4,
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "bad length": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
    "both lengths": (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "endless header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
}


def first_line(url: str, sent: bytes) -> bytes:
    """The status line that a server at ``url`` answers with before it closes the connection."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return received.partition(b"\r\n")[0]


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
@pytest.mark.parametrize("listener", ["lambda", "runtime", "environment"])
def test_garbage_on_any_port_gets_a_400_and_ends_its_connection(
    shared: RieServer, lenient: Any, garbage: bytes, listener: str
) -> None:
    urls = {"lambda": shared.url, "runtime": shared.runtime_url}
    if listener == "environment":
        tell = "import os\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_RUNTIME_API']\n"
        create(lenient, "address", tell)
        urls["environment"] = f"http://{invoke(lenient, 'address').payload}"
    try:
        line = first_line(urls[listener], garbage)
        expected = b"431" if garbage == GARBAGE["endless header"] else b"400"
        assert line.split()[:2] == [b"HTTP/1.1", expected]
        if listener == "environment":
            assert f"http://{invoke(lenient, 'address').payload}" == urls["environment"]
    finally:
        if listener == "environment":
            lenient.delete_function(FunctionName="address")


@pytest.fixture
def touched(lenient: Any, tmp_path: Path) -> Iterator[Path]:
    """A file that exists once the function ``touches`` has run."""
    path = tmp_path / "touched"
    source = f"import pathlib\ndef handler(event, context):\n    pathlib.Path({str(path)!r}).touch()\n"
    create(lenient, "touches", source)
    yield path
    lenient.delete_function(FunctionName="touches")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:9000"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://evil.example", "Content-Type": "text/plain"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/2015-03-31/functions/touches/invocations", "/2015-03-31/functions"])
def test_a_web_page_cannot_call_the_lambda_api(
    shared: RieServer, touched: Path, headers: dict[str, str], path: str
) -> None:
    with requests.post(shared.url + path, data=b"{}", headers=headers, timeout=10) as reply:
        assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (403, "AccessDeniedException")
        assert "Access-Control-Allow-Origin" not in reply.headers
    assert not touched.exists()


def test_a_request_without_a_page_behind_it_does_run_the_function(shared: RieServer, touched: Path) -> None:
    with requests.post(f"{shared.url}/2015-03-31/functions/touches/invocations", timeout=10) as reply:
        assert reply.status_code == 200
    assert touched.exists()


@pytest.mark.parametrize("path", ["/2018-06-01/runtime/invocation/next", "/2018-06-01/ping"])
def test_the_runtime_api_is_not_on_the_lambda_api_s_port(shared: RieServer, path: str) -> None:
    with requests.get(shared.url + path, timeout=10) as reply:
        assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (404, "UnknownOperationException")
