"""How much a client may send and how long it may take. Pure data."""

from dataclasses import dataclass
from typing import Final

from rie_server.api.exchange import STREAMING_HEADER, STREAMING_SUFFIX
from rie_server.limits import CREATE_REQUEST_BYTES, RESPONSE_PAYLOAD_BYTES

HEAD_BYTES: Final = 64 * 1024

# A client that pipelines more than this is not read from until some of it is answered.
QUEUED_REQUESTS: Final = 32
QUEUED_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds; each is checked once a tick, so it may last a tick longer.

    Attributes:
        head_seconds: from the first byte of a request to the end of its headers.
        body_seconds: without any byte of the body.
        idle_seconds: between two requests of a connection; None keeps it for ever. Runtimes are idle for as long as
            their handler runs.
        write_seconds: without the client taking any byte of its reply.
        linger_seconds: how long a refused client may go on sending before the connection is cut.
    """

    head_seconds: float = 30.0
    body_seconds: float = 60.0
    idle_seconds: float | None = 75.0
    write_seconds: float = 75.0
    linger_seconds: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """Bytes of a request's body.

    Attributes:
        most_bytes: more is refused with 413 and the connection ends.
        kept_bytes: of a longer body only so much is kept; its operation sees from ``body_bytes`` that it was longer.
        code, refusal: error type and message of the 413.
        heads_recur: whether requests with a body come with the same head again; a runtime's name the invocation.
        streaming_header, streaming_suffix: a request with this header saying ``streaming``, to a path that ends so, is
            handed over before its body, which may then be of any length; no header, no such requests.
    """

    most_bytes: int
    kept_bytes: int
    code: str
    refusal: str
    heads_recur: bool
    streaming_header: str = ""
    streaming_suffix: bytes = b""


LAMBDA_BODIES: Final = BodyLimits(
    most_bytes=CREATE_REQUEST_BYTES,
    kept_bytes=CREATE_REQUEST_BYTES,
    code="RequestEntityTooLargeException",
    refusal=f"Request must be smaller than {CREATE_REQUEST_BYTES} bytes for the CreateFunction operation",
    heads_recur=True,
)

# A runtime whose result is too large gets its 413 from the operation, which also answers the invocation.
RUNTIME_BODIES: Final = BodyLimits(
    most_bytes=100 * 1024 * 1024,
    kept_bytes=RESPONSE_PAYLOAD_BYTES + 64 * 1024,
    code="RequestEntityTooLarge",
    refusal=f"Exceeded maximum allowed payload size ({RESPONSE_PAYLOAD_BYTES} bytes).",
    heads_recur=False,
    streaming_header=STREAMING_HEADER,
    streaming_suffix=STREAMING_SUFFIX.encode(),
)
