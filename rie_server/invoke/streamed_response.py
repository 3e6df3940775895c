"""A runtime's response while it is still being written: piece by piece to the caller, or into one payload.

Promises: the invocation ends exactly once, whoever ends it first (the runtime, its exit, its deadline); what comes
after that is thrown away; a caller who leaves or is slow, or the bandwidth rule, never ends a function. Thread-safe and
never blocking.
"""

import threading
from typing import Protocol

from rie_server.errors import invalid_request_id, payload_too_large
from rie_server.invoke.answers import Answers, Streamed
from rie_server.invoke.environments import Environment, Invocation
from rie_server.invoke.sharing import invoke_timeout
from rie_server.limits import RESPONSE_PAYLOAD_BYTES, STREAMED_RESPONSE_BYTES
from rie_server.model.bandwidth import wait_seconds
from rie_server.model.function_errors import (
    RESPONSE_TOO_LARGE_PAYLOAD,
    STREAM_TOO_LARGE_PAYLOAD,
    TRUNCATED_RESPONSE,
    UNHANDLED,
)
from rie_server.ports import Clock
from rie_server.streaming import Hold


class TakeOff(Protocol):
    def __call__(self, environment: Environment, invocation: Invocation, *, answered: bool) -> bool: ...


class StreamedResponse:
    """
    Args:
        hold: holds the runtime back.
        end: takes the invocation off its environment; whether it was still there to be ended.
        bytes_per_second: of the bandwidth rule; 0 for none.
    """

    def __init__(
        self,
        environment: Environment,
        invocation: Invocation,
        *,
        hold: Hold,
        end: TakeOff,
        answers: Answers,
        clock: Clock,
        bytes_per_second: int,
    ) -> None:
        self._environment = environment
        self._invocation = invocation
        self._sink = invocation.sink
        self._hold_runtime = hold
        self._end = end
        self._answers = answers
        self._clock = clock
        self._bytes_per_second = bytes_per_second if invocation.sink is not None else 0
        self._limit_bytes = RESPONSE_PAYLOAD_BYTES if invocation.sink is None else STREAMED_RESPONSE_BYTES
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._began_at = clock.monotonic()
        self._first_byte_at: float | None = None
        self._lock = threading.Lock()
        self._caller_is_slow = self._is_throttled = False

    def begin(self, content_type: str) -> None:
        if self._sink is not None:
            version = self._invocation.function.version
            self._sink.begin(content_type=content_type, executed_version=version, hold=self._hold)

    def write(self, data: bytes) -> None:
        """The next piece. What is beyond the limit is taken from the runtime and thrown away."""
        if self._first_byte_at is None:
            self._first_byte_at = self._clock.monotonic()
        room = self._limit_bytes - self._bytes
        self._bytes += len(data)
        if room <= 0:
            return
        piece = data if len(data) <= room else data[:room]
        if self._sink is None:
            self._pieces.append(piece)
            return
        self._sink.write(piece)
        if self._bytes_per_second:
            self._throttle()

    def finish(self, error: bytes | None) -> None:
        """The runtime has written all of it, or with ``error`` reports that its function has failed in the middle.

        Raises:
            RuntimeApiError: 413 for a response beyond the limit, 400 for an invocation that has ended meanwhile; 410
                where it was only late, because its environment lives on.
        """
        if not self._end(self._environment, self._invocation, answered=True):
            raise invoke_timeout() if self._environment.is_seat else invalid_request_id()
        if self._bytes > self._limit_bytes:
            too_large = RESPONSE_TOO_LARGE_PAYLOAD if self._sink is None else STREAM_TOO_LARGE_PAYLOAD
            self._answer(too_large, UNHANDLED)
            raise payload_too_large(self._limit_bytes)
        if error is not None:
            self._answer(error, UNHANDLED)
        else:
            self._answer(b"".join(self._pieces), None)

    def _answer(self, payload: bytes, error: str | None) -> None:
        first_byte_at = self._clock.monotonic() if self._first_byte_at is None else self._first_byte_at
        streamed = Streamed(produced_bytes=self._bytes, first_byte_at=first_byte_at)
        self._answers.answer(self._environment, self._invocation, payload, error, streamed)

    def break_off(self) -> None:
        """The runtime's connection has ended in the middle."""
        if self._end(self._environment, self._invocation, answered=False):
            payload = TRUNCATED_RESPONSE.payload(self._invocation.request.request_id)
            self._answers.fail(self._environment, self._invocation, TRUNCATED_RESPONSE, payload)

    # --- who holds the runtime back ---

    def _hold(self, held: bool) -> None:
        """The caller's word."""
        with self._lock:
            self._caller_is_slow = held
            self._hold_runtime(held or self._is_throttled)

    def _throttle(self) -> None:
        elapsed_seconds = self._clock.monotonic() - self._began_at
        wait = wait_seconds(self._bytes, elapsed_seconds=elapsed_seconds, bytes_per_second=self._bytes_per_second)
        with self._lock:
            if not wait or self._is_throttled:
                return
            self._is_throttled = True
            self._hold_runtime(True)
        self._clock.call_later(wait, self._go_on)

    def _go_on(self) -> None:
        with self._lock:
            self._is_throttled = False
            self._hold_runtime(self._caller_is_slow)
