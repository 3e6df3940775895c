"""X-Ray trace headers. Pure."""


def new_trace_header(epoch_seconds: float, trace_digits: str, segment_digits: str) -> str:
    """The header of a trace that begins here and is not sampled.

    Args:
        trace_digits, segment_digits: random hexadecimal digits, of which 24 and 16 are used.
    """
    return f"Root=1-{int(epoch_seconds):08x}-{trace_digits[:24]};Parent={segment_digits[:16]};Sampled=0"
