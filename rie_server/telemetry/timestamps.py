"""Times as AWS writes them into logs and telemetry. Pure."""

from datetime import UTC, datetime
from functools import lru_cache


def iso_milliseconds(epoch_seconds: float) -> str:
    """``2026-01-31T12:00:00.123Z``."""
    milliseconds = int(epoch_seconds * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
