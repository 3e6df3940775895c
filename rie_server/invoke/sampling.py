"""Decides for functions with active tracing which invocations are sampled, and begins their segments. Thread-safe."""

import threading

from rie_server.model.arn import FunctionArn
from rie_server.model.request_id import random_digits
from rie_server.model.tracing import (
    SAMPLED_OF_THE_REST,
    InvocationSegments,
    new_trace_header,
    read_trace_header,
    sampled_header,
)
from rie_server.ports import Clock

_DRAW_DIGITS = 8
_DRAWS = 16**_DRAW_DIGITS


class Sampling:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seconds: dict[FunctionArn, int] = {}

    def begin(self, trace_header: str, function: FunctionArn) -> tuple[str, InvocationSegments | None]:
        """The header for the runtime, and the segments if the invocation is sampled.

        Args:
            function: unqualified.
        """
        header = read_trace_header(trace_header)
        sampled = self._draw(function) if header.sampled is None else header.sampled
        if not sampled:
            return trace_header, None
        digits = random_digits()
        root = header.root or read_trace_header(new_trace_header(self._clock.now(), random_digits())).root
        segments = InvocationSegments(
            trace_id=root, parent_id=header.parent, lambda_id=digits[:16], function_id=digits[16:]
        )
        return sampled_header(header, segments), segments

    def _draw(self, function: FunctionArn) -> bool:
        second = int(self._clock.now())
        with self._lock:
            is_first, self._seconds[function] = self._seconds.get(function) != second, second
        return is_first or int(random_digits()[:_DRAW_DIGITS], 16) < SAMPLED_OF_THE_REST * _DRAWS
