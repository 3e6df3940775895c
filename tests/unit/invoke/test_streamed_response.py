"""A response that is streamed, as the engine sees it: pieces, ends, and who is first to end it."""

import json
from typing import Any

import pytest

from rie_server.errors import RuntimeApiError, ServiceException
from rie_server.invoke.streamed_response import StreamedResponse
from rie_server.limits import RESPONSE_PAYLOAD_BYTES, STREAMED_RESPONSE_BYTES
from rie_server.model.invocation import InvokeRequest, InvokeResult, RuntimeAnswer
from rie_server.streaming import Hold
from tests.unit.invoke.conftest import ARN, Runtime, Stage
from tests.unit.invoke.players import ExtensionPlayer

MB = 1024 * 1024


class Caller:
    """A ResponseSink, and the result that it waits for."""

    def __init__(self, stage: Stage, request_id: str = "a") -> None:
        self.began: list[tuple[str, str]] = []
        self.pieces: list[bytes] = []
        self.result: InvokeResult | None = None
        self.hold: Hold
        request = InvokeRequest(function=ARN, payload=b"{}", request_id=request_id, want_log_tail=True)
        stage.front_controller.invoke(request, self.complete, self)

    def begin(self, *, content_type: str, executed_version: str, hold: Hold) -> None:
        self.began.append((content_type, executed_version))
        self.hold = hold

    def write(self, data: bytes) -> None:
        assert self.result is None, "a piece after the end"
        self.pieces.append(data)

    def complete(self, result: InvokeResult) -> None:
        assert self.result is None, "an invocation was answered twice"
        self.result = result

    @property
    def error_type(self) -> str:
        assert self.result is not None
        assert self.result.function_error == "Unhandled"
        return json.loads(self.result.payload)["errorType"]


class Stream:
    """A runtime that has got an invocation and begun to stream."""

    def __init__(self, stage: Stage) -> None:
        self.held: list[bool] = []
        self.runtime: Runtime = stage.runtime().next()
        self.response: StreamedResponse = stage.mailbox.begin_response(
            self.runtime.id, self.runtime.request_id, "text/plain", self.held.append
        )


def refusal_of(call: Any, *arguments: Any) -> tuple[int, str, str]:
    with pytest.raises(RuntimeApiError) as refused:
        call(*arguments)
    return refused.value.status, refused.value.error_type, refused.value.message


def test_pieces_reach_the_caller_before_the_end_does(stage: Stage) -> None:
    caller = Caller(stage)
    stream = Stream(stage)
    assert caller.began == [("text/plain", "$LATEST")]
    stream.response.write(b"1")
    assert (caller.pieces, caller.result) == ([b"1"], None)
    stream.response.finish(None)
    assert caller.result is not None
    assert (caller.result.payload, caller.result.function_error) == (b"", None)
    assert b"REPORT RequestId: a" in (caller.result.log_tail or b"")


def test_the_runtime_serves_the_next_one_after_it_has_streamed(stage: Stage) -> None:
    Caller(stage)
    stream = Stream(stage)
    stream.response.finish(None)
    stream.runtime.next()
    second = Caller(stage, "b")
    stream.runtime.respond(b"1")
    assert second.result is not None
    assert second.result.payload == b"1"
    assert len(stage.executor.started) == 1


def test_a_caller_that_takes_no_stream_gets_one_payload(stage: Stage) -> None:
    stage.invoke("a")
    stream = Stream(stage)
    stream.response.write(b"1")
    stream.response.write(b"2")
    assert stage.results == {}
    stream.response.finish(None)
    assert stage.results["a"].payload == b"12"


def test_while_a_response_is_streamed_no_other_answer_and_no_next_is_legal(stage: Stage) -> None:
    Caller(stage)
    stream = Stream(stage)
    mailbox, runtime = stage.mailbox, stream.runtime
    from_state = "State transition from InvocationResponse to "
    message = " failed for runtime. Error: State transition is not allowed"
    assert refusal_of(mailbox.response, runtime.id, "a", b"1") == (
        403,
        "InvalidStateTransition",
        f"{from_state}InvocationResponse{message}",
    )
    assert refusal_of(mailbox.error, runtime.id, "a", b"1")[2] == f"{from_state}InvocationErrorResponse{message}"
    assert refusal_of(mailbox.begin_response, runtime.id, "a", "", bool)[1] == "InvalidStateTransition"
    assert refusal_of(mailbox.next, runtime.id, runtime)[2] == f"{from_state}Ready{message}"
    assert refusal_of(mailbox.begin_response, runtime.id, "b", "", bool)[1] == "InvalidRequestID"


def test_an_error_in_the_middle_is_how_the_invocation_ends(stage: Stage) -> None:
    caller = Caller(stage)
    stream = Stream(stage)
    stream.response.write(b"half")
    stream.response.finish(b'{"errorType":"Function.Broken"}')
    assert caller.pieces == [b"half"]
    assert caller.error_type == "Function.Broken"


def test_a_response_that_breaks_off_is_truncated_once(stage: Stage) -> None:
    caller = Caller(stage)
    stream = Stream(stage)
    stream.response.break_off()
    stream.response.break_off()
    assert caller.error_type == "Runtime.TruncatedResponse"
    assert "Status: error\tError Type: Runtime.TruncatedResponse" in stage.log_text()


