"""What subscribers are told of one invocation, from START to REPORT. Not thread-safe: told one thing at a time."""

from typing import Any

from rie_server.model.invocation import InvocationReport, RuntimeAnswer
from rie_server.ports import Clock
from rie_server.telemetry import platform_events
from rie_server.telemetry.platform_events import PlatformEvent


class ToldInvocation:
    """
    Args:
        tracing: its ``TraceContext``.
        tenant_id: whom it is for, where tenants are kept apart.
    """

    __slots__ = ("_answer", "_answered_at", "_clock", "_is_done", "_request_id", "_tenant_id", "tracing")

    def __init__(
        self, request_id: str, tracing: dict[str, Any] | None, clock: Clock, *, tenant_id: str | None = None
    ) -> None:
        self._request_id = request_id
        self._tenant_id = tenant_id
        self.tracing = tracing
        self._clock = clock
        self._answer: RuntimeAnswer | None = None
        self._answered_at = 0.0
        self._is_done = False

    def answered(self, answer: RuntimeAnswer) -> None:
        self._answer, self._answered_at = answer, self._clock.monotonic()

    def ready(self) -> PlatformEvent | None:
        """``runtimeDone`` of a runtime that has answered and asks for more, once."""
        answer = self._answer
        if answer is None or self._is_done:
            return None
        return self._done(answer.duration_ms, None, None, overhead_ms=self._since_answer_ms())

    def ended(self, report: InvocationReport) -> PlatformEvent | None:
        """``runtimeDone`` of an invocation that is over, unless it has been told."""
        if self._is_done:
            return None
        duration_ms = report.duration_ms if self._answer is None else self._answer.duration_ms
        return self._done(duration_ms, report.status, report.error_type, overhead_ms=None)

    def answer_spans(self, overhead_ms: float | None = None) -> list[dict[str, Any]]:
        answer = self._answer
        if answer is None:
            return []
        started_at = self._clock.now() - (self._since_answer_ms() + answer.duration_ms) / 1000
        return platform_events.answer_spans(answer, started_at=started_at, overhead_ms=overhead_ms)

    def extension_spans(self, report: InvocationReport) -> list[dict[str, Any]]:
        """What extensions took after the runtime's answer."""
        answer = self._answer
        if answer is None or report.duration_ms <= answer.duration_ms:
            return []
        began_at = self._clock.now() - self._since_answer_ms() / 1000
        return [platform_events.span("extensionOverhead", began_at, report.duration_ms - answer.duration_ms)]

    def _since_answer_ms(self) -> float:
        return (self._clock.monotonic() - self._answered_at) * 1000

    def _done(
        self, duration_ms: float, status: str | None, error_type: str | None, *, overhead_ms: float | None
    ) -> PlatformEvent:
        self._is_done = True
        return platform_events.runtime_done(
            self._request_id,
            duration_ms=duration_ms,
            status=status,
            error_type=error_type,
            answer=self._answer,
            spans=self.answer_spans(overhead_ms),
            tracing=self.tracing,
            tenant_id=self._tenant_id,
        )
