"""What the ways to invoke a function read from a request: the function, the event, the trace.

Pure but for the trace's randomness; on the road of every invocation, so a function's name is parsed once.
"""

import base64
import binascii
import json
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import parse_qs, unquote

from rie_server.api.exchange import Request
from rie_server.api.lambda_api.rendering import request_scope
from rie_server.config import Settings
from rie_server.errors import InvalidRequestContentException, LambdaError, RequestTooLargeException
from rie_server.model.arn import FunctionArn, parse_function_reference
from rie_server.model.invocation import InvocationType
from rie_server.model.json_payload import check_json
from rie_server.model.request_id import random_digits
from rie_server.model.tracing import is_trace_header, new_trace_header
from rie_server.ports import Clock

_function_arn = lru_cache(maxsize=4096)(parse_function_reference)


def called_function(
    request: Request, reference: str, settings: Settings, validate: Callable[[Request], None]
) -> FunctionArn:
    """The function that ``reference``, from the path, and the query mean.

    Args:
        validate: the service model's check of the request, whose words go before our own.

    Raises:
        LambdaError: it can mean none.
    """
    region, account = request_scope(request, settings)
    qualifier = parse_qs(request.query).get("Qualifier", [None])[0] if request.query else None
    try:
        return _function_arn(unquote(reference), qualifier=qualifier, region=region, account=account)
    except LambdaError:
        validate(request)
        raise


def event_payload(body: bytes, limit_bytes: int, invocation_type: InvocationType) -> bytes:
    """The event; an empty body is an empty object.

    Raises:
        RequestTooLargeException: more than ``limit_bytes``.
        InvalidRequestContentException: no JSON.
    """
    if not body:
        return b"{}"
    if len(body) > limit_bytes:
        raise RequestTooLargeException(
            f"{len(body)} byte payload is too large for the {invocation_type} invocation type "
            f"(limit {limit_bytes} bytes)"
        )
    check_json(body)
    return body


def decoded_client_context(header: str) -> str:
    """``X-Amz-Client-Context`` as the line of JSON that a runtime gets.

    Raises:
        InvalidRequestContentException: no JSON object in Base64.
    """
    try:
        text = base64.b64decode(header, validate=True).decode()
        context = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        context = None
    if not isinstance(context, dict):
        raise InvalidRequestContentException("Client context must be a valid Base64-encoded JSON object.")
    # A header carries one line: JSON that was pretty-printed is written anew.
    return text if text.isascii() and text.isprintable() else json.dumps(context, separators=(",", ":"))


def trace_header(request: Request, clock: Clock) -> str:
    """The caller's, or that of a trace which begins here."""
    given = request.headers.get("x-amzn-trace-id")
    if given and is_trace_header(given):
        return given
    return new_trace_header(clock.now(), random_digits())
