"""The body of a streamed ``response`` on its way into the engine, and the runtime's reply at its end.

Called on the thread that reads the body; never blocks.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping

from rie_server.api.exchange import Deferred, Reply
from rie_server.errors import RuntimeApiError
from rie_server.invoke.streamed_response import StreamedResponse

_ERROR_TYPE = "lambda-runtime-function-error-type"
_ERROR_BODY = "lambda-runtime-function-error-body"


class StreamedBody:
    """A Receiver that feeds ``response`` and answers with ``deferred``."""

    __slots__ = ("_accepted", "_deferred", "_rendered", "_response")

    def __init__(
        self,
        response: StreamedResponse,
        deferred: Deferred,
        *,
        accepted: Reply,
        rendered: Callable[[RuntimeApiError], Reply],
    ) -> None:
        self._response = response
        self._deferred = deferred
        self._accepted = accepted
        self._rendered = rendered

    def write(self, data: bytes) -> None:
        self._response.write(data)

    def finish(self, trailers: Mapping[str, str]) -> None:
        try:
            self._response.finish(reported_error(trailers))
        except RuntimeApiError as error:
            self._deferred.complete(self._rendered(error))
        else:
            self._deferred.complete(self._accepted)

    def break_off(self) -> None:
        self._response.break_off()
        truncated = RuntimeApiError(400, "TruncatedHTTPRequest", "HTTP request detected as truncated")
        self._deferred.complete(self._rendered(truncated))


def reported_error(trailers: Mapping[str, str]) -> bytes | None:
    """The error that a runtime reports after it has begun to stream: JSON for the caller; None where there is none."""
    error_type, encoded = trailers.get(_ERROR_TYPE), trailers.get(_ERROR_BODY)
    if encoded:
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            pass
    if not error_type and not encoded:
        return None
    return json.dumps({"errorType": error_type or "Runtime.Unknown"}, separators=(",", ":")).encode()