def test_an_exit_in_the_middle_is_the_end_and_the_broken_connection_says_nothing_more(stage: Stage) -> None:
    caller = Caller(stage)
    stream = Stream(stage)
    stream.runtime.running.exit(status=1)
    stream.response.break_off()
    assert caller.error_type == "Runtime.ExitError"
    assert refusal_of(stream.response.finish, None)[:2] == (400, "InvalidRequestID")


def test_a_deadline_in_the_middle_is_the_end(stage: Stage) -> None:
    caller = Caller(stage)
    stream = Stream(stage)
    stream.response.write(b"half")
    stage.clock.advance(3.1)
    assert caller.error_type == "Sandbox.Timedout"
    stream.response.break_off()
    assert stream.runtime.running.stopped


def test_what_is_beyond_the_limit_is_taken_and_thrown_away(stage: Stage) -> None:
    caller = Caller(stage)
    stream = Stream(stage)
    piece = bytes(MB)
    for _ in range(STREAMED_RESPONSE_BYTES // MB):
        stream.response.write(piece)
    stream.response.write(b"beyond")
    assert sum(len(piece) for piece in caller.pieces) == STREAMED_RESPONSE_BYTES
    assert refusal_of(stream.response.finish, None)[:2] == (413, "RequestEntityTooLarge")
    assert caller.error_type == "Function.ResponseSizeTooLarge"


def test_a_payload_that_is_collected_has_the_limit_of_payloads(stage: Stage) -> None:
    stage.invoke("a")
    stream = Stream(stage)
    stream.response.write(bytes(RESPONSE_PAYLOAD_BYTES + 1))
    assert refusal_of(stream.response.finish, None)[0] == 413
    assert stage.error_of("a")["errorType"] == "Function.ResponseSizeTooLarge"


def test_the_runtime_is_held_while_the_caller_is_slow(stage: Stage) -> None:
    caller = Caller(stage)
    stream = Stream(stage)
    caller.hold(True)
    caller.hold(False)
    assert stream.held == [True, False]


def test_the_bandwidth_rule_holds_the_runtime_after_six_megabytes(slow_stage: Stage) -> None:
    caller = Caller(slow_stage)
    stream = Stream(slow_stage)
    stream.response.write(bytes(6 * MB))
    assert stream.held == []
    stream.response.write(bytes(2 * MB))
    assert stream.held == [True]
    caller.hold(True)
    slow_stage.clock.advance(1.0)
    assert stream.held == [True, True, True], "its time is over, and its caller still slow"
    caller.hold(False)
    assert stream.held[-1] is False


@pytest.fixture
def slow_stage(tmp_path: Any) -> Stage:
    """With AWS's bandwidth."""
    return Stage(tmp_path, stream_bandwidth=2 * MB)


class Listening:
    """An environment's log to which somebody has subscribed."""

    is_observed = True

    def __init__(self, log: Any) -> None:
        self._log = log
        self.answers: list[RuntimeAnswer] = []

    def answered(self, answer: RuntimeAnswer) -> None:
        self.answers.append(answer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


def test_telemetry_is_told_when_the_first_byte_came_and_how_many_there_were(stage: Stage) -> None:
    Caller(stage)
    stream = Stream(stage)
    environment = stage.fleet.roster.environments[stream.runtime.id]
    listening = Listening(environment.log)
    environment.log = listening
    stage.clock.advance(0.25)
    stream.response.write(b"12")
    stage.clock.advance(0.5)
    stream.response.write(b"345")
    stream.response.finish(None)
    [answer] = listening.answers
    assert (answer.latency_ms, answer.duration_ms, answer.produced_bytes) == (250.0, 750.0, 5)


# --- extensions, and the end of the server ---


def test_with_an_extension_the_caller_has_its_stream_and_the_log_waits(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime()
    extension = ExtensionPlayer(stage, runtime).register("INVOKE").next()
    runtime.next()
    response = stage.mailbox.begin_response(runtime.id, "a", "text/plain", bool)
    response.write(b"1")
    response.finish(None)
    assert stage.results["a"].payload == b"1"
    runtime.next()
    assert "REPORT RequestId: a" not in stage.log_text()
    extension.next()
    assert stage.log_text().count("REPORT RequestId: a") == 1


def test_with_an_extension_a_response_that_breaks_off_is_reported_once(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime()
    extension = ExtensionPlayer(stage, runtime).register("INVOKE").next()
    runtime.next()
    stage.mailbox.begin_response(runtime.id, "a", "text/plain", bool).break_off()
    assert stage.error_of("a")["errorType"] == "Runtime.TruncatedResponse"
    runtime.next()
    extension.next()
    assert stage.log_text().count("REPORT RequestId: a") == 1
    stage.invoke("b")
    assert runtime.request_id == "b"


def test_a_server_that_stops_in_the_middle_tells_the_caller(stage: Stage) -> None:
    caller = Caller(stage)
    stream = Stream(stage)
    stream.response.write(b"half")
    stage.fleet.close()
    assert caller.pieces == [b"half"]
    assert caller.result is not None
    assert isinstance(caller.result.refusal, ServiceException)
    stream.response.break_off()
