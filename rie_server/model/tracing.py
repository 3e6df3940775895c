"""X-Ray trace headers. Pure, but for the randomness that the caller brings."""


def new_trace_header(epoch_seconds: float, random: bytes) -> str:
    """The header of a trace that begins here and is not sampled.

    Args:
        random: 20 bytes: 12 for the trace, 8 for its first segment.
    """
    digits = random.hex()
    return f"Root=1-{int(epoch_seconds):08x}-{digits[:24]};Parent={digits[24:40]};Sampled=0"
