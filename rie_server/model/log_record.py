"""A record that a runtime has written as one whole, however many lines it has. Pure data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """
    Attributes:
        text: without the newline at its end.
        level: one of ``log_settings.LEVELS``; None where the runtime did not say.
        at_epoch_seconds: when the runtime wrote it; None where it did not say.
    """

    text: bytes
    level: str | None
    at_epoch_seconds: float | None
