"""How an invocation ends: its caller gets the answer, its log the lines of the platform, the metrics their figures.

Thread-safe and never blocking.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from rie_server.invoke.environments import Environment, Invocation
from rie_server.model.function_errors import UNHANDLED, PlatformError
from rie_server.model.invocation import InvocationReport, RuntimeAnswer
from rie_server.model.traced_invocation import error_in
from rie_server.observing import InvocationObserver, TraceExport, Unobserved
from rie_server.ports import Clock

# Reading how much memory was used costs as much as a tenth of a short invocation, so short ones share a reading.
MEMORY_READING_SECONDS = 0.1


class Streamed(NamedTuple):
    """What a streamed answer measured; ``first_byte_at`` in monotonic seconds."""

    produced_bytes: int
    first_byte_at: float


class Answers:
    """
    Args:
        later: does what a caller need not wait for when his answer is on its way, before the runtime's own reply; or at
            once.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        observer: InvocationObserver | None = None,
        traces: TraceExport | None = None,
        later: Callable[[Callable[[], object]], None] | None = None,
    ) -> None:
        self._clock = clock
        self._later = later
        self._observer = observer or Unobserved()
        self._traces = traces

    def answer(
        self,
        environment: Environment,
        invocation: Invocation,
        payload: bytes,
        error: str | None,
        streamed: Streamed | None = None,
    ) -> None:
        """Delivers a runtime's answer, then writes the log: the caller does not wait for it, unless it wants it.

        With extensions the log is written at the end of the invocation, by ``end``.

        Args:
            streamed: what an answer has measured that came piece by piece.
        """
        if invocation.trace is not None:
            invocation.trace.answered(self._clock.monotonic(), payload, error)
        if environment.log.is_observed:
            environment.log.answered(self._measured(invocation, payload, streamed))
        if environment.extensions is not None and environment.extensions.ending is not None:
            environment.extensions.ending.answered(payload, error)
        elif invocation.request.want_log_tail:
            invocation.finish(payload, error, self.report(environment, invocation, failed=error is not None))
        else:
            ended_at = self._clock.monotonic()
            invocation.finish(payload, error)
            if self._later is None or environment.pool.is_busy:
                # Where many are served, each answer that leaves interrupts what is done here.
                self.report(environment, invocation, failed=error is not None, ended_at=ended_at)
            else:
                failed = error is not None
                self._later(partial(self.report, environment, invocation, failed=failed, ended_at=ended_at))

    def _measured(self, invocation: Invocation, payload: bytes, streamed: Streamed | None) -> RuntimeAnswer:
        started_at = invocation.started_at
        return RuntimeAnswer(
            request_id=invocation.request.request_id,
            duration_ms=(self._clock.monotonic() - started_at) * 1000,
            produced_bytes=len(payload) if streamed is None else streamed.produced_bytes,
            latency_ms=None if streamed is None else (streamed.first_byte_at - started_at) * 1000,
        )

    def report(
        self,
        environment: Environment,
        invocation: Invocation,
        error: PlatformError | None = None,
        *,
        failed: bool,
        ended_at: float | None = None,
    ) -> bytes:
        running = environment.running
        if running is not None:
            running.flush_output()
        ended_at = self._clock.monotonic() if ended_at is None else ended_at
        duration_ms = (ended_at - invocation.started_at) * 1000
        # What an invocation used shows in a reading that was taken after it had begun.
        max_age_seconds = max(duration_ms / 1000, MEMORY_READING_SECONDS)
        self._observer.invocation_ended(
            invocation.request.function,
            duration_ms=duration_ms,
            failed=failed,
            provisioned=None if environment.pool.allotment is None else environment.provisioned,
        )
        if invocation.trace is not None and self._traces is not None:
            traced = invocation.trace.close(
                environment, invocation, ended_at=ended_at, now=self._clock.now(), monotonic=self._clock.monotonic()
            )
            self._traces.take(traced)
        init_duration_ms, environment.init_duration_ms = environment.init_duration_ms, None
        restore_duration_ms, environment.restore_duration_ms = environment.restore_duration_ms, None
        return environment.log.finished(
            InvocationReport(
                request_id=invocation.request.request_id,
                duration_ms=duration_ms,
                init_duration_ms=init_duration_ms,
                restore_duration_ms=restore_duration_ms,
                max_memory_used_mb=0 if running is None else running.peak_memory_mb(max_age_seconds=max_age_seconds),
                status=error.status if error else None,
                error_type=error.error_type if error and error.status == "error" else None,
            )
        )

    def fail(self, environment: Environment, invocation: Invocation, error: PlatformError, payload: bytes) -> None:
        """Answers an invocation in the function's stead."""
        self._tell(environment, invocation, error)
        if invocation.trace is not None:
            invocation.trace.error = error_in(payload)
        invocation.finish(payload, UNHANDLED, self.report(environment, invocation, error, failed=True))

    def end(self, environment: Environment, error: PlatformError | None = None) -> None:
        """The invocation that was answered last is over, its extensions have finished: END and REPORT, once.

        Args:
            error: what ended it instead; the caller's answer stays what it was.
        """
        ending = environment.extensions.ending if environment.extensions is not None else None
        if ending is None or not ending.close():
            return
        if error is not None:
            self._tell(environment, ending.invocation, error)
            if ending.invocation.trace is not None:
                ending.invocation.trace.error = error.error_type, error.message
        failed = ending.failed or error is not None
        ending.end(self.report(environment, ending.invocation, error, failed=failed))

    def _tell(self, environment: Environment, invocation: Invocation, error: PlatformError) -> None:
        """The line with which AWS says in the log why it has ended an invocation."""
        request_id = invocation.request.request_id
        if error.status == "timeout":
            now = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="milliseconds")
            environment.log.output(f"{now.removesuffix('+00:00')}Z {request_id} {error.message}\n".encode())
        elif error.error_type == "Runtime.ExitError" or error.error_type.startswith("Extension."):
            environment.log.output(f"RequestId: {request_id} Error: {error.message}\n{error.error_type}".encode())
