"""What is noted of a sampled invocation while it runs. Only sampled invocations have one.

Not thread-safe by itself: its invocation goes from hand to hand, and so does this.
"""

from rie_server.invoke.environments import Environment, Invocation
from rie_server.model.request_id import random_digits
from rie_server.model.traced_invocation import Phase, TracedInvocation, error_in
from rie_server.model.tracing import InvocationSegments


class TraceRecord:
    """
    Attributes:
        error: type and message where the function has failed.
        answered_at: monotonic seconds; None until the runtime has answered.
    """

    __slots__ = ("answered_at", "error", "segments")

    def __init__(self, segments: InvocationSegments) -> None:
        self.segments = segments
        self.error: tuple[str, str] | None = None
        self.answered_at: float | None = None

    def answered(self, at: float, payload: bytes, error: str | None) -> None:
        self.answered_at = at
        if error is not None:
            self.error = error_in(payload)

    def close(
        self, environment: Environment, invocation: Invocation, *, ended_at: float, now: float, monotonic: float
    ) -> TracedInvocation:
        """The invocation is over.

        Args:
            ended_at: monotonic seconds.
            now, monotonic: the same moment on both clocks.
        """
        shift = now - monotonic
        phases = []
        init_ms = environment.init_duration_ms
        if init_ms is not None:
            began_at = environment.init_started_at + shift
            phases.append(_phase("Initialization", began_at, began_at + init_ms / 1000))
        started_at, over_at = invocation.started_at + shift, ended_at + shift
        answered_at = over_at if self.answered_at is None else min(self.answered_at + shift, over_at)
        phases.append(_phase("Invocation", started_at, answered_at))
        phases.append(_phase("Overhead", answered_at, over_at))
        return TracedInvocation(
            function=invocation.request.function,
            version=invocation.function.version,
            request_id=invocation.request.request_id,
            segments=self.segments,
            received_at=invocation.waiting_since + shift,
            ended_at=over_at,
            phases=tuple(phases),
            error=self.error,
        )


def _phase(name: str, started_at: float, ended_at: float) -> Phase:
    return Phase(name=name, id=random_digits()[:16], started_at=started_at, ended_at=ended_at)
