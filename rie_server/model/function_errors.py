"""What the platform answers in a function's stead: the payloads behind ``X-Amz-Function-Error: Unhandled``.

Pure. Texts as AWS sends them (recorded); ``errorType`` names are AWS's.
"""

import json
import re
from dataclasses import dataclass

from rie_server.limits import RESPONSE_PAYLOAD_BYTES, STREAMED_RESPONSE_BYTES
from rie_server.model.environment import EnvironmentExit
from rie_server.model.extension import CRASH, LAUNCH_ERROR

UNHANDLED = "Unhandled"

_ACCEPTED_ERROR_TYPE = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformError:
    """An ``errorType`` with its text; ``status`` is the one of the REPORT line: ``timeout`` or ``error``."""

    error_type: str
    message: str
    status: str = "error"

    def payload(self, request_id: str) -> bytes:
        return json.dumps(
            {"errorType": self.error_type, "errorMessage": f"RequestId: {request_id} Error: {self.message}"},
            separators=(",", ":"),
        ).encode()


def _too_large(limit_bytes: int) -> bytes:
    message = f"Response payload size exceeded maximum allowed payload size ({limit_bytes} bytes)."
    return json.dumps(
        {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}, separators=(",", ":")
    ).encode()


RESPONSE_TOO_LARGE_PAYLOAD = _too_large(RESPONSE_PAYLOAD_BYTES)
STREAM_TOO_LARGE_PAYLOAD = _too_large(STREAMED_RESPONSE_BYTES)

INVALID_RESPONSE_MODE = PlatformError(
    error_type="Runtime.InvalidResponseModeHeader", message="Invalid function response mode"
)

TRUNCATED_RESPONSE = PlatformError(error_type="Runtime.TruncatedResponse", message="Response body is truncated")


def timed_out(timeout_seconds: float) -> PlatformError:
    return PlatformError(
        error_type="Sandbox.Timedout",
        message=f"Task timed out after {timeout_seconds:.2f} seconds",
        status="timeout",
    )


def exited(exit_: EnvironmentExit) -> PlatformError:
    """The runtime process ended while it owed an answer. A clean exit gives no reason, as in AWS."""
    if exit_.launch_error is not None:
        return PlatformError(error_type="Runtime.InvalidEntrypoint", message=exit_.launch_error)
    words = exit_.describe()
    message = f"Runtime exited with error: {words}" if words else "Runtime exited without providing a reason"
    return PlatformError(error_type="Runtime.ExitError", message=message)


def extension_exited(exit_: EnvironmentExit, reported_type: str | None = None) -> PlatformError:
    """The process of an external extension ended before its environment did.

    Args:
        reported_type: ``Extension.InitError`` or ``Extension.ExitError``, where one has been reported.
    """
    if exit_.launch_error is not None:
        return PlatformError(error_type=LAUNCH_ERROR, message=exit_.launch_error)
    return PlatformError(error_type=reported_type or CRASH, message=exit_.describe() or "exit code 0")


def accepted_error_type(header: str | None) -> str:
    """The error type that telemetry reports for what a runtime put into ``Lambda-Runtime-Function-Error-Type``."""
    if header and (match := _ACCEPTED_ERROR_TYPE.search(header)):
        return match[0]
    return "Function.Unknown" if header and header.startswith("Function.") else "Runtime.Unknown"
