"""Replies that the server gives before any operation is asked, each in the shape that clients of its listener parse.

Pure. ``listener`` is ``lambda`` or ``runtime``, as in ``HotRoute``.
"""

import json

from rie_server.api.exchange import JSON, Reply


def refusal(listener: str, status: int, code: str, message: str) -> Reply:
    """An error: ``message`` and ``x-amzn-ErrorType`` for SDKs, ``errorMessage`` and ``errorType`` for runtimes."""
    if listener == "runtime":
        return _reply(status, {"errorMessage": message, "errorType": code})
    return _reply(status, {"message": message}, ("x-amzn-ErrorType", code))


def server_fault(listener: str) -> Reply:
    """An exception that nobody expected; what it was stands in the server's log, not in the reply."""
    if listener == "runtime":
        return refusal(listener, 500, "InternalServerError", "Internal Server Error")
    body = {"Type": "Server", "Message": "An internal error occurred; see the server's output."}
    return _reply(500, body, ("x-amzn-ErrorType", "ServiceException"))


def unknown_path(listener: str, method: str, path: str) -> Reply:
    """Nothing is at ``path`` on this listener, even where the other one has it."""
    if listener == "runtime":
        return refusal(listener, 404, "ResourceNotFound", f"The Runtime API has no {method} {path}")
    message = {"Message": f"The Lambda API has no {method} {path}"}
    return _reply(404, message, ("x-amzn-ErrorType", "UnknownOperationException"))


def _reply(status: int, body: dict[str, str], *headers: tuple[str, str]) -> Reply:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    return Reply(status, (("Content-Type", JSON), *headers), text)
