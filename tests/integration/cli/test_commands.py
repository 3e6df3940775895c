"""The `rie` commands against a real server with the example functions."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RieServer
from tests.integration.invoke.streaming_runtime import create_streamer, steps

FUNCTIONS = Path(__file__).parents[3] / "functions"


class Shell:
    """Runs `rie` as a user of one server does."""

    def __init__(self, server: RieServer) -> None:
        self.server = server
        self._port = server.url.rpartition(":")[2]

    def arguments(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "rie_server", *arguments]

    @property
    def environ(self) -> dict[str, str]:
        mine = {name: value for name, value in os.environ.items() if not name.startswith("RIE_")}
        return {**mine, "RIE_PORT": self._port, "RIE_DATA_DIR": str(self.server.data_dir)}

    def __call__(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.arguments(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=self.environ,
        )


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """One server for all tests that leave it as it is."""
    server = RieServer(tmp_path_factory.mktemp("server"), template=FUNCTIONS / "template.yaml")
    try:
        server.wait_ready()
        yield Shell(server)
    finally:
        server.stop()


def test_a_result_is_on_stdout_and_the_log_on_stderr(shell: Shell) -> None:
    ended = shell("invoke", "hello", "-e", str(FUNCTIONS / "hello" / "event.json"), "--tail")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["message"] == "Hello, Ada!"
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("START RequestId: ")
    assert lines[1] == "Greeting Ada"
    assert lines[-1].startswith("REPORT RequestId: ")


def test_an_event_comes_from_the_command_line_from_stdin_or_is_empty(shell: Shell) -> None:
    assert json.loads(shell("invoke", "hello", "-p", '{"name": "Grace"}').stdout)["message"] == "Hello, Grace!"
    assert json.loads(shell("invoke", "hello", "-e", "-", stdin='{"name": "Zoë"}').stdout)["message"] == "Hello, Zoë!"
    assert json.loads(shell("invoke", "hello:$LATEST").stdout)["message"] == "Hello, world!"


def test_a_function_error_is_printed_and_ends_with_status_1(shell: Shell) -> None:
    ended = shell("invoke", "fails")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["errorType"] == "OutOfStockError"
    assert ended.stderr == "rie: the function failed (Unhandled).\n"


@pytest.mark.parametrize(
    ("how", "error_type", "words"),
    [
        ("exit", "Runtime.ExitError", "exit status 1"),
        ("die", "Runtime.ExitError", "exit status 1"),
        ("crash", "Runtime.ExitError", "signal: segmentation fault"),
        ("hang", "Sandbox.Timedout", "Task timed out after 3.00 seconds"),
        ("unserializable", "Runtime.MarshalError", "not JSON serializable"),
    ],
)
def test_the_failing_example_fails_as_it_is_told(shell: Shell, how: str, error_type: str, words: str) -> None:
    ended = shell("invoke", "fails", "-p", json.dumps({"how": how}))
    answer = json.loads(ended.stdout)
    assert (ended.returncode, answer["errorType"]) == (1, error_type)
    assert words in answer["errorMessage"]


def test_the_order_example_adds_up_what_it_can_read(shell: Shell) -> None:
    answer = json.loads(shell("invoke", "orders", "-e", str(FUNCTIONS / "orders" / "event.json")).stdout)
    assert answer == {"orders": 2, "total": "60.00", "batchItemFailures": []}
    batch = {"Records": [{"messageId": "m-1", "body": "not an order"}]}
    answer = json.loads(shell("invoke", "orders", "-p", json.dumps(batch)).stdout)
    assert answer["batchItemFailures"] == [{"itemIdentifier": "m-1"}]


def test_a_refusal_is_one_line_with_awss_code(shell: Shell) -> None:
    ended = shell("invoke", "nobody")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("rie: ResourceNotFoundException: Function not found: ")


def test_the_functions_of_the_template_are_listed(shell: Shell) -> None:
    heading, *lines = shell("list").stdout.splitlines()
    assert heading.split() == ["NAME", "RUNTIME", "HANDLER", "TIMEOUT", "MEMORY", "MODIFIED"]
    assert {line.split()[0] for line in lines} >= {"fails", "hello", "orders", "slow"}
    assert next(line.split()[1:7] for line in lines if line.startswith("orders")) == [
        "python3.11",
        "app.handler",
        "10",
        "s",
        "256",
        "MB",
    ]


def test_an_image_is_skipped_with_its_reason_where_only_processes_run(shell: Shell) -> None:
    line = next(line for line in shell.server.output.splitlines() if line.startswith("thumbnail: "))
    assert line.startswith("thumbnail: skipped: ")
    assert "Docker" in line


def test_the_log_of_a_function_is_followed_while_its_handler_runs(shell: Shell) -> None:
    follower = subprocess.Popen(
        shell.arguments("logs", "slow", "--follow"), stdout=subprocess.PIPE, text=True, env=shell.environ
    )
    invoker = subprocess.Popen(
        shell.arguments("invoke", "slow", "-p", '{"seconds": 2}'),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=shell.environ,
    )
    try:
        assert follower.stdout is not None
        line = next(line for line in follower.stdout if "s gone" in line)
        assert "0.0 s gone" in line
        assert invoker.poll() is None, "the line came only after the invocation had ended"
        result, _ = invoker.communicate(timeout=30)
        assert json.loads(result) == {"seconds": 2}
        assert any("REPORT RequestId" in line for line in follower.stdout)
    finally:
        for process in (follower, invoker):
            process.kill()
            process.communicate()


def test_a_restart_deploys_nothing_anew(start_rie: Callable[..., RieServer]) -> None:
    shell = Shell(start_rie(template=FUNCTIONS / "template.yaml"))
    before = shell("list").stdout
    shell.server.stop()
    shell.server.restart()
    assert shell("list").stdout == before
    assert "hello: unchanged" in shell.server.output
    assert json.loads(shell("invoke", "hello").stdout)["message"] == "Hello, world!"


def test_a_mistake_in_the_template_stops_the_start_with_one_line(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {Hello: {Type: AWS::Serverless::Function, Properties: {Handler: a.b}}}")
    flags = ("--template", str(template), "--data-dir", str(tmp_path / "d"), "--port", "1024", "--runtime-port", "1025")
    ended = subprocess.run(
        [sys.executable, "-m", "rie_server", "serve", *flags],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert f"{template}: Hello.Runtime: is required" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_streamed_response_is_printed_as_it_comes(shell: Shell) -> None:
    create_streamer(shell.server.client(), "chat")
    event = json.dumps(steps(("print", "hello"), ("write", "one "), ("sleep", 1.0), ("write", "two")))
    arguments = shell.arguments("invoke", "chat", "--stream", "--tail", "-p", event)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=shell.environ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(4) == b"one "
        assert process.poll() is None
        assert process.stdout.read() == b"two\n"
        assert b"\nhello\n" in process.stderr.read()
    assert process.returncode == 0


def test_a_stream_that_fails_says_so(shell: Shell) -> None:
    create_streamer(shell.server.client(), "broken")
    ended = shell("invoke", "broken", "--stream", "-p", json.dumps(steps(("write", "half "), ("close", None))))
    assert ended.returncode == 1
    assert ended.stdout.startswith("half ")
    assert "Runtime.TruncatedResponse" in ended.stdout
    assert ended.stderr == "rie: the function failed (Unhandled).\n"
    ended = shell("invoke", "missing", "--stream")
    assert ended.stderr.startswith("rie: ResourceNotFoundException: ")
