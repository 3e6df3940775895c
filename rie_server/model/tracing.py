"""X-Ray: trace headers, which invocations are sampled, and the segments of one that is. Pure."""

from dataclasses import dataclass


def new_trace_header(epoch_seconds: float, trace_digits: str, segment_digits: str) -> str:
    """The header of a trace that begins here and is not sampled.

    Args:
        trace_digits, segment_digits: random hexadecimal digits, of which 24 and 16 are used.
    """
    return f"Root=1-{int(epoch_seconds):08x}-{trace_digits[:24]};Parent={segment_digits[:16]};Sampled=0"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationSegments:
    """The two segments of a sampled invocation: Lambda's own and, below it, the function's.

    Attributes:
        trace_id: ``1-...-...``.
        parent_id: the caller's segment; None where the trace begins with this invocation.
        lambda_id, function_id: 16 hexadecimal digits; what the handler traces belongs to ``function_id``.
    """

    trace_id: str
    parent_id: str | None
    lambda_id: str
    function_id: str
