"""A function with an internal extension that does nothing but ask for its next event; standard library only."""

import http.client
import os
import threading
from typing import Any

PATH = "/2020-01-01/extension"


def hello(_event: Any, _context: Any) -> Any:
    return {"message": "hello"}


def _listen(connection: http.client.HTTPConnection, headers: dict[str, str]) -> None:
    while True:
        connection.request("GET", f"{PATH}/event/next", headers=headers)
        connection.getresponse().read()


def _begin() -> dict[str, str]:
    """Registers; the headers of every further call."""
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    names = {"Lambda-Extension-Name": "bench", "Content-Type": "application/json"}
    connection.request("POST", f"{PATH}/register", b'{"events":["INVOKE"]}', names)
    reply = connection.getresponse()
    reply.read()
    headers = {"Lambda-Extension-Identifier": reply.headers["Lambda-Extension-Identifier"]}
    threading.Thread(target=_listen, args=(connection, headers), name="extension", daemon=True).start()
    return headers


HEADERS = _begin()
